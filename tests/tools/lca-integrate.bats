# lca-integrate with a real worker: what it allocates, and what it refuses.
load ../helper
load ../streams

more_files() {
    train t.lca
    lca-train --net smooth.json --data s.data --iterations 3 --batch 50 --lr 2 --momentum 0 --out smooth.lca
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    t=$FILES/t.lca
}

@test "help, version, unknown options" {
    talks_like_a_tool lca-integrate
}

@test "A is movement times averaged gradient; sums, residual and first order are what they say" {
    allocate $t l.lca --emit lca,move,grad,eff --tolerance off
    py $t "$FILES/s.data" <<'END'
thetas, frames_ = read(sys.argv[1]), read('l.lca')
data, net = reference.Data(sys.argv[2]), reference.Net(thetas[0][1])
theta = [array(p).astype('f8') for p in of_kind(thetas, 'theta')]
sets = {'train': [v[:500] for v in data.sets['train']], 'val': data.sets['val']}
for it in range(4):
    move = array(of_kind(frames_, 'move', it=it)[0])
    assert np.array_equal(move, (theta[it + 1] - theta[it]).astype('f4'))
    for name, (x, y) in sets.items():
        head, _ = pair = of_kind(frames_, 'lca', it=it, set=name)[0]
        A, G, g = (array(of_kind(frames_, k, it=it, set=name)[0]).astype('f8') for k in ('lca', 'eff', 'grad'))
        d = theta[it + 1] - theta[it]
        assert np.allclose(A, d * G, rtol=3e-7, atol=1e-12)
        nodes = [net.loss(theta[it] + s * d, x, y) for s in (0, .5, 1)]
        simpson = (nodes[0][1] + 4 * nodes[1][1] + nodes[2][1]) / 6
        assert np.linalg.norm(G - simpson) < 1e-5 * np.linalg.norm(simpson)
        assert np.linalg.norm(g - nodes[0][1]) < 1e-5 * np.linalg.norm(g)
        assert abs(head['L0'] - nodes[0][0]) < 1e-6 and abs(head['L1'] - nodes[2][0]) < 1e-6
        assert abs(head['sum'] - A.sum()) < 1e-6 * head['abs'] and abs(head['abs'] - abs(A).sum()) < 1e-6 * head['abs']
        assert head['res'] == head['L1'] - head['L0'] - head['sum'] == head['tr'][-1]
        assert abs(head['fo'] - d @ nodes[0][1]) < 1e-5 * abs(d * nodes[0][1]).sum()
        assert head['n'] == 2 and head['ev'] == (3 if it == 0 else 2)
END
}

@test "rules: trapezoid, midpoint, boole and first order against numpy" {
    for rule in trapezoid midpoint boole first-order; do
        allocate $t $rule.lca --rule $rule --tolerance off --emit lca,eff
    done
    py $t "$FILES/s.data" <<'END'
thetas = read(sys.argv[1])
data, net = reference.Data(sys.argv[2]), reference.Net(thetas[0][1])
x, y = (v[:500] for v in data.sets['train'])
a, b = (array(p).astype('f8') for p in of_kind(thetas, 'theta')[:2])
g = {s: net.loss(a + s * (b - a), x, y)[1] for s in (0, .25, .5, .75, 1)}
want = {'trapezoid': (g[0] + g[1]) / 2, 'midpoint': g[.5], 'first-order': g[0],
        'boole': (7 * g[0] + 32 * g[.25] + 12 * g[.5] + 32 * g[.75] + 7 * g[1]) / 90}
for rule, G in want.items():
    have = array(of_kind(read(rule + '.lca'), 'eff', it=0, set='train')[0])
    assert np.linalg.norm(have - G) < 1e-5 * np.linalg.norm(G), rule
END
}

@test "without kinks each doubling cuts the residual about 16 times" {
    allocate "$FILES/smooth.lca" l.lca --tolerance 1e-9 --max-pieces 8
    py <<'END'
ratios = []
for head, _ in of_kind(read('l.lca'), 'lca', set='train'):
    tr = head['tr']
    assert len(tr) == 3 and head['n'] == 8
    ratios.append(tr[0] / tr[1])
assert 8 < np.median(np.abs(ratios)) < 32, ratios
END
}

