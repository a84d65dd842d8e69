load ../helper

# frames.py makes records by hand: what lca-tap is to read comes from other code.
setup() {
    cd "$BATS_TEST_TMPDIR"
    export LCA_DIR=$BATS_TEST_TMPDIR/l
    mkdir -m 700 "$LCA_DIR"
    # a socket's path is at most 107 bytes long
    if [ ${#LCA_DIR} -gt 70 ]; then
        LCA_DIR=$(mktemp -d /tmp/tap.XXXXXX)
    fi
    cat > frames.py <<'END'
import msgpack, struct

TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)

def crc32c(data):
    c = 0xFFFFFFFF
    for b in data:
        c = TABLE[(c ^ b) & 255] ^ c >> 8
    return c ^ 0xFFFFFFFF

def frame(t, payload=b'', dt=None, sh=None, **keys):
    run = keys.pop('run', b'R' * 16)
    head = {'lca': 1, 't': t, 'run': run, 'st': 'test', **keys}
    if dt:
        head.update(dt=dt, sh=sh, nb=len(payload), crc=crc32c(payload))
    h = msgpack.packb(head)
    return (b'\x94\xce' + struct.pack('>I', len(h)) + h + b'\xc6' + struct.pack('>I', len(payload))
            + payload + b'\xce' + struct.pack('>I', crc32c(h + payload)))

def head(net=b'{ "name":\n"n", "x": 1e-5 }', **keys):
    return frame('HEAD', net, '|u1', [len(net)], v=1, model='n', P=2, layers=[], classes=[],
                 data={'name': 'd'}, parts=0, it0=0, nbmax=64, **{'def': {}}, prov=[], **keys)

def agg(seq, values, kind='layers', it=None, **keys):
    return frame('agg', struct.pack('<%dd' % len(values), *values), '<f8', [len(values)], seq=seq,
                 it=seq if it is None else it, kind=kind, dims=['layer'],
                 keys={'layer': ['a', 'b']}, **keys)

def lca(seq, **keys):
    d = dict(it=seq, set='train', cls=-1, L0=2.5, L1=2.25, sum=-0.2, res=-0.05, abs=0.5, fo=-0.1, n=2,
             ev=3, tr=[-0.05])
    d.update(keys)
    return frame('lca', struct.pack('<2f', 0.1, -3), '<f4', [2], seq=seq, **d)

def eos(n, status='ok', **keys):
    return frame('EOS', next=n, status=status, **keys)

import sys
def write(name, *frames):
    open(name, 'wb').write(b''.join(frames))
END
}

teardown() {
    local left=$(jobs -p)
    [ -z "$left" ] || kill -9 $left 2>/dev/null || true
    case $LCA_DIR in /tmp/tap.*) rm -rf "$LCA_DIR";; esac
}

# make_file NAME FRAME,...: the frames, in Python, as a file.
make_file() {
    $PYTHON -c "from frames import *; write('$1', $2)"
}

# wait_for COMMAND...: until it succeeds, at most 20 s.
wait_for() {
    for _ in $(seq 400); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.05
    done
    echo "waited in vain for: $*" >&2
    return 1
}

has_lines() { [ "$(wc -l < "$1")" -ge "$2" ]; }

# produce ITERATIONS: a producer with a tap in the background, as PRODUCER.
produce() {
    lca-data make synth:1,1000 --out s.data >/dev/null
    lca-train --net mnist-fc --data s.data --iterations "$1" --tap ipc:theta --out - \
        > thetas 2> train.err 3>&- &
    PRODUCER=$!
}

@test "json: all keys in order, payloads, HEAD's network as it was written" {
    make_file a.lca 'head(), agg(0, [0.5, float("nan")], unknown=[1, None]), eos(1, why="x\ty")'
    run lca-tap a.lca
    assert_success
    run jq -c 'keys_unsorted' <<< "${lines[0]}"
    assert_output '["lca","t","run","st","v","model","P","layers","classes","data","parts","it0","nbmax","def","prov","dt","sh","nb","crc","network"]'
    run lca-tap a.lca
    assert_line --index 0 --partial '"network":{ "name":"n", "x": 1e-5 }}'
    assert_line --index 1 --regexp '^\{"lca":1,"t":"agg","run":"5252[52]+","st":"test","seq":0,"it":0,"kind":"layers","dims":\["layer"\],"keys":\{"layer":\["a","b"\]\},"unknown":\[1,null\],"dt":"<f8","sh":\[2\],"nb":16,"crc":[0-9]+,"data":\[0.5,"NaN"\]\}$'
    assert_line --index 2 '{"lca":1,"t":"EOS","run":"52525252525252525252525252525252","st":"test","next":1,"status":"ok","why":"x\ty"}'
    assert_equal "${#lines[@]}" 3
}

