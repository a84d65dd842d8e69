load ../helper
load ../streams

more_files() {
    train relu.lca
    # large steps on a surface without kinks
    train smooth.lca --net "$FILES/smooth.json" --examples 100 --batch 100 --lr 0.2 --momentum 0 --iterations 6
}

# What numpy has for A of a step: node gradients in double, at nodes rounded to float.
NUMPY='
import os
def data_of(name="train", n=None):
    x, y = reference.Data(os.environ["FILES"] + "/s.data").sets[name]
    return x[:n], y[:n]
RULES = {"trapezoid": lambda n: [.5] + [1] * (n - 1) + [.5],
         "simpson": lambda n: [[1, 4, 2][(0 < j < n) * (1 + (j % 2 == 0))] / 3 for j in range(n + 1)],
         "boole": lambda n: [2 / 45 * (7 if j in (0, n) else [14, 32, 12, 32][j % 4]) for j in range(n + 1)],
         "first-order": lambda n: [n] + [0] * n}
def effective(net, a, b, x, y, rule, n, weights=None):
    a, b = a.astype("f8"), b.astype("f8")
    if rule == "midpoint":
        nodes, w = [(2 * j + 1) / (2 * n) for j in range(n)], [1] * n
    else:
        nodes, w = [j / n for j in range(n + 1)], RULES[rule](n)
    return sum(v / n * net.loss((a + s * (b - a)).astype("f4"), x, y, weights)[1] for s, v in zip(nodes, w) if v)
'

@test "lca-integrate talks like a tool" {
    talks_like_a_tool lca-integrate
}

@test "A of every rule is numpy's, and the frame's numbers belong to it" {
    for rule in "first-order 1" "trapezoid 2" "midpoint 2" "simpson 2" "simpson 4" "boole 4"; do
        set -- $rule
        allocate "$FILES/relu.lca" a.lca --rule $1 --min-pieces $2 --tolerance off --sets train --chunk 250
        py $1 $2 <<<"$NUMPY
rule, n = sys.argv[1], int(sys.argv[2])
t, p = read(os.environ['FILES'] + '/relu.lca'), read('a.lca')
theta = [array(f) for f in of_kind(t, 'theta')]
x, y = data_of('train', 500)
net = reference.Net(p[0][1])
head, frames = p[0][0], of_kind(p, 'lca')
assert [h['t'] for h, _ in p] == ['HEAD'] + 4 * ['lca'] + ['EOS']
assert (head['st'], head['rule'], head['unit'], head['parts'], head['it0'], head['it1']) == ('lca', rule, 'nat', 1, 0, 4)
assert head['data']['sets'] == [{'set': 'train', 'N': 500, 'chunk': 250}] and 'bycls' not in head
assert head['run'] != t[0][0]['run'] and head['num'].startswith('cpu/')
assert [e['prog'] for e in head['prov']] == ['lca-train', 'lca-integrate']
nodes = {'first-order': 0, 'midpoint': n}.get(rule, n - 1)
for k, f in enumerate(frames):
    h, A, a, b = f[0], array(f).astype('f8'), theta[k], theta[k + 1]
    d = b.astype('f8') - a
    G = effective(net, a, b, x, y, rule, n)
    scale = np.abs(d * G).max()
    assert scale > 1e-6 and np.abs(A - d * G).max() < 1e-3 * scale, (rule, k, np.abs(A - d * G).max(), scale)
    assert (h['it'], h['seq'], h['set'], h['cls'], h['n']) == (k, k, 'train', -1, n)
    assert h['ev'] == nodes + (2 if k == 0 else 1), (k, h['ev'])
    L0, g0 = net.loss(a, x, y)
    L1, _ = net.loss(b, x, y)
    assert abs(h['L0'] - L0) < 1e-6 and abs(h['L1'] - L1) < 1e-6
    assert abs(h['sum'] - A.sum()) < 1e-7 * h['abs'] + 1e-12 and abs(h['abs'] - np.abs(A).sum()) < 1e-6 * h['abs']
    assert h['res'] == h['L1'] - h['L0'] - h['sum'] and h['tr'] == [h['res']]
    assert abs(h['fo'] - d @ g0) < 1e-5 * h['abs'] + 1e-7
    assert k == 0 or h['L0'] == frames[k - 1][0]['L1']
final = p[-1][0]['final']
assert final['rule'] == rule and final['tolerance'] == 'off' and final['chunk'] == 250
assert final['loss_first'] == frames[0][0]['L0'] and final['loss_last'] == frames[-1][0]['L1']
assert abs(final['gradient_evaluations_per_step'] - (4 * (nodes + 1) + 1) / 4) < 1e-12
assert final['steps_at_max_pieces'] == 0"
    done
}

