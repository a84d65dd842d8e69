load ../helper
load ../streams

more_files() {
    train t.lca
    cat >conv.json <<'NET'
{"name": "conv", "input": [28, 28, 1], "classes": 10, "layers": [
  {"type": "conv", "name": "c1", "channels": 3, "kernel": 5, "stride": 4}, {"type": "batchnorm", "name": "n1"},
  {"type": "relu"}, {"type": "conv", "name": "c2", "channels": 4, "kernel": 3}, {"type": "relu"}, {"type": "maxpool"},
  {"type": "dense", "name": "d1", "units": 12}, {"type": "relu"}, {"type": "dense", "name": "d2", "units": 10}]}
NET
}

# import NET ...: of the small data
import() {
    local net=$1
    shift
    lca-import --net "$FILES/$net.json" --data "$FILES/s.data" --examples 500 "$@"
}

# what the tests in Python share: safetensors files written by their description
SAVE='
import os, struct
def save_file(path, tensors, meta=None):
    head, data = {"__metadata__": meta} if meta else {}, b""
    for name, v in tensors.items():
        kind = {"f4": "F32", "f8": "F64", "f2": "F16", "i8": "I64"}[v.dtype.str[1:]]
        head[name] = {"dtype": kind, "shape": list(v.shape), "data_offsets": [len(data), len(data) + v.nbytes]}
        data += v.tobytes()
    text = json.dumps(head).encode()
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + data)
def thetas(path):
    return [array(p) for p in of_kind(read(path), "theta")]
random = np.random.default_rng(7)
'

@test "lca-import talks like a tool" {
    talks_like_a_tool lca-import
}

@test "what lca-train wrote, exported and imported again, is the same" {
    lca-export --to npy --in "$FILES/t.lca" --out t.npy
    lca-export --to hdf5 --in "$FILES/t.lca" --out t.h5
    lca-export --to hdf5 --layout paper --in "$FILES/t.lca" --out paper.h5
    lca-export --to safetensors --in "$FILES/t.lca" --out ours/
    lca-export --to safetensors --layout torch --in "$FILES/t.lca" --out torch/
    gzip -k t.npy
    for from in t.npy t.npy.gz t.h5 paper.h5 ours "--layout torch torch"; do
        import relu $from >i.lca
        lca-cat --in i.lca >/dev/null
        lca-export --to npy --in i.lca | cmp - t.npy
        # headers too, and the run's id among them
        lca-tap --kind theta i.lca >headers
        [ ! -e last ] || cmp headers last
        mv headers last
    done
    # and its LCA; in a pipe
    allocate "$FILES/t.lca" a.lca --emit lca,move
    export LCA_DIR=$PWD/ipc
    lca-grad --data "$FILES/s.data" --pool ipc:pool 3>&- &
    import relu paper.h5 | lca-integrate --pool ipc:pool --pool-wait 20 --emit lca,move >b.lca
    wait $!
    py <<'PY'
a, b = read('a.lca'), read('b.lca')
assert len(a) == len(b) == 2 + 3 * 4
for (g, v), (h, w) in zip(a[1:-1], b[1:-1]):
    assert v == w and {k: g[k] for k in g if k != 'run'} == {k: h[k] for k in h if k != 'run'}
same = 'model P layers classes parts it0 it1 rule unit num nbmax bycls'.split()
assert all(a[0][0].get(k) == b[0][0].get(k) for k in same) and a[0][1] == b[0][1]
assert a[0][0]['data'] == b[0][0]['data'] and a[0][0]['run'] != b[0][0]['run']
assert [p['prog'] for p in b[0][0]['prov']] == ['lca-import', 'lca-integrate']
PY
    lca-check --in b.lca
}

