load ../helper
load ../streams

more_files() {
    train t.lca --iterations 9
    allocate t.lca a.lca --tolerance off
}

# body FILE: its frames but HEAD.
body() {
    "$PYTHON" "$ROOT/tests/frames.py" --array "$1" | sed 1d
}

@test "lca-params talks like a tool" {
    talks_like_a_tool lca-params
}

@test "every number is numpy's, in one pass and in two" {
    lca-params -k 20 --neuron one:3 <"$FILES/a.lca" >p.lca
    lca-params -k 20 --neuron one:3 --in "$FILES/a.lca" --out again.lca
    lca-params -k 20 --neuron one:3 --two-pass --in "$FILES/a.lca" --out two.lca
    cmp p.lca again.lca
    diff <(body p.lca) <(body two.lca)
    py <<'PY'
import os, oracle
s = oracle.Stream(read(os.environ['FILES'] + '/a.lca'))
for f in 'p.lca', 'two.lca':
    assert oracle.check('params', s, read(f), count=20, neurons=[('one', 3, (28, 28, 1))]) == list(range(9))
assert read('two.lca')[0][0]['prov'][-1]['args'] == {'count': 20, 'seed': 1, 'neuron': 'one:3'}
PY
}

@test "a layer with fewer parameters gives all it has; another seed draws others" {
    lca-params -k 100 --layers two <"$FILES/a.lca" >p.lca
    lca-params -k 30 --seed 1 <"$FILES/a.lca" >one.lca
    lca-params -k 30 --seed 2 <"$FILES/a.lca" >two.lca
    py <<'PY'
f, = of_kind(read('p.lca'), 'agg', kind='params_chosen')
assert f[0]['sh'] == [1, 3, 70] and sorted(array(f)[0][2]) == list(range(4710, 4780))
a, b = [array(of_kind(read(n), 'agg', kind='params_chosen')[0])[0] for n in ('one.lca', 'two.lca')]
assert (a[:2] == b[:2]).all() and (a[2] != b[2]).any()
PY
}

@test "ties go to the lower place; all zeros, one step" {
    py <<'PY'
from handmade import *
def value(kind, it, set_, cls, P):
    v = np.zeros(P)
    v[[40, 10, 30]] = -2
    v[[20, 5]] = 3
    return v
write('ties.lca', stream(NET, TENSORS, 1, value=value))
write('zero.lca', stream(NET, TENSORS, 2, value=lambda *a: np.zeros(a[-1])))
PY
    lca-params -k 4 --neuron conv1:1 <ties.lca >p.lca
    lca-params -k 4 <zero.lca >q.lca
    py <<'PY'
import oracle
p, q = read('p.lca'), read('q.lca')
oracle.check('params', read('ties.lca'), p, count=4, neurons=[('conv1', 1, (3, 3, 2))])
oracle.check('params', read('zero.lca'), q, count=4)
chosen = array(of_kind(p, 'agg', kind='params_chosen')[0])[0]
assert chosen[0].tolist() == [10, 30, 40, 0] and chosen[1].tolist() == [5, 20, 0, 1]
assert array(of_kind(q, 'agg', kind='params_chosen')[0])[0][:2].tolist() == [[0, 1, 2, 3]] * 2
PY
}

@test "the image of a neuron: of the input, of channels, of what was flattened" {
    py <<'PY'
from handmade import *
write('hand.lca', stream(NET, TENSORS, 3, value=noise(6)))
PY
    lca-params -k 2 --neuron conv2:4 --neuron conv3:0 --neuron dense1:2 <hand.lca >p.lca
    py <<'PY'
import oracle
oracle.check('params', read('hand.lca'), read('p.lca'), count=2,
             neurons=[('conv2', 4, (3, 3, 3)), ('conv3', 0, (1, 1, 5)), ('dense1', 2, (1, 1, 4))])
PY
    for bad in conv1 conv1: :3 conv1:x conv1:-1 conv9:0 conv1:3; do
        run --separate-stderr lca-params --neuron "$bad" --in hand.lca --out q.lca
        assert_failure 2
        [[ $stderr == *"--neuron"* ]]
    done
}

# 4,780 parameters of 8 bytes: a mebibyte holds 27 steps.
@test "memory that is full: fewer points, each exact, and the ends stay" {
    py <<'PY'
from handmade import *
net = {'name': 'wide', 'input': [1, 1, 477], 'classes': 10, 'layers': [{'type': 'dense', 'name': 'd', 'units': 10}]}
write('long.lca', stream(net, [('d', 'kernel', (477, 10)), ('d', 'bias', (10,))], 130, value=noise(7)))
PY
    run --separate-stderr lca-params -k 3 --memory 1 --in long.lca --out p.lca
    assert_success
    [[ $stderr == *"--memory 1 is full: the curves will have fewer points" ]]
    run --separate-stderr lca-params -k 3 --memory 1 --every 5 --in long.lca --out few.lca
    assert_success
    [ "$stderr" = "" ]
    py <<'PY'
import oracle
s = oracle.Stream(read('long.lca'))
assert oracle.check('params', s, read('p.lca'), count=3) == list(range(0, 130, 8))
assert oracle.check('params', s, read('few.lca'), count=3) == list(range(0, 130, 5))
assert read('p.lca')[0][0]['prov'][-1]['args']['memory'] == 1
PY
    py <<'PY'
from handmade import *
net = {'name': 'wide', 'input': [1, 1, 7000], 'classes': 10, 'layers': [{'type': 'dense', 'name': 'd', 'units': 10}]}
write('wide.lca', stream(net, [('d', 'kernel', (7000, 10)), ('d', 'bias', (10,))], 1, value=noise(7)))
PY
    run --separate-stderr lca-params --memory 1 --in wide.lca --out q.lca
    assert_failure 2
    [[ $stderr == *"--memory 1 does not hold two steps of 70010 parameters: "* ]]
    lca-params --memory 1 --two-pass --in wide.lca --out q.lca
}

@test "two passes need a recording" {
    mkfifo pipe.lca
    for in in ipc:lca pipe.lca; do
        run --separate-stderr lca-params --two-pass --in $in --out q.lca
        assert_failure 2
        [[ $stderr == *"--two-pass reads the stream twice, which a socket or a pipe does not allow: record it with "* ]]
    done
    lca-params --two-pass --in "$FILES/a.lca" --out named.lca
    lca-params --two-pass --out stdin.lca <"$FILES/a.lca"
    cmp named.lca stdin.lca
}
