"""PyTorch: a training loop of one's own that is watched, and any module as a gradient worker.

    from lca_stream.pytorch import Data, Watch
    watch = Watch(model, Data('toy', train=(x, y)))      # before training
    ...
        watch.step(loss)                                 # after each optimizer.step()
    watch.end()                                          # after the last

sends theta_0, theta_1, ... to lca-integrate; `work(model, data)` in another process computes the
gradients. Where the network is one that the project knows (net='mnist-fc'), lca-grad does."""
from __future__ import annotations

import atexit
import copy
import hashlib
import json
import os
import re
import uuid
from math import prod
from types import TracebackType
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Optional, Sequence, Type, Union

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from . import networks, wire
from .aggregator import _version
from .curve import Security
from .errors import CorruptError, UsageError
from .pool_worker import Row, Unit, Worker, serve
from .producer import Output
from .table import Table
from .wire import Array

Losses = Callable[[nn.Module, Any, Any], Union[Tensor, tuple[Tensor, Tensor]]]
SETS = ('train', 'val', 'test')


# ---- data ----

class Data:
    """The sets that the loss is taken over: for each a tensor of inputs and one of targets, whose first
    axis counts the examples. classes: the names of classes, where targets are their numbers.
    prepare(x) makes of stored inputs what the model takes."""

    def __init__(self, name: str, *, train: tuple[Tensor, Tensor], val: Optional[tuple[Tensor, Tensor]] = None,
                 test: Optional[tuple[Tensor, Tensor]] = None, classes: Sequence[str] = (),
                 prepare: Optional[Callable[[Tensor], Tensor]] = None, sha256: str = '') -> None:
        self.name, self.classes = name, list(classes)
        self.sets = {s: pair for s, pair in zip(SETS, (train, val, test)) if pair is not None and len(pair[0])}
        self._prepare = prepare
        for s, (x, y) in self.sets.items():
            if len(x) != len(y):
                raise UsageError('data %s: %d inputs and %d targets of %s' % (name, len(x), len(y), s))
            if self.classes and (y.dim() != 1 or int(y.min()) < 0 or int(y.max()) >= len(self.classes)):
                raise UsageError('data %s: targets of %s are not numbers of its %d classes'
                                 % (name, s, len(self.classes)))
        self.sha256 = sha256 or self._digest()

    def _digest(self) -> str:
        """Of every example: whoever has other data is turned away."""
        digest = hashlib.sha256()
        for s, pair in self.sets.items():
            for t in pair:
                digest.update(('%s %s %s;' % (s, t.dtype, list(t.shape))).encode())
                digest.update(t.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @classmethod
    def of_file(cls, path: str) -> Data:
        """A data file of lca-data: images as [n][C][H][W] in [0, 1], and classes."""
        raw = np.memmap(path, 'u1', 'r')
        if bytes(raw[:8]) != b'LCADATA1':
            raise UsageError('%s is no data file of lca-data' % path)
        header = json.loads(bytes(raw[8:4096]))
        h, w, c = header['height'], header['width'], header['channels']
        total = sum(s['n'] for s in header['sets'])
        size = 4096 + total * (h * w * c + 1)
        if len(raw) != size or hashlib.sha256(raw[4096:].data).hexdigest() != header['sha256']:
            raise CorruptError('%s is damaged: make it again with lca-data' % path)
        body = torch.from_numpy(np.array(raw[4096:]))
        images, labels = body[:total * h * w * c].reshape(total, h, w, c), body[total * h * w * c:]
        sets, at = {}, 0
        for s in header['sets']:
            sets[s['set']] = images[at:at + s['n']], labels[at:at + s['n']].long()
            at += s['n']
        return cls(header['name'], train=sets['train'], val=sets.get('val'), test=sets.get('test'),
                   classes=header['classes'], sha256=header['sha256'],
                   prepare=lambda x: x.permute(0, 3, 1, 2).float() / 255)

    def of(self, s: str, which: Any = slice(None)) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a set: which is a slice, or a tensor of indices."""
        if s not in self.sets:
            raise UsageError('data %s has no set %s: it has %s' % (self.name, s, ', '.join(self.sets)))
        x, y = self.sets[s][0][which], self.sets[s][1][which]
        return self._prepare(x) if self._prepare else x, y

    def head(self, examples: int) -> dict[str, Any]:
        """HEAD's data and classes, with the first so many examples of the training set."""
        labels = self.sets['train'][1][:examples]
        counts = torch.bincount(labels, minlength=len(self.classes)).tolist() if self.classes else []
        sets = [{'set': s, 'N': examples if s == 'train' else len(x)} for s, (x, _) in self.sets.items()]
        return {'data': {'name': self.name, 'sha256': self.sha256, 'sets': sets},
                'classes': [{'name': name, 'n': n} for name, n in zip(self.classes, counts)]}


# ---- layouts ----

class _Place(NamedTuple):
    parameter: str              # of named_parameters()
    at: slice                   # in the vector
    view: tuple[int, ...]       # the parameter in as many axes as are permuted ..
    order: tuple[int, ...]      # .. into the order of the vector


class Layout:
    """Where each parameter of a module lies in the vector. Kernels have their outputs last there, as
    docs/networks.md has them: a Linear's [out][in] becomes [in][out], a convolution's OIHW becomes HWIO."""

    def __init__(self, name: str, description: bytes, table: Table, places: Sequence[_Place]) -> None:
        self.name, self.description, self.table, self.places = name, description, table, list(places)

    # ---- a module of one's own ----

    @classmethod
    def own(cls, model: nn.Module, name: str = '', chunk: int = 0, **about: Any) -> Layout:
        """In the order of named_parameters(). A module's own parameters are a layer, unless it has
        several kernels or the like: then each parameter is one. about: what else the description is to say."""
        name = name or re.sub(r'[^A-Za-z0-9_.+-]', '-', type(model).__name__)[:40]
        if not re.fullmatch(r'[A-Za-z0-9_.+-]{1,40}', name):
            raise UsageError('a network is called by 1 to 40 letters, digits or any of _-.+, not %r' % name)
        description = json.dumps({**about, 'name': name, 'external': True, **({'chunk': chunk} if chunk else {})},
                                 separators=(',', ':'), sort_keys=True).encode()
        table, places = Table(), []
        modules = dict(model.named_modules())
        for full, p in model.named_parameters():
            path, _, last = full.rpartition('.')
            owner = modules[path]
            kinds = [_kind(owner, leaf, q) for leaf, q in owner.named_parameters(recurse=False)]
            several = len(set(kinds)) < len(kinds)
            layer = (full if several or not path else path).replace('.', '/')
            view, order = _as_kernel(owner, p)
            shape = [view[k] for k in order] if p.dim() else [1]
            shape = [prod(shape[:-3]), *shape[-3:]] if len(shape) > 4 else shape
            tensor = table.add(layer, _kind(owner, last, p), shape)
            places.append(_Place(full, tensor.slice, view, order))
        return cls(name, description, table, places)

    # ---- a network that the project knows ----

    @classmethod
    def of_network(cls, model: nn.Module, network: networks.Network, order: Sequence[str] = ()) -> Layout:
        """A module that computes one of our networks. Its parameters are taken in the order of
        named_parameters(), or in that of `order`, and must be the network's tensors one by one; what a
        dense layer reads is flattened channels first, as PyTorch does."""
        own = dict(model.named_parameters())
        names = list(order) or list(own)
        tensors = network.table.tensors
        if len(names) != len(tensors) or any(n not in own for n in names):
            raise UsageError('%s has %d tensors, the model has %d parameters: %s' % (
                network.name, len(tensors), len(names), ', '.join(names)))
        places = []
        for n, t in zip(names, tensors):
            shape = tuple(own[n].shape)
            view, axes = shape, tuple(range(len(shape)))
            if t.kind == 'kernel' and len(t.shape) == 2 and len(shape) == 2:
                h, w, c = network.images[t.name]
                view, axes = (shape[0], c, h, w), (2, 3, 1, 0)
            elif t.kind == 'kernel' and len(shape) == 4:
                axes = (2, 3, 1, 0)
            fits = prod(view) == prod(shape) and prod(shape) == t.len and view[0] == t.shape[-1] if t.kind == 'kernel' \
                else shape == t.shape
            if not fits or (len(t.shape) == 4 and tuple(view[k] for k in axes) != t.shape):
                raise UsageError('%s %s of %s is not %s %s of the model: give order, the names of its parameters in '
                                 'the order of lca-net --table' % (t.name, list(t.shape), network.name, n, list(shape)))
            places.append(_Place(n, t.slice, view, axes))
        return cls(network.name, network.description, network.table, places)

    # ---- to the vector and back ----

    def _gather(self, of: Callable[[str], Tensor]) -> Array:
        vector = np.empty(self.table.P, '<f4')
        for p in self.places:
            values = of(p.parameter).detach().reshape(p.view).permute(p.order)
            vector[p.at] = values.reshape(-1).cpu().numpy()
        return vector

    def vector(self, model: nn.Module) -> Array:
        """The parameters."""
        own = dict(model.named_parameters())
        for name, p in own.items():
            if p.dtype not in (torch.float32, torch.float16, torch.bfloat16):
                raise UsageError('parameter %s is of %s: vectors are of float32' % (name, p.dtype))
        return self._gather(lambda name: own[name].float())

    def gather(self, tensors: Mapping[str, Tensor]) -> Array:
        """A vector of one tensor for each parameter, of its shape, by name: gradients."""
        return self._gather(lambda name: tensors[name].float())

    def load(self, model: nn.Module, theta: Array) -> None:
        """Sets the parameters."""
        own = dict(model.named_parameters())
        with torch.no_grad():
            for p in self.places:
                values = torch.tensor(theta[p.at]).reshape([p.view[k] for k in p.order])
                back = sorted(range(len(p.order)), key=p.order.__getitem__)
                own[p.parameter].copy_(values.permute(back).reshape(own[p.parameter].shape))


def _as_kernel(owner: nn.Module, p: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A view, and the order of its axes in which the last one is that of the outputs."""
    shape, axes = tuple(p.shape), tuple(range(p.dim()))
    foreign = not type(owner).__module__.startswith('torch.nn')
    if p.dim() < 2 or foreign or isinstance(owner, (nn.Embedding, nn.EmbeddingBag)):
        return shape, axes
    if isinstance(owner, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
        return shape, axes[2:] + (0, 1)
    return shape, axes[2:] + (1, 0)         # the modules of torch have [out][in][...]


def _kind(owner: nn.Module, leaf: str, p: Tensor) -> str:
    if p.dim() >= 2:
        return 'kernel'
    if 'bias' not in leaf:
        return 'gamma'
    return 'beta' if not any(q.dim() >= 2 for q in owner.parameters(recurse=False)) else 'bias'


# ---- training that is watched ----

class Watch:
    """Sends the parameters of a model that is being trained, as a theta stream.

    out: endpoint, or several; a file records them. net: the name or file of a network of the project's
    that the model computes, for lca-grad; without it the model's own layout is used, and work() must
    compute. examples: the first so many of the training set are what the loss is taken over. chunk:
    the examples that a worker is to take at once. definition: what the training is (optimiser, rate, batch,
    seed), if that determines it; otherwise no two runs count as the same."""

    def __init__(self, model: nn.Module, data: Data, out: Union[str, Sequence[str]] = 'ipc:theta', *, net: str = '',
                 name: str = '', layout: Optional[Layout] = None, examples: int = 0, chunk: int = 0,
                 expect: Union[str, Sequence[str]] = (), taps: Sequence[str] = (), steps: int = 0,
                 definition: Optional[Mapping[str, Any]] = None, security: Security = Security()) -> None:
        n = len(data.sets['train'][0])
        if not 0 <= examples <= n:
            raise UsageError('examples %d: the training set of %s has %d' % (examples, data.name, n))
        if layout is None:
            layout = Layout.of_network(model, networks.load(net)) if net else Layout.own(model, name, chunk)
        self._model, self.layout, self._examples = model, layout, examples or n
        self.it = 0
        theta = layout.vector(model)
        P = layout.table.P
        what = dict(definition) if definition is not None else {'token': uuid.uuid4().hex}
        what.update(network=layout.name, network_sha256=hashlib.sha256(layout.description).hexdigest(),
                    data_sha256=data.sha256, examples=self._examples,
                    theta_sha256=hashlib.sha256(theta.tobytes()).hexdigest())
        self._out = Output(out, expect=expect, taps=taps, security=security)
        self._out.head(stream='theta', definition=what, network=layout.description, keys={
            'model': layout.name, 'P': P, 'layers': layout.table.to_head(), **data.head(self._examples),
            'parts': -(-P // wire.SLICE), 'it0': 0, 'it1': steps + 1 if steps else None, 'unit': '1',
            'num': numerics('cpu'), 'nbmax': min(P, wire.SLICE) * 4,
            'prov': [{'prog': 'lca_stream.pytorch', 'version': _version(), 'args': {}}]})
        atexit.register(self._forgotten)
        self._send(theta, 0.0, 0.0, 0, b'')

    def _send(self, theta: Array, loss: float, lr: float, epoch: int, mb: bytes) -> None:
        self._out.vector('theta', theta, it=self.it, lr=lr, mbloss=loss, epoch=epoch, mb=mb)

    def step(self, loss: Any = 0.0, *, lr: float = 0.0, epoch: int = 0, batch: bytes = b'') -> None:
        """After each step of the optimiser. loss: the mini-batch's, before the step; batch: a hash of its
        examples, 8 bytes. Waits while those who read are a window of steps behind."""
        self.it += 1
        self._send(self.layout.vector(self._model), float(loss), lr, epoch, batch)

    def end(self, status: str = 'ok', **final: Any) -> None:
        """The training is over; waits until all of it has been read. final: numbers for summary.json."""
        atexit.unregister(self._forgotten)
        self._out.end(status, final={'network': self.layout.name, 'parameters': self.layout.table.P,
                                     'iterations': self.it, 'examples': self._examples, **final})

    def _forgotten(self) -> None:
        self._out.abort('the training ended without Watch.end')

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        if kind is None:
            self.end()
        elif kind is KeyboardInterrupt:
            self.end('interrupted')
        else:
            atexit.unregister(self._forgotten)
            self._out.abort('%s: %s' % (kind.__name__, value))


# ---- gradients ----

def cross_entropy(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Of each example, nat, and whether the answer is right. Logits [n][classes] for targets [n]; or
    [n][places][classes] for [n][places], and then the mean over the places."""
    logits = model(x)
    if y.dim() == 1:
        return functional.cross_entropy(logits, y, reduction='none'), logits.argmax(-1) == y
    losses = functional.cross_entropy(logits.flatten(0, -2), y.flatten(), reduction='none')
    return losses.reshape(len(y), -1).mean(1), (logits.argmax(-1) == y).flatten(1).all(1)


def numerics(device: str) -> str:
    """The id of what computes here: the same id is to mean the same bits."""
    if device.startswith('cuda'):
        what = torch.cuda.get_device_name(device)
    else:
        found = re.search(r'CPU capability usage: (\S+)', torch.__config__.show())
        what = found.group(1) if found else '?'
    return 'torch-%s/%s/%s/%d' % (torch.__version__, device.split(':')[0], what, torch.get_num_threads())


class Evaluator:
    """Loss and gradient of units of the data, as serve() asks for them. The model is copied. Dropout is
    off, and a batch norm takes the statistics of the unit, as docs/networks.md has it.

    losses(model, x, y): the loss of each example, [n], nat; or that and whether each is right.
    at_once: examples that are computed together, where the losses of a unit do not depend on each
    other; 0: all of the unit. dtype: what is computed in; with batch norm PyTorch's float32 has the loss of a
    unit to some 1e-5 alone, and float64 costs about twice the time."""

    def __init__(self, model: nn.Module, data: Data, layout: Layout, losses: Losses = cross_entropy, *,
                 device: str = 'cpu', at_once: int = 0, dtype: torch.dtype = torch.float32) -> None:
        self.model = copy.deepcopy(model).to(device).to(dtype).eval()
        self._norms = [m for m in self.model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        for m in self._norms:
            m.running_mean = m.running_var = None
            m.track_running_stats = False
        if self._norms and at_once:
            raise UsageError('at_once: with batch norm the examples of a unit are one')
        self.data, self.layout, self.losses, self.at_once = data, layout, losses, at_once
        self.device, self.dtype = device, dtype
        self._parameters = dict(self.model.named_parameters())
        for p in self._parameters.values():
            p.requires_grad_(True)

    def _pieces(self, unit: Unit) -> Iterator[slice]:
        step = self.at_once or unit.hi - unit.lo
        for lo in range(unit.lo, unit.hi, step):
            yield slice(lo, min(lo + step, unit.hi))

    def __call__(self, theta: Array, unit: Unit, by_class: bool) -> Iterable[Row]:
        self.layout.load(self.model, theta)
        sums: dict[int, list[Any]] = {}
        for piece in self._pieces(unit):
            x, y = self.data.of(unit.set, piece)
            x, y = (t.to(device=self.device, dtype=self.dtype if t.is_floating_point() else None) for t in (x, y))
            answer = self.losses(self.model, x, y)
            losses, right = answer if isinstance(answer, tuple) else (answer, torch.zeros(len(y), dtype=torch.bool))
            if losses.shape != (len(y),):
                raise UsageError('losses gave the shape %s for %d examples' % (list(losses.shape), len(y)))
            for cls in sorted(set(y.tolist())) if by_class else [-1]:
                which = y == cls if by_class else torch.ones(len(y), dtype=torch.bool, device=losses.device)
                self._add(sums, cls, losses[which], right.to(losses.device)[which])
        return [Row(cls, n, loss, hit, grad) for cls, (n, loss, hit, grad) in sorted(sums.items())]

    def _add(self, sums: dict[int, list[Any]], cls: int, losses: Tensor, right: Tensor) -> None:
        grads = torch.autograd.grad(losses.sum(), list(self._parameters.values()), retain_graph=True, allow_unused=True)
        named = {name: torch.zeros_like(p) if g is None else g for (name, p), g in zip(self._parameters.items(), grads)}
        own = [len(losses), float(losses.detach().double().sum()), int(right.sum()), self.layout.gather(named)]
        if cls not in sums:
            sums[cls] = own
        else:
            sums[cls] = [a + b for a, b in zip(sums[cls], own)]


def work(model: nn.Module, data: Data, pool: str = '', *, losses: Losses = cross_entropy,
         layout: Optional[Layout] = None, device: str = 'cpu', dtype: torch.dtype = torch.float32, threads: int = 1,
         at_once: int = 0, num: str = '', name: str = '', security: Security = Security()) -> None:
    """A gradient worker, until the run is over: the model's parameters are those of the run, whatever they
    are here. Start one per core. pool: endpoint (default $LCA_CONNECT, else ipc:pool); num: added to the id
    of our numerics, for what else changes bits."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    what = [numerics(device), '' if dtype == torch.float32 else str(dtype), num]
    worker = Worker(pool or os.environ.get('LCA_CONNECT') or 'ipc:pool', num='/'.join(filter(None, what)),
                    data=data.sha256, dev=device, name=name, security=security)
    head = worker.head()
    if head is None:
        worker.close()
        return
    network = bytes(head.payload)
    if layout is None:
        external = json.loads(network).get('external')
        layout = Layout.own(model, head['model']) if external else Layout.of_network(model, networks.parse(network))
    if layout.table.to_head() != head['layers']:
        worker.close()
        raise UsageError("the parameters of this model are not those of the stream's, %s" % head['model'])
    serve(worker, Evaluator(model, data, layout, losses, device=device, dtype=dtype, at_once=at_once))
