"""Keys of links between machines, in the files that lca-keygen makes; docs/security.md."""
from __future__ import annotations

import ipaddress
import os
import re
import stat
from pathlib import Path
from typing import Any, NamedTuple, Optional

import zmq
import zmq.auth.thread

from .endpoints import Endpoint
from .errors import UsageError

_LINE = re.compile(r'^\s*(public|secret)-key\s*=\s*"([^"]*)"\s*$', re.MULTILINE)


class Security(NamedTuple):
    """The options --key, --server-key, --peers and --insecure of every program."""

    key: Optional[str] = None           # our secret key: FILE.key
    server_key: Optional[str] = None    # of whom we connect to: FILE.pub
    peers: Optional[str] = None         # folder of the .pub files of those who may connect to us
    insecure: bool = False              # tcp beyond this machine without keys


def _read(path: str) -> dict[str, str]:
    try:
        text = Path(path).read_text('ascii', 'replace')
    except OSError as why:
        raise UsageError('cannot read the key %s: %s' % (path, why.strerror)) from None
    keys = dict(_LINE.findall(text))
    if len(keys.get('public', '')) != 40 or len(keys.get('secret', ' ' * 40)) != 40:
        raise UsageError('%s is no key of lca-keygen' % path)
    return keys


def _secret(path: str) -> tuple[bytes, bytes]:
    keys = _read(path)
    if 'secret' not in keys:
        raise UsageError('%s has no secret key: give the .key file of lca-keygen' % path)
    status = os.stat(path)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise UsageError('others may read the secret key %s, or it is not yours: chmod 600 it, and make another if '
                         'somebody may have read it' % path)
    return keys['public'].encode(), keys['secret'].encode()


def _public(path: str) -> bytes:
    keys = _read(path)
    if 'secret' in keys:
        raise UsageError('%s holds a secret key, which must not leave its machine: give the .pub file' % path)
    return keys['public'].encode()


def is_loopback(address: str) -> bool:
    host = address[len('tcp://'):].rsplit(':', 1)[0].strip('[]')
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


class _Door:
    """Answers who may connect, from the folder of public keys as it is then."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def callback(self, domain: str, key: bytes) -> bool:
        for path in Path(self.folder).glob('[!.]*.pub'):
            try:
                if _public(str(path)) == key:
                    return True
            except UsageError:
                continue
        return False


_doors: dict[int, tuple[Any, str]] = {}        # by context: ZeroMQ has one place for them


def _open_door(context: Any, folder: str) -> None:
    if not os.path.isdir(folder):
        raise UsageError('cannot read the folder of keys %s' % folder)
    known = _doors.get(id(context))
    if known is None:
        door = zmq.auth.thread.ThreadAuthenticator(context)
        door.start()
        door.configure_curve_callback(domain='*', credentials_provider=_Door(folder))
        _doors[id(context)] = door, folder
    elif known[1] != folder:
        raise UsageError('one program has one folder of --peers, not %s and %s' % (known[1], folder))


def close_door(context: Any) -> None:
    door = _doors.pop(id(context), None)
    if door is not None:
        door[0].stop()


def guard(socket: Any, endpoint: Endpoint, address: str, bind: bool, security: Security) -> None:
    """Sets what a tcp socket needs before it binds or connects: keys, or that the other side is here."""
    if security.key is None:
        if security.peers or security.server_key:
            raise UsageError('peers and server_key need key too: make one with lca-keygen')
        if not security.insecure and not is_loopback(address):
            raise UsageError('%s is %s: give key and %s (made with lca-keygen), or insecure' % (
                endpoint.text, 'open to other machines' if bind else 'another machine',
                'peers' if bind else 'server_key'))
        return
    if security.insecure:
        raise UsageError('insecure and key exclude each other: with keys nothing is open')
    socket.curve_publickey, socket.curve_secretkey = _secret(security.key)
    if bind:
        if security.peers is None:
            raise UsageError('%s: who may connect? Give peers, a folder with the .pub files of their keys' % endpoint.text)
        _open_door(socket.context, security.peers)
        socket.curve_server = True
    else:
        if security.server_key is None:
            raise UsageError('%s: whom to trust there? Give server_key, its .pub file' % endpoint.text)
        socket.curve_serverkey = _public(security.server_key)