@test "without kinks the residual falls sixteenfold per doubling, and A is conserved" {
    allocate "$FILES/smooth.lca" a.lca --tolerance 1e-12 --sets train
    allocate "$FILES/smooth.lca" b.lca --tolerance 1e-12 --sets train --rule trapezoid
    allocate "$FILES/smooth.lca" c.lca --tolerance 1e-12 --sets train --rule boole --max-pieces 64
    py <<'PY'
for name, first, order, above, end in (('a.lca', 2, 4, 1.5e-7, 1e-7), ('b.lca', 1, 2, 1e-6, 1e-3),
                                       ('c.lca', 4, 6, 1e-7, 1e-7)):
    orders = []
    for h, _ in of_kind(read(name), 'lca'):
        tr = np.abs(h['tr'])
        assert len(tr) == np.log2(h['n'] / first) + 1 and h['res'] == h['tr'][-1]
        # where the order shows, and float does not yet
        orders += [np.log2(a / b) for a, b in zip(tr, tr[1:]) if a < 1e-3 and b > above]
        assert tr[-1] < end, (name, h['it'], tr)
    assert len(orders) >= 3 and abs(np.median(orders) - order) < order / 6, (name, orders)
PY
}

@test "refinement stops when the residual is within the tolerance, and not before" {
    allocate "$FILES/smooth.lca" a.lca --tolerance 1e-4 --sets train
    allocate "$FILES/smooth.lca" b.lca --tolerance 1e-4 --sets train --max-pieces 4
    allocate "$FILES/smooth.lca" c.lca --tolerance off --sets train
    py <<'PY'
a, b, c = (of_kind(read(f), 'lca') for f in ('a.lca', 'b.lca', 'c.lca'))
refined = 0
for (h, _), (low, _), fixed in zip(a, b, c):
    tr = np.abs(h['tr'])
    assert (tr[:-1] > 1e-4).all() and tr[-1] <= 1e-4 and h['n'] == 2 ** len(tr), h
    assert h['ev'] == h['n'] - 1 + (2 if h['it'] == 0 else 1)
    assert low['tr'] == h['tr'][:2] and low['n'] == min(h['n'], 4)
    assert abs(low['res']) <= 1e-4 or low['n'] == 4
    assert fixed[0]['tr'] == h['tr'][:1] and fixed[0]['n'] == 2
    refined += h['n'] > 4
assert refined >= 2
final = read('b.lca')[-1][0]['final']
assert final['steps_at_max_pieces'] == sum(h['n'] == 4 for h, _ in b) and final['tolerance'] == 1e-4
assert read('c.lca')[-1][0]['final']['steps_at_max_pieces'] == 0
PY
}

@test "the tolerance holds on the held-out set too" {
    allocate "$FILES/smooth.lca" a.lca --tolerance 1e-4
    py <<'PY'
p = read('a.lca')
train, val = of_kind(p, 'lca', set='train'), of_kind(p, 'lca', set='val')
assert len(train) == len(val) == 6 and [h['set'] for h, _ in p[1:5]] == ['train', 'val'] * 2
for (t, _), (v, _) in zip(train, val):
    assert t['n'] == v['n'] and t['ev'] == v['ev'] and len(t['tr']) == len(v['tr'])
    worst = np.maximum(np.abs(t['tr']), np.abs(v['tr']))
    assert (worst[:-1] > 1e-4).all() and worst[-1] <= 1e-4
PY
}

@test "simpson from one piece begins with the trapezoid" {
    allocate "$FILES/relu.lca" a.lca --min-pieces 1 --tolerance 0.01 --sets train
    allocate "$FILES/relu.lca" b.lca --min-pieces 1 --tolerance off --rule trapezoid --sets train
    allocate "$FILES/smooth.lca" c.lca --min-pieces 1 --tolerance 1e-3 --sets train
    allocate "$FILES/smooth.lca" d.lca --min-pieces 2 --tolerance 1e-3 --sets train
    py <<'PY'
a, b, c, d = (of_kind(read(f), 'lca') for f in ('a.lca', 'b.lca', 'c.lca', 'd.lca'))
assert all(h['n'] == 1 for h, _ in a) and [x for _, x in a] == [x for _, x in b]
both = [(p, q) for p, q in zip(c, d) if p[0]['n'] > 1]
assert both
for p, q in both:
    assert p[0]['tr'][1:] == q[0]['tr'] and p[1] == q[1]
PY
}

