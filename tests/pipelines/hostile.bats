# Peers that do not keep to the rules, at every socket of a run: what they send is refused by
# name, counted, and neither ends the run nor changes what it records.
load ../helper
load ../live
BATS_TEST_TIMEOUT=120
export PYTHONPATH=$ROOT/tests PYTHONDONTWRITEBYTECODE=1

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    export LCA_DIR=$PWD/ipc
    "$PYTHON" -c "
import numpy
r = numpy.random.default_rng(1)
numpy.save('x.npy', r.integers(0, 256, (60, 4, 4), 'u1'))
numpy.save('y.npy', (numpy.arange(60) % 3).astype('u1'))"
    cat >small.json <<'NET'
{"name": "small", "input": [4, 4, 1], "classes": 3, "layers": [
  {"type": "dense", "name": "one", "units": 3}, {"type": "relu"}, {"type": "dense", "name": "two", "units": 3}]}
NET
    lca-data make npy:x.npy,y.npy --out d >/dev/null
    lca-train --net ./small.json --data d --batch 10 --iterations 30 --out theta.lca
    lca-grad --data d --pool ipc:pool 3>&- &
    lca-integrate --in theta.lca --pool ipc:pool --pool-wait 30 --chunk 10 --out lca.lca
    wait $!
}

# attacker NAME <<END: Python with tests/hostile.py at hand, in the background; theta and lca
# are the HEADs of the recordings, at("NAME") the address of a socket.
attacker() {
    local code
    code=$(cat)
    bg "$1" "$PYTHON" -c "
import os
from hostile import *
at = lambda name: 'ipc://%s/%s' % (os.environ['LCA_DIR'], name)
files = '$BATS_FILE_TMPDIR/'
theta, lca = (frames.read(files + name)[0][0] for name in ('theta.lca', 'lca.lca'))
$code"
}

# refused NAME TEXT...: it has said so, of a peer of ours.
refused() {
    local text
    for text in "${@:2}"; do
        says "$1" "refused .* from pid [0-9]+ of uid $(id -u): .*$text" || { echo "not said: $text"; cat "$1.err"; return 1; }
    done
}

@test "a producer: what is no frame, of another version or run, or out of order" {
    bg producer lca-cat --in "$BATS_FILE_TMPDIR/theta.lca" --out ipc:theta --expect a --lost 1
    attacker one <<'END'
peers = [attack(at('theta'), m) for m in nonsense().values()]
peers += [attack(at('theta'), [frames.packet(m)]) for m in (
    hello('x', vmin=2, vmax=3), hello('small', maxb=10), hello('y' * 64),
    frame('ACK', theta['run'], 'theta', done=0, lim=1), frame('DONE', pt=0, u=0, cls=0, n=0, loss=0.0, hit=0, sec=0.0))]
peers.append(attack(at('theta'), [b'f' + bytes(5000)]))
peers.append(attack(at('theta'), [b'f' + bytes(1 << 20)]))       # ZeroMQ cuts it off
for t in ('run', 'order', 'hello', 'lim'):
    p = Peer(at('theta'))
    p.say(hello(t))
    p.hear('HEAD')
    p.say({'run': frame('ACK', b'another run 1234', 'theta', done=0, lim=1),
           'order': frame('ACK', theta['run'], 'theta', done=1000, lim=1001),
           'lim': frame('ACK', theta['run'], 'theta', done=3, lim=2),
           'hello': hello('again')}[t])
    p.hear('ERR')
    p.say(frame('PING'))        # ignored from now on
    peers.append(p)
settle(peers)
END
    ends one 0
    until_true says producer 'lim, which was not expected'
    bg a lca-cat --in ipc:theta --name a --out a.lca
    ends a 0
    ends producer 0 'ipc:theta: refused [0-9]+ messages in all: 10 malformed, 3 version, 1 run, 2 unexpected, 3 order, 2 attach'
    cmp "$BATS_FILE_TMPDIR/theta.lca" a.lca
    refused producer 'several parts' 'nested too deep' 'the same key twice' 'more entries than bytes are left' \
        'CRC-32C' 'needs wire 2, have 1' '"NEWS" is unknown' 'needs wire 2 to 3' 'takes payloads of 10 bytes' \
        'name of 1 to 63' 'ACK before any HELLO' 'DONE before any HELLO' 'more than 4 KiB' \
        'an ACK of another run; it is ignored' 'all before seq 1000' 'says HELLO on a connection' 'grants up to 2'
}