@test "a state dict of PyTorch, by order: the vector that numpy makes of it" {
    py <<PY
$SAVE
want = []
for step in 2, 10, 9:
    # as torch.save's neighbour writes nn.Sequential: sorted by name, statistics among the weights
    t = {'0.bias': (3,), '0.weight': (3, 1, 5, 5), '1.bias': (3,), '1.running_mean': (3,), '1.running_var': (3,),
         '1.weight': (3,), '10.bias': (10,), '10.weight': (10, 12), '3.bias': (4,), '3.weight': (4, 3, 3, 3),
         '8.bias': (12,), '8.weight': (12, 36)}
    t = {name: random.standard_normal(shape).astype('f4') for name, shape in t.items()}
    t['1.num_batches_tracked'] = np.array(step)
    save_file('run/ckpt_v2-%d.safetensors' % step, t, {'format': 'pt'})
    kernel = lambda n: t[n].transpose(2, 3, 1, 0).ravel()
    flattened = t['8.weight'].reshape(12, 4, 3, 3).transpose(2, 3, 1, 0).ravel()
    want.append((step, np.concatenate([kernel('0.weight'), t['0.bias'], t['1.weight'], t['1.bias'], kernel('3.weight'),
                                       t['3.bias'], flattened, t['8.bias'], t['10.weight'].T.ravel(), t['10.bias']])))
np.save('want.npy', np.stack([v for _, v in sorted(want, key=lambda w: w[0])]))
PY
    echo 'not one of them' >run/README
    import conv --layout torch run >c.lca
    py <<PY
$SAVE
assert np.stack(thetas('c.lca')).tobytes() == np.load('want.npy').tobytes()
PY
    # a matrix of the tensors one after the other, in PyTorch's layout, as parameters_to_vector makes it
    py <<PY
$SAVE
def flat(v):
    take = lambda at, *s: v[at:at + int(np.prod(s))].reshape(s)
    out = [take(0, 5, 5, 1, 3).transpose(3, 2, 0, 1), v[75:84], take(84, 3, 3, 3, 4).transpose(3, 2, 0, 1), v[192:196],
           take(196, 3, 3, 4, 12).transpose(3, 2, 0, 1), v[628:640], take(640, 12, 10).T, v[760:]]
    return np.concatenate([x.ravel() for x in out])
np.save('flat.npy', np.stack([flat(v) for v in np.load('want.npy')]).astype('f8'))
PY
    import conv --layout torch flat.npy | lca-export --to npy >flat-again.npy
    lca-export --to npy --in c.lca | cmp - flat-again.npy
}

@test "by name, in any order, of other precision" {
    py <<PY
$SAVE
shapes = {'two.bias': (10,), 'one.weight': (6, 784), 'two.weight': (10, 6), 'one.bias': (6,)}
for step in 0, 1:
    t = {n: random.standard_normal(s) for n, s in shapes.items()}
    t['one.bias'] = t['one.bias'].astype('f2')
    save_file('run/%d.safetensors' % step, t)
    v = np.concatenate([t['one.weight'].T.ravel(), t['one.bias'], t['two.weight'].T.ravel(), t['two.bias']])
    v.astype('f4').tofile('want.%d' % step)
PY
    import relu --layout torch run >r.lca
    py <<PY
$SAVE
assert [v.tobytes() for v in thetas('r.lca')] == [open('want.%d' % s, 'rb').read() for s in (0, 1)]
PY
}