@test "first-order and midpoint cannot be refined, and say so" {
    for rule in first-order midpoint; do
        run --separate-stderr lca-integrate --in "$FILES/relu.lca" --pool ipc:pool --rule $rule --tolerance 1e-3 --out a.lca
        assert_failure 2
        [[ $stderr == *"--rule $rule cannot be refined: give --tolerance off" ]]
        assert_file_not_exist a.lca
    done
    # without a tolerance they are fixed
    allocate "$FILES/relu.lca" a.lca --rule midpoint --min-pieces 4 --sets train
    py <<'PY'
p = read('a.lca')
assert all(h['n'] == 4 and len(h['tr']) == 1 for h, _ in of_kind(p, 'lca')) and p[0][0]['def']['tolerance'] == 'off'
PY
}

@test "options that make no sense are refused before a socket is there" {
    export LCA_DIR=$PWD/ipc
    for bad in "--rule rk4" "--tolerance 0" "--tolerance -1" "--tolerance x" "--tolerance 1e-3x" "--tolerance nan" \
        "--min-pieces 3" "--min-pieces 0" "--max-pieces 33" "--max-pieces 2048" "--min-pieces 8 --max-pieces 4" \
        "--min-pieces 2 --max-pieces 512" "--emit all" "--emit move" "--sets val" "--sets train,none" \
        "--sets train,train" "--chunk 300" "--chunk 501" "--pool pool.lca" "--pool-wait 0"; do
        run --separate-stderr timeout -s KILL 10 lca-integrate --in "$FILES/relu.lca" --out a.lca --pool ipc:pool $bad
        assert_failure 2
        [[ $stderr == "lca-integrate: error: "* ]]
    done
    run --separate-stderr timeout 20 lca-integrate --in "$FILES/relu.lca" --out a.lca --pool ipc:pool --chunk 300
    [[ $stderr == *"the set train: --chunk 300 does not divide the set of 500 examples"*"250 or 500"* ]]
    run --separate-stderr lca-integrate --in "$FILES/relu.lca" --out a.lca
    assert_failure 2
    [[ $stderr == *"--pool is needed"* ]]
}

@test "--emit: A is movement times effective gradient, to the rounding of float" {
    allocate "$FILES/relu.lca" a.lca --emit eff,lca,move,grad
    lca-grad --data "$FILES/s.data" --in "$FILES/relu.lca" --out g.lca
    py <<<"$NUMPY
p, theta = read('a.lca'), [array(f) for f in of_kind(read(os.environ['FILES'] + '/relu.lca'), 'theta')]
assert p[0][0]['parts'] == 7
assert [(h['t'], h.get('set')) for h, _ in p[1:8]] == [('lca', 'train'), ('lca', 'val'), ('move', None), ('grad', 'train'),
                                                     ('grad', 'val'), ('eff', 'train'), ('eff', 'val')]
assert [h['seq'] for h, _ in p[1:-1]] == list(range(28))
for k in range(4):
    move = array(of_kind(p, 'move', it=k)[0])
    assert (move == theta[k + 1] - theta[k]).all()
    for name in ('train', 'val'):
        A, G = (array(of_kind(p, kind, it=k, set=name)[0]) for kind in ('lca', 'eff'))
        want = move.astype('f8') * G
        assert np.abs(A - want).max() <= 2e-7 * np.abs(want).max()
    g, want = of_kind(p, 'grad', it=k, set='train')[0], of_kind(read('g.lca'), 'grad', it=k)[0]
    assert abs(g[0]['loss'] - want[0]['loss']) < 1e-12
    assert np.abs(array(g) - array(want)).max() < 1e-8"
    # what is asked in addition changes nothing of A
    allocate "$FILES/relu.lca" b.lca
    py <<'PY'
assert [b for _, b in of_kind(read('a.lca'), 'lca')] == [b for _, b in of_kind(read('b.lca'), 'lca')]
PY
}

