#!/usr/bin/python3
"""What the filters say, computed again in numpy from the stream that they read.

    oracle.py FILTER STREAM OUT...     FILTER without lca-; OUT: what it wrote of STREAM

Every frame of OUT is compared: sums to 1e-9 of the sum of the sizes that were added,
counts and choices exactly. As a module: check(filter, stream, out), both as pairs of
frames.read."""
import sys

import numpy as np

import frames
from frames import array, of_kind


class Stream:
    """An lca stream: vectors by kind, set, class and step; tensors by layer."""

    def __init__(self, pairs):
        self.pairs, self.head = pairs, pairs[0][0]
        self.P, self.tensors = self.head['P'], self.head['layers']
        self.layers = list(dict.fromkeys(t['l'] for t in self.tensors))
        self.sets = [s['set'] for s in self.head['data']['sets']]
        self.N = {s['set']: s['N'] for s in self.head['data']['sets']}
        self.classes = [c['name'] for c in self.head['classes']]
        self.n = np.array([c['n'] for c in self.head['classes']], 'f8')
        self.v = {}
        for h, payload in pairs:
            if h['t'] in ('lca', 'move', 'grad', 'eff'):
                key = h['t'], h.get('set'), h.get('cls'), h['it']
                self.v.setdefault(key, []).append(np.frombuffer(payload, '<f4'))
        self.v = {k: p[0] if len(p) == 1 else np.concatenate(p) for k, p in self.v.items()}
        self.steps = sorted({k[3] for k in self.v})

    def A(self, set_, t, cls=-1):
        return self.v['lca', set_, cls, t].astype('f8')

    def of_layer(self, name):
        return [t for t in self.tensors if t['l'] == name]

    def span(self, name):
        t = self.of_layer(name)
        return t[0]['off'], t[-1]['off'] + t[-1]['len']

    def outputs(self, A, name):
        """Sums over the layer's output units: kernel's last axis, bias, gamma, beta."""
        n = self.of_layer(name)[0]['sh'][-1]
        return sum(A[t['off']:t['off'] + t['len']].reshape(-1, n).sum(axis=0) for t in self.of_layer(name))

    def inputs(self, A, name):
        k = self.of_layer(name)[0]
        return A[k['off']:k['off'] + k['len']].reshape(-1, k['sh'][-2], k['sh'][-1]).sum(axis=(0, 2))


class Out:
    """A filter's frames, each to be asked for once."""

    def __init__(self, pairs, filter_, stream):
        self.head, self.eos = pairs[0][0], pairs[-1][0]
        self.final = self.eos.get('final') or {}
        assert self.head['prov'][-1]['prog'] == 'lca-' + filter_ and self.head['run'] == stream.head['run']
        assert self.eos['t'] == 'EOS' and self.eos['next'] == len(pairs) - 2
        self.left = {}
        for p in of_kind(pairs, 'agg'):
            h = p[0]
            layer = tuple(h['keys']['layer']) if 'layer' in h.get('keys', {}) and h['dims'][0] == 'layer' else None
            key = h['kind'], h.get('set'), h['it'], layer
            assert key not in self.left, ('twice', key)
            self.left[key] = p

    def take(self, kind, set_, it, dims, layer=None, unit='nat', **keys):
        h, payload = frame = self.left.pop((kind, set_, it, (layer,) if layer else None))
        assert h['dims'] == dims and h['unit'] == unit, h
        assert h.get('keys', {}) == dict(keys, **({'layer': [layer]} if layer else {})), h
        return array(frame), h.get('more', {})

    def end(self):
        assert not self.left, ('not expected:', list(self.left)[:5])


