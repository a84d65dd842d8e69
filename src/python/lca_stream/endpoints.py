"""The names of links: -, FILE.lca, ipc:NAME, ipc:///PATH, tcp://HOST:PORT, at:FILE, or a path that
exists, socket or file; with "bind+" or "connect+" before it the other side than usual."""
from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from typing import Optional

from .errors import UsageError

_PATH_MAX = 107 - len('.tap.lock')      # bytes of a socket's path that the kernel takes


@dataclass(frozen=True)
class Endpoint:
    text: str                   # as given, for messages
    kind: str                   # stdio, file or socket
    where: str                  # path of a file, or ZeroMQ address of a socket; '' where `at` tells it
    at: str = ''                # the file that tells the address
    bind: Optional[bool] = None     # None: as is usual

    @property
    def is_tcp(self) -> bool:
        return self.kind == 'socket' and not self.where.startswith('ipc://')

    def tap(self) -> Endpoint:
        """The tap beside a socket: its path with .tap, or its port + 1."""
        if self.kind != 'socket':
            raise UsageError('%s: only a socket has a tap' % self.text)
        if self.at:
            return replace(self, at=self.at + '.tap')
        if not self.is_tcp:
            return replace(self, where=self.where + '.tap')
        host, port = self.where.rsplit(':', 1)
        if not port.isdigit() or not 1 <= int(port) <= 65534:
            raise UsageError('%s: the port must be 1 to 65534' % self.text)
        return replace(self, where='%s:%d' % (host, int(port) + 1))


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def parse(text: str) -> Endpoint:
    bind, rest = None, text
    for prefix, side in (('bind+', True), ('connect+', False)):
        if rest.startswith(prefix):
            bind, rest = side, rest[len(prefix):]

    def socket_at(path: str) -> Endpoint:
        if len(os.fsencode(path)) > _PATH_MAX:
            raise UsageError('%s: the socket path %s is longer than %d bytes: set LCA_DIR to a shorter folder'
                             % (text, path, _PATH_MAX))
        return Endpoint(text, 'socket', 'ipc://' + path, bind=bind)

    if rest == '-':
        return Endpoint(text, 'stdio', '-')
    if rest.startswith('ipc:///'):
        return socket_at(rest[6:])
    if rest.startswith('ipc:'):
        name = rest[4:]
        if not name or '/' in name:
            raise UsageError('%s: write ipc:NAME or ipc:///PATH' % text)
        runtime = os.environ.get('XDG_RUNTIME_DIR')
        return socket_at(os.path.join(os.environ.get('LCA_DIR') or (runtime + '/lca' if runtime else '') or
                                      '/tmp/lca-%d' % os.getuid(), name))
    if rest.startswith('at:') or (rest.startswith('tcp://') and ',at:' in rest):
        at = rest.split('at:', 1)[1]
        if not at:
            raise UsageError('%s: write at:FILE or tcp://HOST:PORT,at:FILE' % text)
        return Endpoint(text, 'socket', '', at=at, bind=bind)
    if rest.startswith('tcp://'):
        if ':' not in rest[6:]:
            raise UsageError('%s: write tcp://HOST:PORT' % text)
        return Endpoint(text, 'socket', rest, bind=bind)
    path = rest[5:] if rest.startswith('file:') else rest
    if not path or '://' in path:
        raise UsageError('%s: not an endpoint: write -, FILE.lca, ipc:NAME or tcp://HOST:PORT' % (text or "''"))
    if not rest.startswith('file:') and (_is_socket(path) or _is_socket(path + '.tap')):
        return socket_at(path)
    return Endpoint(text, 'file', path)
