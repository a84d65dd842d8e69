load ../helper
load ../streams

more_files() {
    train t.lca
    allocate t.lca l.lca --emit lca,move,grad,eff --tolerance off
    allocate t.lca c.lca --by-class --tolerance off
    lca-layers <l.lca >layers.lca
    lca-units <l.lca >units.lca
    lca-spread <l.lca >spread.lca
}

@test "lca-export talks like a tool" {
    talks_like_a_tool lca-export
}

@test "npy: a row per step, the same bits" {
    lca-export --to npy --out t.npy <"$FILES/t.lca"
    lca-export --to npy --sets train --kind lca --in "$FILES/l.lca" >l.npy
    lca-export --to npy --in "$FILES/l.lca" --out all/
    lca-export --to npy --kind layers,layers_total --in "$FILES/layers.lca" --out all/
    # as a stage of lca-run, for which LCA_OUT is the folder of the results
    LCA_OUT=$PWD lca-export --to npy --in "$FILES/t.lca" | cmp - t.npy
    py <<'PY'
import os
t, l = (read(os.environ['FILES'] + f) for f in ('/t.lca', '/l.lca'))
rows = lambda pairs: np.stack([array(p) for p in pairs])
def equal(path, want, dt='<f4'):
    got = np.load(path, mmap_mode='r')
    assert got.dtype == dt and got.shape == want.shape and got.tobytes() == want.tobytes(), path
equal('t.npy', rows(of_kind(t, 'theta')))
equal('l.npy', rows(of_kind(l, 'lca', set='train')))
for kind in 'lca', 'grad', 'eff':
    for s in 'train', 'val':
        equal('all/%s.%s.npy' % (kind, s), rows(of_kind(l, kind, set=s)))
equal('all/move.npy', rows(of_kind(l, 'move')))
layers = read(os.environ['FILES'] + '/layers.lca')
equal('all/layers.val.npy', rows(of_kind(layers, 'agg', kind='layers', set='val')), '<f8')
equal('all/layers_total.train.npy', rows(of_kind(layers, 'agg', kind='layers_total', set='train')), '<f8')
assert len(os.listdir('all')) == 7 + 4
PY
    run --separate-stderr lca-export --to npy --in "$FILES/l.lca" --out one.npy
    assert_success
    [ "$stderr" = "lca-export: left out lca.val, move, grad.train, grad.val, eff.train, eff.val: choose with --kind and \
--sets, or name a folder with --out DIR/" ]
    cmp one.npy l.npy
}

@test "npy: a stream that does not say how long it is, or ends early" {
    py <<'PY'
import os
a = read(os.environ['FILES'] + '/t.lca')
write('short.lca', a[:4] + [[dict(a[-1][0], next=3, status='interrupted'), b'']])
del a[0][0]['it1']
write('open.lca', a)
PY
    cat open.lca | lca-export --to npy --out open.npy
    lca-export --to npy --in "$FILES/t.lca" | cmp - open.npy
    run --separate-stderr lca-export --to npy --in open.lca
    assert_failure 2
    [[ $stderr == *"stdout is a pipe, and an .npy file begins with its number of rows"*"--out" ]]
    lca-export --to npy --in short.lca >short.npy
    assert_equal "$("$PYTHON" -c 'import numpy; print(len(numpy.load("short.npy")))')" 3
    run bash -c 'lca-export --to npy --in short.lca | wc -c; exit ${PIPESTATUS[0]}'
    assert_failure 5
    assert_output --partial "announced with 5 rows, and 3 have come"
    # a pipe with a name
    mkfifo named
    cat named >through.npy &
    lca-export --to npy --in "$FILES/t.lca" --out named
    wait $!
    cmp through.npy open.npy
    run --separate-stderr lca-export --to hdf5 --in "$FILES/t.lca" --out named
    assert_failure 2
    [[ $stderr == *"--to hdf5 needs a file to go back and forth in, which named is not" ]]
}