@test "the sets that are asked for, each with its own loss" {
    allocate "$FILES/relu.lca" a.lca --sets train,test --tolerance off
    py <<<"$NUMPY
p, theta = read('a.lca'), [array(f) for f in of_kind(read(os.environ['FILES'] + '/relu.lca'), 'theta')]
assert [s['set'] for s in p[0][0]['data']['sets']] == ['train', 'test']
x, y = data_of('test')
net = reference.Net(p[0][1])
for k, f in enumerate(of_kind(p, 'lca', set='test')):
    want = (theta[k + 1].astype('f8') - theta[k]) * effective(net, theta[k], theta[k + 1], x, y, 'simpson', 2)
    assert np.abs(array(f) - want).max() < 1e-3 * np.abs(want).max()
    assert abs(f[0]['L0'] - net.loss(theta[k], x, y)[0]) < 1e-6"
}

@test "by class: sums, vectors and losses add up, and each class is numpy's" {
    allocate "$FILES/relu.lca" a.lca --by-class --tolerance off --sets train --chunk 100
    allocate "$FILES/relu.lca" b.lca --tolerance off --sets train --chunk 100
    py <<<"$NUMPY
p, theta = read('a.lca'), [array(f) for f in of_kind(read(os.environ['FILES'] + '/relu.lca'), 'theta')]
x, y = data_of('train', 500)
net = reference.Net(p[0][1])
assert p[0][0]['parts'] == 11 and p[0][0]['bycls'] is True
for k, plain in enumerate(of_kind(read('b.lca'), 'lca')):
    rows = of_kind(p, 'lca', it=k)
    assert [h['cls'] for h, _ in rows] == list(range(-1, 10))
    all, rows = rows[0], rows[1:]
    unit = sum(h['abs'] for h, _ in rows)
    for key in ('L0', 'L1', 'sum', 'fo', 'res'):
        assert abs(sum(h[key] for h, _ in rows) - all[0][key]) < 1e-12, key
    assert np.abs(sum(array(r).astype('f8') for r in rows) - array(all)).max() < 1e-7 * unit
    assert abs(plain[0]['L0'] - all[0]['L0']) < 1e-6 and np.abs(array(plain) - array(all)).max() < 1e-6 * unit
    c = 3
    G = effective(net, theta[k], theta[k + 1], x, y, 'simpson', 2, (y == c).astype('f8'))
    want = (theta[k + 1].astype('f8') - theta[k]) * G
    assert np.abs(array(rows[c]) - want).max() < 1e-3 * np.abs(want).max()
    assert abs(rows[c][0]['L0'] - net.loss(theta[k], x, y, (y == c).astype('f8'))[0]) < 1e-6"
}

@test "one worker or three, small chunks or a slow start: the same bytes" {
    allocate "$FILES/relu.lca" a.lca --chunk 25
    export LCA_DIR=$PWD/more
    lca-integrate --in "$FILES/relu.lca" --out b.lca --pool ipc:pool --chunk 25 --pool-wait 30 3>&- &
    main=$!
    workers=()
    for _ in 1 2 3; do
        lca-grad --data "$FILES/s.data" --pool ipc:pool 3>&- &
        workers+=($!)
    done
    wait $main
    # one that has started too late for this pool would wait for another
    kill "${workers[@]}" 2>/dev/null || true
    for w in "${workers[@]}"; do wait "$w"; done
    cmp a.lca b.lca
    # and another chunk is another surface: another run
    allocate "$FILES/relu.lca" c.lca --chunk 50
    py <<'PY'
assert read('a.lca')[0][0]['run'] != read('c.lca')[0][0]['run']
PY
}

@test "a worker with another data set is refused, the run goes on with the right one" {
    export LCA_DIR=$PWD/ipc
    lca-data make synth:2,1000 --out other.data >/dev/null
    lca-integrate --in "$FILES/relu.lca" --out a.lca --pool ipc:pool --pool-wait 30 2>err 3>&- &
    main=$!
    run --separate-stderr timeout 30 lca-grad --data other.data --pool ipc:pool
    assert_failure 2
    [[ $stderr == *"refused: "*"another data set"* ]]
    lca-grad --data "$FILES/s.data" --pool ipc:pool
    wait $main
    grep -q "refused a worker from pid [0-9]* of uid [0-9]*: .*another data set" err
    lca-check --in a.lca
}

