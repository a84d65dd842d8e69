"""Keys of links between machines, in the files that lca-keygen makes; docs/security.md."""
from __future__ import annotations

import ipaddress
import os
import re
import stat
import threading
from pathlib import Path
from typing import Any, NamedTuple, Optional

import zmq
from zmq.utils import z85

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


class _Door(threading.Thread):
    """Answers ZeroMQ's question who may connect (ZAP, its RFC 27), from the folder of public keys as it is then."""

    def __init__(self, context: Any, folder: str) -> None:
        super().__init__(daemon=True)
        self.folder = folder
        self._zap = context.socket(zmq.REP)
        self._zap.linger = 0
        self._zap.bind('inproc://zeromq.zap.01')

    def _knows(self, key: bytes) -> bool:
        for path in Path(self.folder).glob('[!.]*.pub'):
            try:
                if _public(str(path)) == key:
                    return True
            except UsageError:
                continue
        return False

    def run(self) -> None:
        while True:
            try:
                question = self._zap.recv_multipart()
            except zmq.ContextTerminated:
                self._zap.close()
                return
            good = (len(question) == 7 and question[5] == b'CURVE' and len(question[6]) == 32 and
                    self._knows(bytes(z85.encode(question[6]))))     # type: ignore[no-untyped-call]
            answer = (b'200', b'OK') if good else (b'400', b'key not allowed')
            self._zap.send_multipart((b'1.0', question[1] if len(question) > 1 else b'', *answer, b'', b''))


_door: Optional[_Door] = None           # of this process: ZeroMQ has one place for it


def _open_door(context: Any, folder: str) -> None:
    global _door
    if not os.path.isdir(folder):
        raise UsageError('cannot read the folder of keys %s' % folder)
    if _door is None:
        _door = _Door(context, folder)
        _door.start()
    elif _door.folder != folder:
        raise UsageError('one program has one folder of --peers, not %s and %s' % (_door.folder, folder))


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
            raise UsageError('%s: who may connect? Give peers, a folder with the .pub files of their keys'
                             % endpoint.text)
        _open_door(socket.context, security.peers)
        socket.curve_server = True
        socket.zap_domain = b'lca'
    else:
        if security.server_key is None:
            raise UsageError('%s: whom to trust there? Give server_key, its .pub file' % endpoint.text)
        socket.curve_serverkey = _public(security.server_key)
