# --steps, --layers, --classes and --every, which the loop of all filters knows.
load ../helper
load ../streams

more_files() {
    train t.lca --iterations 6
    allocate t.lca class.lca --tolerance off --by-class
    allocate t.lca plain.lca --tolerance off
}

@test "steps: A to B-1 are left, and totals are theirs" {
    lca-layers <"$FILES/class.lca" >all.lca
    lca-layers --steps 2:4 <"$FILES/class.lca" >some.lca
    py <<'PY'
a, b = of_kind(read('all.lca'), 'agg'), of_kind(read('some.lca'), 'agg')
for kind in 'layers', 'tensors', 'class_layers':
    want = [(h['it'], h['set'], v) for h, v in a if h['kind'] == kind and h['it'] in (2, 3)]
    assert len(want) == 4 and [(h['it'], h['set'], v) for h, v in b if h['kind'] == kind] == want
for s in 'train', 'val':
    total = sum(array(f) for f in of_kind(b, 'agg', kind='layers', set=s))
    got, = of_kind(b, 'agg', kind='layers_total', set=s)
    assert np.allclose(array(got), total, rtol=1e-12) and got[0]['it'] == 3
head = read('some.lca')[0][0]
assert head['prov'][-1]['args'] == {'steps': '2:4'}
PY
    # an end that is left out is the stream's
    lca-layers --steps 0: <"$FILES/class.lca" >p.lca
    lca-layers --steps :6 <"$FILES/class.lca" >q.lca
    py <<'PY'
a = [v for h, v in read('all.lca')[1:]]
assert a == [v for h, v in read('p.lca')[1:]] and a == [v for h, v in read('q.lca')[1:]]
PY
}

@test "steps: what is not there, or is no range" {
    for bad in 6: 7:9; do
        run --separate-stderr lca-layers --steps $bad --in "$FILES/plain.lca" --out p.lca
        assert_failure 2
        [[ $stderr == *"--steps $bad: the stream has steps 0 to 5" ]]
    done
    for bad in 3 3:3 5:2 a:b ''; do
        run --separate-stderr lca-layers --steps "$bad" --in "$FILES/plain.lca" --out p.lca
        assert_failure 2
        [[ $stderr == *"--steps"* ]]
    done
    # a stream that does not say where it ends
    py <<'PY'
import os
a = read(os.environ['FILES'] + '/plain.lca')
del a[0][0]['it1']
write('open.lca', a)
PY
    run --separate-stderr lca-layers --steps 6: --in open.lca --out p.lca
    assert_success
    [[ $stderr == *"warning: the stream has no step within --steps 6:" ]]
}

@test "layers: those that match, with parameters where they were" {
    lca-layers <"$FILES/class.lca" >all.lca
    lca-layers --layers 't*' <"$FILES/class.lca" >two.lca
    lca-helping <"$FILES/class.lca" >all-h.lca
    lca-helping --layers two <"$FILES/class.lca" >two-h.lca
    py <<'PY'
a, b = of_kind(read('all.lca'), 'agg'), of_kind(read('two.lca'), 'agg')
assert len(a) == len(b)
for f, g in zip(a, b):
    axis = f[0]['dims'][-1]
    keep = [k for k, n in enumerate(f[0]['keys'][axis]) if n.startswith('two')]
    assert g[0]['keys'][axis] == [f[0]['keys'][axis][k] for k in keep] and keep
    assert (array(g) == array(f)[..., keep]).all()
# all parameters are now those of the layer
a, b = [of_kind(read(f), 'agg', kind='helping_total')[0] for f in ('all-h.lca', 'two-h.lca')]
assert b[0]['keys']['group'] == ['all', 'two'] and np.array_equal(array(b)[1], array(a)[2], equal_nan=True)
assert np.array_equal(array(b)[0], array(b)[1], equal_nan=True)
h, = of_kind(read('two-h.lca'), 'agg', kind='helping_histogram')
assert array(h).sum() == 2 * 70
PY
    run --separate-stderr lca-layers --layers 'one,three*' --in "$FILES/plain.lca" --out p.lca
    assert_failure 2
    [[ $stderr == *"--layers: no layer matches 'three*'; there are one two" ]]
}