@test "payloads: 4096 values at once, all with --data, the same bits" {
    make_file a.lca 'head(), agg(0, [0.1] * 4096), agg(1, [k / 3 for k in range(4097)]), eos(2)'
    lca-tap --kind agg a.lca > out
    run jq -c '.data | length' out
    assert_output "4096
0"
    lca-tap --data --kind agg a.lca > out
    run $PYTHON -c '
import json
d = [json.loads(l)["data"] for l in open("out")]
assert d[0] == [0.1] * 4096 and d[1] == [k / 3 for k in range(4097)]'
    assert_success
}

@test "fields reach into maps; frames without any of them are not shown" {
    make_file a.lca 'head(), agg(0, [0.5, -1]), lca(1, L1=float("inf")), eos(2, final={"p": {"q": 0.25}})'
    run lca-tap --fields it,final.p.q,data.1,L1,keys.layer.0 a.lca
    assert_success
    assert_output '{"it":0,"data.1":-1.0,"keys.layer.0":"a"}
{"it":1,"data.1":-3.0,"L1":"Infinity"}
{"final.p.q":0.25}'
}

@test "csv: what suits the kind, fields, quotes" {
    make_file lca.lca 'head(), lca(0), lca(1, cls=3, set="val"), eos(2)'
    run lca-tap --csv lca.lca
    assert_success
    assert_output 'it,set,cls,L0,L1,sum,res,fo,n,ev
0,train,-1,2.5,2.25,-0.2,-0.05,-0.1,2,3
1,val,3,2.5,2.25,-0.2,-0.05,-0.1,2,3'
    make_file agg.lca 'head(), agg(0, [0.5, -1]), agg(1, [1, 2], kind="layers_total"), eos(2)'
    run --separate-stderr lca-tap --csv agg.lca
    assert_success
    assert_output 'it,a,b
0,0.5,-1.0'
    [[ $stderr = *layers_total*--kind* ]]
    run --separate-stderr lca-tap --csv --kind layers_total agg.lca
    assert_output 'it,a,b
1,1.0,2.0'
    assert_equal "$stderr" ""
    make_file sets.lca 'head(), agg(0, [1, 2], it=0, set="train"), agg(1, [3, 4], it=0, set="val"), eos(2)'
    run lca-tap --csv sets.lca
    assert_output 'it,set,a,b
0,train,1.0,2.0
0,val,3.0,4.0'
    make_file q.lca 'head(), eos(0, why="say \"a, b\"")'
    run lca-tap --csv --fields next,why,it q.lca
    assert_output 'next,why,it
0,"say ""a, b""",'
}

@test "format: parsed once, printf's numbers, bad ones are refused" {
    make_file a.lca 'head(), lca(7), eos(8)'
    run lca-tap --kind lca --format '%{it:03d}\t%{res:.1e} %{set}%% %{none}|\n' a.lca
    assert_success
    assert_output "007	-5.0e-02 train% |"
    for bad in '%{it' '%{it:n}' '%d' '\q'; do
        run lca-tap --format "$bad" a.lca
        assert_failure 2
        assert_output --partial -- --format
    done
}

@test "kind: t, or kind of an agg; HEAD and EOS only if named" {
    make_file a.lca 'head(), agg(0, [1]), agg(1, [2], kind="layers_total"), lca(2), eos(3)'
    run lca-tap --kind layers_total,EOS,lc --fields t,kind a.lca
    assert_output '{"t":"agg","kind":"layers_total"}
{"t":"EOS"}'
    run lca-tap --kind agg --fields kind a.lca
    assert_equal "${#lines[@]}" 2
    run lca-tap --kind lca,HEAD --fields t a.lca
    assert_output '{"t":"HEAD"}
{"t":"lca"}'
}

@test "raw: the same bytes, unknown keys too; never to a terminal" {
    make_file a.lca 'head(extra=1), agg(0, [1, 2], more={"x": 1}, unknown="u"), eos(1)'
    lca-tap --raw a.lca > b.lca
    cmp a.lca b.lca
    lca-tap --raw < a.lca | cmp - a.lca
    on_terminal "lca-tap --raw a.lca"
    assert_failure 2
    assert_output --partial terminal
}

