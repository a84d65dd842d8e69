load ../helper
load ../streams

more_files() {
    train t.lca --iterations 6 --freeze two@4
    allocate t.lca a.lca --tolerance off
    allocate t.lca class.lca --tolerance off --by-class --sets train
}

@test "lca-helping talks like a tool" {
    talks_like_a_tool lca-helping
}

NUMPY='
import os
def measures(A):
    A = A.astype("f8")
    n, size = len(A), np.abs(A).sum()
    down, zero = (A < 0).sum(), (A == 0).sum()
    return [100 * down / n, 100 * down / (n - zero) if zero < n else np.nan, 100 * zero / n,
            100 * -A[A < 0].sum() / size if size > 0 else np.nan]
def same(x, y):
    return np.allclose(x, y, rtol=1e-9, atol=1e-12, equal_nan=True)
def check(a, p):
    head = a[0][0]
    P, spans = head["P"], {}
    for l in head["layers"]:
        lo, hi = spans.get(l["l"], (l["off"], 0))
        spans[l["l"]] = lo, l["off"] + l["len"]
    groups = [("all", (0, P))] + list(spans.items())
    vectors = [array(f) for f in of_kind(a, "lca", set="train", cls=-1)]
    steps = []
    for t, A in enumerate(vectors):
        f, = of_kind(p, "agg", kind="helping", it=t)
        assert f[0]["dims"] == ["group", "measure"] and f[0]["unit"] == "%" and f[0]["set"] == "train"
        assert f[0]["keys"] == {"group": [g for g, _ in groups], "measure": list("pqzw")}
        steps.append([measures(A[lo:hi]) for _, (lo, hi) in groups])
        assert same(array(f), steps[-1]), (t, array(f), steps[-1])
    steps = np.array(steps)
    total, = of_kind(p, "agg", kind="helping_total")
    want = np.nanmean(steps, axis=0)
    assert same(array(total), want), (array(total), want)
    helped = sum((A < 0).astype(int) for A in vectors)
    bins = np.minimum(helped * 50 // len(vectors), 49)
    histogram, = of_kind(p, "agg", kind="helping_histogram")
    assert histogram[0]["dt"] == "<u8" and histogram[0]["more"] == {"from": 0.0, "to": 1.0}
    assert histogram[0]["dims"] == ["group", "share"] and histogram[0]["keys"] == {"group": [g for g, _ in groups]}
    for row, (_, (lo, hi)) in zip(array(histogram), groups):
        assert (row == np.bincount(bins[lo:hi], minlength=50)).all() and row.sum() == hi - lo
    final = p[-1][0]["final"]
    keys = ("percent_helping_p", "percent_helping_q", "percent_zero", "percent_helping_weighted")
    assert same([final[k] for k in keys], want[0])
    assert len(of_kind(p, "agg")) == len(vectors) + 2 and p[0][0]["st"] == "helping"
    return steps
def in_files(name):
    return read(os.environ["FILES"] + "/" + name)
'

@test "every number is numpy's; a layer that stands still has no q and no w" {
    lca-helping <"$FILES/a.lca" >p.lca
    lca-helping --in "$FILES/a.lca" --out again.lca
    cmp p.lca again.lca
    py <<<"$NUMPY
steps = check(in_files('a.lca'), read('p.lca'))
assert np.isnan(steps[4:, 2, 1]).all() and np.isnan(steps[4:, 2, 3]).all() and (steps[4:, 2, 2] == 100).all()
assert np.isfinite(steps[:4]).all() and 0 < steps[0, 0, 0] < 100"
}

@test "classes and held-out sets do not count" {
    lca-helping <"$FILES/class.lca" >p.lca
    lca-helping <"$FILES/a.lca" >q.lca
    py <<<"$NUMPY
check(in_files('class.lca'), read('p.lca'))
assert len(of_kind(read('p.lca'), 'agg')) == len(of_kind(read('q.lca'), 'agg'))"
}

@test "signs and zeros by hand: -0 is zero, the least float helps" {
    py <<<"$NUMPY
a = in_files('a.lca')
v = np.zeros(4780, 'f4')
v[:7] = [-0.0, -1e-45, 1e-45, -3, 1, 0, -1]
v[4710:4712] = [2, -6]
one = [dict(a[1][0], set='train'), v.tobytes()]
write('hand.lca', [a[0], one, [dict(a[-1][0], next=1), b'']])"
    lca-helping <hand.lca >p.lca
    py <<<"$NUMPY
p = read('p.lca')
got = array(of_kind(p, 'agg', kind='helping')[0])
assert same(got[1], [100 * 3 / 4710, 60, 100 * 4705 / 4710, 80]), got[1]
assert same(got[2], [100 / 70, 50, 100 * 68 / 70, 75]), got[2]
assert same(got[0], [100 * 4 / 4780, 400 / 7, 100 * 4773 / 4780, 100 * 10 / 13]), got[0]
h = array(of_kind(p, 'agg', kind='helping_histogram')[0])[0]
assert h[0] == 4776 and h[49] == 4 and h.sum() == 4780
check(read('hand.lca'), p)"
}

@test "what nothing moves has zeros and no q, and a stream of no steps says nothing" {
    py <<<"$NUMPY
a = in_files('a.lca')
still = [dict(a[1][0], set='train'), bytes(4 * 4780)]
write('still.lca', [a[0], still, [dict(a[-1][0], next=1), b'']])
write('none.lca', [a[0], [dict(a[-1][0], next=0), b'']])"
    lca-helping <still.lca >p.lca
    lca-helping <none.lca >q.lca
    py <<'PY'
p, q = read('p.lca'), read('q.lca')
t = array(of_kind(p, 'agg', kind='helping_total')[0])
assert (t[:, 0] == 0).all() and (t[:, 2] == 100).all() and np.isnan(t[:, [1, 3]]).all()
assert p[-1][0]['final'] == {'percent_helping_p': 0.0, 'percent_zero': 100.0}
assert [h['t'] for h, _ in q] == ['HEAD', 'EOS'] and not q[-1][0].get('final')
PY
}

@test "what is no lca stream, or is cut, or failed" {
    run --separate-stderr lca-helping --in "$FILES/t.lca" --out q.lca
    assert_failure 2
    [[ $stderr == *"lca-helping reads an lca stream"* ]]
    head -c 60000 "$FILES/a.lca" >cut.lca
    run --separate-stderr lca-helping --in cut.lca --out q.lca
    assert_failure 5
    py <<<"$NUMPY
a = in_files('a.lca')
write('failed.lca', a[:-1] + [[dict(a[-1][0], status='failed', why='no more power'), b'']])"
    run --separate-stderr lca-helping --in failed.lca --out q.lca
    assert_failure 4
}

@test "two aggregators of one live stream say what they say of its recording" {
    export LCA_DIR=$PWD/ipc
    lca-layers --in ipc:lca --out layers.lca 3>&- &
    layers=$!
    lca-helping --in ipc:lca --out helping.lca 3>&- &
    helping=$!
    timeout 30 lca-cat --in "$FILES/a.lca" --out ipc:lca --expect lca-layers,lca-helping
    wait $layers
    wait $helping
    lca-layers <"$FILES/a.lca" | cmp - layers.lca
    lca-helping <"$FILES/a.lca" | cmp - helping.lca
}

@test "biases before a batch norm: with them and without" {
    py <<<"$NUMPY
from handmade import stream, NET, TENSORS, noise
a = stream(NET, TENSORS, 7, value=noise(1))
write('bn.lca', a)"
    lca-helping <bn.lca >p.lca
    lca-helping --layers 'conv2,dense1' <bn.lca >q.lca
    py <<<"$NUMPY
a, p, q = read('bn.lca'), read('p.lca'), read('q.lca')
head = a[0][0]
vectors = [array(f) for f in of_kind(a, 'lca')]
lost = np.concatenate([np.arange(l['off'], l['off'] + l['len']) for l in head['layers']
                       if l['n'] in ('conv1/bias', 'conv3/bias')])
rest = np.delete(np.arange(head['P']), lost)
assert len(lost) == 7
groups = of_kind(p, 'agg', kind='helping_total')[0][0]['keys']['group']
assert groups == ['all', 'conv1', 'conv2', 'conv3', 'dense1', 'all_but_bn_biases']
steps = np.array([[measures(A), measures(A[rest])] for A in vectors])
for t, f in enumerate(of_kind(p, 'agg', kind='helping')):
    assert same(array(f)[[0, 5]], steps[t])
assert same(array(of_kind(p, 'agg', kind='helping_total')[0])[[0, 5]], steps.mean(axis=0))
helped = sum((A < 0).astype(int) for A in vectors)
h = array(of_kind(p, 'agg', kind='helping_histogram')[0])
assert (h[5] == np.bincount(np.minimum(helped[rest] * 50 // 7, 49), minlength=50)).all()
final = p[-1][0]['final']['all_but_bn_biases']
assert final['parameters'] == len(rest) and same(final['percent_helping_q'], steps[:, 1, 1].mean())
# where none are left there is no such group
assert of_kind(q, 'agg', kind='helping_total')[0][0]['keys']['group'] == ['all', 'conv2', 'dense1']
assert 'all_but_bn_biases' not in q[-1][0]['final']"
}