@test "csv and jsonl: pandas has the same numbers, NaN among them" {
    py <<'PY'
import os
a = read(os.environ['FILES'] + '/layers.lca')
f = of_kind(a, 'agg', kind='cumulative')[1]
f[1] = np.array([np.nan, -np.inf]).tobytes()
write('layers.lca', a)
PY
    for to in csv jsonl; do
        lca-export --to $to --in "$FILES/l.lca" --kind lca >l.$to
        lca-export --to $to --in "$FILES/t.lca" --out t.$to
        lca-export --to $to --in layers.lca --kind cumulative >layers.$to
        lca-export --to $to --in "$FILES/units.lca" --out units.$to/
    done
    lca-tap --csv --kind cumulative layers.lca | cmp - layers.csv
    jq -se 'map(.one) | index([null]) == 1' layers.jsonl
    py <<'PY'
import os, pandas
files = os.environ['FILES']
load = {'csv': lambda f: pandas.read_csv(f, float_precision='round_trip'),
        'jsonl': lambda f: pandas.read_json(f, lines=True, precise_float=True)}
for to, frame in load.items():
    l, t, layers, units = (frame(n + '.' + to) for n in ('l', 't', 'layers', 'units.%s/units.two' % to))
    want = of_kind(read(files + '/l.lca'), 'lca')
    assert list(l.columns) == 'it set cls L0 L1 sum res abs fo n ev'.split() and len(l) == len(want) == 8
    for c in l.columns:
        assert list(l[c]) == [h[c] for h, _ in want], c
    want = of_kind(read(files + '/t.lca'), 'theta')
    assert list(t.mbloss) == [h['mbloss'] for h, _ in want] and list(t.it) == list(range(5))
    want = of_kind(read('layers.lca'), 'agg', kind='cumulative')
    assert list(layers.columns) == ['it', 'set', 'one', 'two'] and (layers.dtypes[2:] == 'f8').all()
    assert np.array_equal(layers[['one', 'two']].to_numpy(), np.stack([array(p) for p in want]), equal_nan=True)
    want = [p for p in of_kind(read(files + '/units.lca'), 'agg', kind='units') if p[0]['keys']['layer'] == ['two']]
    assert (units.iloc[:, 2:].to_numpy() == np.stack([array(p)[0] for p in want])).all()
PY
    assert_equal "$(ls units.csv | tr '\n' ' ')" "inputs.one.csv inputs.two.csv inputs_total.one.csv inputs_total.two.csv \
units.one.csv units.two.csv units_total.one.csv units_total.two.csv "
}

@test "csv and jsonl: tidy tables have a row per value" {
    for to in csv jsonl; do
        lca-export --to $to --tidy --in "$FILES/l.lca" --kind lca --steps 1:3 --layers two >l.$to
        lca-export --to $to --tidy --in "$FILES/spread.lca" --kind spread_shares >spread.$to
    done
    assert_equal "$(sed 2q l.csv)" "it,set,cls,layer,tensor,parameter,value
1,train,-1,two,two/kernel,4710,$(lca-tap --data --kind lca "$FILES/l.lca" | jq -r 'select(.it == 1 and .set == "train").data[4710]')"
    py <<'PY'
import os, pandas
files = os.environ['FILES']
for frame in pandas.read_csv('l.csv', float_precision='round_trip'), pandas.read_json('l.jsonl', lines=True, precise_float=True):
    want = [p for p in of_kind(read(files + '/l.lca'), 'lca') if p[0]['it'] in (1, 2)]
    assert len(frame) == 4 * 70 and set(frame.tensor) == {'two/kernel', 'two/bias'}
    assert frame.value.to_numpy('f4').tobytes() == b''.join(array(p)[4710:].tobytes() for p in want)
    # what a person does with it
    table = frame[frame.set == 'val'].pivot(index='it', columns='parameter', values='value')
    assert table.shape == (2, 70)
for frame in pandas.read_csv('spread.csv', float_precision='round_trip'), pandas.read_json('spread.jsonl', lines=True, precise_float=True):
    (h, v), = of_kind(read(files + '/spread.lca'), 'agg', kind='spread_shares')
    assert list(frame.columns) == ['it', 'set', 'side', 'measure', 'value']
    assert frame.value.tolist() == np.frombuffer(v).tolist() and list(frame.side) == 5 * ['helping'] + 5 * ['hurting']
PY
}

