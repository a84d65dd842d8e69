load ../helper
load ../streams

more_files() {
    train t.lca --iterations 60
    allocate t.lca class.lca --tolerance off --by-class
}

@test "lca-correlation talks like a tool" {
    talks_like_a_tool lca-correlation
}

@test "every number is that of numpy and scipy, the fake units drawn again" {
    lca-correlation <"$FILES/class.lca" >p.lca
    lca-correlation --in "$FILES/class.lca" --out again.lca
    cmp p.lca again.lca
    lca-correlation --seed 8 --in "$FILES/class.lca" --out eight.lca
    py <<'PY'
import os, stats
s = stats.Stream(os.environ['FILES'] + '/class.lca')
stats.check_correlation(s, read('p.lca'))
stats.check_correlation(s, read('eight.lca'), seed=8)
PY
}

@test "windows of a live stream, the last one shorter" {
    cat "$FILES/class.lca" | lca-correlation --window 17 >p.lca
    lca-correlation --window 59 <"$FILES/class.lca" >q.lca
    lca-correlation --window 60 <"$FILES/class.lca" >whole.lca
    lca-correlation <"$FILES/class.lca" >r.lca
    py <<'PY'
import os, stats
s = stats.Stream(os.environ['FILES'] + '/class.lca')
stats.check_correlation(s, read('p.lca'), 17)
q = read('q.lca')
assert len(of_kind(q, 'agg', kind='correlation')) == 1      # one step has no correlation
assert stats.one(q, 'correlation_total')[0]['more'] == {'steps': 59}
stats.check_correlation(s, q, 59)
whole, r = [array(stats.one(read(f), 'correlation_total')) for f in ('whole.lca', 'r.lca')]
stats.near(whole, r, rtol=1e-12)
PY
}

@test "convolutions: inputs and outputs are channels; selected layers have the same fakes" {
    py <<'PY'
import handmade
write('hand.lca', handmade.stream(handmade.NET, handmade.TENSORS, 30, value=handmade.noise(3), it0=7))
PY
    lca-correlation <hand.lca >p.lca
    lca-correlation --layers 'conv2,dense1' --steps 10:31 --window 8 <hand.lca >q.lca
    py <<'PY'
import stats
s = stats.Stream('hand.lca')
p = read('p.lca')
stats.check_correlation(s, p)
units = [array(f).shape[3] for f in of_kind(p, 'agg', kind='correlation_inputs')]
assert units == [2, 3, 5, 4], units
stats.check_correlation(s.select(['conv2', 'dense1'], slice(3, 24)), read('q.lca'), 8)
PY
}

@test "known answers: weights of one output alike, constant series left out" {
    py <<'PY'
import handmade
rng = np.random.default_rng(1)
own = rng.standard_normal((40, 3))
def value(kind, t, s, c, P):
    v = np.tile(own[t], (6, 1)) * (np.arange(6)[:, None] + 1)       # [in][out]: all of an output in step
    v[4] = 0                                                        # an input that does nothing
    return v.ravel()
write('hand.lca', handmade.stream(handmade.NET, [('d', 'kernel', (6, 3))], 40, value=value))
PY
    lca-correlation <hand.lca >p.lca
    py <<'PY'
import stats
p = read('p.lca')
outputs = array(stats.one(p, 'correlation_outputs'))[0]
inputs = array(stats.one(p, 'correlation_inputs'))[0]
stats.near(outputs[0, 0], [1, 1, 1], rtol=1e-6)
assert np.isnan(inputs[:, 0, 4]).all() and np.isfinite(inputs[:, 0, [0, 1, 2, 3, 5]]).all()
stats.near(inputs[0, 0, 1], inputs[0, 0, 0], rtol=1e-5, atol=1e-7)
table = array(stats.one(p, 'correlation_total'))[0]
assert table[0, 0, 2] == 5 and table[1, 0, 2] == 3
assert abs(table[1, 0, 1]) < 0.5
stats.near(table[1, 0, 4:6], [1, 0.1])          # 3 against 3, apart: 2 of C(6, 3)
stats.check_correlation(stats.Stream('hand.lca'), p)
PY
}

@test "without --window a pipe is refused, with the way out" {
    run --separate-stderr bash -c 'cat "$FILES/class.lca" | lca-correlation'
    assert_failure 2
    assert_equal "$output" ""
    [[ $stderr == *"without --window W reads the stream twice"*"--in FILE"* ]]
}