@test "a worker with another network is told so" {
    export LCA_DIR=$PWD/ipc
    lca-integrate --in "$FILES/relu.lca" --out a.lca --pool ipc:pool --pool-wait 30 2>err 3>&- &
    main=$!
    run --separate-stderr timeout 30 lca-grad --net "$FILES/smooth.json" --data "$FILES/s.data" --pool ipc:pool
    assert_failure 2
    [[ $stderr == *"is not the network of the stream"* ]]
    lca-grad --data "$FILES/s.data" --pool ipc:pool
    wait $main
}

@test "an endpoint in use: exit 2, by its pid; a tcp port in use: exit 2" {
    export LCA_DIR=$PWD/ipc
    for pool in ipc:pool "tcp://127.0.0.1:$((20000 + RANDOM % 10000))"; do
        lca-integrate --in "$FILES/relu.lca" --out a.lca --pool $pool 3>&- 2>err &
        first=$!
        for _ in $(seq 100); do     # until it is bound: the second would be the first
            [ $pool = ipc:pool ] && [ -S ipc/pool ] && break
            [ $pool != ipc:pool ] && (exec 4<>"/dev/tcp/127.0.0.1/${pool##*:}") 2>/dev/null && break
            sleep 0.05
        done
        run --separate-stderr timeout 20 lca-integrate --in "$FILES/relu.lca" --out b.lca --pool $pool
        kill -9 $first
        wait $first || true
        assert_failure 2
        [ $pool != ipc:pool ] || [[ $stderr == *"ipc:pool is in use by pid $first:"* ]]
        [[ $stderr == *"$pool"* && $stderr == *"in use"* ]]
    done
    # the lock went with its holder: the name is free again
    allocate "$FILES/relu.lca" c.lca
}

@test "no worker at all: exit 3 after --pool-wait" {
    export LCA_DIR=$PWD/ipc
    run --separate-stderr timeout 20 lca-integrate --in "$FILES/relu.lca" --out a.lca --pool ipc:pool --pool-wait 0.3
    assert_failure 3
    [[ $stderr == *worker* ]]
}

@test "without a worker it can be stopped: exit 130" {
    export LCA_DIR=$PWD/ipc
    lca-integrate --in "$FILES/relu.lca" --out a.lca --pool ipc:pool 3>&- 2>err &
    for _ in $(seq 100); do [ -S ipc/pool ] && break; sleep 0.05; done
    kill -TERM $!
    status=0
    wait $! || status=$?
    assert_equal "$status" 130
    grep -q "interrupted before the first worker" err
}

@test "streams that are cut, of another kind or damaged" {
    export LCA_DIR=$PWD/ipc
    size=$(stat -c %s "$FILES/relu.lca")
    head -c $((size - 30)) "$FILES/relu.lca" >cut.lca
    run --separate-stderr allocate cut.lca a.lca
    assert_failure 5
    [[ $stderr == *"cut.lca"* ]]
    run --separate-stderr lca-integrate --in none.lca --out a.lca --pool ipc:pool
    assert_failure 2
    allocate "$FILES/relu.lca" lca.lca
    run --separate-stderr lca-integrate --in lca.lca --out a.lca --pool ipc:pool
    assert_failure 2
    [[ $stderr == *"reads a theta stream"* ]]
    py <<'PY'
import os, copy
p = read(os.environ['FILES'] + '/relu.lca')
def damaged(name, change):
    q = copy.deepcopy(p)
    change(q)
    write(name, q)
damaged('zero.lca', lambda q: q[0][0]['data']['sets'][0].update(N=0))
damaged('minus.lca', lambda q: q[0][0]['data']['sets'][0].update(N=-500))
damaged('huge.lca', lambda q: q[0][0]['data']['sets'][0].update(N=2 ** 32 + 500))
damaged('more.lca', lambda q: q[0][0].update(P=4781))
damaged('it.lca', lambda q: q[2][0].update(it=3))
def nan(q):
    v = array(q[3]).copy()
    v[17] = np.nan
    q[3][1] = v.tobytes()
damaged('nan.lca', nan)
PY
    for f in zero minus huge more; do
        run --separate-stderr timeout 20 lca-integrate --in $f.lca --out a.lca --pool ipc:pool --pool-wait 1
        [ $status -eq 2 ] || [ $status -eq 5 ]
        [[ $stderr == "lca-integrate: error: "* ]]
    done
    run --separate-stderr allocate it.lca a.lca
    assert_failure 5
    run --separate-stderr allocate nan.lca a.lca
    assert_failure 1
    [[ $stderr == *"step 1"*"not finite"*"diverged"* ]]
}

