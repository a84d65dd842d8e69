"""Looking into a live stream, or a recording, without being waited for."""
from __future__ import annotations

import time
from typing import Iterator, Optional

import zmq

from . import endpoints, wire
from .consumer import MESSAGE_MAX
from .curve import Security
from .errors import CorruptError, PeerError
from .records import RecordReader
from .sockets import Socket, wait
from .wire import Frame

_GRACE = 2.0                    # seconds that a producer may be away before it counts as gone


class Tap:
    """What passes from now on: HEAD, then the newest frames, until EOS.

        for frame in Tap('out/ipc/lca'):
            print(frame.header)

    Without payloads=True a frame's array is there only where it has at most 32 KiB. `lost` is the number
    of frames that were missed in all: a tap that is too slow misses some, and the run does not wait."""

    def __init__(self, endpoint: str, *, payloads: bool = False, security: Security = Security()) -> None:
        self._from = endpoints.parse(endpoint)
        self._reader: Optional[RecordReader] = None
        self._socket: Optional[Socket] = None
        self._head: Optional[Frame] = None
        self._next: Optional[int] = None
        self._gone_at = 0.0
        self._met = False
        self.lost = 0
        if self._from.kind == 'socket':
            self._socket = Socket(zmq.SUB, self._from.tap(), False, security, most=MESSAGE_MAX,
                                  hwm=32 if payloads else 1024, topics=(b'f' if payloads else b'h',))
        else:
            self._reader = RecordReader(self._from.where)

    def close(self) -> None:
        if self._socket:
            self._socket.close()
        if self._reader:
            self._reader.close()
        self._socket = self._reader = None

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fetch(self) -> Optional[Frame]:
        if self._reader:
            frame = self._reader.next()
            if frame is None:
                raise CorruptError('%s ends without EOS' % self._reader.name)
            return frame
        assert self._socket
        for event in self._socket.events():
            self._met |= event == 'connected'
            self._gone_at = 0.0 if event == 'connected' else time.monotonic()
        self._socket.follow()
        got = self._socket.receive()
        return wire.from_message(got[1], glance=True) if got else None

    def poll(self, seconds: float = 0.0) -> Optional[Frame]:
        """The next frame, if it comes within so many seconds."""
        until = time.monotonic() + seconds
        while True:
            frame = self._fetch()
            if frame is not None and self._is_news(frame):
                return frame
            now = time.monotonic()
            if frame is None:
                if self._met and self._gone_at and now > self._gone_at + _GRACE:
                    raise PeerError('%s: the producer has gone without EOS' % self._from.text)
                if now >= until:
                    return None
                if self._socket:
                    wait((self._socket,), min(until - now, 0.2))

    def _is_news(self, f: Frame) -> bool:
        """HEAD is said again whenever another tap comes."""
        if f.kind == 'HEAD':
            if self._head is not None and f.header == self._head.header:
                return False
            self._head, self._next = f, None
        elif self._head is None and f.kind != 'EOS':
            return False
        here = f['seq'] if f.is_data else f['next'] if f.kind == 'EOS' else None
        if here is not None:
            if self._next is not None:
                self.lost += max(here - self._next, 0)
            self._next = here + 1
        return True

    def __iter__(self) -> Iterator[Frame]:
        while True:
            frame = self.poll(1.0)
            if frame is None:
                continue
            yield frame
            if frame.kind == 'EOS':
                return