@test "raw: --kind keeps HEAD and EOS, gaps are said on stderr" {
    make_file a.lca 'head(), agg(0, [1]), lca(1), agg(4, [1]), eos(6)'
    run --separate-stderr lca-tap --raw --kind agg a.lca
    assert_success
    [[ $stderr = *"lost 2 before seq 4"*"lost 1 before EOS"* ]]
    lca-tap --raw --kind agg a.lca 2>/dev/null > b.lca
    run lca-tap --fields t,seq,lost b.lca
    assert_line --index 1 '{"t":"agg","seq":0}'
    assert_line --index 2 '{"lost":3}'
    assert_line --index 4 '{"lost":1}'
    assert_line --index 5 '{"t":"EOS"}'
}

@test "count: ends after N data frames, even where the rest is missing" {
    make_file cut.lca 'head(), agg(0, [1]), agg(1, [2])'
    run lca-tap -c 2 --fields it cut.lca
    assert_success
    assert_equal "${#lines[@]}" 2
    run lca-tap -c 3 --fields it cut.lca
    assert_failure 5
}

@test "exit: 0 for interrupted, 4 for failed, with why" {
    make_file i.lca 'head(), eos(0, status="interrupted")'
    run lca-tap i.lca
    assert_success
    make_file f.lca 'head(), eos(0, status="failed", why="disk on fire")'
    run --separate-stderr lca-tap --kind EOS --fields status f.lca
    assert_failure 4
    assert_output '{"status":"failed"}'
    [[ $stderr = *"disk on fire"* ]]
}

@test "exit: 5 for damaged, truncated, empty and endless, after all good frames" {
    make_file good.lca 'head(), agg(0, [1]), agg(1, [2]), eos(2)'
    $PYTHON - <<'END'
d = open('good.lca', 'rb').read()
open('cut.lca', 'wb').write(d[:-9])
at = d.rindex(b'agg')
open('bad.lca', 'wb').write(d[:at] + b'x' + d[at + 1:])
open('junk.lca', 'wb').write(b'hello')
open('empty.lca', 'wb').close()
END
    make_file noeos.lca 'head(), agg(0, [1]), agg(1, [2])'
    make_file noframe.lca 'head()'
    run --separate-stderr lca-tap --fields it cut.lca
    assert_failure 5
    assert_output '{"it":0}
{"it":1}'
    run --separate-stderr lca-tap --fields it bad.lca
    assert_failure 5
    assert_output '{"it":0}'
    [[ $stderr = *"frame 2"* ]]
    for f in junk empty noeos noframe; do
        run --separate-stderr lca-tap --fields it $f.lca
        assert_failure 5
    done
    run --separate-stderr lca-tap --fields it < noeos.lca
    assert_failure 5
    assert_output '{"it":0}
{"it":1}'
    [[ $stderr = *"after seq 1 without EOS"* ]]
}

@test "exit: 2 for options that do not go together, a missing file, a terminal" {
    make_file a.lca 'head(), eos(0)'
    for bad in "--json --csv" "--raw --fields it" "--format x --fields it" "--fields a,,b" "-c 0" "--no"; do
        run lca-tap $bad a.lca
        assert_failure 2
    done
    run lca-tap nothere.lca
    assert_failure 2
    on_terminal lca-tap
    assert_failure 2
    run bash -c "lca-tap a.lca > /dev/full"
    assert_failure 1
    assert_output --partial "stdout"
}

@test "head ends it quietly" {
    make_file a.lca 'head(), *[agg(k, [k] * 3000) for k in range(200)], eos(200)'
    run --separate-stderr bash -c 'set -o pipefail; lca-tap a.lca | head -n 1 | wc -l'
    assert_failure 141
    assert_output 1
    assert_equal "$stderr" ""
    run --separate-stderr bash -c 'set -o pipefail; lca-tap --raw a.lca | head -c 1 | wc -c'
    assert_failure 141
    assert_equal "$stderr" ""
}

@test "a pipe is printed as it comes; Ctrl-C leaves the end to upstream, SIGTERM does not" {
    make_file head.lca 'head(), agg(0, [1])'
    make_file tail.lca 'agg(1, [1]), eos(2)'
    mkfifo p
    exec 9<> p
    # a background job of a script ignores SIGINT unless it is told not to
    $PYTHON -c '
import os, signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp("lca-tap", ["lca-tap", "--fields", "t"])' < p > out 3>&- &
    tap=$!
    cat head.lca >&9
    wait_for has_lines out 2
    kill -INT $tap
    cat tail.lca >&9
    wait $tap
    run tail -n 1 out
    assert_output '{"t":"EOS"}'
    lca-tap --fields t < p > again 3>&- 9>&- &
    tap=$!
    cat head.lca >&9
    wait_for has_lines again 2
    kill -TERM $tap
    wait $tap
    exec 9>&-
}

