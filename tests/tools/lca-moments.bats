load ../helper
load ../streams

more_files() {
    train t.lca --iterations 60
    allocate t.lca a.lca --tolerance off
    allocate t.lca class.lca --tolerance off --by-class --emit lca,move,grad,eff
}

@test "lca-moments talks like a tool" {
    talks_like_a_tool lca-moments
}

@test "every number is that of numpy and scipy, also the draws" {
    lca-moments --draws 60 --keep 7 --block 9 <"$FILES/a.lca" >p.lca
    lca-moments --draws 60 --keep 7 --block 9 --in "$FILES/a.lca" --out again.lca
    cmp p.lca again.lca
    lca-moments --of lca,move,eff --draws 30 --levels 1,0.5 --seed 9 <"$FILES/class.lca" >q.lca
    py <<'PY'
import os, stats
stats.check_moments(stats.Stream(os.environ['FILES'] + '/a.lca'), read('p.lca'), keep=7, draws=60, block=9)
stats.check_moments(stats.Stream(os.environ['FILES'] + '/class.lca'), read('q.lca'), ('lca', 'move', 'eff'),
                    levels=(1, 0.5), draws=30, seed=9, again=3)
PY
}

@test "convolutions and batch norm, selected layers, steps and classes" {
    py <<'PY'
import handmade
write('hand.lca', handmade.stream(handmade.NET, handmade.TENSORS, 90, value=handmade.noise(3), it0=7,
                                  classes=handmade.CLASSES, emit=('lca', 'move', 'eff')))
PY
    lca-moments --of lca,eff,move --draws 20 <hand.lca >p.lca
    lca-moments --layers 'conv?' --steps 10:81 --draws 20 --classes owl,cat <hand.lca >q.lca
    py <<'PY'
import stats
s = stats.Stream('hand.lca')
stats.check_moments(s, read('p.lca'), ('lca', 'move', 'eff'), draws=20, again=1)
t = s.select(['conv1', 'conv2', 'conv3'], slice(3, 74))
t.classes, t.by_class = ['cat', 'owl'], [t.by_class[0], t.by_class[2]]
stats.check_moments(t, read('q.lca'), draws=20)
PY
}

@test "many draws come near what can be computed" {
    py <<'PY'
import handmade
# two layers that peak at every odd step, ever less deep
value = lambda kind, t, s, c, P: np.full(P, (-1.0 if t % 2 else 1.0) * (60 - t))
write('hand.lca', handmade.stream(handmade.NET, [('a', 'kernel', (2, 2)), ('b', 'kernel', (2, 2))], 60, value=value))
PY
    lca-moments --keep 10 --draws 20000 --levels 1 <hand.lca >p.lca
    py <<'PY'
import scipy.stats, stats
p = read('p.lca')
at = array(stats.one(p, 'moments_at'))[0]
assert (at == np.arange(1, 20, 2)).all()            # the 10 deepest: the first
need, count, mean_a, p_a, mean_b, p_b, mean_c, p_c, exact = array(stats.one(p, 'moments_total'))[0, 0]
assert (need, count) == (2, 10)
# 10 of 29 peaks each: hypergeometric, mean 100/29
stats.near(mean_a, 100 / 29, rtol=0.015)
assert p_a == 1 / 20001                             # 1 in 20 million
stats.near(exact, scipy.stats.hypergeom.pmf(10, 58, 10, 10), rtol=1e-9)
# two different shifts: each distance but 0 as likely
overlap = [len(set(range(1, 20, 2)) & {(x + k) % 60 for x in range(1, 20, 2)}) for k in range(1, 60)]
stats.near(mean_b, np.mean(overlap), rtol=0.06)
assert p_b == 1 / 20001
# the first block of 40 steps has 20 peaks, of which 10 are drawn twice
stats.near(mean_c, 5, rtol=0.01)
PY
}

@test "ties, few peaks, and none" {
    py <<'PY'
import handmade
rows = {'tie': [0, -1, 0, -1, 0, -1, 0], 'flat': [0, -1, -1, 0, 0, 0, 0], 'zero': [0] * 7,
        'ends': [-5, 0, 1, 2, 1, 0, -5]}
for name, row in rows.items():
    write(name + '.lca', handmade.stream(handmade.NET, [('a', 'kernel', (1, 1)), ('b', 'kernel', (1, 1))], 7,
                                         value=lambda k, t, s, c, P: [row[t], 0]))
PY
    for name in tie flat zero ends; do
        lca-moments --keep 2 --draws 10 <$name.lca >$name.out
    done
    py <<'PY'
import stats
for name in ('tie', 'flat', 'zero', 'ends'):
    p = read(name + '.out')
    at = array(stats.one(p, 'moments_at'))[0]
    total = array(stats.one(p, 'moments_total'))[0]
    assert np.isnan(at[1]).all()
    if name == 'tie':
        assert at[0].tolist() == [1, 3]             # of equal ones the earlier
        assert total[:, 1].tolist() == [2, 2, 0]    # need 1, 1, 2
    else:
        assert np.isnan(at).all() and (total[:, 1] == 0).all()
    assert (total[2, [3, 5, 7]] == 1).all() and total[2, 8] == 1
    stats.check_moments(stats.Stream(name + '.lca'), p, keep=2, draws=10)
PY
}

@test "what the stream lacks is named, and options are checked" {
    run --separate-stderr lca-moments --of lca,eff --in "$FILES/a.lca" --out p.lca
    assert_failure 2
    [[ $stderr == *"has no eff frames"*"--emit lca,eff"* ]]
    rm -f p.lca
    for option in --of=grad --of= --levels=0 --levels=1.5 --levels=a --levels= --keep=0 --draws=-1 --block=0; do
        run --separate-stderr lca-moments "$option" --in "$FILES/a.lca" --out p.lca
        assert_failure 2
        [ ! -e p.lca ]
    done
}