@test "hdf5: everything that the stream has, by name" {
    lca-export --to hdf5 --in "$FILES/t.lca" --out t.h5
    lca-export --to hdf5 --in "$FILES/l.lca" --out l.h5
    lca-export --to hdf5 --in "$FILES/c.lca" --out c.h5 --layers two --classes 3
    cat "$FILES/layers.lca" | lca-export --to hdf5 --out layers.h5
    lca-export --to hdf5 --in "$FILES/units.lca" --out units.h5
    lca-export --to hdf5 --in "$FILES/spread.lca" --out spread.h5
    py <<'PY'
import os, h5py
files = os.environ['FILES']
head, = of_kind(read(files + '/t.lca'), 'HEAD')
with h5py.File('t.h5') as f:
    theta = of_kind(read(files + '/t.lca'), 'theta')
    assert f['theta/values'].dtype == '<f4' and f['theta/values'][:].tobytes() == b''.join(v for _, v in theta)
    for key in 'it', 'lr', 'mbloss', 'epoch':
        assert f['theta'][key][:].tolist() == [h[key] for h, _ in theta], key
    assert {k: f.attrs[k] for k in ('format', 'model', 'stream', 'status', 'unit', 'run')} == {
        'format': 'lca 1', 'model': 'small', 'stream': 'theta', 'status': 'ok', 'unit': '1', 'run': head[0]['run'].hex()}
    assert f['head/network'][()] == head[1]
    for key in 'def', 'prov', 'data', 'classes':
        assert json.loads(f['head'][key][()]) == head[0][key]
    t = f['head/tensors']
    for key, of in (('name', 'n'), ('layer', 'l'), ('kind', 'k')):
        assert [x.decode() for x in t[key]] == [x[of] for x in head[0]['layers']]
    assert t['off'][:].tolist() == t['place'][:].tolist() == [x['off'] for x in head[0]['layers']]
    assert [[d for d in s if d] for s in t['shape'][:].tolist()] == [x['sh'] for x in head[0]['layers']]
with h5py.File('l.h5') as f:
    frames_ = read(files + '/l.lca')
    for kind in 'lca', 'grad', 'eff':
        for s in 'train', 'val':
            want = of_kind(frames_, kind, set=s)
            assert f[kind][s]['values'][:].tobytes() == b''.join(v for _, v in want)
            assert f[kind][s]['it'][:].tolist() == list(range(4))
    assert f['move/values'][:].tobytes() == b''.join(v for _, v in of_kind(frames_, 'move'))
    for key in 'L0 L1 sum res abs fo n ev'.split():
        assert f['lca/val'][key][:].tolist() == [h[key] for h, _ in of_kind(frames_, 'lca', set='val')], key
    assert f['lca/val/n'].dtype == '<u8' and f['grad/train/loss'][0] == of_kind(frames_, 'grad')[0][0]['loss']
with h5py.File('c.h5') as f:
    want = of_kind(read(files + '/c.lca'), 'lca', set='train', cls=3)
    assert (f['lca/train/3/values'][:] == np.stack([array(p)[4710:] for p in want])).all()
    assert '4' not in f['lca/train'] and f['lca/train/values'].shape == (4, 70)
    assert f['head/tensors/off'][:].tolist() == [0, 60] and f['head/tensors/place'][:].tolist() == [4710, 4770]
with h5py.File('layers.h5') as f:
    want = of_kind(read(files + '/layers.lca'), 'agg', kind='layers', set='val')
    assert f['layers/val/values'].dtype == '<f8' and f['layers/val/values'][:].tobytes() == b''.join(v for _, v in want)
    assert list(f['layers/val'].attrs['dims']) == ['layer'] and f['layers/val'].attrs['unit'] == 'nat'
    assert [x.decode() for x in f['layers/val/labels/layer']] == ['one', 'two']
    total, = of_kind(read(files + '/layers.lca'), 'agg', kind='layers_total', set='train')
    assert f['layers_total/train/more/share_bias_bn'][0] == total[0]['more']['share_bias_bn']
with h5py.File('units.h5') as f:
    assert f['units/train/one/values'].shape == (4, 1, 6) and f['units/train/two/values'].shape == (4, 1, 10)
with h5py.File('spread.h5') as f:
    (h, v), = of_kind(read(files + '/spread.lca'), 'agg', kind='spread_histogram')
    assert f['spread_histogram/train/values'].shape == (1, *h['sh']) and f['spread_histogram/train/values'][:].tobytes() == v
PY
}

