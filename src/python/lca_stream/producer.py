"""Writing a stream, to files, pipes and links, as src/link/out*.c do: frames are kept until every
consumer has acknowledged them, each gets as many as it has granted, and taps are not waited for."""
from __future__ import annotations

import json
import os
import resource
import socket as _socket
import sys
import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Iterable, Mapping, Optional, Sequence, Type, Union

import numpy as np
import zmq

from . import endpoints, wire
from .consumer import LOST, MESSAGE_MAX, window
from .curve import Security
from .errors import AbortedError, CorruptError, Error, PeerError, UsageError
from .records import RecordWriter
from .sockets import Patience, Socket, note, wait
from .wire import Array, Frame

_TAP_SMALL = 32 * 1024          # bytes of a payload that goes with its header to taps that want headers
_FAREWELL = 2.0                 # seconds that who leaves still counts, and that others have for a failed end
_PROBES = (0.0, 0.01, 0.05, 0.25)
_CONSUMERS = 64


def report(final: Optional[Mapping[str, Any]]) -> None:
    """Keys for the summary.json of a run, where lca-run asks for them."""
    path = os.environ.get('LCA_REPORT')
    if final and path:
        with open(path, 'w') as f:
            json.dump(dict(final), f, indent=2)


@dataclass
class _Peer:
    id: bytes
    target: '_Link'
    name: str
    next: int                   # seq that it is to be sent
    done: int
    lim: int
    had: int                    # it may have had all before this from a producer before us
    state: str = 'here'         # here, lost or left
    since: float = 0.0          # lost or left
    head_sent: bool = False
    eos_sent: bool = False
    eos_done: bool = False


class _Tap:
    """Whoever looks in; what is not taken in time is dropped."""

    def __init__(self, endpoint: endpoints.Endpoint, security: Security, parts: int) -> None:
        self.socket = Socket(zmq.XPUB, endpoint, True, security, most=1024, hwm=2 * parts + 2 if parts else 64,
                             linger_ms=200)
        self.count = {b'f': 0, b'h': 0, b's': 0}
        self.status_at = 0.0

    def publish(self, packed: bytes, payload: wire.Bytes, there: bool) -> None:
        if self.count[b'f']:
            self.socket.send(wire.to_message(packed, payload, there))
        if self.count[b'h']:
            small = there and len(payload) <= _TAP_SMALL
            self.socket.send(wire.to_message(packed, payload if small else b'', small, b'h'))

    def serve(self) -> bool:
        """Whether somebody has come, who lacks HEAD."""
        fresh = False
        for _ in self.socket.events():
            pass
        while (got := self.socket.receive()) is not None:
            what = got[1]
            if len(what) != 2 or what[1:] not in self.count:
                continue
            comes = what[0] == 1
            self.count[what[1:]] = max(self.count[what[1:]] + (1 if comes else -1), 0)
            if comes and what[1:] == b's':
                self.status_at = 0.0
            fresh |= comes and what[1:] != b's'
        return fresh


class _Link:
    """One endpoint of an output that is a socket."""

    def __init__(self, endpoint: endpoints.Endpoint, security: Security, head: Mapping[str, Any],
                 tap_only: bool) -> None:
        self.text = endpoint.text
        self.socket: Optional[Socket] = None
        self.tap: Optional[_Tap] = None
        self.probes: list[float] = []
        if not tap_only:
            self.socket = Socket(zmq.ROUTER, endpoint, True, security, most=wire.HEADER_MAX + 16,
                                 hwm=2 * (2 * window(head) + 16))
        if tap_only or not endpoint.is_tcp:     # another open port only where it is asked for
            self.tap = _Tap(endpoint.tap(), security, head['parts'])


