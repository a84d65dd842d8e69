load ../helper
load ../streams

@test "lca-train talks like a tool" {
    talks_like_a_tool lca-train
}

@test "T steps make HEAD, T+1 thetas and EOS, in order" {
    train t.lca
    py <<'PY'
p = read('t.lca')
assert [h['t'] for h, _ in p] == ['HEAD'] + 5 * ['theta'] + ['EOS']
head, eos = p[0][0], p[-1][0]
assert head['lca'] == 1 and head['v'] == 1 and head['st'] == 'theta'
assert (head['model'], head['P'], head['parts'], head['it0'], head['it1']) == ('small', 4780, 1, 0, 5)
assert [(l['n'], l['l'], l['k'], l['off'], l['len'], l['sh']) for l in head['layers']] == [
    ('one/kernel', 'one', 'kernel', 0, 4704, [784, 6]), ('one/bias', 'one', 'bias', 4704, 6, [6]),
    ('two/kernel', 'two', 'kernel', 4710, 60, [6, 10]), ('two/bias', 'two', 'bias', 4770, 10, [10])]
data = reference.Data('%s/s.data' % __import__('os').environ['FILES'])
assert head['data']['sha256'] == data.header['sha256']
assert head['data']['sets'] == [{'set': 'train', 'N': 500}, {'set': 'val', 'N': 91}, {'set': 'test', 'N': 200}]
count = np.bincount(data.sets['train'][1][:500], minlength=10)
assert [(c['name'], c['n']) for c in head['classes']] == [(str(k), n) for k, n in enumerate(count)]
assert json.loads(p[0][1])['name'] == 'small'
import hashlib
text = json.dumps(head['def'], sort_keys=True, separators=(',', ':'))
for k in ('network', 'network_sha256', 'data_sha256', 'examples', 'batch', 'optimizer', 'lr', 'momentum', 'seed', 'dropout'):
    assert k in head['def'], k
assert head['def']['network_sha256'] == hashlib.sha256(p[0][1]).hexdigest()
for t, (h, payload) in enumerate(p[1:-1]):
    assert (h['seq'], h['it'], h['sh'], h['run']) == (t, t, [4780], head['run'])
    assert h['epoch'] == 0 and np.isfinite(array((h, payload))).all()
    assert (h['lr'], h['mbloss'], 'mb' in h) == ((0.0, 0.0, False) if t == 0 else (0.05, h['mbloss'], True))
    assert t == 0 or 0 < h['mbloss'] < 10 and len(h['mb']) == 8
assert eos['next'] == 5 and eos['status'] == 'ok'
# what it says of the test set is so
net = reference.Net(p[0][1])
loss, _ = net.loss(array(p[-2]), *data.sets['test'])
assert abs(eos['final']['loss_test'] - loss) < 1e-6, (eos['final'], loss)
x, y = data.sets['test']
best = np.maximum(x @ net.split(array(p[-2]).astype('f8'))[0][0] + net.split(array(p[-2]).astype('f8'))[0][1], 0)
best = (best @ net.split(array(p[-2]).astype('f8'))[1][0] + net.split(array(p[-2]).astype('f8'))[1][1]).argmax(1)
assert abs(eos['final']['accuracy_test'] - 100 * (best == y).mean()) < 1e-9
assert eos['final']['iterations'] == 4 and eos['final']['parameters'] == 4780
PY
}

@test "the same options give the same bytes, to a file and to a pipe" {
    train a.lca
    train b.lca
    cmp a.lca b.lca
    train - >c.lca
    cmp a.lca c.lca
    train d.lca.zst
    lca-cat d.lca.zst >e.lca
    cmp a.lca e.lca
    lca-train --net "$FILES/relu.json" --data "$FILES/s.data" -T 4 -b 50 --examples 500 --momentum 0.9 --lr 0.05 \
        --seed 1 --optimizer sgd --dropout on >f.lca
    cmp a.lca f.lca
}

