"""lca-spread, lca-oscillation, lca-moments and lca-correlation again, in numpy and scipy:
check_NAME(stream, frames, ...) recomputes every number that the program wrote of a
recording and fails by assertion. The random numbers of the program are drawn again too."""
import copy

import numpy as np
import scipy.optimize
import scipy.special
import scipy.stats

from frames import array, of_kind, read


class Stream:
    """A recorded lca stream as arrays [step][parameter], of the training set."""

    def __init__(self, path):
        pairs = read(path)
        self.head = pairs[0][0]
        self.P = self.head['P']
        self.tensors = self.head['layers']
        self.layers = list(dict.fromkeys(t['l'] for t in self.tensors))
        self.classes = [c['name'] for c in self.head['classes']] if self.head.get('bycls') else []
        self.A, self.it = self.vectors(pairs, 'lca', set='train', cls=-1)
        self.by_class = [self.vectors(pairs, 'lca', set='train', cls=c)[0] for c in range(len(self.classes))]
        self.d = self.vectors(pairs, 'move')[0]
        self.g = self.vectors(pairs, 'grad', set='train', cls=-1)[0]
        self.G = self.vectors(pairs, 'eff', set='train', cls=-1)[0]
        self.G_by_class = [self.vectors(pairs, 'eff', set='train', cls=c)[0] for c in range(len(self.classes))]

    @staticmethod
    def vectors(pairs, kind, **keys):
        found = of_kind(pairs, kind, **keys)
        return (np.array([array(f) for f in found]), np.array([f[0]['it'] for f in found], int))

    def span(self, layer):
        own = [t for t in self.tensors if t['l'] == layer]
        return slice(own[0]['off'], own[-1]['off'] + own[-1]['len'])

    def select(self, layers, steps=slice(None)):
        """The same with these layers and steps alone."""
        s = copy.copy(self)
        own = [t for t in self.tensors if t['l'] in layers]
        keep = np.concatenate([np.arange(t['off'], t['off'] + t['len']) for t in own])
        starts = np.cumsum([0] + [t['len'] for t in own])
        s.tensors = [dict(t, off=int(a), stands=t['off']) for t, a in zip(own, starts)]
        s.layers, s.P, s.it = [l for l in self.layers if l in layers], int(starts[-1]), self.it[steps]
        s.A, s.d, s.g, s.G = [v[steps][:, keep] if len(v) else v for v in (self.A, self.d, self.g, self.G)]
        s.by_class, s.G_by_class = [[v[steps][:, keep] if len(v) else v for v in c]
                                    for c in (self.by_class, self.G_by_class)]
        return s

    def kernels(self):
        return [t for t in self.tensors if t['k'] == 'kernel']


def near(x, y, rtol=1e-9, atol=0.0):
    x, y = np.asarray(x, float), np.asarray(y, float)
    assert x.shape == y.shape, (x.shape, y.shape)
    assert np.allclose(x, y, rtol=rtol, atol=atol, equal_nan=True), (x, y)


def one(frames, kind, **keys):
    found = of_kind(frames, 'agg', kind=kind, **keys)
    assert len(found) == 1, (kind, len(found))
    return found[0]


# ---- random numbers: Philox 4x32-10, as src/base/rng.h draws them ----

NULL = 5        # purpose