@test "a producer: a flood of consumers leaves room for those that are expected" {
    bg producer lca-cat --in "$BATS_FILE_TMPDIR/theta.lca" --out ipc:theta --expect a,b --lost 1
    attacker one <<'END'
peers = [Peer(at('theta')) for k in range(100)]
for k, p in enumerate(peers):
    p.say(hello('flood%d' % k))
heard = [frames.unpacket(p.socket.recv())[0] for p in peers]
assert sum(h['t'] == 'HEAD' for h in heard) == 62
assert sum(h['t'] == 'ERR' and h['code'] == 'full' for h in heard) == 38
settle(peers)
END
    ends one 0
    bg a lca-cat --in ipc:theta --name a --out a.lca
    bg b lca-cat --in ipc:theta --name b --out b.lca
    ends producer 0 'refused 38 messages in all: 38 attach'
    ends a 0
    ends b 0
    cmp "$BATS_FILE_TMPDIR/theta.lca" a.lca
    cmp a.lca b.lca
}

@test "a pool: strangers, and workers whose results are not what was asked" {
    LCA_REPORT=$PWD/report.json bg integrate lca-integrate --in "$BATS_FILE_TMPDIR/theta.lca" --pool ipc:pool \
        --chunk 10 --out lca.lca
    attacker one <<'END'
P, run = lca['P'], lca['run']
# one that keeps to the rules, and is slow: so there is somebody else to do a unit, and work for all
slow = Peer(at('pool'))
slow.say(worker('slow', lca))
slow.hear('WORK')
nan = [float('nan')] + [0] * (P - 1)
peers = [attack(at('pool'), m) for m in nonsense().values()]
peers += [attack(at('pool'), [frames.packet(m)]) for m in (
    worker('other', lca, data='0' * 64), worker('old', lca, vmin=0, vmax=0), worker('num', lca, num='abacus'),
    frame('DONE', run, pt=0, u=0, cls=-1, n=0, loss=0.0, hit=0, sec=0.0), hello('x'))]
attacks = {
    'twice': lambda work, run: [(worker('twice', lca), b'')],
    'stranger': lambda work, run: [result(work, b'another run 1234', [0] * P)],
    'never': lambda work, run: [result(dict(work, pt=1 << 40), run, [0] * P)],
    'unit': lambda work, run: [result(dict(work, u=9999), run, [0] * P)],
    'short': lambda work, run: [result(work, run, [0] * (P - 1))],
    'long': lambda work, run: [result(work, run, [0] * (P + 1))],
    'class': lambda work, run: [result(work, run, [0] * P, cls=(1 << 32) - 1)],
    'late': lambda work, run: [result(work, run, [0] * P, off=3)],
    'year': lambda work, run: [result(work, run, [0] * P, sec=float('inf'))],
    'gives-up': lambda work, run: [(frame('FAIL', run, pt=work['pt'], u=9999, msg='no'), b'')],
    'hello': lambda work, run: [(hello('x'), b'')],
}
for name, what in attacks.items():
    p = Peer(at('pool'))
    p.say(worker(name, lca))
    run_here = p.hear('HEAD')[0]['run']
    work = p.hear('WORK')[0]
    for header, payload in what(work, run_here):
        p.say(header, payload)
    p.hear('ERR')
    peers.append(p)
# numbers that are none: the unit is another's, and the worker may go on
p = Peer(at('pool'))
p.say(worker('none', lca))
p.hear('HEAD')
first = p.hear('WORK')[0]
p.say(*result(first, run, nan))
second = p.hear('WORK')[0]
p.say(*result(second, run, [0] * P, loss=float('inf')))
third = p.hear('WORK')[0]
assert len({(w['pt'], w['u']) for w in (first, second, third)}) == 3
# the same answer again: there is nothing left that it would answer
p.say(*result(first, run, [0] * P))
p.hear('ERR')
settle(peers + [p, slow])
END
    ends one 0
    until_true says integrate 'slow gone'
    bg grad lca-grad --data "$BATS_FILE_TMPDIR/d" --pool ipc:pool
    ends integrate 0
    ends grad 0
    cmp "$BATS_FILE_TMPDIR/lca.lca" lca.lca
    refused integrate 'several parts' 'nested too deep' 'CRC-32C' 'needs wire 2, have 1' 'another data set' \
        'needs wire 0 to 0' 'computes with abacus' 'DONE before any JOIN' 'HELLO before any JOIN' 'JOIN twice' \
        'another run' 'point 1099511627776, which it does not hold' 'unit 9999' 'do not make whole vectors' 'of no class' \
        'gives up a unit' 'HELLO, which no worker sends' 'its loss or gradient is not finite'
    jq -e '.refused.pool | .malformed == 9 and .version == 3 and .run == 1 and .unexpected == 3 and .order == 10 and
        .number == 2 and .attach == 2' report.json
}