@test "seed, rate, momentum, batch and examples each make another run" {
    train a.lca
    for other in "--seed 2" "--lr 0.06" "--momentum 0.8" "--batch 100" "--examples 400" "--optimizer adam"; do
        train b.lca $other
        py <<'PY'
a, b = read('a.lca'), read('b.lca')
assert a[0][0]['run'] != b[0][0]['run']
assert (array(a[-2]) != array(b[-2])).any()
PY
    done
    # theta_0 is the seed's alone
    py <<'PY'
a, b = read('a.lca'), read('b.lca')
assert a[1][1] == b[1][1]
PY
    # a longer run begins as the shorter one did: it has its id
    train b.lca --iterations 6
    py <<'PY'
a, b = read('a.lca'), read('b.lca')
assert a[0][0]['run'] == b[0][0]['run'] and a[0][0]['it1'] != b[0][0]['it1']
assert [p for _, p in a[1:6]] == [p for _, p in b[1:6]]
PY
}

@test "epochs turn over and shuffle anew, the incomplete batch is dropped" {
    train t.lca --examples 110 --iterations 5
    py <<'PY'
p = of_kind(read('t.lca'), 'theta')
assert [h['epoch'] for h, _ in p] == [0, 0, 0, 1, 1, 2]
assert len({h['mb'] for h, _ in p[1:]}) == 5
PY
}

@test "without --iterations it trains four epochs" {
    lca-train --net "$FILES/relu.json" --data "$FILES/s.data" --batch 200 >t.lca
    py <<'PY'
assert len(of_kind(read('t.lca'), 'theta')) == 21
PY
}

# With a batch of all examples their order does not matter, so that numpy can follow.
@test "SGD's first steps are numpy's: momentum, rates per step and per layer" {
    train sgd.lca --examples 100 --batch 100 --lr 0.2 --momentum 0.9
    train plain.lca --examples 100 --batch 100 --lr 0.2 --momentum 0
    train layers.lca --examples 100 --batch 100 --lr 0.2 --momentum 0.5 --layer-lr two=0.1 --layer-momentum one=0.7 \
        --lr-steps 2=0.05,3=0.4
    py <<'PY'
import os
x, y = reference.Data(os.environ['FILES'] + '/s.data').sets['train']
def check(path, lr, momentum):
    p = read(path)
    net, t = reference.Net(p[0][1]), of_kind(p, 'theta')
    theta, v = array(t[0]).astype('f8'), np.zeros(net.P)
    for k, frame in enumerate(t[1:]):
        loss, g = net.loss(theta, x[:100], y[:100])
        assert abs(frame[0]['mbloss'] - loss) < 1e-5, (path, k)
        v = momentum * v + g
        theta = theta - lr(k) * v
        gap = np.abs(array(frame) - theta).max()
        assert gap < 2e-6, (path, k, gap)
        moved = np.abs(array(frame) - array(t[k])).max()
        assert moved > 1e-3, (path, k, moved)
check('sgd.lca', lambda k: 0.2, 0.9)
check('plain.lca', lambda k: 0.2, 0)
two = np.arange(4780) >= 4710
rate = lambda k: [0.2, 0.2, 0.05, 0.4][k]
check('layers.lca', lambda k: np.where(two, rate(k) * 0.5, rate(k)), np.where(two, 0.5, 0.7))
PY
}

@test "Adam's first steps are numpy's" {
    train t.lca --examples 100 --batch 100 --optimizer adam --lr 0.01
    py <<'PY'
import os
x, y = reference.Data(os.environ['FILES'] + '/s.data').sets['train']
p = read('t.lca')
net, t = reference.Net(p[0][1]), of_kind(p, 'theta')
theta = array(t[0]).astype('f8')
m, v = np.zeros(net.P), np.zeros(net.P)
for k, frame in enumerate(t[1:], 1):
    _, g = net.loss(theta, x[:100], y[:100])
    m = .9 * m + .1 * g
    v = .999 * v + .001 * g * g
    theta = theta - .01 * np.sqrt(1 - .999 ** k) / (1 - .9 ** k) * m / (np.sqrt(v) + 1e-8)
    # a gradient near zero has a sign of its own in float, and Adam steps by signs
    clear = np.sqrt(v) > 1e-4
    assert clear.mean() > .2
    gap = np.abs(array(frame) - theta)[clear].max()
    assert gap < 2e-5, (k, gap)
    theta = array(frame).astype('f8')
PY
}

