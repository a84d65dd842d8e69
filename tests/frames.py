#!/usr/bin/python3
"""Recorded frames, read and written without any of the project's C.

    frames.py [--array] FILE    one JSON line per frame: its header; --array: also the
                                sum of its payload, as "sum of payload"

As a module: read(path) gives [header, payload] pairs, write(path, pairs) records them
with lengths and checksums made anew, array(pair) is the payload as numpy's."""
import json
import struct
import sys

import msgpack
import numpy

DTYPES = {'<f4': '<f4', '<f8': '<f8', '<u4': '<u4', '<u8': '<u8', '<i4': '<i4', '|u1': 'u1'}


def _table():
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        yield n


TABLE = list(_table())


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def read(path):
    """All frames; ValueError where the bytes are no records."""
    data = open(path, 'rb').read()
    at, pairs = 0, []
    while at < len(data):
        if data[at:at + 2] != b'\x94\xce' or len(data) < at + 11:
            raise ValueError('no record at byte %d' % at)
        n, = struct.unpack_from('>I', data, at + 2)
        header = msgpack.unpackb(data[at + 6:at + 6 + n], raw=False)
        at += 6 + n
        mark, size = struct.unpack_from('>BI', data, at)
        if mark != 0xC6 or len(data) < at + 10 + size:
            raise ValueError('a record is cut at byte %d' % at)
        pairs.append([header, data[at + 5:at + 5 + size]])
        at += 10 + size
    return pairs


def record(header, payload):
    head = dict(header)
    if payload:
        head['nb'] = len(payload)
        head['crc'] = crc32c(payload)
    packed = msgpack.packb(head)
    return (struct.pack('>BBI', 0x94, 0xCE, len(packed)) + packed + struct.pack('>BI', 0xC6, len(payload)) + payload +
            struct.pack('>BI', 0xCE, crc32c(payload, crc32c(packed))))


def packet(header, payload=b'', topic=b'f'):
    """The same as one ZeroMQ message."""
    head = dict(header)
    if payload:
        head['nb'] = len(payload)
        head['crc'] = crc32c(payload)
    packed = msgpack.packb(head)
    begin = topic + bytes([bool(payload), 0, 0]) + struct.pack('>I', len(packed)) + packed
    return begin + bytes(-len(begin) % 8) + payload if payload else begin


def unpacket(message):
    """[header, payload] of a ZeroMQ message."""
    n, = struct.unpack_from('>I', message, 4)
    at = -(-(8 + n) // 8) * 8
    return [msgpack.unpackb(message[8:8 + n], raw=False), message[at:] if message[1] else b'']


def write(path, pairs):
    with open(path, 'wb') as f:
        for header, payload in pairs:
            f.write(record(header, payload))


def array(pair):
    header, payload = pair
    return numpy.frombuffer(payload, DTYPES[header['dt']]).reshape(header['sh'])


def of_kind(pairs, of, /, **keys):
    """The frames of one type whose headers have these values."""
    return [p for p in pairs if p[0]['t'] == of and all(p[0].get(k) == v for k, v in keys.items())]


def main(args):
    with_array = '--array' in args
    for path in [a for a in args if not a.startswith('--')]:
        for pair in read(path):
            line = {k: v.hex() if isinstance(v, bytes) else v for k, v in pair[0].items()}
            if with_array and pair[1]:
                line['sum of payload'] = float(array(pair).sum(dtype='f8'))
            print(json.dumps(line))


if __name__ == '__main__':
    main(sys.argv[1:])
