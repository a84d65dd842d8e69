load ../helper
load ../streams

more_files() {
    train t.lca
    allocate t.lca a.lca --tolerance off --sets train,val,test
    allocate t.lca plain.lca --tolerance off --sets train
}

@test "lca-overfit talks like a tool" {
    talks_like_a_tool lca-overfit
}

@test "every number is numpy's, of a trained network and of either held-out set" {
    lca-overfit <"$FILES/a.lca" >p.lca
    lca-overfit --in "$FILES/a.lca" --out again.lca
    lca-overfit --set test <"$FILES/a.lca" >test.lca
    cmp p.lca again.lca
    py <<'PY'
import os, oracle
s = oracle.Stream(read(os.environ['FILES'] + '/a.lca'))
oracle.check('overfit', s, read('p.lca'))
oracle.check('overfit', s, read('test.lca'), heldout='test')
assert read('test.lca')[0][0]['prov'][-1]['args'] == {'set': 'test'}
PY
}

@test "channels with batch norm, classes in between" {
    py <<'PY'
from handmade import *
write('hand.lca', stream(NET, TENSORS, 4, sets=(('train', 100), ('val', 50)), classes=CLASSES, value=noise(5)))
PY
    lca-overfit <hand.lca >p.lca
    "$PYTHON" "$ROOT/tests/oracle.py" overfit hand.lca p.lca
}

@test "by hand: what helps one set alone" {
    py <<'PY'
from handmade import *
def value(kind, it, set_, cls, P):
    v = np.zeros(P)
    v[54] = -4 if set_ == 'train' else 1
    return v
write('hand.lca', stream(NET, TENSORS, 1, sets=(('train', 100), ('val', 50)), value=value))
PY
    lca-overfit <hand.lca >p.lca
    py <<'PY'
p = read('p.lca')
for kind in 'overfit', 'overfit_total':
    assert array(of_kind(p, 'agg', kind=kind)[0]).tolist() == [[-4, 0, 0, 0], [1, 0, 0, 0], [-5, 0, 0, 0]]
assert array(of_kind(p, 'agg', kind='overfit_units')[0]).tolist() == [[[-4, 0, 0], [1, 0, 0], [-5, 0, 0]]]
assert p[-1][0]['final']['overfit'][0] == {'name': 'all', 'train': -4.0, 'heldout': 1.0, 'difference': -5.0}
PY
}

@test "a stream without the held-out set, or with steps that lack it" {
    run --separate-stderr lca-overfit --in "$FILES/plain.lca" --out p.lca
    assert_failure 2
    [[ $stderr == *"the stream has no held-out set: it needs lca-integrate --sets train,val" ]]
    run --separate-stderr lca-overfit --set test --in "$FILES/plain.lca" --out p.lca
    assert_failure 2
    [[ $stderr == *"no held-out set test: it needs lca-integrate --sets train,test" ]]
    for step in 2 last; do
        export step
        py <<'PY'
import os
a = read(os.environ['FILES'] + '/a.lca')
it = a[-2][0]['it'] if os.environ['step'] == 'last' else int(os.environ['step'])
b = [f for f in a if not (f[0].get('it') == it and f[0].get('set') == 'val')]
for k, f in enumerate(b[1:-1]):
    f[0]['seq'] = k
b[-1][0]['next'] = len(b) - 2
write('hole.lca', b)
print(it, file=open('it', 'w'))
PY
        run --separate-stderr lca-overfit --in hole.lca --out p.lca
        assert_failure 5
        [[ $stderr == *"step $(cat it) has frames of only one of train and val" ]]
    done
}
