"""Which tensor of which layer each part of the parameter vector is: HEAD's `layers`."""
from __future__ import annotations

from math import prod
from typing import Any, Iterable, NamedTuple, Sequence

from .errors import CorruptError, UsageError
from .wire import P_MAX

KINDS = ('kernel', 'bias', 'gamma', 'beta')


class Tensor(NamedTuple):
    name: str                   # "dense1/kernel"
    layer: str                  # "dense1"
    kind: str                   # of KINDS
    off: int
    shape: tuple[int, ...]      # 1 to 4 axes; of a kernel the last is its outputs, the one before its inputs

    @property
    def len(self) -> int:
        return prod(self.shape)

    @property
    def slice(self) -> slice:
        """Its place in the vector."""
        return slice(self.off, self.off + self.len)


class Table:
    """Tensors in the order of `off`, without gaps; a layer's lie together."""

    def __init__(self, tensors: Iterable[Tensor] = ()) -> None:
        self.tensors: list[Tensor] = []
        self.layers: list[str] = []
        self.P = 0
        for t in tensors:
            if t.off != self.P:
                raise CorruptError('HEAD.layers: tensor %s: off is %d where %d comes next' % (t.name, t.off, self.P))
            self._add(t)

    def add(self, layer: str, kind: str, shape: Sequence[int]) -> Tensor:
        """A tensor after the last one."""
        tensor = Tensor('%s/%s' % (layer, kind), layer, kind, self.P, tuple(shape))
        self._add(tensor)
        return tensor

    def _add(self, t: Tensor) -> None:
        if t.kind not in KINDS or not 1 <= len(t.shape) <= 4 or t.len < 1:
            raise UsageError('tensor %s: no %s of 1 to 4 axes' % (t.name, ', '.join(KINDS)))
        if not self.layers or self.layers[-1] != t.layer:
            if t.layer in self.layers:
                raise UsageError('tensor %s: layer %s has ended before' % (t.name, t.layer))
            self.layers.append(t.layer)
        if any(t.name == before.name for before in self.tensors if before.layer == t.layer):
            raise UsageError('tensor %s is there twice' % t.name)
        self.tensors.append(t)
        self.P += t.len
        if self.P > P_MAX:
            raise UsageError('more than %d parameters' % P_MAX)

    def of_layer(self, layer: str) -> slice:
        """A layer's place in the vector."""
        own = [t for t in self.tensors if t.layer == layer]
        if not own:
            raise UsageError('there is no layer %s: there are %s' % (layer, ', '.join(self.layers)))
        return slice(own[0].off, own[-1].off + own[-1].len)

    def to_head(self) -> list[dict[str, Any]]:
        return [{'n': t.name, 'l': t.layer, 'k': t.kind, 'off': t.off, 'len': t.len, 'sh': list(t.shape)}
                for t in self.tensors]

    @classmethod
    def from_head(cls, head: Any) -> Table:
        """head: a HEAD frame."""
        try:
            made = cls(Tensor(t['n'], t['l'], t['k'], t['off'], tuple(t['sh'])) for t in head['layers'])
        except (KeyError, TypeError):
            raise CorruptError('HEAD.layers: a tensor needs n, l, k, off, len and sh') from None
        if made.P != head['P'] or made.P == 0:
            raise CorruptError('HEAD.layers: its tensors have %d parameters, P is %s' % (made.P, head['P']))
        return made
