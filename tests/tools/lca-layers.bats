load ../helper
load ../streams

more_files() {
    train t.lca --net "$FILES/relu.json" --iterations 5
    allocate t.lca a.lca --tolerance off
    allocate t.lca class.lca --tolerance off --by-class --emit lca,move,eff
}

@test "lca-layers talks like a tool" {
    talks_like_a_tool lca-layers
}

# Everything that the stream must say, from A alone.
NUMPY='
import os
def check(a, p):
    head = a[0][0]
    layers = head["layers"]
    P = head["P"]
    names = []
    for l in layers:
        if l["l"] not in names:
            names.append(l["l"])
    tensors = [l["n"] for l in layers]
    sets = [s["set"] for s in head["data"]["sets"]]
    classes = [c["name"] for c in head["classes"]]
    def tensor_sums(A):
        return np.array([A[l["off"]:l["off"] + l["len"]].sum(dtype="f8") for l in layers])
    def layer_sums(t):
        return np.array([sum(v for v, l in zip(t, layers) if l["l"] == n) for n in names])
    def near(frame, want):
        unit = np.abs(want).max() + 1e-9
        assert np.abs(array(frame) - want).max() < 1e-9 * unit, (frame[0], array(frame), want)
    def one(kind, **keys):
        f = of_kind(p, "agg", kind=kind, **keys)
        assert len(f) == 1, (kind, keys, len(f))
        assert f[0][0]["unit"] == "nat" and f[0][0]["dt"] == "<f8"
        return f[0]
    steps = sorted({h["it"] for h, _ in of_kind(a, "lca")})
    for s in sets:
        total = np.zeros(len(tensors))
        curve = []
        by_class = np.zeros((len(classes), len(names)))
        for t in steps:
            A = array(of_kind(a, "lca", set=s, it=t, cls=-1)[0])
            here = tensor_sums(A)
            total += here
            f = one("layers", it=t, set=s)
            near(f, layer_sums(here))
            assert f[0]["dims"] == ["layer"] and f[0]["keys"] == {"layer": names}
            f = one("tensors", it=t, set=s)
            near(f, here)
            assert f[0]["dims"] == ["tensor"] and f[0]["keys"] == {"tensor": tensors}
            near(one("cumulative", it=t, set=s), layer_sums(total))
            curve.append(layer_sums(total))
            rows = of_kind(a, "lca", set=s, it=t)[1:]
            if rows:
                step = np.array([layer_sums(tensor_sums(array(r))) for r in rows])
                by_class += step
                f = one("class_layers", it=t, set=s)
                near(f, step)
                assert f[0]["dims"] == ["class", "layer"] and f[0]["keys"] == {"class": classes, "layer": names}
        f = one("layers_total", set=s)
        near(f, layer_sums(total))
        assert f[0]["it"] == steps[-1]
        kernels = sum(v for v, l in zip(total, layers) if l["k"] == "kernel")
        assert abs(f[0]["more"]["share_bias_bn"] - (1 - kernels / total.sum())) < 1e-9
        # the curve begins at 0, before the first step
        curve = np.array([np.zeros(len(names))] + curve)
        assert f[0]["more"]["argmin"] == [int(k) for k in curve.argmin(axis=0)]
        near(one("tensors_total", set=s), total)
        if head.get("bycls"):
            near(one("class_layers_total", set=s), by_class)
        if s == "train":
            final = p[-1][0]["final"]
            assert [l["name"] for l in final["layers"]] == names
            for k, l in enumerate(final["layers"]):
                assert abs(l["lca"] - layer_sums(total)[k]) < 1e-12
                assert l["parameters"] == sum(t["len"] for t in layers if t["l"] == names[k])
            if head.get("bycls"):
                N = head["data"]["sets"][0]["N"]
                for k, c in enumerate(final["classes"]):
                    assert c["name"] == classes[k] and abs(c["lca"] - by_class[k].sum()) < 1e-12
                    assert abs(c["lca_mean"] - by_class[k].sum() * N / head["classes"][k]["n"]) < 1e-9
            else:
                assert "classes" not in final
    kinds = 3 + bool(head.get("bycls"))
    assert len(of_kind(p, "agg")) == kinds * len(steps) * len(sets) + (2 + bool(head.get("bycls"))) * len(sets)
    assert p[0][0]["st"] == "layers" and p[0][0]["run"] == head["run"] and p[-1][0]["status"] == a[-1][0]["status"]
    assert p[0][0]["prov"][-1]["prog"] == "lca-layers" and len(p[0][0]["prov"]) == len(head["prov"]) + 1
def in_files(name):
    return read(os.environ["FILES"] + "/" + name)
'

@test "every number is numpy's sum of A: per step, cumulative and in all" {
    lca-layers <"$FILES/a.lca" >p.lca
    lca-layers --in "$FILES/a.lca" --out again.lca
    cmp p.lca again.lca
    py <<<"$NUMPY
check(in_files('a.lca'), read('p.lca'))"
}

@test "by class too, with other kinds of frames in between" {
    lca-layers --in "$FILES/class.lca" --out p.lca
    py <<<"$NUMPY
check(in_files('class.lca'), read('p.lca'))"
}

@test "layers add up to the change of the loss, but for the residual" {
    lca-layers <"$FILES/a.lca" >p.lca
    py <<<"$NUMPY
a, p = in_files('a.lca'), read('p.lca')
for h, _ in of_kind(a, 'lca'):
    f = of_kind(p, 'agg', kind='layers', it=h['it'], set=h['set'])[0]
    assert abs(array(f).sum() - (h['L1'] - h['L0'] - h['res'])) < 1e-7 * h['abs']"
}

