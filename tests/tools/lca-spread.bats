load ../helper
load ../streams

more_files() {
    train t.lca --iterations 60
    allocate t.lca class.lca --tolerance off --by-class
}

@test "lca-spread talks like a tool" {
    talks_like_a_tool lca-spread
}

@test "every number is that of numpy and scipy, held-out sets and classes left out" {
    lca-spread <"$FILES/class.lca" >p.lca
    lca-spread --in "$FILES/class.lca" --out again.lca
    cmp p.lca again.lca
    lca-spread --exact <"$FILES/class.lca" >exact.lca
    lca-spread --exact --interval 7 --in "$FILES/class.lca" --out seven.lca
    py <<'PY'
import os, stats
s = stats.Stream(os.environ['FILES'] + '/class.lca')
stats.check_spread(s, read('p.lca'))
stats.check_spread(s, read('exact.lca'), exact=True)
stats.check_spread(s, read('seven.lca'), 7, True)
# the quick histogram is not the exact one, or the bounds would bound nothing
a, b = [array(stats.one(read(f), 'spread_histogram_cut'))[2] for f in ('p.lca', 'exact.lca')]
assert (a != b).any() and abs(a - b).sum() < 0.01 * a.sum()
PY
}

@test "the double Weibull is the one that scipy fits" {
    lca-spread <"$FILES/class.lca" >p.lca
    py <<'PY'
import os, scipy.stats, stats
x = stats.Stream(os.environ['FILES'] + '/class.lca').A
x = x[x != 0].astype(float)[::17]
shape, scale = stats.weibull_fit(x)
fit, loc, fit_scale = scipy.stats.dweibull.fit(x / scale, 0.9 * shape, floc=0, scale=1.2)
stats.near([fit, fit_scale], [shape, 1], rtol=1e-3)
cost = scipy.stats.dweibull.nnlf
assert cost((shape, 0, 1), x / scale) <= cost((fit, 0, fit_scale), x / scale) + 1e-6
PY
}

@test "convolutions and batch norm, selected layers and steps" {
    py <<'PY'
import handmade
write('hand.lca', handmade.stream(handmade.NET, handmade.TENSORS, 90, value=handmade.noise(3), it0=7))
PY
    lca-spread <hand.lca >p.lca
    lca-spread --exact --layers 'conv2,dense1' --steps 20:71 <hand.lca >q.lca
    py <<'PY'
import stats
s = stats.Stream('hand.lca')
stats.check_spread(s, read('p.lca'))
stats.check_spread(s.select(['conv2', 'dense1'], slice(13, 64)), read('q.lca'), exact=True)
PY
}

@test "known answers: who carries what, and a histogram by hand" {
    py <<'PY'
import handmade
v = np.zeros(100, 'f4')
v[:8] = [-90, -4, -3, -2, -1, 5, 5, 20]
v[8:11] = [-0.0, 1e-3, -1e-3]
value = lambda kind, t, s, c, P: v * (t + 1)
write('hand.lca', handmade.stream(handmade.NET, [('d', 'kernel', (10, 10))], 2, value=value))
PY
    lca-spread --exact <hand.lca >p.lca
    py <<'PY'
import stats
p = read('p.lca')
shares = array(stats.one(p, 'spread_shares'))
stats.near(shares[0, [0, 1]], [6, 3 * 100.001])
stats.near(shares[1, [0, 1]], [4, 3 * 30.001])
stats.near(shares[:, 3], [100 / 3, 75])         # 90 of 100.001 are not 90 %; 20 + 5 + 5 of 30.001 are
stats.near(shares[:, 4], [100 * 90 / 100.001, 100 * 20 / 30.001])
h = stats.one(p, 'spread_histogram')
lower, upper, count = array(h)[:3]
assert h[0]['more']['zeros'] == 180 and count.sum() == 20 and count[0] == 1
assert lower[0] <= -180 < upper[0] and 0 in lower
stats.check_spread(stats.Stream('hand.lca'), p, exact=True)
PY
}

@test "--exact wants a file, and says so" {
    run --separate-stderr bash -c 'cat "$FILES/class.lca" | lca-spread --exact'
    assert_failure 2
    assert_equal "$output" ""
    [[ $stderr == *"--exact reads the stream three times"*"lca-cat"*"--in FILE"* ]]
    run --separate-stderr lca-spread --exact --in ipc:nowhere
    assert_failure 2
    lca-cat --in "$FILES/class.lca" --out packed.lca.zst
    lca-spread --exact --in packed.lca.zst --out p.lca
    lca-spread --exact <"$FILES/class.lca" | cmp - p.lca
}