@test "classes: their rows, and all classes as before" {
    lca-layers <"$FILES/class.lca" >all.lca
    lca-layers --classes 7,2 <"$FILES/class.lca" >some.lca
    py <<'PY'
a, b = of_kind(read('all.lca'), 'agg'), of_kind(read('some.lca'), 'agg')
assert len(a) == len(b)
for f, g in zip(a, b):
    if f[0]['dims'][0] == 'class':
        assert g[0]['keys']['class'] == ['2', '7'] and (array(g) == array(f)[[2, 7]]).all()
    else:
        assert f[1] == g[1]
assert [c['name'] for c in read('some.lca')[-1][0]['final']['classes']] == ['2', '7']
PY
    run --separate-stderr lca-layers --classes 10 --in "$FILES/class.lca" --out p.lca
    assert_failure 2
    [[ $stderr == *"--classes: there is no class '10'; there are 0 1 2 3 4 5 6 7 8 9" ]]
    py <<'PY'
import os
a = read(os.environ['FILES'] + '/class.lca')
a[0][0]['bycls'] = False
write('secret.lca', a)
PY
    run --separate-stderr lca-layers --in secret.lca --out p.lca
    assert_failure 5
    [[ $stderr == *"a frame by class, and HEAD says that there are none" ]]
    run --separate-stderr lca-layers --classes 1 --in "$FILES/plain.lca" --out p.lca
    assert_failure 2
    [[ $stderr == *"no frames by class: it needs lca-integrate --by-class" ]]
}

@test "every: fewer frames, the same totals" {
    for filter in lca-layers lca-helping; do
        $filter <"$FILES/class.lca" >all.lca
        $filter --every 4 <"$FILES/class.lca" >some.lca
        py <<'PY'
a, b = read('all.lca'), read('some.lca')
total = lambda h: h['kind'].endswith('_total') or h['kind'].endswith('_histogram')
want = [(h['kind'], h['it'], v) for h, v in of_kind(a, 'agg') if total(h) or h['it'] in (0, 4)]
assert [(h['kind'], h['it'], v) for h, v in of_kind(b, 'agg')] == want
assert b[-1][0]['final'] == a[-1][0]['final'] and b[0][0]['prov'][-1]['args'] == {'every': 4}
PY
    done
    run --separate-stderr lca-layers --every 0 --in "$FILES/plain.lca" --out p.lca
    assert_failure 2
}

@test "NaN and infinity are refused by name, unless they are not selected" {
    py <<'PY'
import os
a = read(os.environ['FILES'] + '/class.lca')
def spoil(name, at, value, **where):
    b = [list(f) for f in a]
    f, = of_kind(b, 'lca', **where)
    v = array(f).copy()
    v[at] = value
    f[1] = v.tobytes()
    write(name + '.lca', b)
spoil('nan', 4710 + 34, np.nan, it=3, set='train', cls=-1)
spoil('inf', 6 * 783 + 5, -np.inf, it=2, set='val', cls=4)
PY
    for filter in lca-layers lca-helping; do
        run --separate-stderr $filter --in nan.lca --out p.lca
        assert_failure 5
        [[ $stderr == *"step 3 of train: lca of parameter 4744, two/kernel[3][4], is nan: "* ]]
        $filter --in nan.lca --steps :3 --out p.lca
        $filter --in nan.lca --layers one --out p.lca
    done
    run --separate-stderr lca-layers --in inf.lca --out p.lca
    assert_failure 5
    [[ $stderr == *"step 2 of val: lca of parameter 4703, one/kernel[783][5], is -inf: "* ]]
    lca-layers --in inf.lca --classes 3,5 --out p.lca
}

@test "sets that HEAD does not have, or has out of order" {
    py <<'PY'
import os
a = read(os.environ['FILES'] + '/plain.lca')
a[0][0]['data']['sets'].reverse()
write('reversed.lca', a)
a[0][0]['data']['sets'] = a[0][0]['data']['sets'][1:]
write('less.lca', a)
PY
    run --separate-stderr lca-layers --in reversed.lca --out p.lca
    assert_failure 5
    [[ $stderr == *"HEAD.data.sets: train must be the first, and once" ]]
    run --separate-stderr lca-layers --in less.lca --out p.lca
    assert_failure 5
    [[ $stderr == *"seq 1: the set 'val' is not among HEAD's" ]]
}