@test "hdf5: the layout of the authors' tools" {
    lca-export --to hdf5 --layout paper --in "$FILES/t.lca" --out w.h5
    run --separate-stderr lca-export --to hdf5 --layout paper --in "$FILES/l.lca" --out l.h5
    assert_success
    [ "$stderr" = "lca-export: left out move, grad.train, grad.val, eff.train, eff.val: the layout paper has no place for \
them" ]
    py <<'PY'
import os, h5py
from ast import literal_eval
files = os.environ['FILES']
l = read(files + '/l.lca')
with h5py.File('w.h5') as w, h5py.File('l.h5') as f:
    assert list(w) == ['all_weights'] and list(f) == ['helped', 'helped_test']
    assert w['all_weights'][:].tobytes() == b''.join(v for _, v in of_kind(read(files + '/t.lca'), 'theta'))
    assert w['all_weights'].shape == (5, 4780) and f['helped'].shape == f['helped_test'].shape == (4, 4780)
    assert f['helped'][:].tobytes() == b''.join(v for _, v in of_kind(l, 'lca', set='train'))
    assert f['helped_test'][:].tobytes() == b''.join(v for _, v in of_kind(l, 'lca', set='val'))
    for file in w, f:
        shapes = [literal_eval(s) for s in file.attrs['var_shapes'].decode('utf-8').split(';')]
        assert shapes == [(784, 6), (6,), (6, 10), (10,)]
        assert file.attrs['var_names'].decode('utf-8').split(';') == [t['n'] for t in l[0][0]['layers']]
PY
}

# load_file PATH: its header and its tensors, by the format's own description.
LOAD='
import os, struct
def load_file(path):
    data = open(path, "rb").read()
    n, = struct.unpack_from("<Q", data)
    head, at = json.loads(data[8:8 + n]), 0
    assert data[8:9] == b"{" and n % 8 == 0
    tensors = {}
    for name, t in head.items():
        if name != "__metadata__":
            begin, end = t["data_offsets"]
            assert begin == at and t["dtype"] == "F32"
            tensors[name] = np.frombuffer(data[8 + n + begin:8 + n + end], "<f4").reshape(t["shape"])
            at = end
    assert 8 + n + at == len(data)
    return head["__metadata__"], tensors
theta = [array(p) for p in of_kind(read(os.environ["FILES"] + "/t.lca"), "theta")]
'

@test "safetensors: a step, the last one by default, or each" {
    lca-export --to safetensors --in "$FILES/t.lca" --out last.safetensors
    lca-export --to safetensors --in "$FILES/t.lca" --at 2 >two.safetensors
    lca-export --to safetensors --in "$FILES/t.lca" --at 2 | cmp - two.safetensors
    lca-export --to safetensors --in "$FILES/t.lca" --out each/ --every 2
    lca-export --to safetensors --in "$FILES/l.lca" --sets val --kind lca --layers one --out A.safetensors
    assert_equal "$(ls each | tr '\n' ' ')" "step-00000000.safetensors step-00000002.safetensors step-00000004.safetensors "
    cmp each/step-00000002.safetensors two.safetensors
    py <<PY
$LOAD
meta, t = load_file('last.safetensors')
assert list(t) == ['one/kernel', 'one/bias', 'two/kernel', 'two/bias'] and t['two/kernel'].shape == (6, 10)
assert b''.join(v.tobytes() for v in t.values()) == theta[4].tobytes()
assert meta['step'] == '4' and meta['model'] == 'small' and meta['series'] == 'theta' and len(meta['run']) == 32
meta, t = load_file('two.safetensors')
assert b''.join(v.tobytes() for v in t.values()) == theta[2].tobytes() and meta['step'] == '2'
meta, t = load_file('A.safetensors')
want = array(of_kind(read(os.environ['FILES'] + '/l.lca'), 'lca', set='val', it=3)[0])
assert list(t) == ['one/kernel', 'one/bias'] and t['one/kernel'].tobytes() == want[:4704].tobytes()
assert meta['series'] == 'lca.val' and meta['step'] == '3'
PY
    run --separate-stderr lca-export --to safetensors --in "$FILES/t.lca" --at 5 --out none
    assert_failure 2
    [[ $stderr == *"--at 5: the stream has no such step" ]]
}