@test "a frozen layer keeps its bits, from the step that is said; the others go their way" {
    train t.lca --freeze two@2 --iterations 5
    train all.lca --iterations 5
    train one.lca --freeze one --momentum 0
    py <<'PY'
t, a, one = (of_kind(read(f), 'theta') for f in ('t.lca', 'all.lca', 'one.lca'))
T = [array(f) for f in t]
A = [array(f) for f in a]
for k in range(3):
    assert (T[k] == A[k]).all()
for k in range(2, 5):
    assert (T[k + 1][4710:] == T[k][4710:]).all()
    assert (T[k + 1][:4710] != T[k][:4710]).any()
assert (T[2][4710:] != T[1][4710:]).any()
O = [array(f) for f in one]
assert all((o[:4710] == O[0][:4710]).all() for o in O)
assert all((O[k + 1][4710:] != O[k][4710:]).any() for k in range(4))
PY
}

@test "a delayed layer waits, then follows with the gradients of before" {
    train t.lca --examples 100 --batch 100 --delay two=2 --momentum 0 --lr 0.1
    py <<'PY'
import os
x, y = reference.Data(os.environ['FILES'] + '/s.data').sets['train']
p = read('t.lca')
net = reference.Net(p[0][1])
T = [array(f).astype('f8') for f in of_kind(p, 'theta')]
g = [net.loss(t, x[:100], y[:100])[1] for t in T]
for k in range(4):
    assert np.abs(T[k + 1] - (T[k] - .1 * g[k]))[:4710].max() < 1e-6
    want = T[k] - (.1 * g[k - 2] if k >= 2 else 0)
    assert np.abs(T[k + 1] - want)[4710:].max() < 1e-6
PY
}

@test "interventions that name no layer, or no number, are refused" {
    for bad in "--freeze three" "--freeze one@x" "--freeze one@-1" "--layer-lr one" "--layer-lr one=fast" \
        "--layer-momentum one=1" "--delay two=-1" "--delay two=9999" "--lr-steps 3=1,2=1" "--lr-steps x"; do
        run --separate-stderr train t.lca $bad
        assert_failure 2
        [[ $stderr == *"${bad%% *}"* ]]
    done
    run --separate-stderr train t.lca --freeze three
    [[ $stderr == *"no layer 'three'"*" one two"* ]]
}

@test "a first SIGINT ends the stream in order: EOS interrupted, exit 130" {
    # a shell without job control starts what it puts in the background deaf to SIGINT
    env --default-signal=INT lca-train --net "$FILES/relu.json" --data "$FILES/s.data" --iterations 5000 --batch 500 \
        --out t.lca 2>train.err 3>&- &
    for _ in $(seq 200); do
        [ -s t.lca ] && [ "$(stat -c %s t.lca)" -gt 200000 ] && break
        sleep 0.05
    done
    kill -INT $!
    status=0
    wait $! || status=$?
    assert_equal "$status" 130
    assert_equal "$(sed 's/[0-9]*$/N/' train.err)" "lca-train: error: interrupted after step N"
    lca-cat t.lca --out u.lca
    cmp t.lca u.lca
    py <<'PY'
p = read('t.lca')
assert p[-1][0]['t'] == 'EOS' and p[-1][0]['status'] == 'interrupted'
assert p[-1][0]['next'] == len(p) - 2 > 5
assert p[-1][0]['final']['iterations'] == len(p) - 3
PY
}

@test "the last step is checked too: it does not end in parameters that are no numbers" {
    # so deep that the gradient times the rate overflows while the loss before it does not
    py <<'PY'
layers = [dict(type='dense', name='d%d' % k, units=6) for k in range(8)] + [dict(type='dense', name='out', units=10)]
json.dump(dict(name='deep', input=[28, 28, 1], classes=10, layers=layers), open('deep.json', 'w'))
PY
    run --separate-stderr lca-train --net deep.json --data "$FILES/s.data" --batch 50 --momentum 0 --iterations 2 \
        --lr 5600 --lr-steps 1=999999 --out t.lca
    assert_failure 1
    [[ $stderr == "lca-train: error: step 1: it led to parameters that are no numbers: "*"diverged; lower --lr" ]]
    py <<'PY'
p = read('t.lca')
assert p[-1][0]['status'] == 'failed' and p[-1][0]['next'] == 2
assert all(np.isfinite(array(f)).all() for f in of_kind(p, 'theta'))
PY
}