@test "a vector in slices is the vector; slices that do not follow are corrupt" {
    py <<<"$NUMPY
import copy
a = in_files('a.lca')
def sliced(cuts):
    out = [copy.deepcopy(a[0])]
    for h, payload in a[1:-1]:
        v = np.frombuffer(payload, '<f4')
        for part, (lo, hi) in enumerate(cuts):
            out.append([dict(h, seq=len(out) - 1, off=lo, part=part, sh=[hi - lo]), v[lo:hi].tobytes()])
    out.append([dict(a[-1][0], next=len(out) - 1), b''])
    return out
write('slices.lca', sliced([(0, 1), (1, 4000), (4000, 4780)]))
write('hole.lca', sliced([(0, 1000), (1001, 4780)]))
write('over.lca', sliced([(0, 1000), (500, 4780)]))
write('short.lca', sliced([(0, 4000)]))
# the first half of train's vector and the second of val's
b = sliced([(0, 2000), (2000, 4780)])
b = [f for f in b if f[0]['t'] != 'lca' or (f[0]['set'] == 'train') == (f[0]['part'] == 0)]
write('mixed.lca', [[dict(f[0], **({'seq': k - 1} if f[0]['t'] == 'lca' else {'next': len(b) - 2} if k else {})), f[1]]
                    for k, f in enumerate(b)])"
    lca-layers <"$FILES/a.lca" >p.lca
    lca-layers <slices.lca >q.lca
    py <<'PY'
assert len(read('p.lca')) == 2 + 34
assert [(h['kind'], b) for h, b in of_kind(read('p.lca'), 'agg')] == [(h['kind'], b) for h, b in of_kind(read('q.lca'), 'agg')]
PY
    for f in hole over short mixed; do
        run --separate-stderr lca-layers --in $f.lca --out q.lca
        assert_failure 5
        [[ $stderr == *"slice"* ]]
    done
}

@test "a stream that ends within a vector is corrupt, unless it was interrupted" {
    py <<<"$NUMPY
a = in_files('a.lca')
h, payload = a[-2]
half = [dict(h, sh=[2000]), payload[:8000]]
write('half.lca', a[:-2] + [half, a[-1]])
write('stopped.lca', a[:-2] + [half, [dict(a[-1][0], status='interrupted'), b'']])"
    run --separate-stderr lca-layers --in half.lca --out q.lca
    assert_failure 5
    [[ $stderr == *"ends within a vector of step 4" ]]
    lca-layers --in stopped.lca --out q.lca
    lca-layers --in "$FILES/a.lca" --out p.lca
    py <<'PY'
p, q = of_kind(read('p.lca'), 'agg'), of_kind(read('q.lca'), 'agg')
assert [b for h, b in q if 'total' not in h['kind']] == [b for h, b in p if 'total' not in h['kind']][:-3]
PY
}

@test "what is no lca stream, or is cut, or failed" {
    run --separate-stderr lca-layers --in "$FILES/t.lca" --out q.lca
    assert_failure 2
    [[ $stderr == *"lca-layers reads an lca stream, and this one has theta frames"* ]]
    head -c 30000 "$FILES/a.lca" >cut.lca
    run --separate-stderr lca-layers --in cut.lca --out q.lca
    assert_failure 5
    py <<<"$NUMPY
a = in_files('a.lca')
b = a[:-1] + [[dict(a[-1][0], status='failed', why='no more power'), b'']]
write('failed.lca', b)
b[-1][0]['status'] = 'interrupted'
write('interrupted.lca', b)
c = [[dict(h), v] for h, v in a]
c[2][0]['cls'] = 10
write('class.lca', c)
write('none.lca', [a[0], [dict(a[-1][0], next=0), b'']])"
    run --separate-stderr lca-layers --in failed.lca --out q.lca
    assert_failure 4
    [[ $stderr == *"no more power"* ]]
    run --separate-stderr lca-layers --in class.lca --out q.lca
    assert_failure 5
    [[ $stderr == *"class 10 of 10"* ]]
    lca-layers --in interrupted.lca --out q.lca
    py <<'PY'
p = read('q.lca')
assert p[-1][0]['status'] == 'interrupted' and of_kind(p, 'agg', kind='layers_total')
PY
    # a training of no steps has nothing to tell
    lca-layers --in none.lca --out q.lca
    py <<'PY'
p = read('q.lca')
assert [h['t'] for h, _ in p] == ['HEAD', 'EOS']
PY
}

@test "a HEAD whose tensors do not fit together is corrupt" {
    py <<<"$NUMPY
import copy
a = in_files('a.lca')
def damaged(name, change):
    b = copy.deepcopy(a)
    change(b[0][0])
    write(name + '.lca', b)
damaged('gap', lambda h: h['layers'][1].update(off=4705))
damaged('long', lambda h: h['layers'][-1].update(len=11))
damaged('shape', lambda h: h['layers'][0].update(sh=[784, 7]))
damaged('P', lambda h: h.update(P=4781))
damaged('kind', lambda h: h['layers'][0].update(k='colonel'))
damaged('empty', lambda h: h.update(layers=[]))"
    for f in gap long shape P kind empty; do
        run --separate-stderr lca-layers --in $f.lca --out q.lca
        assert_failure 5
    done
}
