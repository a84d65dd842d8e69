load ../helper
load ../streams

more_files() {
    train t.lca
    train smooth.lca --net "$FILES/smooth.json"     # no kinks
}

@test "lca-grad talks like a tool" {
    talks_like_a_tool lca-grad
}

@test "one mean gradient per theta, as numpy has it, for every set" {
    for set in train val test; do
        lca-grad --data "$FILES/s.data" --set $set <"$FILES/t.lca" >$set.lca
        py $set <<'PY'
import os
name = sys.argv[1]
data = reference.Data(os.environ['FILES'] + '/s.data')
t, g = read(os.environ['FILES'] + '/t.lca'), read(name + '.lca')
x, y = data.sets[name]
if name == 'train':
    x, y = x[:500], y[:500]         # as many as the run trains on
net = reference.Net(g[0][1])
assert [h['t'] for h, _ in g] == ['HEAD'] + 5 * ['grad'] + ['EOS']
assert g[0][0]['st'] == 'grad' and g[0][0]['run'] == t[0][0]['run'] and g[0][1] == t[0][1]
assert [e['prog'] for e in g[0][0]['prov']] == ['lca-train', 'lca-grad']
assert g[-1][0]['next'] == 5 and g[-1][0]['status'] == 'ok'
for k, (theta, grad) in enumerate(zip(of_kind(t, 'theta'), of_kind(g, 'grad'))):
    loss, want = net.loss(array(theta), x, y)
    h = grad[0]
    assert (h['it'], h['seq'], h['set'], h['cls']) == (k, k, name, -1)
    assert abs(h['loss'] - loss) < 1e-6, (k, h['loss'], loss)
    assert np.abs(array(grad) - want).max() < 1e-6 and np.abs(want).max() > 1e-2, k
PY
    done
}

@test "the gradient is the slope of the loss: central differences" {
    # two streams beside the first, a little off along one direction
    py <<'PY'
import os
p = read(os.environ['FILES'] + '/smooth.lca')
np.random.seed(3)
direction = np.random.standard_normal(3190)
np.save('direction.npy', direction / np.linalg.norm(direction))
for name, step in (('up', 1e-2), ('down', -1e-2)):
    q = [p[0]] + [[dict(h), (array((h, b)) + (step * np.load('direction.npy')).astype('f4')).tobytes()]
                  for h, b in p[1:-1]] + [p[-1]]
    write(name + '.lca', q)
PY
    for f in up down "$FILES/smooth"; do
        lca-grad --data "$FILES/s.data" --in $f.lca --out "$(basename $f).grad.lca"
    done
    py <<'PY'
up, down, t = (of_kind(read(f + '.grad.lca'), 'grad') for f in ('up', 'down', 'smooth'))
d = np.load('direction.npy')
for a, b, g in zip(up, down, t):
    slope = (a[0]['loss'] - b[0]['loss']) / 2e-2
    assert abs(slope - array(g) @ d) < 1e-5 + 1e-3 * abs(slope), (slope, array(g) @ d)
PY
}

@test "by class the rows add up to the gradient of all, and each is numpy's" {
    lca-grad --data "$FILES/s.data" --chunk 100 <"$FILES/t.lca" >all.lca
    lca-grad --data "$FILES/s.data" --chunk 100 --by-class <"$FILES/t.lca" >class.lca
    py <<'PY'
import os
data = reference.Data(os.environ['FILES'] + '/s.data')
x, y = (v[:500] for v in data.sets['train'])
t = of_kind(read(os.environ['FILES'] + '/t.lca'), 'theta')
p = read('class.lca')
net = reference.Net(p[0][1])
assert p[0][0]['bycls'] is True and p[-1][0]['next'] == 50
for k, whole in enumerate(of_kind(read('all.lca'), 'grad')):
    rows = of_kind(p, 'grad', it=k)
    assert [h['cls'] for h, _ in rows] == list(range(10))
    assert abs(sum(h['loss'] for h, _ in rows) - whole[0]['loss']) < 1e-6
    assert np.abs(sum(array(r).astype('f8') for r in rows) - array(whole)).max() < 1e-6
    for c in (0, 7):
        loss, want = net.loss(array(t[k]), x, y, (y == c).astype('f8'))
        assert abs(rows[c][0]['loss'] - loss) < 1e-6
        assert np.abs(array(rows[c]) - want).max() < 1e-6
PY
}

@test "a class that no example has gets a row of zeros" {
    # the first 30 digits hold every class three times; three of them cannot
    lca-grad --data "$FILES/s.data" --examples 3 --by-class <"$FILES/t.lca" >class.lca
    py <<'PY'
import os
y = reference.Data(os.environ['FILES'] + '/s.data').sets['train'][1][:3]
for h, b in of_kind(read('class.lca'), 'grad'):
    assert (h['cls'] in y) == (h['loss'] > 0) == bool(array((h, b)).any())
PY
}

@test "examples and chunk: what does not fit is refused, what does gives the same numbers" {
    lca-grad --data "$FILES/s.data" --examples 200 --chunk 50 <"$FILES/t.lca" >a.lca
    lca-grad --data "$FILES/s.data" --examples 200 --chunk 200 <"$FILES/t.lca" >b.lca
    py <<'PY'
for a, b in zip(of_kind(read('a.lca'), 'grad'), of_kind(read('b.lca'), 'grad')):
    assert abs(a[0]['loss'] - b[0]['loss']) < 1e-7 and np.abs(array(a) - array(b)).max() < 1e-6
PY
    for bad in "--examples 1001" "--chunk 300" "--chunk 501" "--set other" "--chunk 0" "--device gpu"; do
        run --separate-stderr lca-grad --data "$FILES/s.data" --out g.lca $bad <"$FILES/t.lca"
        assert_failure 2
    done
    run --separate-stderr lca-grad --data "$FILES/s.data" --chunk 300 --out g.lca <"$FILES/t.lca"
    [[ $stderr == *"250 or 500"* ]]
}

