"""ZeroMQ sockets with the options and the care of src/link/sock.c: ZeroMQ moves bytes, and what it
knows of a connection that came or was lost is asked of its monitor."""
from __future__ import annotations

import atexit
import fcntl
import os
import stat
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any, Iterable, Iterator, Optional

import zmq
from zmq.utils.monitor import recv_monitor_message

from . import curve
from .curve import Security
from .endpoints import Endpoint
from .errors import CorruptError, UsageError

_WATCHED = (zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_AUTH |
            zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
CURVE_ADDS = 64                         # bytes that encryption may add to a message


_contexts: dict[int, Any] = {}          # by process: a fork must not use its parent's
_sockets: weakref.WeakSet[Socket] = weakref.WeakSet()


def context() -> Any:
    pid = os.getpid()
    if pid not in _contexts:
        _contexts[pid] = zmq.Context()
    return _contexts[pid]


def _leave() -> None:
    """What was said last is still on its way when a program ends: ZeroMQ is given the time for it."""
    here = threading.get_ident()
    for s in [s for s in _sockets if s.zmq is not None and s.pid == os.getpid()]:
        if s.thread != here:
            return              # in use by a thread that ends with us
        s.zmq.linger = 0
        s.close()
    if os.getpid() in _contexts:
        context().term()


atexit.register(_leave)


def note(text: str) -> None:
    """One line for people."""
    name = os.environ.get('LCA_STAGE') or os.path.basename(sys.argv[0] or 'python')
    print('%s: %s' % (name, text), file=sys.stderr, flush=True)


class Patience:
    """Says what is waited for, once, after 10 seconds."""

    def __init__(self) -> None:
        self.since = 0.0

    def wait(self, what: str) -> None:
        now = time.monotonic()
        if self.since == 0:
            self.since = now
        elif self.since > 0 and now > self.since + 10:
            note('waiting for %s' % what)
            self.since = -1

    def reset(self) -> None:
        self.since = 0.0


def _private_folder(endpoint: Endpoint, folder: str) -> None:
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    except OSError as why:
        raise UsageError('cannot make the folder %s: %s' % (folder, why.strerror)) from None
    status = os.stat(folder)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise UsageError('%s: others may enter the folder %s, or it is not yours: chmod 700 it, or set LCA_DIR to a '
                         'folder of yours alone' % (endpoint.text, folder))


def _lock(endpoint: Endpoint, path: str) -> int:
    """ZeroMQ takes over a path that is in use without a word, so a lock beside it says who has it."""
    fd = os.open(path + '.lock', os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pid = os.read(fd, 24).decode('ascii', 'replace') or '?'
        os.close(fd)
        raise UsageError('%s is in use by pid %s: stop that run or choose another name'
                         % (endpoint.text, pid)) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, str(os.getpid()).encode(), 0)
    return fd


def _told(path: str) -> Optional[str]:
    """The address in a file of at:FILE; None: there is none yet."""
    try:
        status, text = os.stat(path), Path(path).read_text()
    except FileNotFoundError:
        return None
    except OSError as why:
        raise UsageError('cannot read %s: %s' % (path, why.strerror)) from None
    if not text.startswith('tcp://') or '\n' not in text:
        raise UsageError('%s does not hold the address of a socket: remove it, or give another name' % path)
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UsageError('%s could have been written by somebody else: it must be yours, and writable by you alone'
                         % path)
    return text.split('\n', 1)[0]


class Socket:
    """One socket. kind: zmq.ROUTER, zmq.DEALER, zmq.XPUB or zmq.SUB; most: bytes of the largest message
    that is let in, 0 for no bound."""

    def __init__(self, kind: int, endpoint: Endpoint, bind: bool, security: Security, *, most: int, hwm: int = 0,
                 linger_ms: int = 10000, topics: Iterable[bytes] = ()) -> None:
        self.endpoint, self.security = endpoint, security
        self.bind = bind if endpoint.bind is None else endpoint.bind
        self._lock, self._path, self._told, self._look = -1, '', '', 0.0
        self._refused: Optional[str] = None
        self._broken: list[float] = []
        if self.bind and endpoint.at:
            raise UsageError('%s: this program does not write at:FILE: bind tcp://HOST:PORT' % endpoint.text)
        if endpoint.where.startswith('ipc://'):
            path = endpoint.where[len('ipc://'):]
            _private_folder(endpoint, os.path.dirname(path) or '.')
            if self.bind:
                self._lock, self._path = _lock(endpoint, path), path
        self.pid, self.thread = os.getpid(), threading.get_ident()
        self.zmq: Any = context().socket(kind)
        self.monitor: Any = None
        _sockets.add(self)
        try:
            self._open(kind, most, hwm, linger_ms, topics)
        except BaseException:
            self.close()
            raise

    def _open(self, kind: int, most: int, hwm: int, linger_ms: int, topics: Iterable[bytes]) -> None:
        s = self.zmq
        s.sndhwm = s.rcvhwm = hwm
        s.linger = linger_ms
        s.handshake_ivl = 5000
        s.reconnect_ivl, s.reconnect_ivl_max = 20, 500
        s.setsockopt(zmq.MAXMSGSIZE, most + (CURVE_ADDS if most and self.security.key else 0) if most else -1)
        if kind == zmq.ROUTER:
            s.router_mandatory = True
        if kind == zmq.DEALER:
            s.immediate = True      # what is queued for a connection that is lost goes with it
        if kind == zmq.XPUB:
            s.xpub_verboser = True
        for topic in topics:
            s.subscribe(topic)
        self.monitor = s.get_monitor_socket(_WATCHED)
        if self.endpoint.is_tcp:
            s.heartbeat_ivl, s.heartbeat_timeout = 5000, 30000
        elif self.bind:
            s.setsockopt(zmq.IPC_FILTER_UID, os.geteuid())
        if self.endpoint.at:
            self.follow()
        else:
            self._attach(self.endpoint.where)

    def _attach(self, address: str) -> None:
        if address.startswith('tcp://'):
            self.zmq.ipv6 = '[' in address
            curve.guard(self.zmq, self.endpoint, address, self.bind, self.security)
        mask = os.umask(0o077)
        try:
            if self.bind:
                self.zmq.bind(address)
            else:
                self.zmq.connect(address)
        except zmq.ZMQError as why:
            what = 'bind' if self.bind else 'connect to'
            raise UsageError('cannot %s %s: %s' % (what, self.endpoint.text, why)) from None
        finally:
            os.umask(mask)

    def follow(self) -> None:
        """Looks, now and then, whether the file of at:FILE tells another address."""
        now = time.monotonic()
        if not self.endpoint.at or now < self._look:
            return
        self._look = now + 0.5
        address = _told(self.endpoint.at)
        if address is None or address == self._told:
            return
        if self._told:
            self.zmq.disconnect(self._told)
        self._told = address
        self._attach(address)

    def close(self) -> None:
        if self.zmq is None:
            return
        if self.monitor is not None:
            self.zmq.disable_monitor()
            self.monitor.close()
        self.zmq.close()
        self.zmq = self.monitor = None
        if self._lock >= 0:
            try:
                os.unlink(self._path + '.lock')
            except OSError:
                pass
            os.close(self._lock)
            self._lock = -1

    def send(self, data: bytes, to: Optional[bytes] = None) -> Optional[bool]:
        """True: ZeroMQ has it; False: not now; None: there is no such peer any more."""
        try:
            if to is None:
                self.zmq.send(data, zmq.DONTWAIT, copy=len(data) < 65536)
            else:
                self.zmq.send_multipart((to, data), zmq.DONTWAIT)
        except zmq.Again:
            return False
        except zmq.ZMQError as why:
            if why.errno == zmq.EHOSTUNREACH:
                return None
            raise
        return True

    def receive(self) -> Optional[tuple[bytes, bytes]]:
        """(id of the peer or b'', message); None: nothing now."""
        try:
            parts = self.zmq.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return None
        if self.zmq.type == zmq.ROUTER:
            if len(parts) != 2:
                return parts[0], b''        # several parts are no frame, and neither is this
            return parts[0], parts[1]
        if len(parts) != 1:
            raise CorruptError('%s: a message of several parts is no frame' % self.endpoint.text)
        return b'', parts[0]

    def events(self) -> Iterator[str]:
        """What happened to connections: 'connected' or 'lost'. UsageError where we are refused for good."""
        while self.monitor is not None and self.monitor.poll(0):
            event = recv_monitor_message(self.monitor)
            if event['event'] == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._broken.clear()
                yield 'connected'
            elif event['event'] == zmq.EVENT_DISCONNECTED:
                yield 'lost'
            elif not self.bind:
                self._refuse(event)
        if self._refused:
            raise UsageError('%s: refused: %s' % (self.endpoint.text, self._refused))

    def _refuse(self, event: Any) -> None:
        if event['event'] == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            self._refused = 'our key is not allowed: its .pub file must lie in the folder --peers of the other side'
        elif event['event'] == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            if event['value'] == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
                self._refused = ('the other side has no keys' if self.security.key else
                                 'we have no key, and the other side wants one: give key and server_key')
            elif event['value'] == zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC:
                self._refused = 'wrong key: server_key is not the key of the other side'
            else:
                self._refused = 'this is no such socket of lca: another port, or another program'
        elif self.security.key:
            # who cannot read our first message hangs up; so does who dies, but not five times at once
            now = time.monotonic()
            self._broken = [t for t in self._broken if t > now - 10] + [now]
            if len(self._broken) >= 5:
                self._refused = 'wrong key: the other side cannot read what is written to server_key, or has no keys'


def wait(sockets: Iterable[Socket], seconds: float) -> None:
    """Until one of them has something, or the time is over."""
    poller = zmq.Poller()
    for s in sockets:
        poller.register(s.zmq, zmq.POLLIN)
        poller.register(s.monitor, zmq.POLLIN)
        if s.endpoint.at:
            seconds = min(seconds, 0.5)
    poller.poll(max(int(seconds * 1000), 0))
