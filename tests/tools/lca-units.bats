load ../helper
load ../streams

more_files() {
    train t.lca
    allocate t.lca a.lca --tolerance off
}

@test "lca-units talks like a tool" {
    talks_like_a_tool lca-units
}

@test "every number is numpy's, of a trained network" {
    lca-units <"$FILES/a.lca" >p.lca
    lca-units --in "$FILES/a.lca" --out again.lca
    cmp p.lca again.lca
    "$PYTHON" "$ROOT/tests/oracle.py" units "$FILES/a.lca" p.lca
}

@test "channels have their batch norm, inputs are those of the kernel" {
    py <<'PY'
from handmade import *
write('hand.lca', stream(NET, TENSORS, 5, sets=(('train', 100), ('val', 50)), value=noise(2)))
PY
    lca-units <hand.lca >p.lca
    py <<'PY'
import oracle
a, p = read('hand.lca'), read('p.lca')
oracle.check('units', a, p)
# the units of a layer are the layer
s = oracle.Stream(a)
for name in s.layers:
    f, = [f for f in of_kind(p, 'agg', kind='units', it=3, set='val') if f[0]['keys']['layer'] == [name]]
    lo, hi = s.span(name)
    assert abs(array(f).sum() - s.A('val', 3)[lo:hi].sum()) < 1e-15
PY
}

@test "by hand: one parameter, all zeros, one step" {
    py <<'PY'
from handmade import *
def one(kind, it, set_, cls, P):
    v = np.zeros(P)
    # conv1's kernel [kh][kw][in][out] at [2][1][1][0], its beta of channel 2, dense1's bias of unit 1
    v[((2 * 3 + 1) * 2 + 1) * 3 + 0] = -3
    v[54 + 3 + 3 + 2] = 5
    v[-2] = 7
    return v
write('one.lca', stream(NET, TENSORS, 1, value=one))
write('zero.lca', stream(NET, TENSORS, 3, value=lambda *a: np.zeros(a[-1])))
PY
    lca-units <one.lca >p.lca
    lca-units <zero.lca >q.lca
    py <<'PY'
import oracle
p = read('p.lca')
def get(kind, layer):
    f, = [f for f in of_kind(p, 'agg', kind=kind) if f[0]['keys']['layer'] == [layer]]
    return array(f)[0].tolist()
for kind in 'units', 'units_total':
    assert get(kind, 'conv1') == [-3, 0, 5] and get(kind, 'dense1') == [0, 7, 0] and get(kind, 'conv2') == [0] * 5
assert get('inputs_total', 'conv1') == [0, -3] and get('inputs_total', 'dense1') == [0] * 4
assert p[-1][0]['final']['units'][0] == {'name': 'conv1', 'outputs': 3, 'percent_outputs_helping': 100 / 3,
                                         'inputs': 2, 'percent_inputs_helping': 50.0}
q = read('q.lca')
assert all((array(f) == 0).all() for f in of_kind(q, 'agg'))
oracle.check('units', read('zero.lca'), q)
PY
}

@test "a batch norm of a flattened convolution is folded, a tensor that fits nowhere is refused" {
    py <<'PY'
from handmade import *
net = dict(NET, layers=[])
def make(name, gamma):
    tensors = [('conv', 'kernel', (1, 1, 2, 3)), ('conv', 'bias', (3,)), ('conv', 'gamma', (gamma,))]
    write(name, stream(net, tensors, 2, value=noise(3)))
make('flat.lca', 12)
make('odd.lca', 13)
PY
    lca-units <flat.lca >p.lca
    "$PYTHON" "$ROOT/tests/oracle.py" units flat.lca p.lca
    run --separate-stderr lca-units --in odd.lca --out q.lca
    assert_failure 2
    [[ $stderr == *"conv/gamma has 13 parameters, which do not go with the 3 outputs of conv" ]]
}

@test "a layer of very many units: HEAD announces its frames" {
    py <<'PY'
from handmade import *
net = dict(NET, layers=[])
write('wide.lca', stream(net, [('a', 'kernel', (150000, 2)), ('a', 'bias', (2,))], 1, value=noise(4)))
PY
    lca-units <wide.lca >p.lca
    py <<'PY'
import oracle
p = read('p.lca')
oracle.check('units', read('wide.lca'), p)
assert p[0][0]['nbmax'] == 1200000 == max(len(v) for _, v in p)
PY
}
