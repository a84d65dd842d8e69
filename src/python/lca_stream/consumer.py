"""Reading a stream, from a file, a pipe or a link, as src/link/in.c does: HEAD first, one run, no gap
in seq, EOS last; over a link with credit and acknowledgements, and a producer may go and come back."""
from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Iterator, Mapping, Optional, Type

import zmq

from . import endpoints, wire
from .curve import Security
from .errors import AbortedError, CorruptError, DifferError, PeerError, UpstreamError, UsageError
from .records import RecordReader
from .sockets import Patience, Socket, note, wait
from .wire import Frame

LOST = 60.0                     # seconds that a producer, or a consumer, may be gone
MESSAGE_MAX = wire.PAYLOAD_MAX + wire.HEADER_MAX + 16


def window(head: Mapping[str, Any]) -> int:
    """Frames that may be under way: as many whole steps as 32 MiB hold, 3 to 64."""
    parts = int(head['parts']) or 1
    return min(max((32 << 20) // (parts * (int(head['nbmax']) + 1)), 3), 64) * parts


def check_head(head: Mapping[str, Any]) -> None:
    for key, most in (('P', wire.P_MAX), ('parts', 1 << 20), ('nbmax', wire.PAYLOAD_MAX)):
        if head[key] > most:
            raise CorruptError('HEAD: %s %d is more than %d' % (key, head[key], most))
    if not isinstance(head['layers'], list) or not isinstance(head['data'], dict) or \
            not isinstance(head['classes'], list) or len(head['classes']) > 256:
        raise CorruptError('HEAD: layers and classes must be lists, data a map')


class Input:
    """A stream to read. Iterating gives its data frames in order and ends after EOS:

        with Input('ipc:lca', name='mine') as stream:
            print(stream.head['model'])
            for frame in stream:
                ...

    A frame counts as processed, and is acknowledged, when the next one is asked for; with ack=False
    when done() says so. start: 'oldest', 'now' or a seq; take: replace whoever has our name.
    eos is the EOS frame once it has come. `left` tells that another took our place."""

    def __init__(self, endpoint: str = '-', *, name: str = 'python', start: str = '', take: bool = False,
                 ack: bool = True, security: Security = Security(), lost: float = LOST) -> None:
        self._endpoint = endpoints.parse(endpoint)
        self.name, self._start, self._take, self._ack, self._security = name, start, take, ack, security
        self._lost = lost
        self._reader: Optional[RecordReader] = None
        self._socket: Optional[Socket] = None
        self._head: Optional[Frame] = None
        self.eos: Optional[Frame] = None
        self.left = False
        self.stopped = False
        self._seq = self._done = self._acked = 0
        self._crc = 0
        self._window = 0
        self._hello = self._connected = self._cut = self._closed = False
        self._gone_at = self._ack_at = 0.0
        self._patience = Patience()
        if self._endpoint.kind == 'socket':
            self._connect()
        else:
            self._reader = RecordReader(self._endpoint.where)

    # ---- what a program calls ----

    @property
    def head(self) -> Frame:
        """HEAD; waits for it."""
        while self._head is None:
            if self.stopped or self.left:
                raise AbortedError('%s: told to stop before HEAD came' % self._endpoint.text)
            if self.poll(1.0) is None and self._head is None and self._socket:
                self._patience.wait(self._endpoint.text)
        return self._head

    def poll(self, seconds: float = 0.0) -> Optional[Frame]:
        """The next frame, HEAD and EOS too, if it comes within so many seconds."""
        until = time.monotonic() + seconds
        while self.eos is None and not self.left:
            if self._reader and not self._reader.ready(seconds):
                break
            self._serve()
            frame = self._fetch()
            if frame is not None:
                if self._takes(frame):
                    return frame
                continue
            left = until - time.monotonic()
            if left <= 0:
                break
            if self._socket:
                wait((self._socket,), min(left, 0.2))
        return None

    def __iter__(self) -> Iterator[Frame]:
        self.head
        while self.eos is None and not self.left:
            frame = self.poll(1.0)
            if frame is None and self.stopped:
                return
            if frame is None or not frame.is_data:
                continue
            yield frame
            if self._ack:
                self.done(frame['seq'] + 1)
        if self._ack:
            self.finish()

    def stop(self) -> None:
        """Iterating ends once nothing more is at hand; may be called in a signal handler."""
        self.stopped = True

    def done(self, seq: int) -> None:
        """All frames before seq are processed."""
        if seq <= self._done:
            return
        self._done = seq
        if self._done - self._acked >= max(self._window // 4, 1):
            self._say_ack()
        elif self._ack_at == 0:
            self._ack_at = time.monotonic() + 0.1

    def finish(self) -> None:
        """All of it is processed, the end too: the producer may go."""
        if self._socket and self.eos is not None and not self._closed:
            self._done = self._seq
            self._closed = True
            self._say_ack(eos=True)

    def leave(self) -> None:
        """Goes before the end; the producer does not wait for us."""
        if self._socket and self._head is not None and not self._closed:
            self._say_ack()
            self._say('BYE', {'why': 'leaving'})
            self._closed = True

    def close(self) -> None:
        """Without finish or leave the producer keeps our frames for our return."""
        if self._socket:
            if self._ack_at:
                self._say_ack()
            self._socket.close()
        if self._reader:
            self._reader.close()
        self._socket = self._reader = None

    def __enter__(self) -> Input:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        # who breaks off reading wants no more of it; who fails may be started again
        if kind is None or kind is KeyboardInterrupt:
            self.leave()
        self.close()

    # ---- the link ----

    def _connect(self) -> None:
        self._hello = self._connected = self._cut = False
        self._socket = Socket(zmq.DEALER, self._endpoint, False, self._security, most=MESSAGE_MAX)

    def _say(self, kind: str, keys: Mapping[str, Any]) -> bool:
        run = self._head['run'] if self._head else bytes(16)
        stream = self._head['st'] if self._head else '-'
        assert self._socket
        return self._socket.send(wire.message(kind, keys, run=run, stream=stream)) is True

    def _say_ack(self, eos: bool = False) -> None:
        if self._cut or not self._connected:
            self._ack_at = 0        # whoever comes back is told where we are by HELLO
        elif self._say('ACK', {'done': self._done, 'lim': self._done + self._window, 'eos': eos}):
            self._acked, self._ack_at = self._done, 0
        else:
            self._ack_at = time.monotonic() + 0.01

    def _serve(self) -> None:
        if not self._socket:
            return
        for event in self._socket.events():
            if event == 'lost':
                self._cut |= self._connected and not self._closed
            self._connected = event == 'connected'
        if not self._cut:
            self._socket.follow()
        now = time.monotonic()
        if self._connected and not self._cut and not self._hello:
            start = str(self._done) if self._head else self._start
            self._hello = self._say('HELLO', {'vmin': 1, 'vmax': 1, 'name': self.name, 'from': start,
                                              'maxb': wire.PAYLOAD_MAX, 'take': self._take or self._head is not None})
        if self._ack_at and now >= self._ack_at:
            self._say_ack()
        if self._gone_at and now > self._gone_at + self._lost:
            raise PeerError('%s: the producer has gone and did not come back in %.0f s; the stream ends after seq %d '
                            'without EOS' % (self._endpoint.text, self._lost, self._seq - 1))

    def _fetch(self) -> Optional[Frame]:
        if self._reader:
            frame = self._reader.next()
            if frame is None:
                raise CorruptError('%s ends %swithout EOS' % (
                    self._reader.name, 'after seq %d ' % (self._seq - 1) if self._seq else ''))
            return frame
        assert self._socket
        while (got := self._socket.receive()) is not None:
            frame = wire.from_message(got[1])
            if frame is not None:
                return frame
        if self._cut:
            note('%s: connection lost at seq %d, trying again for %.0f s'
                 % (self._endpoint.text, self._seq, self._lost))
            self._socket.close()
            self._gone_at = time.monotonic()
            self._connect()
        return None

    # ---- what a frame is ----

    def _takes(self, f: Frame) -> bool:
        where = self._endpoint.text
        if f.kind == 'ERR':
            raise (CorruptError if f['code'] == 'frame' else UsageError)('%s: refused: %s' % (where, f['msg']))
        if f.kind == 'BYE':
            note('%s: another %s takes over at seq %d' % (where, self.name, self._done))
            self.left = self._closed = True
            return False
        if f.kind in ('PING', 'PONG', 'STATUS'):
            return False
        if f.kind == 'HEAD':
            return self._takes_head(f)
        if self._head is None:
            raise CorruptError('%s begins with a %s frame instead of HEAD' % (where, f.kind))
        if f['run'] != self._head['run']:
            raise CorruptError('%s: a frame of another run after seq %d' % (where, self._seq - 1))
        if f.kind == 'EOS':
            self.eos = f
            if f['status'] == 'failed':
                self.finish()
                raise UpstreamError('%s: the stage before failed: %s' % (where, f.get('why', 'it does not say why')))
            if f['next'] != self._seq:
                raise CorruptError('%s: EOS counts %d frames, %d have come' % (where, f['next'], self._seq))
            return True
        if not f.is_data:
            raise CorruptError('%s: a %s frame does not belong in a stream' % (where, f.kind))
        seq, crc = f['seq'], f.get('crc', 0)
        if seq < self._seq:
            if seq + 1 == self._seq and crc != self._crc:
                raise DifferError('%s: seq %d came twice with different bytes: the run diverged' % (where, seq))
            return False
        if seq > self._seq:
            raise CorruptError('%s: seq %d follows %d: frames are missing' % (where, seq, self._seq - 1))
        self._seq += 1
        self._crc = crc
        return True

    def _takes_head(self, f: Frame) -> bool:
        if f['v'] != wire.VERSION:
            raise UsageError('%s: needs wire %d, have %d' % (self._endpoint.text, f['v'], wire.VERSION))
        check_head(f.header)
        self._gone_at = 0
        self._patience.reset()
        if self._head is not None:
            if f['run'] != self._head['run']:
                raise UsageError('%s: another run has taken the place of the one we followed' % self._endpoint.text)
        else:
            self._head = f
            self._seq = self._done = self._acked = f.get('first', 0)
            self._window = window(f.header)
        if self._socket:
            self._say_ack()
        return True