@test "a rate that is too large ends with the step and what to do" {
    run --separate-stderr train t.lca --net "$FILES/smooth.json" --lr 1e6 --iterations 100
    assert_failure 1
    [[ $stderr == "lca-train: error: step "*"diverged; lower --lr" ]]
    py <<'PY'
p = read('t.lca')
assert p[-1][0]['t'] == 'EOS' and p[-1][0]['status'] == 'failed' and 'diverged' in p[-1][0]['why']
assert all(np.isfinite(array(f)).all() for f in of_kind(p, 'theta'))
PY
    run lca-cat t.lca --out u.lca
    assert_failure 4
}

@test "data and network that do not fit are refused before anything is written" {
    sed 's/"classes": 10/"classes": 9/; s/"units": 10/"units": 9/' "$FILES/relu.json" >nine.json
    sed 's/28, 28, 1/14, 14, 1/' "$FILES/relu.json" >size.json
    run --separate-stderr lca-train --net nine.json --data "$FILES/s.data"
    assert_failure 2
    assert_output ""
    [[ $stderr == *"9 classes"*"has 10"* ]]
    run --separate-stderr lca-train --net size.json --data "$FILES/s.data"
    assert_failure 2
    assert_output ""
    [[ $stderr == *"196 values"*784* ]]
    run --separate-stderr lca-train --net none --data "$FILES/s.data"
    assert_failure 2
    [[ $stderr == *"no network 'none'"* ]]
    run --separate-stderr lca-train --net "$FILES/relu.json" --data none.data
    assert_failure 2
    [[ $stderr == *"none.data"* ]]
    run --separate-stderr lca-train --net "$FILES/relu.json" --data "$FILES/relu.json"
    assert_failure 2
    for half in "--net $FILES/relu.json" "--data $FILES/s.data"; do
        run --separate-stderr lca-train $half
        assert_failure 2
        [[ $stderr == *"--net and --data are needed"* ]]
    done
}

@test "data that were changed or cut are corrupt" {
    cp "$FILES/s.data" bad.data
    printf '\xff' | dd of=bad.data bs=1 seek=5000 conv=notrunc status=none
    run --separate-stderr lca-train --net "$FILES/relu.json" --data bad.data
    assert_failure 5
    assert_output ""
    head -c 100000 "$FILES/s.data" >cut.data
    run --separate-stderr lca-train --net "$FILES/relu.json" --data cut.data
    assert_failure 5
    assert_output ""
}

@test "numbers out of range are refused" {
    for bad in "--examples 1001" "--examples 0" "--batch 501" "--batch 0" "--iterations 0" "--lr 0" "--lr -1" \
        "--momentum 1" "--seed -1" "--seed 4294967296" "--optimizer rms" "--dropout maybe"; do
        run --separate-stderr train t.lca $bad
        assert_failure 2
        assert_file_not_exist t.lca
    done
    run --separate-stderr train t.lca --examples 1001
    [[ $stderr == *"has 1000 training examples"* ]]
    run --separate-stderr train t.lca --batch 501
    [[ $stderr == *"batch of 501"*"500"* ]]
}

@test "frames are not written to a terminal" {
    on_terminal "lca-train --net $FILES/relu.json --data $FILES/s.data -T 1"
    assert_failure 2
    assert_output --partial "terminal"
}

@test "a reader that leaves ends it with 141, in silence" {
    run --separate-stderr bash -c 'lca-train --net "$FILES/relu.json" --data "$FILES/s.data" -T 100000 | head -c 100000 >/dev/null
        exit ${PIPESTATUS[0]}'
    assert_failure 141
    assert_equal "$stderr" ""
}

@test "an output that cannot be written is an error, and so is a full disk" {
    run --separate-stderr train none/t.lca
    assert_failure 2
    [[ $stderr == *"none/t.lca"* ]]
    [ -c /dev/full ] || skip "no /dev/full here"
    run --separate-stderr train /dev/full
    assert_failure 1
    [[ $stderr == *"disk is full"* ]]
}

@test "MNIST-FC learns real digits in one epoch" {
    need_data mnist
    lca-data make "mnist:$DATA/mnist" --out m.data >/dev/null
    lca-train --net mnist-fc --data m.data --iterations 220 --out t.lca
    py <<'PY'
import itertools
last = None
# 220 steps of 336 kB: only the end is wanted
raw = open('t.lca', 'rb').read()
open('tail.lca', 'wb').write(raw[raw.rindex(b'\x94\xce'):])
eos = read('tail.lca')[0][0]
assert eos['next'] == 221 and eos['final']['accuracy_test'] > 90, eos
PY
}
