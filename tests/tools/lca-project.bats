load ../helper
load ../streams

more_files() {
    train t.lca
    allocate t.lca a.lca --tolerance off --emit lca,move,eff
    allocate t.lca plain.lca --tolerance off --sets train --emit lca,move
}

# basis NAME K N: K orthonormal directions of N parameters.
basis() {
    py "$@" <<'PY'
name, k, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
np.save(name, np.linalg.qr(np.random.default_rng(k).standard_normal((n, k)))[0].T)
PY
}

@test "lca-project talks like a tool" {
    talks_like_a_tool lca-project
}

@test "every number is numpy's, of a trained network" {
    basis q.npy 4 4780
    lca-project --directions q.npy <"$FILES/a.lca" >p.lca
    lca-project --directions q.npy --in "$FILES/a.lca" --out again.lca
    cmp p.lca again.lca
    # float32, row by row: other bytes, the same directions to 1e-7
    py <<<"np.save('single.npy', np.ascontiguousarray(np.load('q.npy').astype('f4')))"
    lca-project --directions single.npy <"$FILES/a.lca" >single.lca
    py <<'PY'
import os, oracle
s = oracle.Stream(read(os.environ['FILES'] + '/a.lca'))
oracle.check('project', s, read('p.lca'), np.load('q.npy'))
oracle.check('project', s, read('single.lca'), np.load('single.npy'))
PY
}

@test "a whole basis has the whole loss change, and so has a random one" {
    py <<'PY'
from handmade import *
write('hand.lca', stream(NET, TENSORS, 5, classes=CLASSES, emit=('lca', 'move', 'grad', 'eff'), value=noise(8)))
PY
    P=$(py <<<"print(read('hand.lca')[0][0]['P'])")
    basis q.npy "$P" "$P"
    lca-project --directions q.npy <hand.lca >p.lca
    py <<'PY'
import oracle
s = oracle.Stream(read('hand.lca'))
oracle.check('project', s, read('p.lca'), np.load('q.npy'))
for t in s.steps:
    f, = of_kind(read('p.lca'), 'agg', kind='project', it=t)
    d, G = s.v['move', None, None, t].astype('f8'), s.v['eff', 'train', -1, t].astype('f8')
    size = np.linalg.norm(d) * np.linalg.norm(G)
    assert np.abs(array(f)[:, 0].sum(axis=1) - d @ G).max() < 1e-12 * size
    assert np.abs(array(f)[:, 1].sum(axis=1) - s.A('train', t).sum()).max() < 1e-12
more = of_kind(read('p.lca'), 'agg', kind='project_total')[0][0]['more']
assert abs(more['percent_movement_given'] - 100) < 1e-9 and abs(more['percent_movement_random'] - 100) < 1e-9
PY
}

@test "along an axis both measures are that parameter's A" {
    py <<'PY'
from handmade import *
r = noise(9)
def value(kind, it, set_, cls, P):
    d, G = r('move', it, None, None, P), r('eff', it, 'train', -1, P)
    return {'lca': d.astype('f8') * G, 'move': d, 'eff': G}[kind]
a = stream(NET, TENSORS, 3, emit=('lca', 'move', 'eff'), value=value)
write('hand.lca', a)
q = np.zeros((3, a[0][0]['P']))
q[0, 7] = 1
q[1, 100] = -1
q[2, -1] = 1
np.save('q.npy', q)
PY
    lca-project -d q.npy <hand.lca >p.lca
    # the same where only the layers of these parameters are left
    lca-project -d q.npy --layers 'conv[12],dense1' <hand.lca >some.lca
    py <<'PY'
A = np.array([array(f) for f in of_kind(read('hand.lca'), 'lca')])[:, [7, 100, -1]]
for name in 'p.lca', 'some.lca':
    for t, f in enumerate(of_kind(read(name), 'agg', kind='project')):
        assert np.allclose(array(f)[0], [A[t], A[t]], rtol=1e-6, atol=1e-30)
PY
    run --separate-stderr lca-project -d q.npy --layers conv2,dense1 --in hand.lca --out q.lca
    assert_failure 2
    [[ $stderr == *"not orthonormal on the selected layers: directions 0 and 0"* ]]
}

@test "nothing moves: zeros, and no percentages" {
    py <<'PY'
from handmade import *
write('zero.lca', stream(NET, TENSORS, 2, emit=('lca', 'move', 'eff'), value=lambda *a: np.zeros(a[-1])))
q = np.zeros((1, read('zero.lca')[0][0]['P']))
q[0, 0] = 1
np.save('q.npy', q[0])      # one direction may be a vector
PY
    lca-project -d q.npy <zero.lca >p.lca
    py <<'PY'
p = read('p.lca')
assert all((array(f) == 0).all() for f in of_kind(p, 'agg'))
assert p[-1][0]['final']['project'][0] == {'basis': 'given', 'directions': 1, 'lca': 0.0}
PY
}

@test "frames that are missing are named" {
    basis q.npy 2 4780
    run --separate-stderr lca-project -d q.npy --in "$FILES/plain.lca" --out p.lca
    assert_failure 2
    [[ $stderr == *"step 0 has no eff frames: lca-project needs lca-integrate --emit lca,move,eff" ]]
    py <<'PY'
import os
a = read(os.environ['FILES'] + '/a.lca')
b = [f for f in a if f[0]['t'] != 'move' or f[0]['it'] != 2]
for k, f in enumerate(b[1:-1]):
    f[0]['seq'] = k
b[-1][0]['next'] = len(b) - 2
write('hole.lca', b)
PY
    run --separate-stderr lca-project -d q.npy --in hole.lca --out p.lca
    assert_failure 5
    [[ $stderr == *"step 2: the effective gradient comes before the movement" ]]
}

@test "directions that are none" {
    run --separate-stderr lca-project --in "$FILES/a.lca" --out p.lca
    assert_failure 2
    [[ $stderr == *"--directions FILE.npy is needed" ]]
    py <<'PY'
q = np.linalg.qr(np.random.default_rng(1).standard_normal((4780, 3)))[0].T
np.save('long.npy', q * [[1], [1.01], [1]])
q[2] = (q[2] + q[0]) / 2 ** 0.5
np.save('skew.npy', q)
q[1, 5] = np.nan
np.save('nan.npy', q)
np.save('narrow.npy', q[:, :4779])
np.save('none.npy', q[:0])
np.save('whole.npy', np.ones((2, 4780), int))
PY
    for bad in long:'directions 1 and 1' skew:'directions 0 and 2' nan:'off by nan' narrow:'[3, 4779]' \
        none:'[0, 4780]' whole:'float32 or float64' absent:'cannot open'; do
        run --separate-stderr lca-project -d "${bad%%:*}.npy" --in "$FILES/a.lca" --out p.lca
        assert_failure 2
        [[ $stderr == *"${bad#*:}"* ]] || fail "$stderr"
    done
    # closer than the tolerance that the user sets
    lca-project -d long.npy --tolerance 0.05 --in "$FILES/a.lca" --out p.lca
}
