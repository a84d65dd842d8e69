"""The project's own networks: their description, and how the vector of their parameters is laid out."""
from __future__ import annotations

import json
import subprocess
from typing import Any, NamedTuple

from .errors import UsageError
from .table import Table

_Shape = tuple[int, int, int]           # height, width, channels
_NONE: tuple[_Shape, _Shape] = (0, 0, 0), (0, 0, 0)


class Network(NamedTuple):
    name: str
    description: bytes                  # canonical JSON, as it travels in HEAD
    classes: int
    input: _Shape
    table: Table
    images: dict[str, _Shape]           # tensor of a dense layer: the feature map that it reads


def load(name: str) -> Network:
    """A built-in network, or a JSON file, by lca-net, which must be in PATH."""
    try:
        made = subprocess.run(('lca-net', '--json', name), capture_output=True, check=False)
    except FileNotFoundError:
        raise UsageError('lca-net is not in PATH: it reads descriptions of networks') from None
    if made.returncode:
        raise UsageError(made.stderr.decode().strip())
    return parse(made.stdout.strip())


def parse(description: bytes) -> Network:
    """From a canonical description: that of HEAD, or of lca-net --json."""
    net = json.loads(description)
    if net.get('external'):
        raise UsageError('the network %s is external: nothing is known of its layers' % net.get('name'))
    walk = _Walk()
    h, w, c = net['input']
    walk.layers(net['layers'], (h, w, c), '')
    for layer, tensors in walk.tensors.items():
        for kind, shape in tensors:
            walk.table.add(layer, kind, shape)
    return Network(net['name'], description, net['classes'], (h, w, c), walk.table, walk.images)


class _Walk:
    """Goes through the layers, shape by shape, as src/nn/net.c does."""

    def __init__(self) -> None:
        self.table = Table()
        self.tensors: dict[str, list[tuple[str, tuple[int, ...]]]] = {}     # by kernel layer, in forward order
        self.images: dict[str, _Shape] = {}
        self.last = ''                  # kernel layer to which a batch norm belongs
        self.flat = _NONE               # the last flatten: the shape before it, and after it

    def kernel(self, name: str, shape: tuple[int, ...]) -> None:
        self.tensors[name] = [('kernel', shape), ('bias', shape[-1:])]
        self.last = name

    def layers(self, layers: list[dict[str, Any]], shape: _Shape, prefix: str) -> _Shape:
        for layer in layers:
            shape = self.one(layer, shape, prefix + layer['name'])
        return shape

    def one(self, layer: dict[str, Any], shape: _Shape, name: str) -> _Shape:
        kind, (h, w, c) = layer['type'], shape
        if kind == 'dense':
            self.kernel(name, (h * w * c, layer['units']))
            self.images[name + '/kernel'] = self.flat[0] if self.flat[1] == shape else shape
            self.flat = _NONE
            return 1, 1, layer['units']
        if kind == 'conv':
            k, s, out = layer['kernel'], layer['stride'], layer['channels']
            self.kernel(name, (k, k, c, out))
            if layer['pad'] == 'same':
                return -(-h // s), -(-w // s), out
            return (h - k) // s + 1, (w - k) // s + 1, out
        if kind in ('maxpool', 'avgpool'):
            k, s = layer['size'], layer['stride']
            return (h - k) // s + 1, (w - k) // s + 1, c
        if kind == 'gap':
            return 1, 1, c
        if kind == 'flatten':
            self.flat = shape, (1, 1, h * w * c)
            return 1, 1, h * w * c
        if kind == 'batchnorm':
            self.tensors[self.last] += [('gamma', (c,)), ('beta', (c,))]
        elif kind == 'residual':
            out_shape = self.layers(layer['layers'], shape, name + '/')
            if layer['shortcut'] == 'conv':
                last = self.last        # what follows the sum belongs to the layers, not to their shortcut
                self.kernel(name + '/shortcut', (1, 1, c, out_shape[2]))
                self.last = last
            return out_shape
        return shape
