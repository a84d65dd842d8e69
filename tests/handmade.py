"""Streams made by hand: any network that can be described, any values, no training.

    stream(net, tensors, ...) returns [header, payload] pairs for frames.write."""
import json

import numpy

import frames


def table(tensors):
    """HEAD.layers from (layer, kind, shape), in order."""
    rows, off = [], 0
    for layer, kind, shape in tensors:
        n = int(numpy.prod(shape))
        rows.append({'n': '%s/%s' % (layer, kind), 'l': layer, 'k': kind, 'off': off, 'len': n, 'sh': list(shape)})
        off += n
    return rows, off


def stream(net, tensors, steps, sets=(('train', 100),), classes=(), emit=('lca',), value=None, it0=0):
    """A whole stream. value(kind, it, set, cls, P) gives the vector of a frame; cls -1 is
    all classes, None for move. classes: (name, n) pairs; none: no frames by class."""
    rows, P = table(tensors)
    run = bytes(range(16))
    common = {'lca': 1, 't': 'HEAD', 'run': run, 'st': 'lca'}
    names = list(classes) or [(str(c), 10) for c in range(net['classes'])]
    text = json.dumps(net).encode()
    head = dict(common, v=1, model=net['name'], P=P, layers=rows, classes=[{'name': c, 'n': n} for c, n in names],
                data={'name': 'hand', 'sha256': '0' * 64,
                      'sets': [{'set': s, 'N': n, 'chunk': n} for s, n in sets]},
                parts=0, it0=it0, it1=it0 + steps, rule='simpson', unit='nat', num='hand', bycls=bool(classes),
                nbmax=4 * P, first=0, prov=[], dt='|u1', sh=[len(text)])
    head['def'] = {'made': 'by hand', 'tolerance': 'off'}
    out, seq = [[head, text]], 0

    def add(kind, it, set_, cls, **keys):
        nonlocal seq
        v = numpy.asarray(value(kind, it, set_, cls, P), '<f4')
        assert v.shape == (P,)
        h = dict(common, t=kind, seq=seq, it=it)
        if set_ is not None:
            h.update(set=set_, cls=cls)
        h.update(keys, dt='<f4', sh=[P])
        out.append([h, v.tobytes()])
        seq += 1

    for it in range(it0, it0 + steps):
        for kind in emit:
            if kind == 'move':
                add(kind, it, None, None)
                continue
            for s, _ in sets:
                for c in range(-1, len(classes)):
                    v = numpy.asarray(value(kind, it, s, c, P), 'f8')
                    extra = {'grad': {'loss': 1.0}, 'eff': {}}.get(kind, None)
                    if extra is None:
                        extra = {'L0': 0.0, 'L1': float(v.sum()), 'sum': float(v.sum()), 'res': 0.0,
                                 'abs': float(numpy.abs(v).sum()), 'fo': 0.0, 'n': 2, 'ev': 2, 'tr': [0.0]}
                    add(kind, it, s, c, **extra)
    eos = dict(common, t='EOS', next=seq, status='ok')
    return out + [[eos, b'']]


# A small network with convolutions and batch norm: its convolution biases are lost, but
# for the second's, whose output a ReLU sees first.
NET = {'name': 'hand', 'input': [4, 4, 2], 'classes': 3, 'layers': [
    {'type': 'conv', 'name': 'conv1', 'channels': 3, 'kernel': 3}, {'type': 'batchnorm'}, {'type': 'relu'},
    {'type': 'conv', 'name': 'conv2', 'channels': 5, 'kernel': 3}, {'type': 'relu'}, {'type': 'maxpool'},
    {'type': 'conv', 'name': 'conv3', 'channels': 4, 'kernel': 1}, {'type': 'maxpool'}, {'type': 'batchnorm'},
    {'type': 'dense', 'name': 'dense1', 'units': 3}]}
TENSORS = [('conv1', 'kernel', (3, 3, 2, 3)), ('conv1', 'bias', (3,)), ('conv1', 'gamma', (3,)),
           ('conv1', 'beta', (3,)),
           ('conv2', 'kernel', (3, 3, 3, 5)), ('conv2', 'bias', (5,)),
           ('conv3', 'kernel', (1, 1, 5, 4)), ('conv3', 'bias', (4,)), ('conv3', 'gamma', (4,)),
           ('conv3', 'beta', (4,)),
           ('dense1', 'kernel', (4, 3)), ('dense1', 'bias', (3,))]
CLASSES = (('cat', 20), ('dog', 30), ('owl', 50))


def noise(seed):
    """value for stream: heavy-tailed, a fifth of it zero, by-class vectors adding up."""
    def one(kind, it, set_, cls, P):
        key = [seed, it, len(set_ or ''), cls + 2 if cls is not None else 0, len(kind)]
        r = numpy.random.default_rng(key)
        return numpy.where(r.random(P) < 0.2, 0, r.standard_normal(P) ** 3 * 1e-4).astype('f4')
    return one