def near(got, want, size):
    """size: the sum of the sizes that were added."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, (got.shape, want.shape)
    assert (np.isnan(got) == np.isnan(want)).all(), (got, want)
    error = np.nan_to_num(np.abs(got - want)).max(initial=0)
    assert error <= 1e-9 * size, (error, size, got, want)


def size_of(s, set_, classes=(-1,), steps=None):
    return sum(np.abs(s.A(set_, t, c)).sum() for t in (s.steps if steps is None else steps) for c in classes) + 1e-300


def check_units(s, out):
    for set_ in s.sets:
        for name in s.layers:
            out_sum, in_sum = 0, 0
            for t in s.steps:
                A = s.A(set_, t)
                size = np.abs(A).sum() + 1e-300
                o, i = s.outputs(A, name), s.inputs(A, name)
                near(out.take('units', set_, t, ['layer', 'unit'], name)[0], [o], size)
                near(out.take('inputs', set_, t, ['layer', 'unit'], name)[0], [i], size)
                out_sum, in_sum = out_sum + o, in_sum + i
            near(out.take('units_total', set_, s.steps[-1], ['layer', 'unit'], name)[0], [out_sum], size_of(s, set_))
            near(out.take('inputs_total', set_, s.steps[-1], ['layer', 'unit'], name)[0], [in_sum], size_of(s, set_))
            if set_ == 'train':
                f, = [f for f in out.final['units'] if f['name'] == name]
                assert f == {'name': name, 'outputs': len(o), 'inputs': len(i),
                             'percent_outputs_helping': 100 * (out_sum < 0).sum() / len(o),
                             'percent_inputs_helping': 100 * (in_sum < 0).sum() / len(i)}, f


def check_classes(s, out, threshold=80.0, by_step=False):
    C, last = range(len(s.classes)), s.steps[-1]
    scale = s.N['train'] / s.n
    for set_ in s.sets:
        total = np.zeros((len(C), len(s.layers)))
        for t in s.steps:
            size = size_of(s, set_, C, [t])
            now = np.array([[s.outputs(s.A(set_, t, c), l).sum() for l in s.layers] for c in C])
            near(take_classes(out, 'classes', set_, t, s), now, size)
            if set_ == 'train':
                near(take_classes(out, 'class_means', set_, t, s), now * scale[:, None], size * scale.max())
            total += now
            for name in s.layers if by_step and set_ == 'train' else []:
                sums = np.array([s.outputs(s.A(set_, t, c), name) for c in C])
                got, _ = out.take('class_units', 'train', t, ['layer', 'class', 'unit'], name, **{'class': s.classes})
                near(got, [sums], size)
        size = size_of(s, set_, C)
        near(take_classes(out, 'classes_total', set_, last, s), total, size)
        if set_ == 'train':
            near(take_classes(out, 'class_means_total', set_, last, s), total * scale[:, None], size * scale.max())
    size = size_of(s, 'train', C)
    shares, excluded, units = [], [], []
    for name in s.layers:
        sums = sum(np.array([s.outputs(s.A('train', t, c), name) for c in C]) for t in s.steps)
        got, _ = out.take('class_units_total', 'train', last, ['layer', 'class', 'unit'], name, **{'class': s.classes})
        near(got, [sums], size)
        h = np.maximum(0, -sums)
        order = -np.sort(-h, axis=0)
        with np.errstate(invalid='ignore'):
            r = np.array([order[:k].sum(axis=0) / h.sum(axis=0) for k in (1, 2, 3)]).T
        got, _ = out.take('concentration_total', 'train', last, ['layer', 'unit', 'k'], name, unit='%')
        near(got, [100 * r], 100)
        helped = h.sum(axis=0) > 0
        units.append(len(helped))
        excluded.append(int((~helped).sum()))
        # counted from the filter's own r: a unit at the threshold is no matter of rounding
        shares.append(100 * (got[0][helped] > threshold).sum(axis=0) / helped.sum() if helped.any() else [np.nan] * 3)
    h, payload = frame = out.left.pop(('concentrated_total', 'train', last, tuple(s.layers)))
    assert h['keys'] == {'layer': s.layers, 'k': ['1', '2', '3']} and h['dims'] == ['layer', 'k']
    assert h['more'] == {'threshold': threshold, 'units': units, 'excluded': excluded}, h['more']
    near(array(frame), shares, 100)
    assert out.final['class_concentration_threshold'] == threshold
    for f, name, share, e, u in zip(out.final['class_concentration'], s.layers, shares, excluded, units):
        assert f['name'] == name and f['excluded'] == e and f['units'] == u
        near([f.get('percent_r%d' % k, np.nan) for k in (1, 2, 3)], share, 100)


def take_classes(out, kind, set_, t, s):
    h, payload = frame = out.left.pop((kind, set_, t, None))
    assert h['dims'] == ['class', 'layer'] and h['unit'] == 'nat'
    assert h['keys'] == {'class': s.classes, 'layer': s.layers}
    return array(frame)


def check_overfit(s, out, heldout=None):
    heldout, last = heldout or s.sets[1], s.steps[-1]
    names = ['train', 'heldout', 'difference']
    size = size_of(s, 'train') + size_of(s, heldout)

    def both(x):
        return np.array([x('train'), x(heldout), x('train') - x(heldout)])
    layers, units = 0, {n: 0 for n in s.layers}
    for t in s.steps:
        now = both(lambda set_: np.array([s.A(set_, t)[slice(*s.span(n))].sum() for n in s.layers]))
        layers = layers + now
        near(take_overfit(out, 'overfit', heldout, t, s, names), now, size)
        for n in s.layers:
            unit = both(lambda set_: s.outputs(s.A(set_, t), n))
            units[n] = units[n] + unit
            near(out.take('overfit_units', heldout, t, ['layer', 'measure', 'unit'], n, measure=names)[0], [unit], size)
    near(take_overfit(out, 'overfit_total', heldout, last, s, names), layers, size)
    for n in s.layers:
        near(out.take('overfit_units_total', heldout, last, ['layer', 'measure', 'unit'], n, measure=names)[0],
             [units[n]], size)
    assert out.final['overfit_set'] == heldout
    for f, name, want in zip(out.final['overfit'], ['all'] + s.layers, [layers.sum(axis=1)] + list(layers.T)):
        assert f['name'] == name
        near([f[k] for k in names], want, size)


def take_overfit(out, kind, set_, t, s, names):
    h, payload = frame = out.left.pop((kind, set_, t, None))
    assert h['dims'] == ['measure', 'layer'] and h['unit'] == 'nat'
    assert h['keys'] == {'measure': names, 'layer': s.layers}
    return array(frame)


def check_params(s, out, count=50, neurons=()):
    """The random choice is taken from the filter: that it is a choice is checked."""
    last = s.steps[-1]
    groups = ['helping', 'hurting', 'random']
    # summed step after step, as the filter does, so that ties are ties
    total = np.zeros(s.P)
    curve = {}
    for t in s.steps:
        total = total + s.A('train', t)
        curve[t] = total
    size = size_of(s, 'train')
    shown = sorted({k[2] for k in out.left if k[0] == 'params'})
    for f, name in zip(out.final['params'], s.layers):
        lo, hi = s.span(name)
        n = min(count, hi - lo)
        dims = ['layer', 'group', 'rank']
        place, _ = out.take('params_chosen', 'train', last, dims, name, unit='place', group=groups)
        assert place.shape == (1, 3, n) and place.dtype == '<u8'
        here = total[lo:hi]
        assert (place[0][0] == lo + np.lexsort((np.arange(hi - lo), here))[:n]).all()
        assert (place[0][1] == lo + np.lexsort((np.arange(hi - lo), -here))[:n]).all()
        drawn = place[0][2]
        assert (np.diff(drawn.astype('i8')) > 0).all() and lo <= drawn[0] and drawn[-1] < hi
        for t in shown:
            near(out.take('params', 'train', t, dims, name, group=groups)[0], curve[t][place], size)
        near(out.take('params_total', 'train', last, dims, name, group=groups)[0], total[place], size)
        assert f['name'] == name and f['count'] == n
        near([f[g] for g in groups], total[place[0]].sum(axis=1), size)
    for name, unit, shape in neurons:
        tensors = {t['k']: total[t['off']:t['off'] + t['len']] for t in s.of_layer(name)}
        n = s.of_layer(name)[0]['sh'][-1]
        got, more = out.take('neuron_total', 'train', last, ['layer', 'row', 'column', 'channel'], name)
        near(got, [tensors['kernel'].reshape(-1, n)[:, unit].reshape(shape)], size)
        assert more['unit'] == unit
        for k in ('bias', 'gamma', 'beta'):
            assert (k in more) == (k in tensors)
            if k in tensors:
                near(more[k], tensors[k][unit], size)
    return shown


def check_project(s, out, Q):
    """The random basis is unknown here; its numbers are checked for what they must be."""
    Q, last = np.asarray(Q, 'f8'), s.steps[-1]
    k = len(Q)
    sums = {m: 0.0 for m in ('lca', 'dG', 'd2', 'moved')}
    part, size = 0, 0
    for t in s.steps:
        A, d, G = s.A('train', t), s.v['move', None, None, t].astype('f8'), s.v['eff', 'train', -1, t].astype('f8')
        # of products: the sizes of the two factors' terms
        scale = np.abs(A).sum() + (np.abs(Q * d).sum(axis=1) * np.abs(Q * G).sum(axis=1)).sum() + np.abs(d * G).sum()
        now = np.array([(Q @ d) * (Q @ G), Q ** 2 @ A])
        got, more = take_project(out, 'project', t, k)
        near(got[0], now, scale)
        near([more['lca'], more['dG'], more['given'], more['given_axes']],
             [A.sum(), d @ G, now[0].sum(), now[1].sum()], scale)
        near([more['random'], more['random_axes']], got[1].sum(axis=1), scale)
        part, size = part + got, size + scale
        for m, x in ('lca', A.sum()), ('dG', d @ G), ('d2', d @ d), ('moved', ((Q @ d) ** 2).sum()):
            sums[m] += x
    got, more = take_project(out, 'project_total', last, k)
    near(got, part, size)
    near([more['lca'], more['dG']], [sums['lca'], sums['dG']], size)
    given = part[0][0].sum()
    near(more['given'], given, size)
    if sums['lca']:
        near(more['percent_given'], 100 * given / sums['lca'], 100 * size / abs(sums['lca']))
    if sums['d2']:
        near(more['percent_movement_given'], 100 * sums['moved'] / sums['d2'], 100)
        assert 0 <= more['percent_movement_random'] <= 100 + 1e-9
    for f, name in zip(out.final['project'], ('given', 'random')):
        assert f['basis'] == name and f['directions'] == k
        near(f['lca'], more[name], size)
        assert f.get('percent') == more.get('percent_' + name)
        assert f.get('percent_movement') == more.get('percent_movement_' + name)


def take_project(out, kind, t, k):
    got, more = out.take(kind, 'train', t, ['basis', 'measure', 'direction'], basis=['given', 'random'],
                         measure=['projected', 'axes'])
    assert got.shape == (2, 2, k)
    return got, more


CHECKS = {'units': check_units, 'classes': check_classes, 'overfit': check_overfit, 'params': check_params,
          'project': check_project}


def check(filter_, stream, pairs, *args, **keys):
    s = stream if isinstance(stream, Stream) else Stream(stream)
    out = Out(pairs, filter_, s)
    result = CHECKS[filter_](s, out, *args, **keys)
    out.end()
    return result


def main(args):
    name, stream = args[:2]
    s = Stream(frames.read(stream))
    for path in args[2:]:
        check(name, s, frames.read(path))


if __name__ == '__main__':
    main(sys.argv[1:])
