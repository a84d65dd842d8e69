"""A gradient worker's side of the pool, as src/link/worker.c has it; who computes is asked by serve()."""
from __future__ import annotations

import os
import signal
import socket as _socket
import threading
import time
from collections import OrderedDict, deque
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Optional

import numpy as np
import zmq

from . import endpoints, wire
from .consumer import LOST, check_head
from .curve import Security
from .errors import CorruptError, PeerError, UsageError
from .sockets import Patience, Socket, note, wait
from .wire import Array, Frame

_SLOTS = 2                      # units held at once: one computed, the next waiting
_LEAVE_WAIT = 5.0               # seconds that the pool's good-bye may take
_MESSAGE_MAX = wire.SLICE * 4 + wire.HEADER_MAX + 16


class Unit(NamedTuple):
    """A chunk of the data: examples lo to hi of a set."""

    set: str
    lo: int
    hi: int


class Job(NamedTuple):
    pt: int
    u: int
    it: int
    unit: Unit
    theta: Array                # [P], float32, read-only


class Row(NamedTuple):
    """What a unit gives, as sums over its n examples; or those of one class."""

    cls: int                    # class, or -1: all
    n: int
    loss: float                 # nat
    hit: int                    # examples whose answer is right
    grad: Array                 # [P]


def units(head: Mapping[str, Any]) -> list[Unit]:
    """The units of a pool: the chunks of HEAD.data.sets, counted through the sets in order."""
    made: list[Unit] = []
    for entry in head['data'].get('sets', ()):
        name, n, chunk = entry.get('set'), entry.get('N', 0), entry.get('chunk', 0)
        if not isinstance(name, str) or n < 1 or chunk < 1 or n % chunk or len(made) + n // chunk > 1 << 20:
            raise CorruptError('HEAD.data.sets: %s examples in chunks of %s' % (n, chunk))
        made += [Unit(name, lo, lo + chunk) for lo in range(0, n, chunk)]
    return made


