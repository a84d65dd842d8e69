load ../helper
load ../streams

more_files() {
    train t.lca --iterations 60
    allocate t.lca a.lca --tolerance off --emit lca,move,grad
    allocate t.lca class.lca --tolerance off --by-class --emit lca,move,grad,eff
}

@test "lca-oscillation talks like a tool" {
    talks_like_a_tool lca-oscillation
}

@test "every number is numpy's; other sets, classes and kinds do not count" {
    lca-oscillation <"$FILES/a.lca" >p.lca
    lca-oscillation --in "$FILES/a.lca" --out again.lca
    cmp p.lca again.lca
    lca-oscillation <"$FILES/class.lca" >q.lca
    py <<'PY'
import os, stats
for a, p in (('a.lca', 'p.lca'), ('class.lca', 'q.lca')):
    s = stats.Stream(os.environ['FILES'] + '/' + a)
    stats.check_oscillation(s, read(p))
assert array(stats.one(read('p.lca'), 'oscillation_total'))[:, :2].min() > 0.5
PY
}

@test "turns by hand: zeros are not bridged, products that vanish in float count" {
    py <<'PY'
import handmade
d = [[1, 1, 1e-40, 0, -1], [-1, 0, -1e-40, 0, 2], [1, -1, -1e-40, 1, -0.0], [2, 1, 1e-40, -1, 3]]
g = [[1, 1, 1, 1, 1], [1, 1, 1, 1, -1], [1, 1, 1, 1, 1], [1, 1, 1, 1, -1]]
value = lambda kind, t, s, c, P: {'move': d, 'grad': g}.get(kind, np.zeros((4, 5)))[t]
write('hand.lca', handmade.stream(handmade.NET, [('d', 'kernel', (2, 2)), ('d', 'bias', (1,))], 4,
                                  emit=('lca', 'move', 'grad'), value=value))
PY
    lca-oscillation <hand.lca >p.lca
    py <<'PY'
import stats
p = read('p.lca')
total = array(stats.one(p, 'oscillation_total'))
# turns: 2, 1, 2, 1 in the kernel and 1 in the bias; crossings: 3 in the bias
stats.near(total, [[7 / 5, 3 / 5, 4 / (7 / 5), 4 / (3 / 5)], [6 / 4, 0, 4 / (6 / 4), np.nan]])
assert [array(f)[0].tolist() for f in of_kind(p, 'agg', kind='oscillation')] == [[0, 0], [3, 1], [1, 1], [3, 1]]
stats.check_oscillation(stats.Stream('hand.lca'), p)
PY
}

@test "traces by place, by tensor, and of those that helped and hurt most" {
    lca-oscillation --trace 4000 --trace one/kernel:7 --trace two/bias:3 <"$FILES/a.lca" >p.lca
    lca-oscillation --trace hurting:two@10:30 --trace helping:one --trace helping:two@10:30 --trace 17 \
        --trace-count 3 --in "$FILES/a.lca" --out q.lca
    py <<'PY'
import os, stats
s = stats.Stream(os.environ['FILES'] + '/a.lca')
start = {t['n']: t['off'] for t in s.tensors}
stats.check_oscillation(s, read('p.lca'), [4000, 7, start['two/bias'] + 3])
names = stats.one(read('p.lca'), 'traces_total')[0]['keys']['parameter']
assert names == ['one/kernel:4000', 'one/kernel:7', 'two/bias:3'], names
def extremes(layer, steps, sign):
    span = s.span(layer)
    total = sign * s.A[steps, span].sum(axis=0, dtype=float)
    return (span.start + np.argsort(total, kind='stable')[:3]).tolist()
window = slice(10, 30)
want = [17] + extremes('two', window, -1) + extremes('one', slice(None), 1) + extremes('two', window, 1)
stats.check_oscillation(s, read('q.lca'), want)
PY
}

@test "selected layers and steps; --every leaves out frames, not events" {
    py <<'PY'
import handmade
write('hand.lca', handmade.stream(handmade.NET, handmade.TENSORS, 40, value=handmade.noise(5), it0=3,
                                  emit=('lca', 'move', 'grad')))
PY
    lca-oscillation --layers 'conv2,dense*' --steps 10:31 <hand.lca >p.lca
    lca-oscillation --every 10 <hand.lca >q.lca
    lca-oscillation <hand.lca >r.lca
    py <<'PY'
import stats
s = stats.Stream('hand.lca')
stats.check_oscillation(s.select(['conv2', 'dense1'], slice(7, 28)), read('p.lca'))
q, r = read('q.lca'), read('r.lca')
stats.check_oscillation(s, r)
assert [f[0]['it'] for f in of_kind(q, 'agg', kind='oscillation')] == [10, 20, 30, 40]
assert (array(stats.one(q, 'oscillation_total')) == array(stats.one(r, 'oscillation_total'))).all()
PY
    run --separate-stderr lca-oscillation --layers conv2 --trace dense1/bias:0 <hand.lca
    assert_failure 2
}

@test "what the stream lacks is named" {
    for emit in lca lca,move lca,grad lca,eff; do
        py $emit <<'PY'
import handmade
write('hand.lca', handmade.stream(handmade.NET, handmade.TENSORS, 3, value=handmade.noise(5),
                                  emit=sys.argv[1].split(',')))
PY
        run --separate-stderr lca-oscillation --in hand.lca --out p.lca
        assert_failure 2
        [[ $stderr == *"has no "*"--emit lca,move,grad"* ]]
        [[ $emit == *move* || $stderr == *"no move"* ]]
        [[ $emit == *grad* || $stderr == *"grad frames"* ]]
    done
}

@test "traces that do not exist are refused" {
    while read -r which text; do
        run --separate-stderr lca-oscillation --trace "$which" --in "$FILES/a.lca" --out p.lca
        assert_failure 2
        [[ $stderr == *"$text"* ]] || fail "$which: $stderr"
    done <<'END'
4780 no such parameter
one/kernel:9999 the tensor has 4704 parameters
three/kernel:0 no such tensor
kernel PLACE, TENSOR:PLACE
-1 PLACE, TENSOR:PLACE
helping:three no layer 'three'
hurting:two@5:5 has no steps
helping:two@x takes A:B
END
    run --separate-stderr bash -c 'cat "$FILES/a.lca" | lca-oscillation --trace helping:two'
    assert_failure 2
    [[ $stderr == *"twice"* ]]
}
