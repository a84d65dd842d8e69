# Interventions, through lca-train and lca-integrate: what the optimiser did is worked
# out again from the mini-batch gradients, bit for bit, and A follows it.
load ../helper
load ../streams

# run_with [OPTION]...: thetas t.lca, gradients g.lca, allocations a.lca, movements among them.
run_with() {
    train t.lca --iterations 8 --gradients g.lca "$@"
    allocate t.lca a.lca --emit lca,move
}

# again KEY=VALUE...: the same steps in numpy; layers are slices of the vector.
again() {
    py "$@" <<'PY'
o = dict(a.split('=', 1) for a in sys.argv[1:])
f4 = np.float32
layer = {'one': slice(0, 4710), 'two': slice(4710, 4780)}
T = [array(p) for p in of_kind(read('t.lca'), 'theta')]
G = [array(p) for p in of_kind(read('g.lca'), 'grad', set='batch')]
assert len(T) == 9 and len(G) == 8
lr, momentum = float(o.get('lr', .05)), float(o.get('momentum', .9))
schedule = {int(k): float(v) for k, v in (s.split(':') for s in o.get('steps', '').split(',') if s)}
theta, v = T[0].copy(), np.zeros(4780, f4)
common = lr
for t in range(8):
    common = schedule.get(t, common)
    for name, s in layer.items():
        rate = common if name + '.lr' not in o else float(o[name + '.lr']) * (common / lr)
        m = f4(o.get(name + '.momentum', momentum))
        delay, freeze = int(o.get(name + '.delay', 0)), int(o.get(name + '.freeze', 99))
        if t >= freeze:
            v[s] = 0
        elif t >= delay:
            v[s] = m * v[s] + G[t - delay][s]
            theta[s] = theta[s] - f4(rate) * v[s]
    assert (theta == T[t + 1]).all(), (t, np.abs(theta - T[t + 1]).max())
# the allocation: exactly 0 where nothing moved, and conserved
for set in ('train', 'val'):
    A = of_kind(read('a.lca'), 'lca', set=set)
    d = of_kind(read('a.lca'), 'move')
    assert len(A) == 8 and len(d) == 8
    for t in range(8):
        a, h = array(A[t]), A[t][0]
        assert abs(h['res']) <= 1e-3 and abs(a.sum(dtype='f8') - (h['L1'] - h['L0'])) < 1.1e-3
        assert (array(d[t]) == (T[t + 1].astype('f8') - T[t]).astype('f4')).all()
        for name, s in layer.items():
            still = t >= int(o.get(name + '.freeze', 99)) or t < int(o.get(name + '.delay', 0))
            assert (a[s] != 0).any() != still, (set, name, t)
            assert (array(d[t])[s] != 0).any() != still
PY
}

@test "no intervention: SGD with momentum" {
    run_with
    again
}

@test "learning rate and momentum by layer" {
    run_with --layer-lr one=0.005 --layer-momentum two=0.3
    again one.lr=0.005 two.momentum=0.3
}

@test "learning-rate steps, which a layer's own rate follows in ratio" {
    run_with --lr-steps 2=0.02,5=0.1 --layer-lr two=0.01
    again steps=2:0.02,5:0.1 two.lr=0.01
}

@test "a layer frozen from the start has A exactly 0; the other goes on" {
    run_with --freeze one
    again one.freeze=0
}

@test "a layer frozen from step 3 on stops at once, its momentum too; the other keeps its own" {
    run_with --freeze two@3
    again two.freeze=3
    # until then nothing is different
    mv t.lca frozen.lca
    mv a.lca frozen-a.lca
    run_with
    py <<'PY'
for a, b, of in (('frozen.lca', 't.lca', 'theta'), ('frozen-a.lca', 'a.lca', 'lca')):
    x, y = of_kind(read(a), of), of_kind(read(b), of)
    n = 4 if of == 'theta' else 6
    assert [p[1] for p in x[:n]] == [p[1] for p in y[:n]] and x[n][1] != y[n][1]
PY
}

