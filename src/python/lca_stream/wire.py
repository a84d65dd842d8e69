"""Frames and their bytes: a header, which is a MessagePack map, and an array or none.

docs/frames.md says what the bytes are; KINDS lists the same keys. A frame's header is a plain dict
with the keys of the wire; reading checks it and makes nothing of keys that it does not know."""
from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, NamedTuple, Optional, Union

import crc32c as _crc32c
import msgpack
import numpy as np

from .errors import CorruptError, UsageError

VERSION = 1
HEADER_MAX = 64 * 1024
PAYLOAD_MAX = 64 * 1024 * 1024
SLICE = 4 * 1024 * 1024         # parameters per slice of a vector
TEXT_MAX = 4096                 # bytes of one str or bin
DEPTH_MAX = 4
NODES_MAX, HEAD_NODES_MAX = 4096, 16384
P_MAX = 1 << 28

Bytes = Union[bytes, memoryview]
Array = np.ndarray[Any, np.dtype[Any]]

_ELEMENTS: dict[str, np.dtype[Any]] = {name: np.dtype(name) for name in ('<f4', '<f8', '<u4', '<u8', '<i4', '|u1')}


class Key(NamedTuple):
    type: str
    required: bool


def _keys(text: str) -> dict[str, Key]:
    pairs = (word.split(':') for word in text.split())
    return {name: Key(of.rstrip('!'), of.endswith('!')) for name, of in pairs}


# "!": required. In the order in which they are written.
KINDS: dict[str, dict[str, Key]] = {kind: _keys(text) for kind, text in {
    'HELLO': 'vmin:uint! vmax:uint! name:str! from:str win:uint maxb:uint! take:bool',
    'ACK': 'done:uint! lim:uint! eos:bool',
    'BYE': 'why:str',
    'ERR': 'code:str! msg:str!',
    'PING': '',
    'PONG': '',
    'HEAD': 'v:uint! model:str! P:uint! layers:any! classes:any! data:any! parts:uint! it0:uint! it1:any rule:str '
            'unit:str num:str bycls:bool nbmax:uint! first:uint def:any! prov:any!',
    'EOS': 'next:uint! status:str! why:str final:any',
    'JOIN': 'vmin:uint! vmax:uint! name:str! host:str! pid:uint! slots:uint! dev:str! num:str! data:str!',
    'THETA': 'pt:uint! it:uint! j:uint! n:uint! off:uint part:uint',
    'WORK': 'pt:uint! u:uint! lease_ms:uint!',
    'DONE': 'pt:uint! u:uint! cls:int! n:uint! loss:f8! hit:uint! sec:f8! off:uint part:uint last:bool',
    'FAIL': 'pt:uint! u:uint! msg:str!',
    'LEAVE': 'why:str',
    'STATUS': 'name:str! prog:str! host:str! pid:uint! up:f8! cpu:f8! rss:uint! it:int! wait:str end:str refused:uint '
              'in:any out:any consumers:any pool:any workers:any work:any',
    'theta': 'it:uint! off:uint part:uint lr:f8! mbloss:f8! epoch:uint! mb:bin',
    'lca': 'it:uint! set:str! cls:int! off:uint part:uint L0:f8! L1:f8! sum:f8! res:f8! abs:f8! fo:f8! n:uint! '
           'ev:uint! tr:f8s!',
    'move': 'it:uint! off:uint part:uint',
    'grad': 'it:uint! set:str! cls:int! loss:f8! off:uint part:uint',
    'eff': 'it:uint! set:str! cls:int! off:uint part:uint',
    'agg': 'it:uint! kind:str! set:str dims:any! keys:any unit:str more:any',
}.items()}
DATA_KINDS = frozenset(('theta', 'lca', 'move', 'grad', 'eff', 'agg'))
NOTICES = frozenset(('STATUS',))


def crc32c(data: Bytes, crc: int = 0) -> int:
    return int(_crc32c.crc32c(data, crc))