@test "another data set is refused, and both digests are named" {
    lca-data make synth:2,1000 --out other.data >/dev/null
    run --separate-stderr lca-grad --data other.data --out g.lca <"$FILES/t.lca"
    assert_failure 2
    digests=($(for f in "$FILES/s.data" other.data; do lca-data show --json $f | jq -r .sha256 | cut -c1-16; done))
    [[ $stderr == *"${digests[0]}"* && $stderr == *"${digests[1]}"* ]]
    run --separate-stderr lca-grad --out g.lca <"$FILES/t.lca"
    assert_failure 2
    [[ $stderr == *"--data is needed"* ]]
}

@test "--net must be the network of the stream" {
    lca-grad --net "$FILES/relu.json" --data "$FILES/s.data" <"$FILES/t.lca" >g.lca
    run --separate-stderr lca-grad --net "$FILES/smooth.json" --data "$FILES/s.data" <"$FILES/t.lca"
    assert_failure 2
    [[ $stderr == *"is not the network of the stream, small"* ]]
}

@test "a truncated stream is corrupt, a failed one failed, another kind is refused" {
    size=$(stat -c %s "$FILES/t.lca")
    for cut in 0 3 $((size / 2)) $((size - 5)); do
        head -c $cut "$FILES/t.lca" >cut.lca
        run --separate-stderr lca-grad --data "$FILES/s.data" --in cut.lca --out g.lca
        assert_failure 5
        assert_output ""
        run lca-cat g.lca --out h.lca           # and says so to whoever comes after
        [ $cut -lt 1000 ] || assert_failure 4
    done
    py <<'PY'
import os
p = read(os.environ['FILES'] + '/t.lca')
p[-1][0].update(status='failed', why='no more power')
write('failed.lca', p)
p[-1][0].update(status='interrupted')
write('interrupted.lca', p)
PY
    run --separate-stderr lca-grad --data "$FILES/s.data" --in failed.lca --out g.lca
    assert_failure 4
    [[ $stderr == *"no more power"* ]]
    lca-grad --data "$FILES/s.data" --in interrupted.lca --out g.lca
    py <<'PY'
assert read('g.lca')[-1][0]['status'] == 'interrupted'
PY
    run --separate-stderr lca-grad --data "$FILES/s.data" --in g.lca --out h.lca
    assert_failure 2
    [[ $stderr == *"reads a theta stream"* ]]
}

@test "a stream whose HEAD claims what cannot be is refused, not believed" {
    py <<'PY'
import os, copy
p = read(os.environ['FILES'] + '/t.lca')
def damaged(name, change):
    q = copy.deepcopy(p)
    change(q)
    write(name, q)
damaged('many.lca', lambda q: q[0][0]['data']['sets'][0].update(N=1200))
damaged('none.lca', lambda q: q[0][0]['data']['sets'][0].update(N=0))
damaged('more.lca', lambda q: q[0][0].update(P=4781))
damaged('shift.lca', lambda q: q[1][0].update(off=7))
damaged('net.lca', lambda q: q.__setitem__(0, [q[0][0], q[0][1].replace(b'dense', b'sense')]))
PY
    for f in many none more shift net; do
        run --separate-stderr lca-grad --data "$FILES/s.data" --in $f.lca --out g.lca
        [ "$status" -eq 2 ] || [ "$status" -eq 5 ]
        [[ $stderr == "lca-grad: error: "* ]]
    done
}

@test "--benchmark prints one line of JSON with what was measured" {
    run --separate-stderr lca-grad --benchmark --net "$FILES/relu.json" --examples 2000
    assert_success
    assert_equal "${#lines[@]}" 1
    jq -e '.net == "small" and .examples == 2000 and .chunk == 2000 and .device == "cpu" and .threads == 1 and
        .us_per_example > 0 and .gflops > 0 and .gb_per_s > 0 and .peak_rss_mib > 1' <<<"$output"
    run --separate-stderr lca-grad --benchmark --net "$FILES/relu.json" --data "$FILES/s.data" --chunk 250 --by-class
    jq -e '.examples == 1000 and .chunk == 250 and .by_class' <<<"$output"
    # one chunk of many
    run --separate-stderr lca-grad --benchmark --quick --net "$FILES/relu.json" --data "$FILES/s.data" --chunk 20
    jq -e '.examples == 1000 and .chunk == 20 and .us_per_example > 0' <<<"$output"
    run --separate-stderr lca-grad --benchmark
    assert_failure 2
    run --separate-stderr lca-grad --benchmark --net "$FILES/relu.json" --data "$FILES/s.data" --examples 1001
    assert_failure 2
}

@test "a pool is a socket, and a worker that finds none can be stopped" {
    run --separate-stderr lca-grad --data "$FILES/s.data" --pool pool.lca
    assert_failure 2
    [[ $stderr == *"a pool is a socket"* ]]
    export LCA_DIR=$PWD/ipc
    lca-grad --data "$FILES/s.data" --pool ipc:pool 3>&- &
    worker=$!
    for _ in $(seq 100); do     # until it watches for signals
        [ "$(sed -n 's/^SigBlk:\s*//p' /proc/$worker/status)" != 0000000000000000 ] && break
        sleep 0.05
    done
    kill -TERM $worker
    wait $worker
}

@test "frames are not written to a terminal" {
    on_terminal "lca-grad --data $FILES/s.data --in $FILES/t.lca"
    assert_failure 2
    assert_output --partial "terminal"
}