@test "a pool: a flood of workers, which all leave again" {
    bg integrate lca-integrate --in "$BATS_FILE_TMPDIR/theta.lca" --pool ipc:pool --chunk 10 --out lca.lca
    attacker one <<'END'
peers = [Peer(at('pool')) for k in range(80)]
for k, p in enumerate(peers):
    p.say(worker('w%d' % k, lca))
heard = [frames.unpacket(p.socket.recv())[0] for p in peers]
assert sum(h['t'] == 'HEAD' for h in heard) == 64
assert sum(h['t'] == 'ERR' and h['code'] == 'full' for h in heard) == 16
settle(peers)
END
    ends one 0
    until_true says integrate 'no workers, waiting'
    bg grad lca-grad --data "$BATS_FILE_TMPDIR/d" --pool ipc:pool
    ends integrate 0 'pool: refused 16 messages in all: 16 attach'
    ends grad 0
    cmp "$BATS_FILE_TMPDIR/lca.lca" lca.lca
}

@test "training that diverged is told as such, by however many workers" {
    py() { "$PYTHON" -c "$1"; }
    py "
import frames, numpy
p = frames.read('$BATS_FILE_TMPDIR/theta.lca')
v = frames.array(p[3]).copy()
v[:] = 3e38
p[3][1] = v.tobytes()
frames.write('big.lca', p)"
    bg integrate lca-integrate --in big.lca --pool ipc:pool --chunk 10 --out lca.lca
    bg one lca-grad --data "$BATS_FILE_TMPDIR/d" --pool ipc:pool --lost 1
    bg two lca-grad --data "$BATS_FILE_TMPDIR/d" --pool ipc:pool --lost 1
    ends integrate 1 'step [12]: the loss or its gradient is not finite: training diverged; lower --lr'
}

# false_producer NAME: a ROUTER at the address of theta, which says what stdin yields, after
# HELLO has come. s is the stream that it might have sent.
false_producer() {
    local code
    code=$(cat)
    attacker "$1" <<END
s = frames.read(files + 'theta.lca')
socket = context.socket(zmq.ROUTER)
socket.linger = 2000
socket.bind(at('theta'))
who, first = socket.recv_multipart()
assert frames.unpacket(first)[0]['t'] in ('HELLO', 'JOIN')
def say(*messages):
    for m in messages:
        socket.send_multipart([who, frames.packet(*m)])
def edit(pair, **keys):
    return [dict(pair[0], **keys), pair[1]]
$code
while socket.poll(20000):
    socket.recv_multipart()
END
}

# gone NAME: it is no longer wanted.
gone() {
    { kill -9 "${pid[$1]}" || true; wait "${pid[$1]}" || true; } 2>/dev/null
    unset "pid[$1]"
    rm -f "$LCA_DIR/theta"
}