@dataclass(frozen=True)
class Frame:
    """A frame that was read: frame['it'], frame.get('off', 0), frame.array."""

    header: dict[str, Any]
    payload: Bytes = b''

    @property
    def kind(self) -> str:
        return str(self.header['t'])

    @property
    def is_data(self) -> bool:
        return self.kind in DATA_KINDS

    @property
    def has_payload(self) -> bool:
        return 'dt' in self.header

    @property
    def array(self) -> Array:
        """The payload as an array in its shape. It is read-only and shares the frame's memory."""
        if not self.has_payload:
            raise CorruptError('a %s frame has no array' % self.kind)
        values: Array = np.frombuffer(self.payload, _ELEMENTS[self.header['dt']]).reshape(self.header['sh'])
        values.flags.writeable = False
        return values

    def __getitem__(self, key: str) -> Any:
        return self.header[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self.header.get(key, default)


# ---- headers ----

def _written(key: Key, value: Any) -> Any:
    """The value in the type of the wire; None where it need not be written."""
    if key.type == 'f8':
        value = float(value)
    elif key.type in ('uint', 'int'):
        value = int(value)
    elif key.type == 'bool':
        value = bool(value)
    elif key.type == 'f8s':
        value = [float(x) for x in value]
    if key.required or value or (key.type == 'any' and value is not None):
        return value
    return None


def make(kind: str, keys: Mapping[str, Any], *, run: bytes, stream: str, seq: Optional[int] = None,
         array: Optional[Array] = None) -> tuple[bytes, Bytes]:
    """Header and payload of a frame, as bytes. array: 1 to 4 axes of a type that frames have."""
    header: dict[str, Any] = {'lca': VERSION, 't': kind, 'run': run, 'st': stream}
    if kind in DATA_KINDS:
        if seq is None:
            raise ValueError('a data frame needs its seq')
        header['seq'] = seq
    if kind in NOTICES:
        header['opt'] = True
    unknown = keys.keys() - KINDS[kind].keys()
    if unknown:
        raise ValueError('a %s frame has no key %s' % (kind, ', '.join(sorted(unknown))))
    for name, key in KINDS[kind].items():
        if key.required and name not in keys:
            raise ValueError('a %s frame needs the key %s' % (kind, name))
        if keys.get(name) is not None:
            value = _written(key, keys[name])
            if value is not None:
                header[name] = value
    payload: Bytes = b''
    if array is not None:
        elements = array.dtype.newbyteorder('<').str if array.dtype.itemsize > 1 else '|u1'
        if elements not in _ELEMENTS:
            raise ValueError('a frame holds %s, not %s' % (' '.join(_ELEMENTS), array.dtype))
        little = np.ascontiguousarray(array, dtype=_ELEMENTS[elements])
        payload = little.reshape(-1).view('u1').data if little.size else b''
        header.update(dt=elements, sh=list(array.shape), nb=len(payload), crc=crc32c(payload))
    packed = msgpack.packb(header, use_bin_type=True)
    if len(packed) > HEADER_MAX:
        raise UsageError('the header of a %s frame has %d bytes, the most are %d' % (kind, len(packed), HEADER_MAX))
    if len(payload) > PAYLOAD_MAX:
        raise UsageError('the payload of a %s frame has %d bytes, the most are %d' % (kind, len(payload), PAYLOAD_MAX))
    return packed, payload


def _no_key_twice(pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if not isinstance(key, str) or key in made:
            raise CorruptError('a header with the key %r twice, or of another type' % (key,))
        made[key] = value
    return made


def _no_ext(code: int, data: bytes) -> Any:
    raise CorruptError('a header with an ext type')


def _measure(value: Any, depth: int) -> int:
    """Number of values in it, its keys among them; CorruptError where maps and lists lie too deep."""
    if not isinstance(value, (dict, list)):
        return 1
    if depth > DEPTH_MAX:
        raise CorruptError('a header with maps and lists more than %d deep' % DEPTH_MAX)
    inner = value.values() if isinstance(value, dict) else value
    return 1 + (len(value) if isinstance(value, dict) else 0) + sum(_measure(x, depth + 1) for x in inner)


def _is(of: str, value: Any) -> bool:
    if of in ('uint', 'int'):
        return type(value) is int and (of == 'int' or value >= 0)
    if of == 'f8s':
        return isinstance(value, list) and len(value) <= 8 and all(type(x) is float for x in value)
    return of == 'any' or type(value) is {'f8': float, 'bool': bool, 'str': str, 'bin': bytes}[of]


def _check(header: Mapping[str, Any], name: str, key: Key) -> None:
    if header.get(name) is None:
        if key.required:
            raise CorruptError('a %s frame without the key %s' % (header['t'], name))
    elif not _is(key.type, header[name]):
        raise CorruptError('a %s frame whose key %s is no %s' % (header['t'], name, key.type))


def read_header(packed: Bytes) -> Optional[dict[str, Any]]:
    """The header of these bytes; None for a kind that may be skipped."""
    if len(packed) > HEADER_MAX:
        raise CorruptError('a header of %d bytes: the most are %d' % (len(packed), HEADER_MAX))
    try:
        header = msgpack.unpackb(packed, raw=False, object_pairs_hook=_no_key_twice, ext_hook=_no_ext,
                                 max_str_len=TEXT_MAX, max_bin_len=TEXT_MAX)
    except CorruptError:
        raise
    except Exception as why:        # of msgpack, several kinds
        raise CorruptError('a header that is no MessagePack map: %s' % why) from None
    if not isinstance(header, dict) or next(iter(header), None) != 'lca':
        raise CorruptError('a header whose first key is not lca')
    if header['lca'] != VERSION:
        raise UsageError('needs wire %s, have %d' % (header['lca'], VERSION))
    for name, of in (('t', 'str'), ('run', 'bin'), ('st', 'str')):
        if not _is(of, header.get(name)):
            raise CorruptError('a header without its key %s' % name)
    kind = header['t']
    if len(header['run']) != 16:
        raise CorruptError('a header whose run is not of 16 bytes')
    if _measure(header, 1) > (HEAD_NODES_MAX if kind == 'HEAD' else NODES_MAX):
        raise CorruptError('a header with too many values')
    if kind not in KINDS:
        if header.get('opt') is True:
            return None
        raise UsageError('frames of kind %s: a later version of lca wrote them' % kind)
    if kind in DATA_KINDS:
        _check(header, 'seq', Key('uint', True))
    for name, key in KINDS[kind].items():
        _check(header, name, key)
    if 'dt' in header:
        _check_payload(header)
    return header


def _check_payload(header: Mapping[str, Any]) -> None:
    shape = header.get('sh')
    if header['dt'] not in _ELEMENTS or not isinstance(shape, list) or not 1 <= len(shape) <= 4 or \
            not all(_is('uint', n) for n in shape) or not _is('uint', header.get('nb')) or \
            not _is('uint', header.get('crc')):
        raise CorruptError('a %s frame that does not describe its payload' % header['t'])
    size = _ELEMENTS[header['dt']].itemsize
    for n in shape:
        size *= n
    if size != header['nb'] or size > PAYLOAD_MAX:
        raise CorruptError('a %s frame whose payload of %s bytes is not the product of its shape, or too large'
                           % (header['t'], header['nb']))


def attach(header: dict[str, Any], payload: Bytes) -> Frame:
    """The frame of a header and its payload, whose length and checksum must be those of the header."""
    if 'dt' not in header:
        if len(payload):
            raise CorruptError('a %s frame with a payload where its header has none' % header['t'])
    elif len(payload) != header['nb'] or crc32c(payload) != header['crc']:
        raise CorruptError('a %s frame whose payload is damaged' % header['t'])
    return Frame(header, payload)


# ---- one ZeroMQ message ----

def to_message(packed: bytes, payload: Bytes, has_payload: bool, topic: bytes = b'f') -> bytes:
    begin = topic + bytes((has_payload, 0, 0)) + struct.pack('>I', len(packed)) + packed
    return begin + bytes(-len(begin) % 8) + payload if has_payload else begin


def message(kind: str, keys: Mapping[str, Any], *, run: bytes, stream: str, seq: Optional[int] = None,
            array: Optional[Array] = None, topic: bytes = b'f') -> bytes:
    packed, payload = make(kind, keys, run=run, stream=stream, seq=seq, array=array)
    return to_message(packed, payload, array is not None, topic)


def split_message(data: Bytes) -> tuple[memoryview, memoryview, bool]:
    """Header, payload, and whether there is one."""
    view = memoryview(data)
    if len(view) < 8 or view[0] not in b'fhs' or view[1] > 1:
        raise CorruptError('a message of %d bytes that is no frame' % len(view))
    end = 8 + struct.unpack_from('>I', view, 4)[0]
    at = end + -end % 8 if view[1] else end
    if at > len(view) or (not view[1] and at < len(view)):
        raise CorruptError('a message of %d bytes that is no frame' % len(view))
    return view[8:end], view[at:], bool(view[1])


def from_message(data: Bytes, *, glance: bool = False) -> Optional[Frame]:
    """The frame of a message; None for a kind that may be skipped. glance: a tap's, whose payload
    may have been left out."""
    packed, payload, there = split_message(data)
    header = read_header(packed)
    if header is None:
        return None
    if ('dt' in header) != there:
        if glance and not there:
            return Frame(header)
        raise CorruptError('a %s frame with and without a payload' % header['t'])
    return attach(header, payload)


# ---- a run's definition ----

def _real(value: float) -> str:
    """As the programs in C write it: 17 digits, and an exponent without + and zeros before it."""
    text = '%.17g' % value
    if 'e' not in text:
        return text if '.' in text else text + '.0'
    mantissa, exponent = text.split('e')
    return '%se%d' % (mantissa, int(exponent))


def _compact(value: Any) -> str:
    if isinstance(value, dict):
        return '{%s}' % ','.join('%s:%s' % (_compact(k), _compact(value[k])) for k in sorted(value))
    if isinstance(value, (list, tuple)):
        return '[%s]' % ','.join(map(_compact, value))
    if isinstance(value, float):
        return _real(value)
    return json.dumps(value, ensure_ascii=False)


def run_id(definition: Mapping[str, Any]) -> bytes:
    """SHA-256 of the definition as compact JSON with sorted keys, cut to 16 bytes."""
    return hashlib.sha256(_compact(dict(definition)).encode()).digest()[:16]