def philox(seed, purpose, step, index, part=0):
    index, step = int(index), int(step)
    key = [seed, purpose]
    ctr = [index & 0xFFFFFFFF, (index >> 32 & 0xFFFF) | part << 16, step & 0xFFFFFFFF, step >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * ctr[0], 0xCD9E8D57 * ctr[2]
        ctr = [b >> 32 ^ ctr[1] ^ key[0], b & 0xFFFFFFFF, a >> 32 ^ ctr[3] ^ key[1], a & 0xFFFFFFFF]
        key = [key[0] + 0x9E3779B9 & 0xFFFFFFFF, key[1] + 0xBB67AE85 & 0xFFFFFFFF]
    return ctr


def below(seed, step, index, n):
    w = philox(seed, NULL, step, index)
    return (w[0] << 32 | w[1]) * int(n) >> 64


def draw(seed, step, index, pool, k):
    """k of the pool without replacement."""
    pool = list(pool)
    for i in range(k):
        j = i + below(seed, step, index + i, len(pool) - i)
        pool[i], pool[j] = pool[j], pool[i]
    return pool[:k]


# ---- lca-spread ----

def moments_row(x):
    x = x.astype(float).ravel()
    if len(x) == 0 or x.std() == 0:
        return [len(x), x.mean() if len(x) else np.nan, 0.0 if len(x) else np.nan] + 4 * [np.nan]
    z, p = scipy.stats.kurtosistest(x) if len(x) >= 5 else (np.nan, np.nan)
    return [len(x), x.mean(), x.std(), scipy.stats.skew(x), scipy.stats.kurtosis(x), z, p]


def near_moments(got, want, scale):
    """Means to 1e-9 of the mean size; z and p to 1e-6."""
    near(got[:, 0], want[:, 0], rtol=0)
    near(got[:, 1], want[:, 1], atol=1e-9 * scale)
    near(got[:, 2], want[:, 2], rtol=1e-9)
    near(got[:, 3], want[:, 3], rtol=1e-7, atol=1e-9)
    near(got[:, 4], want[:, 4], rtol=1e-9, atol=1e-9)
    near(got[:, 5], want[:, 5], rtol=1e-6)
    near(got[:, 6], want[:, 6], rtol=1e-6, atol=1e-300)


def gini(x):
    """Mean absolute difference over twice the mean."""
    x = np.sort(x)
    n = len(x)
    return ((2 * np.arange(1, n + 1) - n - 1) * x).sum() / (n * x.sum())


def shares(x):
    if len(x) == 0:
        return [0, 0, np.nan, np.nan, np.nan]
    x = np.sort(x)[::-1]
    carried = np.cumsum(x)
    need = np.searchsorted(carried, 0.9 * x.sum()) + 1
    return [len(x), x.sum(), gini(x), 100 * need / len(x), 100 * x[:-(-len(x) // 100)].sum() / x.sum()]


def weibull_fit(x):
    x = np.abs(x[x != 0].astype(float))
    if len(np.unique(x)) < 2:
        return np.nan, np.nan
    ln = np.log(x / x.max())
    shape = scipy.optimize.brentq(lambda k: (np.exp(k * ln) * ln).sum() / np.exp(k * ln).sum() - 1 / k - ln.mean(),
                                  1e-3, 1e3, xtol=1e-14)
    return shape, x.max() * np.exp(shape * ln).mean() ** (1 / shape)


def check_histogram(frame, x, exact, cut):
    header, columns = frame[0], array(frame)
    lower, upper, count, log10, gaussian, weibull = columns
    edges = np.append(lower, upper[-1])
    more, values = header['more'], x[x != 0].astype(float)
    assert header['keys']['measure'] == ['from', 'to', 'count', 'log10', 'gaussian', 'weibull']
    assert more['n'] == x.size and more['zeros'] == (x == 0).sum() and more['exact'] == exact
    assert (lower[1:] == upper[:-1]).all() and len(count) == 40
    if cut:
        p1, p99 = np.percentile(x.astype(float), [1, 99])
        near([more['percentile_1'], more['percentile_99']], [p1, p99], rtol=1e-12 if exact else 2.0 ** -12)
        lo, hi = more['percentile_1'], more['percentile_99']
    elif len(values):
        lo, hi = values.min(), values.max()
    if len(values) and hi > lo:
        width = (hi - lo) / 39
        near(np.diff(edges), np.full(40, width), rtol=1e-9)
        assert edges[0] <= lo and edges[-1] >= hi * (1 - 1e-12) - 1e-300
        near(edges / width, np.round(edges / width), atol=1e-9)      # so one lies at 0
    want = np.histogram(values, edges)[0]
    if exact:
        assert (count == want).all(), (count, want)
        assert more['below'] == (values < edges[0]).sum() and more['above'] == (values > edges[-1]).sum()
    else:
        unsure = [(np.abs(values - e) <= 2.0 ** -11 * abs(e)).sum() for e in edges]
        assert (np.abs(count - want) <= np.add(unsure[:-1], unsure[1:])).all(), (count, want)
    assert count.sum() + more['below'] + more['above'] == len(values)
    near(log10, np.where(count > 0, np.log10(np.maximum(count, 1)), np.nan))
    return edges, gaussian, weibull


def check_spread(s, frames, interval=40, exact=False):
    A, steps = s.A, s.it
    groups = [slice(0, s.P)] + [s.span(name) for name in s.layers]
    scale = np.abs(A).mean(dtype=float)
    keys = {'group': ['all'] + s.layers,
            'measure': ['n', 'mean', 'deviation', 'skewness', 'kurtosis', 'z', 'p']}
    rows = []
    for k in np.unique(steps // interval):
        of = steps // interval == k
        frame = one(frames, 'spread', it=int(steps[of].max()))
        assert frame[0]['keys'] == keys and frame[0]['set'] == 'train'
        rows.append([moments_row(A[of][:, g]) for g in groups])
        near_moments(array(frame), np.array(rows[-1]), scale)
    total = array(one(frames, 'spread_total'))
    near_moments(total[:, :7], np.array([moments_row(A[:, g]) for g in groups]), scale)
    rows = np.array(rows)[:, :, 4:7]
    with np.errstate(all='ignore'):
        good = ~np.isnan(rows[:, :, :2]).any(axis=2)
        means = np.array([rows[good[:, g], g].mean(axis=0) if good[:, g].any() else [np.nan] * 3
                          for g in range(len(groups))])
    near(total[:, 7:], means, rtol=1e-6, atol=1e-300)

    shape, scale_ = array(one(frames, 'spread_weibull'))
    near([shape, scale_], weibull_fit(A.ravel()), rtol=1e-6)
    x = A.ravel()
    for cut in (False, True):
        frame = one(frames, 'spread_histogram_cut' if cut else 'spread_histogram')
        edges, gaussian, weibull = check_histogram(frame, x, exact, cut)
        mean, sd = x.mean(dtype=float), x.std(dtype=float)
        if sd > 0:
            near(gaussian, x.size * np.diff(scipy.stats.norm.cdf(edges, mean, sd)), rtol=1e-6, atol=1e-9 * x.size)
        if shape == shape:
            near(weibull, (x != 0).sum() * np.diff(scipy.stats.dweibull.cdf(edges, shape, 0, scale_)), rtol=1e-6,
                 atol=1e-9 * x.size)
    frame = one(frames, 'spread_shares')
    assert frame[0]['keys'] == {'side': ['helping', 'hurting'], 'measure': [
        'parameters', 'sum', 'gini', 'percent_carrying_90', 'percent_by_top_1']}
    per_parameter = A.sum(axis=0, dtype=float)
    got = array(frame)
    want = np.array([shares(-per_parameter[per_parameter < 0]), shares(per_parameter[per_parameter > 0])])
    near(got, want)
    final = frames[-1][0]['final']['spread']
    want = {'kurtosis': total[0, 4], 'kurtosis_z': total[0, 5], 'kurtosis_p': total[0, 6],
            'kurtosis_of_intervals': total[0, 7], 'weibull_shape': shape, 'weibull_scale': scale_,
            'gini_helping': got[0, 2], 'gini_hurting': got[1, 2], 'percent_carrying_90': got[0, 3],
            'percent_by_top_1': got[0, 4]}
    assert final == {k: v for k, v in want.items() if np.isfinite(v)}, (final, want)


# ---- lca-oscillation ----

def changes(x, it):
    """[step][parameter]: the sign changed from the step before."""
    x = x.astype(float)
    now = np.zeros(x.shape, bool)
    now[1:] = (x[1:] * x[:-1] < 0) & (np.diff(it) == 1)[:, None]
    return now


def check_oscillation(s, frames, traces=()):
    events = [changes(s.d, s.it), changes(s.g, s.it)]
    groups = [slice(0, s.P)] + [slice(t['off'], t['off'] + t['len']) for t in s.kernels()]
    for t, it in enumerate(s.it):
        frame = one(frames, 'oscillation', it=int(it))
        want = [[e[t, g].sum() for e in events] for g in groups]
        assert frame[0]['keys'] == {'group': ['all'] + s.layers, 'event': ['turns', 'crossings']}
        assert (array(frame) == want).all(), (it, array(frame), want)
    frame = one(frames, 'oscillation_total')
    T = len(s.it)
    assert frame[0]['more'] == {'steps': T}
    want = []
    for g in groups:
        mean = [e[:, g].sum() / (g.stop - g.start) for e in events]
        want.append(mean + [T / m if m > 0 else np.nan for m in mean])
    near(array(frame), np.array(want), rtol=1e-12)
    final = frames[-1][0]['final']['oscillation']
    for key, value in zip(('steps_per_turn', 'steps_per_crossing'), array(frame)[0, 2:]):
        assert final.get(key, np.nan) == value or np.isnan(value) and key not in final
    if len(traces):
        moved = np.cumsum(s.d[:, traces].astype(float), axis=0)
        for t, it in enumerate(s.it):
            near(array(one(frames, 'traces', it=int(it))),
                 np.stack([moved[t], s.g[t, traces], s.A[t, traces]], axis=1).astype(float), rtol=1e-12)
        near(array(one(frames, 'traces_total')),
             np.stack([traces, moved[-1], s.A[:, traces].sum(axis=0, dtype=float)], axis=1), rtol=1e-12)


# ---- lca-moments ----

def peaks(v, upward):
    v = -v if upward else v
    return np.flatnonzero((v[1:-1] < v[:-2]) & (v[1:-1] < v[2:])) + 1


def deepest(v, at, keep, upward):
    order = np.lexsort((at, -v[at] if upward else v[at]))
    return np.sort(at[order[:keep]])


def synchronised(moments, need, T):
    layers = np.zeros(T, int)
    for m in moments:
        np.add.at(layers, np.asarray(m, int), 1)
    return (layers >= need).sum()


def exact_tail(n, sizes, observed):
    p = {sizes[0]: 1.0}
    for k in sizes[1:]:
        after = {}
        for x, px in p.items():
            for y in range(min(x, k) + 1):
                after[y] = after.get(y, 0) + px * scipy.stats.hypergeom.pmf(y, n, x, k)
        p = after
    return min(1.0, sum(px for x, px in p.items() if x >= observed))


def null_moments(null, series, i, all_peaks, moments, T, block, seed):
    """The moments of all layers in draw i of null model A (0), B (1) or C (2)."""
    step = null << 60 | series << 40 | i
    out, taken = [], []
    for l, (at, kept) in enumerate(zip(all_peaks, moments)):
        index = l << 24
        if null == 0:
            out.append(draw(seed, step, index, at, len(kept)))
        elif null == 1:
            shift = [x for x in range(T) if x not in taken][below(seed, step, index, T - l)]
            taken.append(shift)
            out.append((kept + shift) % T)
        else:
            of_layer, first = [], 0
            for b in np.unique(at // block):
                n = (kept // block == b).sum()
                of_layer += draw(seed, step, index + first, at[at // block == b], n)
                first += n
            out.append(of_layer)
    return out


def check_chance(row, null, draws, counts):
    """mean and p of a null model, from the counts of the same draws."""
    near(row[2 + 2 * null], np.mean(counts), rtol=1e-12)
    near(row[3 + 2 * null], (1 + (np.array(counts) >= row[1]).sum()) / (1 + draws), rtol=1e-12)


def check_moments(s, frames, of=('lca',), keep=20, levels=(0.25, 0.5, 1), draws=100, block=40, seed=1, again=None):
    """again: how many classes have their draws made again (None: all)."""
    spans = [s.span(name) for name in s.layers]
    T, L = len(s.it), len(spans)
    final = frames[-1][0].get('final') or {}
    for which, (kind, prefix) in enumerate((('lca', ''), ('move', 'move_'), ('eff', 'eff_'))):
        if kind not in of:
            assert not of_kind(frames, 'agg', kind=prefix + 'moments_total')
            continue
        upward = kind != 'lca'
        vectors = {'lca': [s.A] + s.by_class, 'move': [s.d], 'eff': [s.G] + s.G_by_class}[kind]
        at, size = one(frames, prefix + 'moments_at'), one(frames, prefix + 'moments_size')
        total = one(frames, prefix + 'moments_total')
        classes = ['all'] + (s.classes if kind != 'move' else [])
        assert at[0]['keys'] == {'class': classes, 'layer': s.layers}
        assert total[0]['keys']['class'] == classes and total[0]['keys']['level'] == ['%g' % x for x in levels]
        at, size, total = array(at), array(size), array(total)
        for c, v in enumerate(vectors):
            v = v.astype(float)
            series = [np.sqrt((v[:, g] ** 2).sum(axis=1)) if upward else v[:, g].sum(axis=1) for g in spans]
            sizes = [np.abs(v[:, g]).sum(axis=1) for g in spans]
            all_peaks = [peaks(x, upward) for x in series]
            moments = [deepest(x, p, keep, upward) for x, p in zip(series, all_peaks)]
            if c == 0:
                for t, it in enumerate(s.it):
                    want = [(p < t).sum() for p in all_peaks]
                    assert (array(one(frames, prefix + 'moments', it=int(it))) == want).all()
            for l in range(L):
                n = len(moments[l])
                assert (at[c, l, :n] == s.it[0] + moments[l]).all() and np.isnan(at[c, l, n:]).all()
                assert (np.abs(size[c, l, :n] - series[l][moments[l]]) <= 1e-9 * sizes[l][moments[l]] + 1e-300).all()
                assert np.isnan(size[c, l, n:]).all()
            needs = [max(1, int(np.ceil(x * L - 1e-9))) for x in levels]
            for k, need in enumerate(needs):
                row = total[c, k]
                assert row[0] == need and row[1] == synchronised(moments, need, T), row
                near(row[8], exact_tail(max(T - 2, 0), [len(m) for m in moments], row[1]) if need == L else np.nan,
                     rtol=1e-6)
            if again is not None and c >= again:
                continue
            for null in range(3):
                if null == 1 and L > T:
                    assert np.isnan(total[c, :, 4:6]).all()
                    continue
                drawn = [null_moments(null, which << 16 | c, i, all_peaks, moments, T, block, seed)
                         for i in range(draws)]
                for k, need in enumerate(needs):
                    check_chance(total[c, k], null, draws, [synchronised(m, need, T) for m in drawn])
        if 1 in levels:
            row = total[0, list(levels).index(1)]
            assert final[prefix + 'moments']['synchronised'] == row[1] and final[prefix + 'moments']['p_c'] == row[7]


# ---- lca-correlation ----

def mean_r(series):
    """Mean Pearson correlation over all pairs of the rows that vary."""
    series = series[series.min(axis=1) != series.max(axis=1)]
    n = len(series)
    if n < 2:
        return np.nan
    r = np.corrcoef(series)
    return (r.sum() - np.trace(r)) / (n * (n - 1))


def fakes(tensor, side, seed):
    """Places of the weights of each fake unit of a side (0 inputs, 1 outputs)."""
    *window, n_in, n_out = tensor['sh']
    window, size = int(np.prod(window)), min(n_in, n_out)
    for u in range((n_in, n_out)[side]):
        step = (tensor.get('stands', tensor['off']) << 24) + (0 if side == 0 else n_in) + u
        ins = draw(seed, step, 0, range(n_in), size)
        outs = draw(seed, step, 1 << 32, range(n_out), size)
        yield [(below(seed, step, 2 << 32 | k, window) * n_in + ins[k]) * n_out + outs[k] for k in range(size)]


def units_r(tensor, A, seed=1, with_fakes=True):
    """[side][series][of]: r of each unit."""
    *window, n_in, n_out = tensor['sh']
    A = A[:, tensor['off']:tensor['off'] + tensor['len']].astype(float)
    out = []
    for side in range(2):
        rows = []
        for x in (A, np.cumsum(A, axis=0)):
            w = x.T.reshape(-1, n_in, n_out, len(A))
            real = [w[:, u] if side == 0 else w[:, :, u] for u in range((n_in, n_out)[side])]
            real = [mean_r(r.reshape(-1, len(A))) for r in real]
            fake = [mean_r(x.T[f]) for f in fakes(tensor, side, seed)] if with_fakes else None
            rows.append((real, fake))
        out.append(rows)
    return out


def check_ks(row, real, fake):
    real, fake = np.asarray(real), np.asarray(fake)
    real, fake = real[~np.isnan(real)], fake[~np.isnan(fake)]
    assert row[2] == len(real) and row[3] == len(fake)
    near(row[:2], [x.mean() if len(x) else np.nan for x in (real, fake)], atol=1e-9)
    if len(real) == 0 or len(fake) == 0:
        assert np.isnan(row[4:]).all()
        return
    real, fake = [np.round(x * 2.0 ** 40) / 2.0 ** 40 for x in (real, fake)]     # equal up to rounding is equal
    exact = scipy.stats.ks_2samp(real, fake, method='exact')
    asymptotic = scipy.stats.ks_2samp(real, fake, method='asymp')
    near(row[4:6], [exact.statistic, exact.pvalue], rtol=1e-6, atol=1e-300)
    near(row[6], asymptotic.pvalue, rtol=1e-6, atol=1e-6)       # scipy's own is good to 1e-7


def check_correlation(s, frames, window=None, seed=1, with_fakes=True):
    T, kernels = len(s.it), s.kernels()
    total = array(one(frames, 'correlation_total'))
    assert total.shape == (len(kernels), 2, 2, 7)
    spans = [(0, T)] if not window else [(a, min(a + window, T)) for a in range(0, T, window)]
    spans = [x for x in spans if x[1] - x[0] >= 2 or not window]
    for k, tensor in enumerate(kernels):
        sums = {}
        for a, b in spans:
            r = units_r(tensor, s.A[a:b], seed, with_fakes)
            table = array(one(frames, 'correlation', it=int(s.it[b - 1]))) if window else None
            for side in range(2):
                for series in range(2):
                    for of in range(2):
                        if r[side][series][of] is not None:
                            sums.setdefault((side, series, of), []).append(np.array(r[side][series][of]))
                    if window:
                        check_ks(table[k, side, series], *r[side][series])
        for side, kind in enumerate(('correlation_inputs', 'correlation_outputs')):
            frame, = [f for f in of_kind(frames, 'agg', kind=kind) if f[0]['keys']['layer'] == [tensor['l']]]
            got = array(frame)[0]
            for (of_side, series, of), values in sums.items():
                if of_side != side:
                    continue
                values, weights = np.array(values), np.array([b - a for a, b in spans], float)[:, None]
                there = ~np.isnan(values)
                with np.errstate(invalid='ignore'):
                    want = np.where(there, values, 0).T @ weights / (there.T @ weights)
                near(got[series, of], want.ravel(), rtol=1e-9, atol=1e-9)
            for series in range(2):
                check_ks(total[k, side, series], got[series, 0], got[series, 1])