class Worker:
    """Joins the pool of a lca-integrate and answers its work.

    num: the id of our numerics: who has the same computes the same bytes; workers of another are
    refused. data: SHA-256 of the data, hex: what theta's HEAD names. dev: the device, for people."""

    def __init__(self, pool: str, *, num: str, data: str, dev: str = 'cpu', name: str = '',
                 security: Security = Security(), lost: float = LOST) -> None:
        self._endpoint = endpoints.parse(pool)
        if self._endpoint.kind != 'socket':
            raise UsageError('pool %s: a pool is a socket: ipc:NAME, tcp://HOST:PORT or at:FILE' % pool)
        self._join = {'vmin': 1, 'vmax': 1, 'name': name or os.environ.get('LCA_STAGE') or 'torch-%d' % os.getpid(),
                      'host': _socket.gethostname(), 'pid': os.getpid(), 'slots': _SLOTS, 'dev': dev, 'num': num,
                      'data': data}
        self._security, self._lost = security, lost
        self._head: Optional[Frame] = None
        self._units: list[Unit] = []
        self._theta: OrderedDict[int, tuple[Array, int, int]] = OrderedDict()    # point: vector, it, parameters got
        self._queue: deque[Job] = deque()
        self._bye = self._told = self._left = False
        self._leave_by = self._gone_at = 0.0
        self._patience = Patience()
        self._connect()

    def head(self) -> Optional[Frame]:
        """The run's HEAD; waits for it. None: the run was over, or we were told to stop, before it came."""
        while self._head is None and not self._bye and not self._told:
            self._wait()
            self._patience.wait(self._endpoint.text)
        return self._head

    def stop(self) -> None:
        """Finishes what it holds, leaves and ends; may be called in a signal handler."""
        self._told = True

    def __iter__(self) -> Iterator[Job]:
        """Jobs, each to be answered by done or fail, until the run is over or we were told to stop."""
        while self.head() is not None and not self._bye:
            self._serve()
            if self._told and not self._connected:
                return              # the pool has gone, and gives our units to others
            if self._queue:
                yield self._queue[0]
                continue
            if self._told:
                self._leave()
                self._leave_by = self._leave_by or time.monotonic() + _LEAVE_WAIT
                if time.monotonic() > self._leave_by:
                    return
            self._wait()

    def done(self, job: Job, rows: Iterable[Row], seconds: float) -> None:
        """Answers a job: one row in all, or one for each class of the unit that HEAD.bycls wants."""
        if self._told:
            self._leave()           # ahead of the result, for which the pool would give another unit
        rows = list(rows)
        P = self._run_head['P']
        for r, row in enumerate(rows):
            grad = np.asarray(row.grad, '<f4')
            if grad.shape != (P,):
                raise ValueError('a gradient of the shape %s for %d parameters' % (grad.shape, P))
            for part, off in enumerate(range(0, P, wire.SLICE)):
                piece = grad[off:off + wire.SLICE]
                keys = {'pt': job.pt, 'u': job.u, 'cls': row.cls, 'n': row.n, 'loss': row.loss, 'hit': row.hit,
                        'sec': seconds, 'off': off, 'part': part,
                        'last': r == len(rows) - 1 and off + len(piece) == P}
                self._say('DONE', keys, piece)      # a pool that has gone asks others
        self._forget(job)

    def fail(self, job: Job, why: str) -> None:
        """The unit cannot be computed; others are asked."""
        self._say('FAIL', {'pt': job.pt, 'u': job.u, 'msg': why[:1000]})
        self._forget(job)

    def close(self) -> None:
        self._socket.close()

    # ---- the link ----

    @property
    def _run_head(self) -> Frame:
        assert self._head is not None
        return self._head

    def _connect(self) -> None:
        self._connected = self._joined = False
        self._socket = Socket(zmq.DEALER, self._endpoint, False, self._security, most=_MESSAGE_MAX)

    def _say(self, kind: str, keys: Mapping[str, Any], array: Optional[Array] = None) -> bool:
        run = self._head['run'] if self._head else bytes(16)
        return self._socket.send(wire.message(kind, keys, run=run, stream='pool', array=array)) is True

    def _leave(self) -> None:
        if self._joined and not self._left:
            self._left = self._say('LEAVE', {'why': 'told to stop'})

    def _forget(self, job: Job) -> None:
        # a lost pool empties the queue: then there is nothing to forget
        if self._queue and self._queue[0] is job:
            self._queue.popleft()
        self._serve()

    def _wait(self) -> None:
        wait((self._socket,), 0.2)
        self._serve()

    def _serve(self) -> None:
        cut = False
        for event in self._socket.events():
            cut |= event == 'lost' and self._connected
            self._connected = event == 'connected'
        while not self._bye and (got := self._socket.receive()) is not None:
            frame = wire.from_message(got[1])
            if frame is not None:
                self._take(frame)
        if self._bye:
            return
        if cut:
            note('%s: the pool has gone, trying again for %.0f s' % (self._endpoint.text, self._lost))
            self._socket.close()
            self._queue.clear()
            self._theta.clear()
            self._left = False
            self._gone_at = time.monotonic()
            self._connect()
            return
        self._socket.follow()
        if self._connected and not self._joined:
            self._joined = self._say('JOIN', self._join)
        if self._gone_at and time.monotonic() > self._gone_at + self._lost:
            raise PeerError('%s: the pool has gone and did not come back in %.0f s' % (self._endpoint.text, self._lost))

    def _take(self, f: Frame) -> None:
        where = self._endpoint.text
        if f.kind == 'ERR':
            raise UsageError('%s: refused: %s' % (where, f['msg']))
        if f.kind == 'BYE':
            self._bye = True
            self._queue.clear()     # somebody else has done it
        elif f.kind == 'HEAD':
            check_head(f.header)
            self._gone_at = 0.0
            self._patience.reset()
            if self._head is not None and f['run'] != self._head['run']:
                raise UsageError('%s: another run has taken the place of the one we worked for' % where)
            if self._head is None:
                self._head, self._units = f, units(f.header)
        elif f.kind == 'THETA' and self._head is not None:
            self._take_theta(f)
        elif f.kind == 'WORK' and self._head is not None:
            self._take_work(f)
        elif f.kind not in ('PING', 'PONG'):
            raise CorruptError('%s: a %s frame does not belong here' % (where, f.kind))

    def _take_theta(self, f: Frame) -> None:
        P, part = self._run_head['P'], f.array
        known = self._theta.pop(f['pt'], None)
        if known is None:
            while len(self._theta) >= _SLOTS:       # both sides keep as many, the least recent goes first
                self._theta.popitem(last=False)
            known = np.empty(P, '<f4'), f['it'], 0
        vector, it, got = known
        if f.get('off', 0) != got or part.ndim != 1 or not 0 < len(part) <= P - got:
            raise CorruptError('pool: the slices of theta do not make a vector of %d' % P)
        vector[got:got + len(part)] = part
        self._theta[f['pt']] = vector, it, got + len(part)

    def _take_work(self, f: Frame) -> None:
        known = self._theta.get(f['pt'])
        if known is None or known[2] != self._run_head['P'] or len(self._queue) >= _SLOTS or f['u'] >= len(self._units):
            raise CorruptError('pool: work on unit %d at point %d came without its theta, or beyond what there is'
                               % (f['u'], f['pt']))
        self._theta.move_to_end(f['pt'])
        view = known[0].view()
        view.flags.writeable = False
        self._queue.append(Job(f['pt'], f['u'], known[1], self._units[f['u']], view))


def serve(worker: Worker, evaluate: Callable[[Array, Unit, bool], Iterable[Row]]) -> None:
    """Answers all work until the run is over. evaluate(theta, unit, by_class) gives the rows; what it
    raises is told to the pool, which asks others. SIGTERM: finish and leave; SIGINT is left to lca-run."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: worker.stop()),
                  signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    try:
        head = worker.head()
        by_class = bool(head and head.get('bycls'))
        for job in worker:
            began = time.monotonic()
            try:
                rows = list(evaluate(job.theta, job.unit, by_class))
            except Exception as why:        # whatever the user's model does
                worker.fail(job, '%s: %s' % (type(why).__name__, why))
                continue
            worker.done(job, rows, time.monotonic() - began)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        worker.close()