@test "a real stream: what lca-train wrote" {
    lca-data make synth:1,1000 --out s.data >/dev/null
    lca-train --net mnist-fc --data s.data --iterations 5 > t.lca
    run lca-tap --kind HEAD --fields P,model,network t.lca
    assert_success
    assert_output --partial '{"P":84060,"model":"mnist-fc","network":{"name":"mnist-fc",'
    run bash -c 'lca-tap --csv < t.lca'
    assert_equal "${#lines[@]}" 7
    assert_line --index 0 it,lr,mbloss,epoch
    assert_line --index 1 0,0.0,0.0,0
    lca-tap --data --kind theta -c 1 t.lca > first
    run jq '.data | length' first
    assert_output 84060
    # the payload's bytes, read back from the text
    run $PYTHON -c '
import json, struct
from frames import crc32c
f = json.loads(open("first").read())
assert crc32c(struct.pack("<84060f", *f["data"])) == f["crc"]'
    assert_success
}

@test "live: HEAD once, headers, lost ones counted, EOS; detaching is status 0" {
    lca-tap --json ipc:theta > out 3>&- &      # before the producer
    tap=$!
    lca-tap ipc:theta > other 3>&- &
    other=$!
    produce 1000000
    wait_for has_lines out 20
    wait_for has_lines other 5
    kill -TERM $other
    wait $other
    run lca-tap -c 5 --kind theta "$LCA_DIR/theta"      # a path; and HEAD is said again
    assert_success
    assert_equal "$(grep -c '"t":"theta"' <<< "$output")" 5
    refute_output --partial '"data"'
    kill -TERM $PRODUCER
    wait $tap
    run grep -c '"t":"HEAD"' out
    assert_output 1
    run jq -s -c 'map(select(.t != null))[-1] | [.t, .status]' out
    assert_output '["EOS","interrupted"]'
    # every seq is either there or counted
    run $PYTHON -c '
import json
seen = lost = 0
for f in map(json.loads, open("out")):
    lost += f.get("lost", 0)
    if f.get("t") == "theta":
        first = f["seq"] if not seen else first
        seen += 1
    if f.get("t") == "EOS":
        assert first + seen + lost == f["next"], (first, seen, lost, f["next"])'
    assert_success
}

@test "live: --raw can be saved and read again, --data brings payloads" {
    produce 1000000
    lca-tap --raw -c 3 ipc:theta > part.lca
    lca-tap --data -c 1 --kind theta ipc:theta > one
    run jq '.data | length' one
    assert_output 84060
    run --separate-stderr lca-tap --fields t,seq part.lca
    assert_failure 5            # it ends without EOS
    assert_line --index 0 '{"t":"HEAD"}'
    run lca-tap -c 3 --kind theta --csv --fields data.84059 part.lca
    assert_success
    assert_line --index 0 data.84059
}

@test "live: a producer that is killed is status 3 with -e; without, the next one is shown" {
    lca-tap --fields t,it ipc:theta > out 2> err 3>&- &
    tap=$!
    produce 1000000
    wait_for has_lines out 3
    lca-tap -e --fields t ipc:theta > end 2> end.err 3>&- &
    end=$!
    wait_for has_lines end 3
    kill -9 $PRODUCER
    wait $end && status=0 || status=$?
    assert_equal "$status" 3
    run cat end.err
    assert_output --partial "without EOS"
    wait_for grep -q "waiting for it to come back" err
    before=$(wc -l < out)
    produce 1000000
    wait_for has_lines out $((before + 3))
    kill -TERM $tap
    wait $tap
}

@test "live: a tap that is stopped or killed does not hold up the producer" {
    produce 2000
    for k in 1 2; do
        lca-tap --data ipc:theta > tap$k 3>&- &
        tap[k]=$!
        wait_for has_lines tap$k 2
    done
    kill -STOP ${tap[1]}
    kill -9 ${tap[2]}
    wait $PRODUCER
    kill -9 ${tap[1]}
    run cat train.err
    assert_output ""
    run lca-tap --kind EOS --fields status,next thetas
    assert_success
    assert_output '{"status":"ok","next":2001}'
}

@test "live: it says what it waits for" {
    lca-tap ipc:nobody > out 2> err 3>&- &
    tap=$!
    wait_for grep -q "waiting 10 s for ipc:nobody" err
    kill -TERM $tap
    wait $tap
    assert_equal "$(cat out)" ""
}