@test "a consumer of a false producer ends, and says what is wrong" {
    case_of() {     # STATUS TEXT; what the producer says on stdin
        false_producer producer
        bg a lca-cat --in ipc:theta --name a --lost 1 --out a.lca
        ends a "$1" "$2"
        gone producer
    }
    case_of 5 'no frame' <<<'socket.send_multipart([who, b"x" * 40])'
    case_of 5 'several parts' <<<'socket.send_multipart([who, b"x", b"y"])'
    case_of 2 'needs wire 2, have 1' <<<'say(edit(s[0], lca=2))'
    case_of 2 'needs wire 3, have 1' <<<'say(edit(s[0], v=3))'
    case_of 5 'instead of HEAD' <<<'say(s[1])'
    case_of 5 'HEAD: key parts: 9223372036854775808 is more than' <<<'say(edit(s[0], parts=1 << 63, nbmax=1))'
    case_of 5 'HEAD: key P: ' <<<'say(edit(s[0], P=1 << 40))'
    case_of 5 'seq 5 follows 0: frames are missing' <<<'say(s[0], s[1], s[6])'
    case_of 5 'another run after seq 0' <<<'say(s[0], s[1], edit(s[2], run=bytes(16)))'
    case_of 6 'seq 1 came twice with different bytes' <<<'say(s[0], s[1], s[2], [s[2][0], s[3][1]])'
    case_of 5 'EOS counts 31 frames, 1 have come' <<<'say(s[0], s[1], s[-1])'
    case_of 5 'CRC-32C' <<<'m = bytearray(frames.packet(*s[1])); m[-1] ^= 1; say(s[0]); socket.send_multipart([who, bytes(m)])'
    case_of 5 'WORK frame does not belong' <<<'say(s[0], [frame("WORK", theta["run"], "theta", pt=0, u=0, lease_ms=1), b""])'
    # what comes twice, and is the same, is dropped: so it is after a lost connection
    false_producer producer <<<'say(s[0], s[1], s[1], s[2], s[1], s[2], *s[3:])'
    bg a lca-cat --in ipc:theta --name a --out a.lca
    ends a 0
    cmp "$BATS_FILE_TMPDIR/theta.lca" a.lca
}

@test "a worker of a false pool ends, and says what is wrong" {
    case_of() {     # STATUS TEXT; what the pool says on stdin
        false_producer pool
        bg grad lca-grad --data "$BATS_FILE_TMPDIR/d" --pool ipc:theta --lost 1
        ends grad "$1" "$2"
        gone pool
    }
    h='h = frames.read(files + "lca.lca")[0]; point = lambda pt, **k: edit([frame("THETA", lca["run"], "pool", pt=pt, it=0, j=0, n=1, dt="<f4", sh=[lca["P"]]), s[1][1]], **k);'
    work='work = lambda pt, u: [frame("WORK", lca["run"], "pool", pt=pt, u=u, lease_ms=10000), b""];'
    case_of 5 'no frame' <<<'socket.send_multipart([who, b"x" * 40])'
    case_of 5 'HEAD: key P' <<<"$h say(edit(h, P=1 << 40))"
    case_of 5 'chunks, more than' <<<"$h say(edit(h, data=dict(h[0]['data'], sets=[{'set': 'train', 'N': 2**31 - 1, 'chunk': 1}])))"
    case_of 5 'without its theta' <<<"$h $work say(h, work(1, 0))"
    case_of 5 'beyond our slots' <<<"$h $work say(h, point(1), *[work(1, 0)] * 300)"
    case_of 5 'do not make a vector' <<<"$h say(h, point(1, off=4))"
    case_of 5 'unit 77 of' <<<"$h $work say(h, point(1), work(1, 77))"
    case_of 5 'does not belong here' <<<"$h say(h, s[1])"
}

@test "a tap: who unsubscribes does not silence others, and a false one is told of" {
    bg producer lca-cat --in "$BATS_FILE_TMPDIR/theta.lca" --out ipc:theta --expect a
    bg tap lca-tap --fields t ipc:theta
    until_true grep -qs HEAD tap.out
    attacker one <<'END'
p = context.socket(zmq.XSUB)
p.linger = 2000
p.connect(at('theta.tap'))
for message in [b'\0f', b'\0h', b'\0s'] * 20 + [b'\1', b'\1f' * 20, b'\7h', b'f' * 64, b'\1h', b'\0h', b'\0h', b'\0h']:
    p.send(message)
p.send(b'\1f')
assert p.poll(20000)        # the HEAD that whoever comes is told
settle([p])
END
    ends one 0
    bg a lca-cat --in ipc:theta --name a --out a.lca
    ends producer 0
    ends a 0
    ends tap 0
    grep -q '"theta"' tap.out
    grep -q '"EOS"' tap.out
    bg false "$PYTHON" -c "
import os, time, zmq
s = zmq.Context().socket(zmq.XPUB)
s.bind('ipc://%s/b.tap' % os.environ['LCA_DIR'])
s.recv()
s.send(b'h' + bytes(40))
time.sleep(60)"
    bg tap lca-tap ipc:b
    ends tap 5 'a message of 41 bytes with a header of 0'
}