@test "by a map: other names, no bias, more than the network has" {
    py <<PY
$SAVE
for step in 1, 2:
    t = {n: random.standard_normal(s).astype('f4') for n, s in
         {'model.embed': (3, 3), 'model.fc.weight': (6, 784), 'model.out.b': (10,), 'model.out.w': (10, 6)}.items()}
    save_file('run/%d.safetensors' % step, t)
    np.concatenate([t['model.fc.weight'].T.ravel(), np.zeros(6), t['model.out.w'].T.ravel(), t['model.out.b']]).astype(
        'f4').tofile('want.%d' % step)
PY
    cat >map <<'END'
# ours        theirs
one/kernel    model.fc.weight
one/bias      -                 # the model has none
two/kernel    model.out.w

two/bias      model.out.b
-             model.embed
END
    import relu --layout torch --map map run >r.lca
    py <<PY
$SAVE
assert [v.tobytes() for v in thetas('r.lca')] == [open('want.%d' % s, 'rb').read() for s in (1, 2)]
PY
    while IFS='|' read -r edit says; do
        sed -e "$edit" map >other
        run --separate-stderr import relu --layout torch --map other run
        assert_failure 2
        [[ $stderr == *"$says"* ]]
    done <<'END'
/model.embed/d|run/1.safetensors: model.embed [3][3] is no tensor of small: leave it out with a line '- model.embed' in --map
/model.out.b/d|other says nothing of two/bias: add a line 'two/bias THEIRS', or 'two/bias -' where it is zero
s/one.bias/one\/gamma/|other: line 3: small has no tensor one/gamma: lca-net --table lists them
s/two.bias/one\/bias/|other: line 6: one/bias is there twice
s/out.w/out.w x/|other: line 4 is not two names: OURS THEIRS
s/out.w/none/|run/1.safetensors has no tensor model.none, which is to be two/kernel
s/out.w/embed/|run/1.safetensors: model.embed is [3][3], and two/kernel of small is [10][6] in the layout torch: say with --map
END
    run --separate-stderr import relu --map none run
    assert_failure 2
    [[ $stderr == *"cannot open the map none"* ]]
}

@test "what does not fit is named, with both shapes" {
    lca-export --to safetensors --layout torch --in "$FILES/t.lca" --out torch/
    lca-export --to npy --in "$FILES/t.lca" --out t.npy
    lca-export --to hdf5 --in "$FILES/t.lca" --out t.h5
    mkdir empty same nameless
    cp torch/step-00000000.safetensors same/a1.safetensors
    cp torch/step-00000000.safetensors same/b-01.safetensors
    cp torch/step-00000000.safetensors nameless/final.safetensors
    py <<'PY'
np.save('one.npy', np.zeros(4780, 'f4'))
np.save('ints.npy', np.zeros((2, 4780), 'i4'))
np.save('none.npy', np.zeros((0, 4780), 'f4'))
PY
    while IFS='|' read -r net options says; do
        run --separate-stderr import $net $options
        assert_failure 2
        [ -z "$output" ]
        [[ $stderr == *"$says"* ]] || fail "$stderr"
    done <<'END'
relu|torch|torch/step-00000000.safetensors: one.weight is [6][784], and one/kernel of small is [784][6] in the layout ours: it would fit with --layout torch
conv|--layout torch torch|torch/step-00000000.safetensors has 4 tensors of parameters (the first one.weight), conv has 10 (the first c1/kernel): say with --map which is which
smooth|--layout torch torch|one.weight is [6][784], and one/kernel of smooth is [4][784] in the layout torch: say with --map
conv|t.npy|t.npy has 4780 columns, and conv has 770 parameters
conv|t.h5|t.h5 has 4780 columns, and conv has 770 parameters
relu|empty|empty holds no *.safetensors
relu|same|same: a1.safetensors and b-01.safetensors have the same number, 1
relu|nameless|nameless/final.safetensors has no number in its name
relu|one.npy|holds elements of type f4 in 1 axes
relu|ints.npy|holds elements of type i4 in 2 axes
relu|none.npy|none.npy has no rows
relu|there/is/none|cannot open there/is/none: No such file
relu|--dataset lca/values t.h5|t.h5 has no dataset lca/values
relu|--dataset head/tensors/shape t.h5|head/tensors/shape is no matrix of floating point numbers
relu|--dataset x t.npy|--dataset: t.npy is no HDF5 file
relu|--map x t.npy|--map is for snapshots with named tensors
relu|--layout keras t.npy|--layout takes ours or torch, not 'keras'
relu|--examples 1000000 t.npy|--examples 1000000: |
END
    run --separate-stderr lca-import t.npy
    assert_failure 2
    run --separate-stderr lca-import --net "$FILES/relu.json" --data "$FILES/s.data"
    assert_failure 2
    # nor is a file overwritten that is read
    for from in "t.npy --out t.npy" "--layout torch torch --out file:torch/step-00000002.safetensors"; do
        run --separate-stderr import relu $from
        assert_failure 2
        [[ $stderr == *"is read and would be written over"* ]]
    done
    lca-export --to npy --in "$FILES/t.lca" | cmp - t.npy
}