@test "safetensors: as PyTorch lays tensors out" {
    cat >conv.json <<'NET'
{"name": "conv", "input": [28, 28, 1], "classes": 10, "layers": [
  {"type": "conv", "name": "c1", "channels": 3, "kernel": 5, "stride": 4}, {"type": "relu"},
  {"type": "conv", "name": "c2", "channels": 4, "kernel": 3}, {"type": "batchnorm", "name": "n2"}, {"type": "relu"},
  {"type": "maxpool"}, {"type": "dense", "name": "d", "units": 10}]}
NET
    lca-train --net ./conv.json --data "$FILES/s.data" --iterations 1 --batch 50 --examples 500 --out c.lca
    lca-export --to safetensors --layout torch --in c.lca --out c.safetensors
    py <<PY
$LOAD
meta, t = load_file('c.safetensors')
v = array(of_kind(read('c.lca'), 'theta')[1])
take = lambda at, *shape: v[at:at + int(np.prod(shape))].reshape(shape)
# 28 -> 7 -> 3: the dense layer sees 3 x 3 x 4
want = {'c1.weight': take(0, 5, 5, 1, 3).transpose(3, 2, 0, 1), 'c1.bias': take(75, 3),
        'c2.weight': take(78, 3, 3, 3, 4).transpose(3, 2, 0, 1), 'c2.bias': take(186, 4), 'n2.weight': take(190, 4),
        'n2.bias': take(194, 4), 'd.weight': take(198, 3, 3, 4, 10).transpose(3, 2, 0, 1).reshape(10, 36),
        'd.bias': take(558, 10)}
assert len(v) == 568 and list(t) == list(want) and meta['format'] == 'pt'
for name, x in want.items():
    assert t[name].shape == x.shape and (t[name] == x).all(), name
PY
}