@test "--min-pieces 1 begins with the trapezoid; no step above the tolerance but at the most pieces" {
    allocate $t l.lca --min-pieces 1 --tolerance 1e-4 --max-pieces 16
    allocate $t trapezoid.lca --rule trapezoid --tolerance off
    py <<'END'
first = {(h['it'], h['set']): h['res'] for h, _ in of_kind(read('trapezoid.lca'), 'lca')}
for h, _ in of_kind(read('l.lca'), 'lca'):
    assert h['tr'][0] == first[h['it'], h['set']]
    assert abs(h['res']) <= 1e-4 or h['n'] == 16
    assert h['n'] == 2 ** (len(h['tr']) - 1)
END
    run lca-check --max-step-error 1e-4 --except-max-pieces --in l.lca
    assert_success
}

@test "by class: sums and A add up" {
    allocate $t l.lca --by-class
    run lca-check --in l.lca
    assert_success
    assert_output --partial "classes: sums differ by"
    py <<'END'
f = read('l.lca')
for h, p in of_kind(f, 'lca', cls=-1):
    rows = [q for q in of_kind(f, 'lca', it=h['it'], set=h['set']) if q[0]['cls'] >= 0]
    assert len(rows) == 10
    assert abs(sum(q[0]['sum'] for q in rows) - h['sum']) <= 1e-12 * h['abs']
    assert abs(sum(array(q).astype('f8') for q in rows) - array([h, p])).sum() <= 1e-6 * h['abs']
    assert abs(sum(q[0]['L1'] for q in rows) - h['L1']) < 1e-12
END
}

@test "wrong options end with 2 and say what to do" {
    for wrong in "--rule midpoint --tolerance 1e-3" "--rule first-order --tolerance 1e-3" "--rule euler" \
        "--min-pieces 3" "--tolerance maybe" "--emit move" "--emit lca,theta"; do
        run lca-integrate --pool ipc:pool --in $t $wrong
        assert_failure 2
    done
    run lca-integrate --in $t
    assert_failure 2
    assert_output --partial "--pool is needed"
    export LCA_DIR=$PWD/ipc
    run lca-integrate --pool ipc:pool --in $t --chunk 7 --out x.lca
    assert_failure 2
    assert_output --partial "does not divide"
    run lca-integrate --pool ipc:pool --in $t --sets train,test2 --out x.lca
    assert_failure 2
    run lca-integrate --pool ipc:pool --in missing.lca --out x.lca
    assert_failure 2
    assert_output --partial "missing.lca"
}

@test "a worker with another data set is refused, and the run goes on with the right one" {
    lca-data make synth:9,1000 --out other.data >/dev/null
    export LCA_DIR=$PWD/ipc
    lca-integrate --in $t --out l.lca --pool ipc:pool --pool-wait 30 2>err 3>&- &
    integrate=$!
    run timeout 20 lca-grad --data other.data --pool ipc:pool --name wrong
    assert_failure 2
    assert_output --partial "another data set"
    lca-grad --data "$FILES/s.data" --pool ipc:pool
    wait $integrate
    run cat err
    assert_output --partial "wrong has another data set"
    run lca-check --in l.lca
    assert_success
}

@test "a pool that is in use names the process; no worker within --pool-wait is 3" {
    export LCA_DIR=$PWD/ipc
    lca-integrate --in $t --out l.lca --pool ipc:pool 2>/dev/null 3>&- &
    first=$!
    until [ -S ipc/pool ]; do sleep 0.02; done
    run lca-integrate --in $t --out m.lca --pool ipc:pool
    assert_failure 2
    assert_output --partial "in use by pid $first"
    kill -9 $first
    run timeout 20 lca-integrate --in $t --out l.lca --pool ipc:pool2 --pool-wait 0.5
    assert_failure 3
    assert_output --partial "no worker"
}

@test "a tcp port in use is said" {
    "$PYTHON" -c '
import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
print(s.getsockname()[1], flush=True); time.sleep(30)' >port 3>&- &
    holder=$!
    until [ -s port ]; do sleep 0.02; done
    run lca-integrate --in $t --out l.lca --pool "tcp://127.0.0.1:$(cat port)"
    kill $holder
    assert_failure 2
    assert_output --partial "in use"
}