@test "numbers that are none, and files that are damaged" {
    lca-export --to npy --in "$FILES/t.lca" --out t.npy
    lca-export --to hdf5 --in "$FILES/t.lca" --out t.h5
    lca-export --to safetensors --in "$FILES/t.lca" --out run/
    py <<'PY'
a = np.load('t.npy')
a[2, 4715] = np.nan
np.save('nan.npy', a)
np.save('large.npy', a.astype('f8') * 1e300)
PY
    run --separate-stderr bash -c 'lca-import --net "$FILES/relu.json" --data "$FILES/s.data" nan.npy >nan.lca'
    assert_failure 5
    [[ $stderr == *"vector 2: parameter 4715, of two/kernel, is nan: the training diverged" ]]
    assert_equal "$(lca-tap --fields t,status nan.lca 2>/dev/null | tail -1)" '{"t":"EOS","status":"failed"}'
    run --separate-stderr import relu large.npy
    assert_failure 5
    head -c 50000 t.npy >cut.npy
    head -c 50000 t.h5 >cut.h5
    head -c 19300 run/step-00000003.safetensors >x
    mv x run/step-00000003.safetensors
    for from in cut.npy cut.h5 run; do
        run --separate-stderr import relu $from --out x.lca
        assert_failure 5
        [[ $stderr == *"$from"* ]]
    done
    [[ $stderr == *"run/step-00000003.safetensors is no whole safetensors file"*"the file does not reach as far"* ]]
    # chunks of other shapes, packed, big-endian, double
    py <<'PY'
import h5py
a = np.load('t.npy')
with h5py.File('other.h5', 'w') as f:
    f.create_dataset('a/b', data=a.astype('>f8'), chunks=(3, 1000), compression='gzip', shuffle=True)
    f.create_dataset('all_weights', data=a)
PY
    import relu --dataset a/b other.h5 | lca-export --to npy | cmp - <(lca-export --to npy --in "$FILES/t.lca")
    import relu other.h5 | lca-export --to npy | cmp - <(lca-export --to npy --in "$FILES/t.lca")
}

@test "docs: the page shows torch-path.py as it is" {
    awk '/^```python/ { on = 1; next } /^```/ && on { exit } on' "$ROOT/docs/importing.md" >shown.py
    run diff <(sed -n '/^import json/,$p' "$ROOT/docs/examples/torch-path.py") shown.py
    assert_success
}

@test "docs: a run in PyTorch, imported, has PyTorch's losses, and its LCA adds up" {
    "$PYTHON" -c 'import torch' || skip "no python3-torch"
    export LCA_DIR=$PWD/ipc
    mkdir docs
    ln -s "$ROOT/docs/examples" docs/
    awk '/^    PATH=/ { on = 1; next } on && /^    / { print substr($0, 5); next } { on = 0 }' "$ROOT/docs/importing.md" |
        sed "s|^python3|$PYTHON|" >page.sh
    assert_equal "$(grep -c lca- page.sh)" 6
    bash -e page.sh 3>&-
    lca-import --net ./torch.json --data digits.data --layout torch path.npy | lca-export --to npy --out theta.npy
    py <<'PY'
losses = [float(line) for line in open('losses')]
steps = of_kind(read('lca.lca'), 'lca', set='train')
assert len(losses) == 6 and len(steps) == 5 and losses[5] < losses[0] - 0.1
for t, (h, _) in enumerate(steps):
    assert abs(h['L0'] - losses[t]) < 1e-5 and abs(h['L1'] - losses[t + 1]) < 1e-5, (t, h['L0'], losses[t])
PY
}