@test "slices are put together, in every format" {
    py <<'PY'
import os
def sliced(name, to):
    a = read(os.environ['FILES'] + name)
    out, seq = [[dict(a[0][0], parts=3 * a[0][0]['parts']), a[0][1]]], 0
    for h, v in a[1:-1]:
        v = np.frombuffer(v, '<f4')
        for part, (lo, hi) in enumerate(((0, 1000), (1000, 4720), (4720, 4780))):
            out.append([dict(h, off=lo, part=part, seq=seq, sh=[hi - lo]), v[lo:hi].tobytes()])
            seq += 1
    write(to, out + [[dict(a[-1][0], next=seq), b'']])
sliced('/t.lca', 't.lca')
sliced('/l.lca', 'l.lca')
# cut off within the second slice of step 2
a = open('t.lca', 'rb').read()
open('cut.lca', 'wb').write(a[:len(a) * 55 // 100])
PY
    for what in "npy" "csv" "jsonl" "csv --tidy --layers two" "safetensors" "safetensors --at 2 --layers two"; do
        lca-export --to $what --in t.lca >sliced
        lca-export --to $what --in "$FILES/t.lca" | cmp - sliced
    done
    lca-export --to npy --layers one --in l.lca --out l/
    lca-export --to npy --layers one --in "$FILES/l.lca" --out whole/
    diff -r l whole
    lca-export --to hdf5 --in l.lca --out l.h5
    lca-export --to hdf5 --in "$FILES/l.lca" --out whole.h5
    run -5 lca-export --to npy --in cut.lca --out cut.npy
    run -5 lca-export --to hdf5 --in cut.lca --out cut.h5
    py <<'PY'
import h5py
with h5py.File('l.h5') as a, h5py.File('whole.h5') as b, h5py.File('cut.h5') as c:
    for name in 'lca/train/values', 'eff/val/values', 'move/values', 'lca/val/L1':
        assert (a[name][:] == b[name][:]).all() and len(a[name]) == 4
    assert c['theta/values'].shape == (2, 4780) and len(c['theta/lr']) == 2 and c.attrs['status'] == 'cut'
assert np.load('cut.npy').shape == (2, 4780)
# the last of three slices twice, and a slice beyond the vector
a = read('t.lca')
a[3][0]['off'] = 1000
write('twice.lca', a)
a[3][0]['off'] = 4721
write('beyond.lca', a)
PY
    run --separate-stderr lca-export --to npy --in twice.lca --out p.npy
    assert_failure 5
    [[ $stderr == *"seq 2: the slice at 1000 of theta of step 0 does not follow the one before" ]]
    run --separate-stderr lca-export --to npy --in beyond.lca --out p.npy
    assert_failure 5
    [[ $stderr == *"seq 2: a slice at 4721 of 60, of a vector of 4780" ]]
}

@test "a stream that breaks off: what came whole is kept, and said" {
    size=$(stat -c %s "$FILES/t.lca")
    head -c $((size / 2)) "$FILES/t.lca" >cut.lca
    for to in npy csv jsonl hdf5 safetensors; do
        run --separate-stderr lca-export --to $to --in cut.lca --out cut.$to
        assert_failure 5
        [[ $stderr == *"the stream broke off; what came whole is kept: 2 rows of theta"*"ends within a frame"* ]]
    done
    lca-export --to npy --in "$FILES/t.lca" --steps :2 | tail -c +129 >two
    tail -c +129 cut.npy | cmp -n $((2 * 4780 * 4)) - <(tail -c +129 <(lca-export --to npy --steps :2 --in "$FILES/t.lca"))
    assert_equal "$(wc -l <cut.csv) $(wc -l <cut.jsonl)" "3 2"
    lca-export --to safetensors --at 1 --in "$FILES/t.lca" | cmp - cut.safetensors
    py <<'PY'
import h5py
with h5py.File('cut.hdf5') as f:
    assert f.attrs['status'] == 'cut' and f['theta/values'].shape == (2, 4780)
PY
    # ended as failed
    py <<'PY'
import os
a = read(os.environ['FILES'] + '/t.lca')
write('failed.lca', a[:3] + [[dict(a[-1][0], next=2, status='failed', why='no more'), b'']])
PY
    run --separate-stderr lca-export --to npy --in failed.lca --out failed.npy
    assert_failure 4
    [[ $stderr == *"2 rows of theta"*"no more" ]]
    cmp failed.npy cut.npy
}

@test "selection as in the other filters" {
    lca-export --to npy --in "$FILES/t.lca" --steps 1: --every 2 --layers two | tail -c +257 >got
    lca-export --to npy --in "$FILES/c.lca" --classes 7,2 --sets val --out cls/
    assert_equal "$(ls cls | tr '\n' ' ')" "lca.val.2.npy lca.val.7.npy lca.val.npy "
    py <<'PY'
import os
t = of_kind(read(os.environ['FILES'] + '/t.lca'), 'theta')
assert open('got', 'rb').read() == array(t[2])[4710:].tobytes() + array(t[4])[4710:].tobytes()
c = of_kind(read(os.environ['FILES'] + '/c.lca'), 'lca', set='val', cls=7)
assert (np.load('cls/lca.val.7.npy') == np.stack([array(p) for p in c])).all()
PY
    run --separate-stderr lca-export --to npy --in "$FILES/t.lca" --layers three --out p
    assert_failure 2
    [[ $stderr == *"--layers: no layer matches 'three'; there are one two" ]]
    run --separate-stderr lca-export --to npy --in "$FILES/t.lca" --classes 1 --out p
    assert_failure 2
    run --separate-stderr lca-export --to csv --in "$FILES/layers.lca" --steps 1:
    assert_failure 2
    [[ $stderr == *"what aggregators say is selected where it is made"* ]]
    run --separate-stderr lca-export --to csv --in "$FILES/t.lca" --kind lca
    assert_success
    [[ $stderr == *"warning: nothing of the stream was selected" ]]
}

@test "no label of a stream leads out of the folder, and no two share a file" {
    py <<'PY'
import os
a = read(os.environ['FILES'] + '/units.lca')
units = of_kind(a, 'agg', kind='units', set='train')[:4]
for (h, _), kind, layer in zip(units, ('../up', '../up', 'x', 'x'), ('../../out', '/tmp/lca-out', 'a/b', 'a b')):
    h.update(kind=kind)
    h['keys']['layer'] = [layer]
for k, f in enumerate(units):
    f[0]['seq'] = k
write('hostile.lca', [a[0], *units, [dict(a[-1][0], next=4), b'']])
PY
    for to in npy csv jsonl; do
        lca-export --to $to --in hostile.lca --out in/
    done
    lca-export --to hdf5 --in hostile.lca --out hostile.h5
    assert_equal "$(cd in && echo *.npy)" "_._up.train..._.._out.npy _._up.train._tmp_lca-out.npy x.train.a_b.2.npy x.train.a_b.npy"
    assert_equal "$(cd in && echo *.csv)" "_._up..._.._out.csv _._up._tmp_lca-out.csv x.a_b.2.csv x.a_b.csv"
    assert_equal "$(ls -A | tr '\n' ' ')$(ls -A in | wc -l)" "hostile.h5 hostile.lca in 12"
}

@test "what does not go together is said" {
    while IFS='|' read -r options says; do
        run --separate-stderr lca-export $options --in "$FILES/t.lca"
        assert_failure 2
        [[ $stderr == *"$says"* ]]
    done <<'END'
--kind theta|--to is needed
--to xml|--to takes npy, csv, jsonl, hdf5 or safetensors, not 'xml'
--to hdf5|--to hdf5 needs --out FILE: it goes back and forth in the file, which stdout does not allow
--to hdf5 --out d/|writes one file: --out d/ is a folder
--to npy --layout paper|--layout goes with --to hdf5 and safetensors
--to hdf5 --layout torch --out x|--layout of hdf5 is ours or paper, not 'torch'
--to safetensors --layout paper --out x|--layout takes ours or torch, not 'paper'
--to npy --tidy|--tidy goes with --to csv and jsonl
--to npy --at 3|--at goes with --to safetensors
--to safetensors --at 3 --out d/|--at is one step
--to csv --out no/such/folder|cannot write
END
    run --separate-stderr lca-export --to safetensors --in "$FILES/layers.lca" --out x
    assert_failure 2
    [[ $stderr == *"safetensors are for vectors of parameters"* ]]
    cp "$FILES/t.lca" t.lca
    run --separate-stderr lca-export --to npy --in t.lca --out t.lca
    assert_failure 2
    cmp t.lca "$FILES/t.lca"
    on_terminal "lca-export --to npy --in t.lca"
    assert_failure 2
    for to in npy csv safetensors; do
        run --separate-stderr lca-export --to $to --in t.lca --out /dev/full
        assert_failure 1
        [[ $stderr == *"/dev/full: cannot write: No space left on device"* ]]
    done
    run --separate-stderr bash -c 'ulimit -f 16; lca-export --to hdf5 --in t.lca --out big.h5'
    assert_failure 1
    [[ $stderr == *"big.h5: cannot write "*": the file is too large for this system or its limits" ]]
}

@test "memory does not grow with the stream" {
    cat >wide.json <<'NET'
{"name": "wide", "input": [28, 28, 1], "classes": 10, "layers": [
  {"type": "dense", "units": 500}, {"type": "dense", "units": 10}]}
NET
    # 150 vectors of 397,510 zeros, 239 MB, in a file that takes no room
    "$PYTHON" - <<'PY'
header = "{'descr': '<f4', 'fortran_order': False, 'shape': (150, 397510), }".ljust(117) + '\n'
with open('path.npy', 'wb') as f:
    f.write(b'\x93NUMPY\x01\x00\x76\x00' + header.encode())
    f.truncate(128 + 150 * 397510 * 4)
PY
    cat >measure.py <<'PY'
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
PY
    measure() { "$PYTHON" measure.py "$@" 3>&-; }
    import=(lca-import --net ./wide.json --data "$FILES/s.data" path.npy)
    mib=$(measure "${import[@]}" --out wide.lca)
    [ "$mib" -le 60 ] || fail "lca-import: $mib MiB"
    for to in npy hdf5 csv safetensors; do
        mib=$(measure lca-export --to $to --in wide.lca --out wide.$to)
        [ "$mib" -le 60 ] || fail "$to: $mib MiB"
    done
    cmp <(tail -c +129 path.npy) <(tail -c +257 wide.npy)
    mib=$(measure lca-import --net ./wide.json --data "$FILES/s.data" --dataset theta/values wide.hdf5 --out again.lca)
    [ "$mib" -le 60 ] || fail "lca-import of HDF5: $mib MiB"
    cmp wide.lca again.lca
}

@test "a live link is exported, and waits for the export" {
    export LCA_DIR=$PWD/ipc
    mkdir -m 700 ipc
    lca-cat --in "$FILES/l.lca" --out ipc:l 3>&- &
    lca-export --to npy --in ipc:l --out l/
    wait $!
    lca-export --to npy --in "$FILES/l.lca" --out file/
    diff -r l file
}

@test "docs: the page on exports does what it says" {
    cp "$FILES/t.lca" theta.lca
    cp "$FILES/l.lca" lca.lca
    awk '/^```python/ { on = 1; next } /^```/ { on = 0 } on' "$ROOT/docs/exports.md" >page.py
    awk '/^    lca-/ { print substr($0, 5) } /^```/ { exit }' "$ROOT/docs/exports.md" >page.sh
    assert_equal "$(wc -l <page.sh)" 6
    bash -e page.sh
    run --separate-stderr "$PYTHON" page.py
    assert_success
    assert_line --regexp '^one +-0\.'
    assert_line --regexp '^1 +one +-0\.'
}
