"""Whole vectors: a frame holds at most 4 Mi parameters, and a larger vector comes in slices."""
from __future__ import annotations

from typing import Any, Iterable, Iterator, NamedTuple, Optional

import numpy as np

from .errors import CorruptError
from .wire import Array, Frame


class Vector(NamedTuple):
    """One number per parameter."""

    kind: str                   # theta, lca, move, grad or eff
    it: int
    set: str                    # train, val, test; '' where the kind has none
    cls: int                    # class, or -1: all
    header: dict[str, Any]      # of its first frame
    values: Array               # [P], float32, read-only
    next: int                   # seq after its last frame: acknowledge that


def vectors(frames: Iterable[Frame], P: int) -> Iterator[Vector]:
    """The vectors of the data frames of a stream; other frames are passed over."""
    first: Optional[Frame] = None
    parts: list[Array] = []
    got = 0
    for f in frames:
        if not f.is_data or f.kind == 'agg':
            continue
        who = [f.get(key) for key in ('t', 'it', 'set', 'cls')]
        if first is not None and who != [first.get(key) for key in ('t', 'it', 'set', 'cls')]:
            raise CorruptError('seq %d: another vector begins before the one before is whole' % f['seq'])
        if f.get('off', 0) != got or f.array.ndim != 1 or got + len(f.array) > P:
            raise CorruptError('seq %d: the slice at %d does not follow the one before' % (f['seq'], f.get('off', 0)))
        first = first or f
        parts.append(f.array)
        got += len(f.array)
        if got < P:
            continue
        values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        values.flags.writeable = False
        yield Vector(f.kind, f['it'], f.get('set', ''), f.get('cls', -1), first.header, values, f['seq'] + 1)
        first, parts, got = None, [], 0
    if first is not None:
        raise CorruptError('the stream ends within a vector of step %d' % first['it'])