class Output:
    """A stream to write:

        out = Output('ipc:theta', expect='integrate')
        out.head(stream='theta', model='toy', table=table, definition={...}, ...)
        out.vector('theta', theta, it=0, lr=0.0, mbloss=0.0, epoch=0)
        out.end()

    to: one endpoint, or several; taps: more of them, for taps alone. expect: the names of consumers
    to wait for before the first frame. lost: seconds that a consumer may be gone, or 'drop'.
    Sending waits while consumers are behind; between calls nobody is served, so that what a link's
    frames need beside a program's own work is little. A stream that is not ended is a failure to
    those who read it; as a context manager an Output ends itself, also where an exception passes."""

    def __init__(self, to: Union[str, Sequence[str]] = '-', *, taps: Sequence[str] = (),
                 expect: Union[str, Sequence[str]] = (), security: Security = Security(),
                 lost: Union[float, str] = LOST) -> None:
        self._endpoints = [endpoints.parse(to) if isinstance(to, str) else endpoints.parse(t)
                           for t in ([to] if isinstance(to, str) else to)]
        self._taps = [endpoints.parse(t) for t in taps]
        self._expect = [n for n in (expect.split(',') if isinstance(expect, str) else list(expect)) if n]
        self._joined: set[str] = set()
        self._security = security
        self._drop = lost == 'drop'
        self._lost = LOST if isinstance(lost, str) else lost
        self._writers = [RecordWriter(e.where) for e in self._endpoints if e.kind != 'socket']
        self._links: list[_Link] = []
        self._peers: list[_Peer] = []
        self._kept: deque[bytes] = deque()      # messages from seq _base on
        self._base = self._first = self.next = 0
        self._head: dict[str, Any] = {}
        self._head_keys: dict[str, Any] = {}
        self._head_bytes: Optional[tuple[bytes, wire.Bytes]] = None
        self._eos: Optional[tuple[bytes, str]] = None
        self._aborted = self._open = self._stopped = False
        self._patience = Patience()
        self._ignored: set[bytes] = set()
        self._it, self._bytes, self._began = -1, 0, time.monotonic()
        self.refused = 0
        if self._expect and not any(e.kind == 'socket' for e in self._endpoints):
            raise UsageError('expect needs an output on a socket: nobody can attach to a pipe or a file')

    # ---- what a program calls ----

    def head(self, *, stream: str, definition: Mapping[str, Any], network: bytes, keys: Mapping[str, Any]) -> None:
        """HEAD: opens the sockets. network: the description, JSON text; keys: those of HEAD but v and def."""
        self._run, self._stream = wire.run_id(definition), stream
        self.forward_head(self._run, stream, network, {**keys, 'v': wire.VERSION, 'def': dict(definition)})

    def forward_head(self, run: bytes, stream: str, network: bytes, keys: Mapping[str, Any]) -> None:
        """The same for a stage behind another, which keeps the run and the definition."""
        self._run, self._stream = run, stream
        self._head_keys = dict(keys)
        self._network = np.frombuffer(network, 'u1')
        self._head_bytes = wire.make('HEAD', keys, run=run, stream=stream, array=self._network)
        self._head = dict(keys)
        self._base = self._first = self.next = int(keys.get('first') or 0)
        for w in self._writers:
            w.write(*self._head_bytes)
            w.flush()
        self._links = [_Link(e, self._security, self._head, False) for e in self._endpoints if e.kind == 'socket']
        self._links += [_Link(e, self._security, self._head, True) for e in self._taps]
        self._window = window(self._head)
        self._open = not self._has_sockets

    def send(self, kind: str, array: Array, /, **keys: Any) -> None:
        """A data frame, without waiting for room."""
        if self._head_bytes is None or self._eos is not None:
            raise ValueError('a frame before HEAD or after EOS')
        packed, payload = wire.make(kind, keys, run=self._run, stream=self._stream, seq=self.next, array=array)
        self._it = keys.get('it', self._it)
        self._bytes += len(packed) + len(payload)
        for w in self._writers:
            w.write(packed, payload)
        for link in self._links:
            if link.tap:
                link.tap.publish(packed, payload, True)
        if self._has_sockets:
            self._kept.append(wire.to_message(packed, payload, True))
        self.next += 1
        for peer in self._peers:
            self._pump(peer)
        self._release()

    def vector(self, kind: str, values: Array, /, **keys: Any) -> None:
        """One number per parameter, in as many frames as it takes, after waiting for room."""
        self.wait()
        values = np.asarray(values, '<f4')
        for part, off in enumerate(range(0, len(values), wire.SLICE)):
            self.send(kind, values[off:off + wire.SLICE], off=off, part=part, **keys)
        self.flush()

    def put(self, kind: str, array: Array, /, **keys: Any) -> None:
        """One frame, after waiting for room."""
        self.wait()
        self.send(kind, array, **keys)
        self.flush()

    def flush(self) -> None:
        for w in self._writers:
            w.flush()

    def wait(self) -> None:
        """Until the consumers are there, and near enough."""
        self.serve()
        while not self._has_room():
            self._check_stopped()
            self._poll(0.2)

    def stop(self) -> None:
        """Waits no more for consumers that have not come; may be called in a signal handler."""
        self._stopped = True

    def _check_stopped(self) -> None:
        if self._stopped and not self._open:
            raise AbortedError('interrupted while %s waited for its consumers' % self._stream)

    def serve(self) -> None:
        """Looks after consumers and taps; a program that computes for long may call it between."""
        now = time.monotonic()
        for link in self._links:
            if link.tap and link.tap.serve() and self._head_bytes:
                link.tap.publish(*self._head_bytes, True)
            if link.socket:
                for event in link.socket.events():
                    if event == 'lost':
                        link.probes = [now + t for t in _PROBES]
                self._receive(link)
                self._probe(link)
        for peer in list(self._peers):
            if peer.state == 'here':
                self._pump(peer)
            elif peer.state == 'left' and now > peer.since + _FAREWELL:
                self._forget(peer)
            elif peer.state == 'lost' and now > peer.since + self._lost:
                if not self._expect or peer.name in self._expect:
                    raise PeerError('%s: %s lost, last acknowledged seq %d, and did not come back in %.0f s'
                                    % (peer.target.text, peer.name, peer.done, self._lost))
                note('%s: %s did not come back: going on without it' % (peer.target.text, peer.name))
                self._forget(peer)
        self._publish_status()

    @property
    def done(self) -> int:
        """All frames before this are processed by all consumers."""
        return self._slowest()[0] if self._has_sockets else self.next

    def end(self, status: str = 'ok', why: str = '', final: Optional[Mapping[str, Any]] = None) -> None:
        """EOS; returns when all consumers have taken it. final: keys for summary.json."""
        if self._eos is not None:
            return
        while not self._gate():
            self._check_stopped()
            self._poll(0.2)
        self._make_eos(status, why, final)
        while (who := self._unfinished()) is not None:
            self._patience.wait('%s to take the end of %s' % (who, self._stream))
            self._poll(0.2)
        self._publish_status(last=True)
        self.close()
        report(final)

    def abort(self, why: str) -> None:
        """The stream failed: tells those who are there."""
        if self._head_bytes is not None and self._eos is None:
            self._aborted = True
            self._joined.update(self._expect)
            self._make_eos('failed', why, None)
            until = time.monotonic() + _FAREWELL
            self._peers = [p for p in self._peers if p.state != 'lost']
            while self._unfinished() is not None and time.monotonic() < until:
                self._poll(0.02)
        self.close()

    def close(self) -> None:
        for w in self._writers:
            w.close()
        for link in self._links:
            for s in (link.socket, link.tap and link.tap.socket):
                if s:
                    s.close()
        self._links, self._writers = [], []

    def __enter__(self) -> Output:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        if kind is None:
            self.end()
        elif kind is KeyboardInterrupt and self._head_bytes is not None:
            self.end('interrupted')
        else:
            self.abort('%s: %s' % (kind.__name__, value))

    # ---- consumers ----

    @property
    def _has_sockets(self) -> bool:
        return any(e.kind == 'socket' for e in self._endpoints)

    def _slowest(self) -> tuple[int, Optional[str]]:
        done, who = self.next, None
        for p in self._peers:
            if p.done < done:
                done, who = p.done, p.name
        if not self._joined.issuperset(self._expect):
            return self._first, None
        return done, who

    def _release(self) -> None:
        done = self._slowest()[0]
        while self._base < done and self._kept:
            self._kept.popleft()
            self._base += 1

    def _forget(self, peer: _Peer) -> None:
        self._peers.remove(peer)
        self._release()

    def _gate(self) -> bool:
        if self._open:
            return True
        missing = [n for n in self._expect if n not in self._joined]
        if missing:
            self._patience.wait('the consumer %s of %s' % (missing[0], self._stream))
            return False
        if not self._expect:
            for link in self._links:
                if link.socket and not any(p.target is link for p in self._peers):
                    self._patience.wait('a consumer of %s' % link.text)
                    return False
        self._patience.reset()
        self._open = True
        return True

    def _has_room(self) -> bool:
        if not self._gate():
            return False
        done, who = self._slowest()
        if not self._has_sockets or self.next - done < self._window:
            self._patience.reset()
            return True
        self._patience.wait('%s at seq %d of %s' % (who or 'a consumer', done, self._stream))
        return False

    def _poll(self, seconds: float) -> None:
        sockets = [s for link in self._links for s in (link.socket, link.tap and link.tap.socket) if s]
        if any(link.probes for link in self._links):
            seconds = min(seconds, 0.01)
        wait(sockets, seconds)
        self.serve()

    def _say(self, link: _Link, to: bytes, kind: str, keys: Mapping[str, Any]) -> Optional[bool]:
        assert link.socket
        return link.socket.send(wire.message(kind, keys, run=self._run, stream=self._stream), to)

    def _reachable(self, peer: _Peer) -> bool:
        return self._say(peer.target, peer.id, 'PING', {}) is not None

    def _probe(self, link: _Link) -> None:
        now = time.monotonic()
        while link.probes and now >= link.probes[0]:
            link.probes.pop(0)
            for peer in [p for p in self._peers if p.target is link and p.state == 'here']:
                if not self._reachable(peer):
                    self._gone(peer)

    def _gone(self, peer: _Peer) -> None:
        if peer.eos_done or self._aborted:
            self._forget(peer)
        elif self._drop:
            note('%s: %s lost, going on without it from seq %d' % (peer.target.text, peer.name, peer.done))
            self._forget(peer)
        else:
            note('%s: %s lost, last acknowledged seq %d; keeping its frames for %.0f s'
                 % (peer.target.text, peer.name, peer.done, self._lost))
            peer.state, peer.since = 'lost', time.monotonic()

    def _receive(self, link: _Link) -> None:
        assert link.socket
        while (got := link.socket.receive()) is not None:
            sender, data = got
            if sender in self._ignored:
                continue
            peer = next((p for p in self._peers if p.id == sender and p.target is link and p.state == 'here'), None)
            try:
                if len(data) > 4096:
                    raise CorruptError('a message of more than 4 KiB')
                frame = wire.from_message(data)
                if frame is not None:
                    self._take(link, sender, peer, frame)
            except Error as why:
                self.refused += 1
                self._ignored.add(sender)
                note('%s: refused a message%s: %s' % (link.text, ' of ' + peer.name if peer else '', why))
                if peer:
                    self._say(link, sender, 'ERR', {'code': 'frame', 'msg': str(why)})
                    self._gone(peer)

    def _take(self, link: _Link, sender: bytes, peer: Optional[_Peer], f: Frame) -> None:
        if f.kind in ('PING', 'PONG'):
            return
        if f.kind == 'HELLO' and peer is None:
            self._hello(link, sender, f)
            return
        if peer is None or f.kind not in ('ACK', 'BYE', 'ERR'):
            raise CorruptError('a %s frame where none belongs' % f.kind)
        if f['run'] != self._run:
            raise CorruptError('a message of another run')
        if f.kind == 'ACK':
            self._ack(peer, f)
        elif f.kind == 'BYE':
            peer.state, peer.since = 'left', time.monotonic()
            if self._drop or self._aborted or peer.eos_done or peer.done >= self.next:
                self._forget(peer)
        else:
            note('%s: %s gives up: %s' % (link.text, peer.name, f['msg']))

    def _turn_away(self, link: _Link, sender: bytes, code: str, text: str) -> None:
        self.refused += 1
        self._say(link, sender, 'ERR', {'code': code, 'msg': text})
        note('%s: refused a consumer: %s' % (link.text, text))

    def _hello(self, link: _Link, sender: bytes, f: Frame) -> None:
        name, start = f['name'], f.get('from', '')
        old = next((p for p in self._peers if p.name == name), None)
        if old and old.state == 'here' and not self._reachable(old):
            self._gone(old)     # who comes back at once may be faster than the news that it was gone
            old = next((p for p in self._peers if p.name == name), None)
        if not f['vmin'] <= wire.VERSION <= f['vmax']:
            return self._turn_away(link, sender, 'version', 'needs wire %d to %d, have %d'
                                   % (f['vmin'], f['vmax'], wire.VERSION))
        if f['maxb'] < self._head['nbmax']:
            return self._turn_away(link, sender, 'size', "%s takes payloads of %d bytes, this stream's reach %d"
                                   % (name, f['maxb'], self._head['nbmax']))
        if not 1 <= len(name.encode()) <= 63:
            return self._turn_away(link, sender, 'name', 'a consumer needs a name of 1 to 63 bytes')
        if old and old.state == 'here' and not f.get('take'):
            return self._turn_away(link, sender, 'name', 'a consumer named %s is attached already: give --name, or '
                                   '--take to replace it' % name)
        parts = self._head['parts'] or 1
        if start == 'now':
            first = -(-self.next // parts) * parts
        elif start == 'oldest':
            first = self._base
        elif start:
            if not start.isdigit():
                return self._turn_away(link, sender, 'frame', 'from is oldest, now or a seq')
            first = int(start)
        else:
            first = old.done if old else self._first
        if first < self._base:
            return self._turn_away(link, sender, 'gone', 'frame %d is gone, the oldest kept is %d: start with --from '
                                   'now, or replay a recording with lca-cat' % (first, self._base))
        if not old and len(self._peers) >= _CONSUMERS:
            return self._turn_away(link, sender, 'full', '%d consumers are attached already' % _CONSUMERS)
        if old and old.state == 'here':
            self._say(old.target, old.id, 'BYE', {'why': 'replaced'})
        # who comes back may have processed less than it has received: its first ACK says how much
        back = start.isdigit()
        done = min(first, old.done if old else self._base) if back else first
        if old:
            self._peers.remove(old)
        peer = _Peer(sender, link, name, next=first, done=done, lim=first + min(f.get('win', 0), self._window),
                     had=first + self._window if back else 0)
        self._peers.append(peer)
        if name in self._expect:
            self._joined.add(name)
        self._pump(peer)

    def _ack(self, peer: _Peer, f: Frame) -> None:
        if f['lim'] < f['done'] or f['done'] > max(peer.next, peer.had):
            raise CorruptError('it acknowledges all before seq %d, where %d is the next to be sent'
                               % (f['done'], peer.next))
        peer.next = max(peer.next, f['done'])
        peer.done = max(peer.done, f['done'])
        peer.lim = max(peer.lim, f['lim'])
        peer.eos_done |= bool(f.get('eos')) and peer.eos_sent
        self._release()
        self._pump(peer)

    def _pump(self, peer: _Peer) -> None:
        """Sends what it may have."""
        socket = peer.target.socket
        if peer.state != 'here' or socket is None:
            return
        if not peer.head_sent:
            head = wire.message('HEAD', {**self._head_keys, 'first': peer.next}, run=self._run, stream=self._stream,
                                array=self._network)
            peer.head_sent = socket.send(head, peer.id) is True
            if not peer.head_sent:
                return
        while peer.next < min(peer.lim, self.next):
            if socket.send(self._kept[peer.next - self._base], peer.id) is not True:
                return
            peer.next += 1
        if self._eos and not peer.eos_sent and (peer.next >= self.next or self._aborted):
            peer.eos_sent = socket.send(self._eos[0], peer.id) is True

    # ---- the end ----

    def _make_eos(self, status: str, why: str, final: Optional[Mapping[str, Any]]) -> None:
        keys = {'next': self.next, 'status': status, 'why': why[:1000], 'final': dict(final) if final else None}
        packed, _ = wire.make('EOS', keys, run=self._run, stream=self._stream)
        self._eos = wire.to_message(packed, b'', False), status
        # a pipe that broke ends without EOS, and so tells it
        for w in self._writers:
            w.write(packed, b'')
            w.flush()
        for peer in self._peers:
            self._pump(peer)
        for link in self._links:
            if link.tap:
                self._end_tap(link.tap, packed)

    def _end_tap(self, tap: _Tap, packed: bytes) -> None:
        """The queue of a tap may be full just now, and nothing follows: for a moment it is said again."""
        until = time.monotonic() + 0.5
        while tap.count[b'f'] + tap.count[b'h'] > 0 and time.monotonic() < until:
            tap.publish(packed, b'', False)
            time.sleep(0.005)
            tap.serve()

    def _unfinished(self) -> Optional[str]:
        for name in self._expect:
            if name not in self._joined:
                return name
        return next((p.name for p in self._peers if not p.eos_done and p.state != 'left'), None)

    # ---- how it is ----

    def _publish_status(self, last: bool = False) -> None:
        now = time.monotonic()
        due = [link.tap for link in self._links if link.tap and link.tap.count[b's'] and
               (last or now >= link.tap.status_at)]
        if not due or not self._head_bytes:
            return
        usage = resource.getrusage(resource.RUSAGE_SELF)
        prog = os.path.basename(sys.argv[0] or 'python')
        consumers = [{'st': self._stream, 'name': p.name, 'state': 'here' if p.state == 'here' else 'lost',
                      'done': p.done, 'sent': p.next, 'lim': p.lim} for p in self._peers if p.state != 'left']
        keys = {'name': os.environ.get('LCA_STAGE') or prog, 'prog': prog, 'host': _socket.gethostname(),
                'pid': os.getpid(), 'up': now - self._began, 'cpu': usage.ru_utime + usage.ru_stime,
                'rss': usage.ru_maxrss * 1024, 'it': self._it, 'end': self._eos[1] if self._eos else '',
                'refused': self.refused, 'consumers': consumers,
                'out': [{'st': self._stream, 'next': self.next, 'done': self.done, 'frames': self.next - self._first,
                         'bytes': self._bytes, **({'window': self._window} if self._has_sockets else {})}]}
        text = wire.message('STATUS', keys, run=self._run, stream=self._stream, topic=b's')
        for tap in due:
            tap.socket.send(text)
            tap.status_at = now + 1
