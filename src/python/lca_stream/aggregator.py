"""A stage of one's own: reads an lca stream, writes aggregates, and is started like any other.

    class Layers(Aggregator):
        '''The loss change of each layer.'''
        name = 'layers'

        def step(self, v):
            if v.kind == 'lca' and v.set == 'train' and v.cls == -1:
                sums = [v.values[self.table.of_layer(l)].sum(dtype='f8') for l in self.table.layers]
                yield Agg('layers', v.it, {'layer': self.table.layers}, sums, set='train')

    Layers.main()
"""
from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Optional, Sequence, Union

import numpy as np

from . import wire
from .consumer import LOST, Input
from .curve import Security
from .errors import Error, UsageError
from .producer import Output
from .table import Table
from .vectors import Vector, vectors
from .wire import Array, Frame

_NBMAX = 1 << 20                # bytes of an aggregate, at most


class Agg(NamedTuple):
    """A small array with named axes."""

    kind: str                           # what it is: layers, layers_total, ...
    it: int                             # step that it is about, or the last one that it sums up to
    axes: Mapping[str, Union[Sequence[Any], int]]   # axis: what its places are called, or their number
    values: Any
    set: str = ''
    unit: str = 'nat'
    more: Optional[Mapping[str, float]] = None      # single numbers that go with it


class Aggregator:
    """To be derived from. head, table and classes are known when start is called; step gets each
    vector and end comes after the last; both yield Agg. What a program has no method for is nothing."""

    name = 'aggregate'                  # of the stream that it writes
    head: Frame
    table: Table
    classes: list[str]

    def start(self) -> None:
        pass

    def step(self, v: Vector) -> Iterable[Agg]:
        return ()

    def end(self) -> Iterable[Agg]:
        return ()

    def final(self) -> Optional[Mapping[str, Any]]:
        """Keys for summary.json."""
        return None

    @classmethod
    def options(cls, parser: argparse.ArgumentParser) -> None:
        """Adds options of its own; they are then attributes of self.options_given."""

    def take_options(self, given: argparse.Namespace) -> None:
        self.options_given = given

    # ---- the loop ----

    def run(self, stream: Input, out: Output) -> None:
        """stream: opened with ack=False, since a frame is processed when what is made of it is sent."""
        self.head = stream.head
        if self.head['st'] in ('theta', 'gradients'):
            raise UsageError('%s reads an lca stream, and this is %s' % (self.name, self.head['st']))
        self.table = Table.from_head(self.head)
        self.classes = [c.get('name', '') for c in self.head['classes']]
        prov = list(self.head['prov']) + [{'prog': self.name, 'version': _version(), 'args': {}}]
        keys = {k: v for k, v in self.head.header.items() if k in wire.KINDS['HEAD'] and k != 'first'}
        out.forward_head(self.head['run'], self.name, bytes(self.head.payload),
                         {**keys, 'parts': 0, 'nbmax': max(_NBMAX, len(self.head.payload)), 'prov': prov})
        self.start()
        for v in vectors(iter(stream), self.table.P):
            self._emit(out, self.step(v))
            stream.done(v.next)
            if stream.stopped:
                break
        self._emit(out, self.end())
        out.end(stream.eos['status'] if stream.eos else 'interrupted', final=self.final())
        if stream.eos:
            stream.finish()
        else:
            stream.leave()

    @staticmethod
    def _emit(out: Output, made: Iterable[Agg]) -> None:
        for a in made:
            values: Array = np.asarray(a.values)
            if values.dtype.kind == 'f' and values.dtype.itemsize not in (4, 8) or values.dtype.kind not in 'fu':
                values = values.astype('<f8')
            shape = tuple(n if isinstance(n, int) else len(n) for n in a.axes.values())
            if values.shape != shape:
                raise ValueError('%s: values of the shape %s for axes of %s' % (a.kind, values.shape, shape))
            labels = {axis: list(names) for axis, names in a.axes.items() if not isinstance(names, int)}
            out.put('agg', values, it=a.it, kind=a.kind, set=a.set, dims=list(a.axes), keys=labels or None,
                    unit=a.unit, more={k: float(x) for k, x in a.more.items()} if a.more else None)

    @classmethod
    def main(cls, argv: Optional[Sequence[str]] = None) -> None:
        """Options, links, exit status: all of a stage."""
        parser = argparse.ArgumentParser(description=cls.__doc__)
        link_options(parser)
        cls.options(parser)
        given = parser.parse_args(argv)
        prog = os.environ.get('LCA_STAGE') or os.path.basename(sys.argv[0])
        sys.exit(exit_status(lambda: cls._run(given, prog)))

    @classmethod
    def _run(cls, given: argparse.Namespace, prog: str) -> None:
        self = cls()
        self.take_options(given)
        security = Security(given.key, given.server_key, given.peers, given.insecure)
        with Input(given.input, name=given.name or prog, start=given.start, take=given.take, ack=False,
                   security=security, lost=given.lost) as stream:
            with Output(given.out or ([] if given.tap else ['-']), taps=given.tap, expect=given.expect,
                        security=security, lost=given.lost) as out:
                def stop(*_: object) -> None:
                    if stream.stopped:
                        raise KeyboardInterrupt
                    stream.stop()
                    out.stop()
                signal.signal(signal.SIGTERM, stop)
                self.run(stream, out)


def _version() -> str:
    from . import __version__
    return __version__


def link_options(parser: argparse.ArgumentParser) -> None:
    """The options that all stages have."""
    add = parser.add_argument
    add('--in', dest='input', default='-', metavar='EP', help='stream to read (default: stdin)')
    add('--out', action='append', default=[], metavar='EP', help='where to write; may be given again (default: stdout)')
    add('--tap', action='append', default=[], metavar='EP', help='a tap beside it, which nobody waits for')
    add('--name', default='', help='our name as a consumer (default: $LCA_STAGE, else the program)')
    add('--from', dest='start', default='', metavar='SEQ', help='oldest, now, or a seq')
    add('--take', action='store_true', help='replace whoever has our name')
    add('--expect', default='', metavar='A,B', help='consumers to wait for')
    add('--lost', type=float, default=LOST, metavar='SECONDS', help='how long the other side may be gone (default 60)')
    add('--key', metavar='FILE', help='our secret key')
    add('--server-key', metavar='FILE', help='public key of whom we connect to')
    add('--peers', metavar='FOLDER', help='public keys of those who may connect')
    add('--insecure', action='store_true', help='tcp without keys')


def _first_interrupt(*_: object) -> None:
    """A run that is interrupted ends at its source, and what is under way is to arrive."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def exit_status(run: Callable[[], None]) -> int:
    """Runs it and says on stderr what went wrong; the status is that of all programs. The first SIGINT
    is left to the source of the stream; SIGPIPE ends a program that nobody listens to."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGINT, _first_interrupt)
    try:
        run()
        return 0
    except Error as why:
        text, status = str(why), why.status
    except KeyboardInterrupt:
        text, status = 'interrupted', 130
    print('%s: error: %s' % (os.path.basename(sys.argv[0]), text), file=sys.stderr)
    return status