@test "how the stream before ended is how this one ends" {
    py <<'PY'
import os
p = read(os.environ['FILES'] + '/relu.lca')
p[-1][0]['status'] = 'interrupted'
write('interrupted.lca', p)
p[-1][0].update(status='failed', why='no more power')
write('failed.lca', p)
p[-1][0].update(status='ok', next=1)
write('one.lca', p[:2] + p[-1:])
PY
    allocate interrupted.lca a.lca
    py <<'PY'
assert read('a.lca')[-1][0]['status'] == 'interrupted'
PY
    run --separate-stderr allocate failed.lca a.lca
    assert_failure 4
    [[ $stderr == *"no more power"* ]]
    # a single theta is a training of no steps
    allocate one.lca a.lca
    py <<'PY'
p = read('a.lca')
assert [h['t'] for h, _ in p] == ['HEAD', 'EOS'] and p[-1][0]['status'] == 'ok' and p[-1][0]['next'] == 0
PY
}

@test "--heldout takes the first examples of held-out sets, and leaves the training set" {
    allocate "$FILES/relu.lca" all.lca --sets train,val,test --tolerance off
    allocate "$FILES/relu.lca" a.lca --sets train,val,test --heldout 40 --tolerance off
    py <<'PY'
import os
a, b = read('all.lca'), read('a.lca')
assert b[0][0]['data']['sets'] == [{'set': 'train', 'N': 500, 'chunk': 500}, {'set': 'val', 'N': 40, 'chunk': 40},
                                   {'set': 'test', 'N': 40, 'chunk': 40}]
assert a[0][0]['run'] != b[0][0]['run']
assert [p[1] for p in of_kind(a, 'lca', set='train')] == [p[1] for p in of_kind(b, 'lca', set='train')]
data = reference.Data(os.environ['FILES'] + '/s.data')
thetas = read(os.environ['FILES'] + '/relu.lca')
net = reference.Net(thetas[0][1])
for set in ('val', 'test'):
    x, y = data.sets[set]
    for k, (h, _) in enumerate(of_kind(b, 'lca', set=set)):
        loss, _ = net.loss(array(of_kind(thetas, 'theta')[k]), x[:40], y[:40])
        assert abs(h['L0'] - loss) < 1e-5, (set, k)
PY
    run --separate-stderr allocate "$FILES/relu.lca" b.lca --heldout 92
    assert_failure 2
    [[ $stderr == *"--heldout 92: the set val has 91 examples"* ]]
}

@test "frames are not written to a terminal" {
    export LCA_DIR=$PWD/ipc
    on_terminal "lca-integrate --in $FILES/relu.lca --pool ipc:pool"
    assert_failure 2
    assert_output --partial "terminal"
}

@test "--resume: what a cut recording holds is passed on, the rest computed: the same bytes, EOS too" {
    train t.lca --iterations 12
    options="--emit lca,move,grad,eff --by-class --sets train,val --tolerance 1e-5"
    allocate t.lca whole.lca $options
    size=$(stat -c %s whole.lca)
    for at in 0 3000 $((size / 3)) $((size - 1)) "$size"; do
        head -c "$at" whole.lca >cut.lca
        allocate t.lca out.lca $options --resume cut.lca 2>err
        cmp whole.lca out.lca
    done
    run cat err
    assert_output "lca-integrate: passing on the 12 steps of cut.lca"
    allocate t.lca out.lca $options --resume missing.lca
    cmp whole.lca out.lca
    head -c $((size / 3)) whole.lca >cut.lca
    run --separate-stderr allocate t.lca out.lca $options --resume cut.lca --from now
    assert_failure 2
    run --separate-stderr allocate t.lca out.lca $options --resume t.lca
    assert_failure 2
    [[ $stderr == *"--resume t.lca: this is a theta stream, not lca"* ]]
    run --separate-stderr allocate t.lca out.lca $options --max-pieces 8 --resume cut.lca
    assert_failure 2
    [[ $stderr == *"cut.lca is of another run: its max_pieces is 32, here it is 8"* ]]
    # a training that goes on later than the recording ends
    train t.lca --iterations 12 --checkpoint cp --checkpoint-every 10
    train late.lca --iterations 12 --resume cp/step-00000010.ckpt
    run --separate-stderr allocate late.lca out.lca $options --resume cut.lca
    assert_failure 2
    [[ $stderr == *"late.lca begins at step 10, and the steps from "*" on are in no recording"* ]]
}
