load ../helper
load ../streams

more_files() {
    train t.lca
    allocate t.lca a.lca --tolerance off --by-class
    allocate t.lca plain.lca --tolerance off --sets train
}

@test "lca-classes talks like a tool" {
    talks_like_a_tool lca-classes
}

@test "every number is numpy's, of a trained network" {
    lca-classes <"$FILES/a.lca" >p.lca
    lca-classes --in "$FILES/a.lca" --out again.lca
    cmp p.lca again.lca
    "$PYTHON" "$ROOT/tests/oracle.py" classes "$FILES/a.lca" p.lca
    # classes add up to all of them, as lca-layers has them
    lca-layers <"$FILES/a.lca" >l.lca
    py <<'PY'
p, l = read('p.lca'), read('l.lca')
for s in 'train', 'val':
    classes, = of_kind(p, 'agg', kind='classes_total', set=s)
    layers, = of_kind(l, 'agg', kind='layers_total', set=s)
    assert np.abs(array(classes).sum(axis=0) - array(layers)).max() < 1e-6 * np.abs(array(classes)).sum()
PY
}

@test "channels of a convolution with batch norm" {
    py <<'PY'
from handmade import *
write('hand.lca', stream(NET, TENSORS, 6, sets=(('train', 100), ('test', 50)), classes=CLASSES, value=noise(4)))
PY
    lca-classes --threshold 60 --units <hand.lca >p.lca
    py <<'PY'
import oracle
p = read('p.lca')
oracle.check('classes', read('hand.lca'), p, threshold=60.0, by_step=True)
assert p[0][0]['prov'][-1]['args'] == {'threshold': 60.0, 'units': True}
share, = of_kind(p, 'agg', kind='concentrated_total')
assert 0 < array(share)[:, 0].max() <= 100 and (array(share)[:, 2] == 100).all()
PY
}

# conv1 has three channels; what each class did to them, in two steps:
#   channel 0: -3 -1  0     r = 75 %, 100 %, 100 %
#   channel 1: -4  1 -1     r = 80 %, 100 %, 100 %: not above 80
#   channel 2:  2  0  1     helped nobody
@test "concentration by hand" {
    py <<'PY'
from handmade import *
did = np.array([[-3, -4, 2], [-1, 1, 0], [0, -1, 1]]) / 2
def value(kind, it, set_, cls, P):
    v = np.zeros(P)
    if cls >= 0:
        v[54:57] = did[cls]     # the biases
    return v
write('hand.lca', stream(NET, TENSORS, 2, classes=CLASSES, value=value))
write('zero.lca', stream(NET, TENSORS, 1, classes=CLASSES, value=lambda *a: np.zeros(a[-1])))
PY
    lca-classes <hand.lca >p.lca
    lca-classes --threshold 79.9 <hand.lca >q.lca
    lca-classes --classes owl,cat <hand.lca >two.lca
    lca-classes <zero.lca >z.lca
    py <<'PY'
def conv1(name, kind):
    f = [f for f in of_kind(read(name), 'agg', kind=kind) if 'conv1' in f[0]['keys']['layer']][0]
    return array(f)[0], f[0].get('more')
r, _ = conv1('p.lca', 'concentration_total')
assert np.array_equal(r, [[75, 100, 100], [80, 100, 100], [np.nan] * 3], equal_nan=True)
share, more = conv1('p.lca', 'concentrated_total')
assert share.tolist() == [0, 100, 100] and more['excluded'] == [1, 5, 4, 3] and more['units'] == [3, 5, 4, 3]
assert conv1('q.lca', 'concentrated_total')[0].tolist() == [50, 100, 100]
final = read('p.lca')[-1][0]['final']['class_concentration']
assert final[0] == {'name': 'conv1', 'units': 3, 'excluded': 1, 'percent_r1': 0.0, 'percent_r2': 100.0,
                    'percent_r3': 100.0}
assert final[1] == {'name': 'conv2', 'units': 5, 'excluded': 5}
sums, _ = conv1('p.lca', 'class_units_total')
assert sums.tolist() == [[-3, -4, 2], [-1, 1, 0], [0, -1, 1]]
# of cat and owl alone
r, _ = conv1('two.lca', 'concentration_total')
assert np.array_equal(r, [[100, 100, 100], [80, 100, 100], [np.nan] * 3], equal_nan=True)
# N / n_c: cat 5, dog 10/3, owl 2
means = array(of_kind(read('p.lca'), 'agg', kind='class_means_total')[0])[:, 0]
assert np.allclose(means, [-5 * 5, 0, 0], rtol=1e-15)
r, _ = conv1('z.lca', 'concentration_total')
assert np.isnan(r).all() and np.isnan(conv1('z.lca', 'concentrated_total')[0]).all()
PY
}

@test "a stream without classes, or one that lacks some" {
    run --separate-stderr lca-classes --in "$FILES/plain.lca" --out p.lca
    assert_failure 2
    [[ $stderr == *"no frames by class: it needs lca-integrate --by-class" ]]
    py <<'PY'
import os
a = read(os.environ['FILES'] + '/a.lca')
b = [f for f in a if not (f[0].get('it') == 2 and f[0].get('cls') == 4 and f[0]['set'] == 'val')]
for k, f in enumerate(b[1:-1]):
    f[0]['seq'] = k
b[-1][0]['next'] = len(b) - 2
write('hole.lca', b)
PY
    run --separate-stderr lca-classes --in hole.lca --out p.lca
    assert_failure 5
    [[ $stderr == *"step 2 of val: the frame of class 5 comes where that of class 4 is due" ]]
}
