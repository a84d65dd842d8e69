"""Frames in files and pipes: one MessagePack array of four after the other."""
from __future__ import annotations

import os
import select
import struct
import sys
from typing import IO, Any, Optional

from .errors import CorruptError, UsageError
from .wire import HEADER_MAX, PAYLOAD_MAX, Bytes, Frame, attach, crc32c, read_header

_ZSTD = b'\x28\xb5\x2f\xfd'


def _binary(path: str, writing: bool) -> IO[bytes]:
    if path == '-':
        standard = sys.stdout if writing else sys.stdin
        if standard.isatty():
            raise UsageError('frames are not %s a terminal: give %s' % (
                ('written to', '--out FILE.lca') if writing else ('read from', '--in FILE.lca')))
        # unbuffered to read: what a poll sees must not lie in a buffer of ours
        return standard.buffer if writing else open(standard.fileno(), 'rb', buffering=0, closefd=False)
    try:
        return open(path, 'wb' if writing else 'rb', buffering=-1 if writing else 0)
    except OSError as why:
        raise UsageError('%s: %s' % (path, why.strerror)) from None


class RecordReader:
    """The frames of a file or pipe, each checked; at the end of the bytes None."""

    def __init__(self, path: str) -> None:
        self.name = 'stdin' if path == '-' else path
        self.file = _binary(path, False)
        self._first = True

    def close(self) -> None:
        self.file.close()

    def ready(self, seconds: float) -> bool:
        """Whether something can be read, or the end has come, within so many seconds."""
        return bool(select.select([self.file], [], [], max(seconds, 0))[0])

    def _read(self, n: int) -> bytearray:
        data = bytearray(n)
        view, at = memoryview(data), 0
        while at < n:
            got = self.file.readinto(view[at:])     # type: ignore[attr-defined]
            if not got:
                break
            at += got
        return data[:at] if at < n else data

    def _exactly(self, n: int) -> bytearray:
        data = self._read(n)
        if len(data) < n:
            raise CorruptError('%s ends within a frame: it was cut off; lca-cat --repair saves what is whole'
                               % self.name)
        return data

    def _fail(self) -> CorruptError:
        return CorruptError('%s: not a frame where one must begin; lca-cat --repair saves what is whole' % self.name)

    def next(self) -> Optional[Frame]:
        while True:
            begin = self._read(6)
            if self._first and bytes(begin[:4]) == _ZSTD:
                raise UsageError('%s is compressed: pipe it through lca-cat --in %s' % (self.name, self.name))
            self._first = False
            if not begin:
                return None
            if begin[:2] != b'\x94\xce'[:len(begin)] or len(begin) < 6:
                raise self._fail()
            n, = struct.unpack_from('>I', begin, 2)
            if n > HEADER_MAX:
                raise self._fail()
            packed = bytes(self._exactly(n))
            mark, size = struct.unpack('>BI', self._exactly(5))
            if mark != 0xC6 or size > PAYLOAD_MAX:
                raise self._fail()
            payload = self._exactly(size)
            mark, crc = struct.unpack('>BI', self._exactly(5))
            if mark != 0xCE or crc32c(bytes(payload) if size < 64 else memoryview(payload), crc32c(packed)) != crc:
                raise CorruptError('%s: a frame is damaged' % self.name)
            header = read_header(packed)
            if header is not None:
                return attach(header, memoryview(payload) if size else b'')


class RecordWriter:
    """Writes frames to a file or pipe. A file is replaced at the first frame, not before."""

    def __init__(self, path: str) -> None:
        if path.endswith('.zst'):
            raise UsageError('%s: recordings are compressed by lca-cat: write to a pipe, | lca-cat --out %s'
                             % (path, path))
        self.path = path
        self.file: Optional[IO[bytes]] = _binary(path, True) if path == '-' else None

    def write(self, packed: bytes, payload: Bytes) -> None:
        if self.file is None:
            self.file = _binary(self.path, True)
        self.file.write(struct.pack('>BBI', 0x94, 0xCE, len(packed)) + packed + struct.pack('>BI', 0xC6, len(payload)))
        self.file.write(payload)
        self.file.write(struct.pack('>BI', 0xCE, crc32c(payload, crc32c(packed))))

    def flush(self) -> None:
        if self.file is not None:
            self.file.flush()

    def close(self) -> None:
        """All of it is on disk afterwards, or an OSError tells why not."""
        if self.file is None:
            return
        self.file.flush()
        if self.path != '-':
            os.fsync(self.file.fileno())
            self.file.close()
        self.file = None


def read(path: str) -> Any:
    """Every frame of a recording, HEAD and EOS too; CorruptError where it is damaged."""
    reader = RecordReader(path)
    try:
        while (frame := reader.next()) is not None:
            yield frame
    finally:
        reader.close()