@test "a delayed layer stays for D steps, then follows with the gradients of D steps before" {
    run_with --delay two=3
    again two.delay=3
}

@test "all at once" {
    run_with --lr 0.1 --momentum 0.7 --delay one=2 --freeze one@5 --layer-lr two=0.02 --lr-steps 4=0.05
    again lr=0.1 momentum=0.7 one.delay=2 one.freeze=5 two.lr=0.02 steps=4:0.05
}

@test "every intervention is part of the run's definition" {
    train a.lca
    for other in "--freeze two@3" "--layer-lr one=0.01" "--layer-momentum one=0.5" "--delay two=1" "--lr-steps 2=0.01" \
        "--dropout off" "--from a.lca"; do
        train b.lca $other
        py "$other" <<'PY'
a, b = read('a.lca')[0][0], read('b.lca')[0][0]
assert a['run'] != b['run'] and a['def'] != b['def'], sys.argv[1]
PY
    done
}

@test "--from starts at given weights: a recording's first theta, or that of a step" {
    train a.lca --seed 7
    train b.lca --from a.lca --gradients g.lca
    train c.lca --from a.lca@3
    py <<'PY'
import hashlib
a, b, c = (of_kind(read(f), 'theta') for f in ('a.lca', 'b.lca', 'c.lca'))
assert b[0][1] == a[0][1] and c[0][1] == a[3][1]
assert b[1][1] != a[1][1]           # seed 1 has other batches
g = array(of_kind(read('g.lca'), 'grad')[0])
assert (array(b[1]) == array(b[0]) - np.float32(.05) * g).all()
d = read('c.lca')[0][0]['def']
assert d['from_sha256'] == hashlib.sha256(c[0][1]).hexdigest() and d['seed'] == 1
PY
    # with the seed of the recording, its own training again
    train d.lca --seed 7 --from a.lca
    py <<'PY'
a, d = (of_kind(read(f), 'theta') for f in ('a.lca', 'd.lca'))
assert [p[1] for p in a] == [p[1] for p in d]
PY
}

@test "--from refuses what are no weights of this network" {
    train a.lca
    run --separate-stderr train b.lca --from a.lca@9
    assert_failure 2
    [[ $stderr == *"no theta of step 9: its last is of step 4"* ]]
    run --separate-stderr train b.lca --from a.lca --net "$FILES/smooth.json"
    assert_failure 2
    [[ $stderr == *"weights of small"*"not those of smooth"* ]]
    run --separate-stderr train b.lca --from none.lca
    assert_failure 2
    [[ $stderr == *none.lca* ]]
    run --separate-stderr train b.lca --from "$FILES/relu.json"
    assert_failure 5
    head -c 30000 a.lca >cut.lca
    train b.lca --from cut.lca@0
    run --separate-stderr train b.lca --from cut.lca@2
    assert_failure 5
    [[ $stderr == *cut.lca* ]]
    head -c 10000 a.lca >cut.lca
    run --separate-stderr train b.lca --from cut.lca
    assert_failure 5
}

@test "mini-batch gradients are those of the mini-batch, with its loss, under the theta stream's run" {
    train t.lca --examples 100 --batch 100 --gradients g.lca
    py <<'PY'
import os
x, y = reference.Data(os.environ['FILES'] + '/s.data').sets['train']
t, g = read('t.lca'), read('g.lca')
net = reference.Net(t[0][1])
assert g[0][0]['st'] == 'gradients' and g[0][0]['run'] == t[0][0]['run'] and g[0][0]['it1'] == 4
assert [h['it'] for h, _ in g[1:-1]] == [0, 1, 2, 3] and g[-1][0]['status'] == 'ok' and g[-1][0]['next'] == 4
for k in range(4):
    loss, want = net.loss(array(t[1 + k]).astype('f8'), x[:100], y[:100])
    h = g[1 + k][0]
    assert h['set'] == 'batch' and h['loss'] == t[2 + k][0]['mbloss'] and abs(h['loss'] - loss) < 1e-5
    assert np.abs(array(g[1 + k]) - want).max() < 1e-6
PY
}
