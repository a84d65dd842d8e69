# lca-cat on files; on sockets it is tested in tests/pipelines/delivery.bats.
load ../helper
load ../streams

more_files() {
    train t.lca
    train other.lca --seed 2
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    t=$FILES/t.lca
}

@test "help, version, unknown options" {
    talks_like_a_tool lca-cat
}

@test "copies are the same bytes: pipe, file, several outputs, compressed" {
    lca-cat <$t >a.lca
    lca-cat $t --out b.lca --out c.lca.zst
    cmp $t a.lca
    cmp $t b.lca
    lca-cat c.lca.zst | cmp - $t
    run head -c 4 c.lca.zst
    [ "$(head -c 4 c.lca.zst | xxd -p)" = 28b52ffd ]
}

@test "pieces that overlap are joined; a gap is 5, another run 2" {
    py $t <<'END'
f = read(sys.argv[1])
eos = f[-1]
write('first.lca', f[:4])
for name, at in ('second.lca', 2), ('late.lca', 5):
    head = [dict(f[0][0], first=at - 1), f[0][1]]
    write(name, [head] + f[at:])
END
    run --separate-stderr lca-cat first.lca second.lca --out whole.lca
    assert_success
    cmp $t whole.lca
    run lca-cat first.lca late.lca --out x.lca
    assert_failure 5
    assert_output --partial "missing"
    run lca-cat first.lca "$FILES/other.lca" --out x.lca
    assert_failure 2
    assert_output --partial "not a piece of the same stream"
}

@test "cut anywhere: 5, and what is whole is kept" {
    size=$(stat -c %s $t)
    for at in 1 5 100 2000 $((size / 2)) $((size - 1)); do
        head -c "$at" $t >cut.lca
        run lca-cat cut.lca --out kept.lca
        assert_failure 5
        if [ "$at" = $((size / 2)) ]; then
            py $t <<'END'
kept, whole = read('kept.lca'), read(sys.argv[1])
assert len(kept) > 3 and kept[:-1] == whole[:len(kept) - 1]
assert kept[-1][0]['status'] == 'failed' and kept[-1][0]['next'] == len(kept) - 2
END
        fi
    done
    : >empty.lca
    run lca-cat empty.lca --out x.lca
    assert_failure 5
    assert_output --partial "empty"
}

@test "one flipped byte is 5" {
    for at in 3 50 900 30000; do
        cp $t bad.lca
        "$PYTHON" -c '
import sys
b = bytearray(open("bad.lca", "rb").read()); b[int(sys.argv[1])] ^= 4; open("bad.lca", "wb").write(b)' $at
        run lca-cat bad.lca --out x.lca
        assert_failure 5
    done
}

@test "a repeated, missing or foreign frame is refused by name" {
    py $t <<'END'
f = read(sys.argv[1])
write('gap.lca', f[:2] + f[3:])
write('swap.lca', f[:2] + [f[3], f[2]] + f[4:])
g = [[dict(h), p] for h, p in f]
g[3][0]['run'] = bytes(16)
write('foreign.lca', g)
g = [[dict(h), p] for h, p in f]
g[2][1] = bytes(len(g[2][1])); g.insert(2, f[2])
write('twice.lca', g)
write('headless.lca', f[1:])
g = [[dict(h), p] for h, p in f]
g[0][0]['lca'] = 2
write('version.lca', g)
END
    for case in "gap 5 missing" "swap 5 missing" "foreign 5 another.run" "twice 6 diverged" "headless 5 HEAD" \
        "version 2 wire"; do
        read -r name status text <<<"$case"
        run lca-cat $name.lca --out x.lca
        assert_failure "$status"
        assert_output --regexp "$text"
    done
}

@test "a missing file, a file that is none of ours, a terminal" {
    run lca-cat missing.lca --out x.lca
    assert_failure 2
    assert_output --partial "missing.lca"
    echo "hello" >hello.lca
    run lca-cat hello.lca --out x.lca
    assert_failure 5
    on_terminal "lca-cat $t"
    assert_output --partial "terminal"
}

@test "cut at every kind of place: within each part of a record, and between two" {
    # where each part of each record begins, from the lengths in the bytes
    py $t >places <<'END'
import struct
data, at = open(sys.argv[1], 'rb').read(), 0
while at < len(data):
    n, = struct.unpack_from('>I', data, at + 2)
    size, = struct.unpack_from('>I', data, at + 7 + n)
    parts = [at, at + 1, at + 2, at + 6, at + 6 + n // 2, at + 6 + n, at + 7 + n, at + 11 + n, at + 11 + n + size // 2,
             at + 11 + n + size, at + 12 + n + size, at + 15 + n + size]
    at += 16 + n + size
    if at < 30000 or at == len(data):
        print(*sorted(set(parts)), sep='\n')
END
    [ "$(wc -l <places)" -gt 20 ]
    while read -r at; do
        head -c "$at" $t >cut.lca
        run --separate-stderr lca-cat cut.lca --out x.lca
        [ "$status" -eq 5 ] || fail "cut at $at: $status"
        [[ $stderr == "lca-cat: error: cut.lca"* ]] || fail "cut at $at: $stderr"
    done <places
}

@test "a compressed recording that is cut is 5, and all of it before is kept" {
    train long.lca --iterations 40
    lca-cat long.lca --out long.lca.zst
    size=$(stat -c %s long.lca.zst)
    for at in 3 $((size / 2)) $((size - 10)); do
        head -c $at long.lca.zst >cut.lca
        run --separate-stderr lca-cat cut.lca --out kept.lca
        assert_failure 5
    done
    py <<'END'
kept, whole = read('kept.lca'), read('long.lca')
assert len(kept) > 20 and kept[:-1] == whole[:len(kept) - 1]
END
}

@test "over a link and back into a file: the same bytes" {
    export LCA_DIR=$PWD/ipc
    for ep in ipc:t "ipc://$PWD/ipc/other" "tcp://127.0.0.1:$((30000 + RANDOM % 10000))"; do
        lca-cat --in "$ep" --out b.lca 3>&- &
        reader=$!
        timeout 30 lca-cat $t --out "$ep"
        wait $reader
        cmp $t b.lca
        rm b.lca
    done
    # a recorder in the middle, and two of them at the end
    lca-cat --in ipc:two --out one.lca --name one 3>&- &
    one=$!
    lca-cat --in ipc:two --out two.lca --name two 3>&- &
    two=$!
    lca-cat --in ipc:one --out ipc:two --out middle.lca --expect one,two 3>&- &
    middle=$!
    timeout 30 lca-cat $t --out ipc:one
    wait $one
    wait $two
    wait $middle
    for f in one two middle; do cmp $t $f.lca; done
}

@test "how a stream ended passes through" {
    py $t <<'END'
f = read(sys.argv[1])
for status in 'interrupted', 'failed':
    write(status + '.lca', f[:-1] + [[dict(f[-1][0], status=status, why='no more power'), b'']])
END
    lca-cat interrupted.lca --out a.lca
    py <<'END'
assert read('a.lca') == read('interrupted.lca')
END
    run --separate-stderr lca-cat failed.lca --out a.lca
    assert_failure 4
    [[ $stderr == *"no more power"* ]]
    py <<'END'
a, f = read('a.lca'), read('failed.lca')
assert a[:-1] == f[:-1] and a[-1][0]['status'] == 'failed' and 'no more power' in a[-1][0]['why']
END
    run lca-cat a.lca --out b.lca
    assert_failure 4
}

@test "three pieces, each from within the one before; the last must have the end" {
    py $t <<'END'
f = read(sys.argv[1])
head = lambda at: [dict(f[0][0], first=at), f[0][1]]
write('a.lca', f[:3])
write('b.lca', [head(1)] + f[2:5])
write('c.lca', [head(4)] + f[5:])
END
    run --separate-stderr lca-cat a.lca b.lca c.lca --out whole.lca
    assert_success
    cmp $t whole.lca
    [[ $stderr == *"a.lca ends after seq 1 without EOS; its last whole step is 1: lca-cat --repair keeps what is whole; going on with the next piece"* ]]
    # cut within its last frame, a piece lacks that one, and nobody else has it
    head -c $(($(stat -c %s b.lca) - 7)) b.lca >cut.lca
    run --separate-stderr lca-cat a.lca cut.lca c.lca --out x.lca
    assert_failure 5
    [[ $stderr == *"c.lca begins at seq 4, and 3 is missing before it"* ]]
    run lca-cat a.lca b.lca --out x.lca
    assert_failure 5
    # another stream of the same run is another stream
    lca-grad --data "$FILES/s.data" --in $t --out g.lca
    run --separate-stderr lca-cat a.lca g.lca --out x.lca
    assert_failure 2
    run lca-cat a.lca --in b.lca --out x.lca
    assert_failure 2
    assert_output --partial "not both"
}

@test "a reader that leaves is 141; a pipe that is cut or empty is 5" {
    train long.lca --iterations 40
    run bash -c 'lca-cat long.lca | head -c 1000 >/dev/null; exit ${PIPESTATUS[0]}'
    assert_failure 141
    assert_output ""
    run bash -c "head -c 5000 $t | lca-cat --out x.lca"
    assert_failure 5
    run bash -c "lca-cat --out x.lca </dev/null"
    assert_failure 5
    assert_output --partial "empty"
}

@test "a failure before the first frame leaves an older file as it is" {
    cp $t old.lca
    lca-cat $t --out old.lca.zst
    cp old.lca.zst old
    head -c 40 $t >cut.lca
    for from in missing.lca cut.lca /dev/null; do
        run lca-cat "$from" --out old.lca --out old.lca.zst
        assert_failure
        cmp $t old.lca
        cmp old old.lca.zst
    done
    # the first frame replaces all of it, also where it was longer
    lca-cat $t >long.lca
    cat $t >>long.lca
    lca-cat $t --out long.lca
    cmp $t long.lca
}

@test "what is read is never written over: exit 2, and nothing is lost" {
    cp $t a.lca
    cp $t b.lca
    ln a.lca hard.lca
    ln -s a.lca soft.lca
    for out in a.lca ./a.lca hard.lca soft.lca file:a.lca; do
        run --separate-stderr lca-cat --in a.lca --out "$out"
        assert_failure 2
        [[ $stderr == *"is read and would be written over: write to another file and rename that afterwards" ]]
        cmp $t a.lca
    done
    run lca-cat a.lca b.lca --out b.lca         # a piece whose turn had not come
    assert_failure 2
    run bash -c 'lca-cat --in a.lca >>a.lca'
    assert_failure 2
    run bash -c 'lca-cat <a.lca >>hard.lca'
    assert_failure 2
    run bash -c 'lca-tap --raw a.lca >>a.lca'
    assert_failure 2
    cmp $t a.lca
    cmp $t b.lca
    run --separate-stderr lca-cat a.lca --out new.lca --out ./new.lca
    assert_failure 2
    [[ $stderr == *"./new.lca is written twice: give each output a file of its own" ]]
    # other tools, and the data they read
    run lca-grad --data "$FILES/s.data" --in a.lca --out a.lca
    assert_failure 2
    cp "$FILES/s.data" "$FILES/relu.json" .
    run lca-train --net relu.json --data s.data --iterations 1 --batch 50 --out s.data
    assert_failure 2
    run lca-train --net relu.json --data s.data --iterations 1 --batch 50 --out relu.json
    assert_failure 2
    run lca-grad --data s.data --in a.lca --out s.data
    assert_failure 2
    cmp $t a.lca
    cmp "$FILES/s.data" s.data
    cmp "$FILES/relu.json" relu.json
}

# long_recording: 12 steps of 3 frames each, in long.lca
long_recording() {
    train thetas.lca --iterations 12
    allocate thetas.lca long.lca --sets train,val,test --rule first-order
}

@test "--repair keeps the whole steps of a file that is cut anywhere, and says which" {
    long_recording
    size=$(stat -c %s long.lca)
    for at in 90000 $((size / 3)) $((size / 2)) $((size - 1)); do
        head -c "$at" long.lca >cut.lca
        cp cut.lca before.lca
        run --separate-stderr lca-cat --repair cut.lca --out good.lca
        assert_success
        [[ $stderr =~ cut.lca\ ends\ .*\;\ its\ last\ whole\ step\ is\ ([0-9]+),\ ([0-9]+)\ steps\ are\ good ]]
        steps=${BASH_REMATCH[2]}
        assert_equal "$((BASH_REMATCH[1] + 1))" "$steps"
        [[ $stderr =~ cut.lca:\ ([0-9]+)\ bytes\ after\ them\ are\ cut ]]
        rest=${BASH_REMATCH[1]}
        cmp cut.lca before.lca
        py "$steps" "$((at - rest))" <<'END'
steps, bytes = map(int, sys.argv[1:])
good, whole = read('good.lca'), read('long.lca')
assert good[:-1] == whole[:1 + 3 * steps] and good[-1][0]['next'] == 3 * steps
assert good[-1][0]['status'] == 'interrupted' and 'step %d' % (steps - 1) in good[-1][0]['why']
assert open('good.lca', 'rb').read()[:bytes] == open('long.lca', 'rb').read()[:bytes]
END
        # what is repaired is read by all, and needs no repair
        lca-check --in good.lca
        lca-layers --in good.lca | lca-tap --kind layers_total >/dev/null
        lca-cat good.lca --out again.lca
        cmp good.lca again.lca
        # whoever reads the cut one says the same step, and the way out
        for reader in "lca-cat cut.lca --out x.lca" "lca-check --in cut.lca" "lca-tap --fields it cut.lca"; do
            run --separate-stderr $reader
            assert_failure 5
            [[ $stderr == *"; its last whole step is $((steps - 1)): lca-cat --repair keeps what is whole"* ]]
        done
    done
}

@test "--repair of a damaged frame, of a compressed file, of what holds no step, of what is whole" {
    long_recording
    cp long.lca bad.lca
    printf x | dd of=bad.lca bs=1 seek=400000 conv=notrunc status=none
    run --separate-stderr lca-cat --repair bad.lca --out good.lca
    assert_success
    [[ $stderr == *"bad.lca frame "*" at byte "*": damaged: its CRC-32C does not match; its last whole step is "* ]]
    lca-cat long.lca --out long.lca.zst
    head -c $(($(stat -c %s long.lca.zst) / 2)) long.lca.zst >cut.lca.zst
    run --separate-stderr lca-cat --repair cut.lca.zst --out good.lca.zst
    assert_success
    lca-cat good.lca.zst >good.lca
    py <<'END'
good, whole = read('good.lca'), read('long.lca')
n = len(good) - 1
assert n > 6 and n % 3 == 1 and good[:-1] == whole[:n]
END
    head -c 3000 long.lca >head.lca
    run --separate-stderr lca-cat --repair head.lca --out x.lca
    assert_failure 5
    [[ $stderr == *"no step of it is whole: there is nothing to keep"* ]]
    assert_file_not_exist x.lca
    echo hello >hello.lca
    run lca-cat --repair hello.lca --out x.lca
    assert_failure 5
    run --separate-stderr lca-cat --repair long.lca --out whole.lca
    assert_success
    [[ $stderr == *"long.lca is whole: there is nothing to repair"* ]]
    run --separate-stderr lca-cat --repair long.lca --out long.lca
    assert_failure 2
    [[ $stderr == *"give --in-place"* ]]
}

@test "--repair --in-place replaces the file and keeps the old one" {
    long_recording
    head -c 300000 long.lca >cut.lca
    cp cut.lca before.lca
    lca-cat --repair cut.lca --out good.lca
    lca-cat --repair cut.lca --in-place
    cmp good.lca cut.lca
    cmp before.lca cut.lca.damaged
    lca-cat --repair cut.lca --in-place     # is whole now, though interrupted
    cmp good.lca cut.lca
    run ls
    refute_output --partial .part-
    head -c 200000 long.lca >cut.lca
    run --separate-stderr lca-cat --repair cut.lca --in-place
    assert_failure 2
    [[ $stderr == *"cut.lca.damaged is there already"* ]]
    assert_equal "$(stat -c %s cut.lca)" 200000
}

@test "--resume goes on with a file that was cut anywhere: the same bytes" {
    long_recording
    size=$(stat -c %s long.lca)
    for at in 0 1 100 3000 20000 $((size / 3)) $((size / 2)) $((size - 1)) "$size"; do
        head -c "$at" long.lca >cut.lca
        lca-cat --resume long.lca --out cut.lca
        cmp long.lca cut.lca
    done
    rm cut.lca
    LCA_RESUME=1 lca-cat long.lca --out cut.lca
    cmp long.lca cut.lca
    head -c $((size / 2)) long.lca >cut.lca
    lca-cat --repair cut.lca --in-place
    lca-cat --resume long.lca --out cut.lca
    cmp long.lca cut.lca
    # compressed: the same frames
    lca-cat long.lca --out long.lca.zst
    for at in 5 $(($(stat -c %s long.lca.zst) / 2)); do
        head -c "$at" long.lca.zst >cut.lca.zst
        lca-cat --resume long.lca --out cut.lca.zst
        lca-cat cut.lca.zst | cmp long.lca -
    done
    # a stream that begins later, from a checkpoint
    py <<'END'
f = read('long.lca')
write('late.lca', [[dict(f[0][0], first=12), f[0][1]]] + f[13:])
END
    head -c $((size / 2)) long.lca >cut.lca
    lca-cat --resume late.lca --out cut.lca
    cmp long.lca cut.lca
}

@test "--resume refuses another run, a gap, other bytes, damage of another kind; the file stays as it is" {
    long_recording
    py <<'END'
f = read('long.lca')
write('late.lca', [[dict(f[0][0], first=30), f[0][1]]] + f[31:])
g = [[dict(h), p] for h, p in f]
g[15][1] = bytes(len(g[15][1]))
write('other.lca', g)
END
    head -c 300000 long.lca >cut.lca
    before=$(md5sum <cut.lca)
    run --separate-stderr lca-cat --resume "$FILES/other.lca" --out cut.lca
    assert_failure 2
    [[ $stderr == *"cut.lca is of another run: its "* ]]
    allocate thetas.lca rule.lca --sets train,val,test --rule trapezoid
    run --separate-stderr lca-cat --resume rule.lca --out cut.lca
    assert_failure 2
    [[ $stderr == *'cut.lca is of another run: its rule is "first-order", here it is "trapezoid"'* ]]
    run --separate-stderr lca-cat --resume late.lca --out cut.lca
    assert_failure 5
    [[ $stderr == *"cut.lca ends after seq 14 (step 4), and the stream begins at seq 30: what lies between is missing"* ]]
    run --separate-stderr lca-cat --resume other.lca --out cut.lca
    assert_failure 6
    [[ $stderr == *"cut.lca has other bytes for seq 14 (step 4): the run diverged"* ]]
    assert_equal "$(md5sum <cut.lca)" "$before"
    echo hello >hello.lca
    run lca-cat --resume long.lca --out hello.lca
    assert_failure 5
    assert_equal "$(cat hello.lca)" hello
    # what a writer that was ended can leave is a window of 64 steps
    train many.lca --iterations 150
    cp many.lca bad.lca
    printf x | dd of=bad.lca bs=1 seek=300000 conv=notrunc status=none
    run --separate-stderr lca-cat --resume many.lca --out bad.lca
    assert_failure 5
    [[ $stderr =~ bad.lca:\ frame\ .*damaged.*\;\ [0-9]+\ bytes\ follow\ the\ last\ whole\ step\ \(step\ 14\),\ more\ than ]]
    assert_equal "$(stat -c %s bad.lca)" "$(stat -c %s many.lca)"
    lca-cat --repair bad.lca --in-place
    lca-cat --resume many.lca --out bad.lca
    cmp many.lca bad.lca
    # a recorder that is still alive has the file
    mkfifo pipe
    lca-cat --out cut.lca <pipe 3>&- &
    writer=$!
    exec 5>pipe
    head -c 200000 long.lca >&5
    until [ "$(stat -c %s cut.lca)" -lt 200000 ]; do sleep 0.02; done
    run --separate-stderr lca-cat --resume long.lca --out cut.lca
    tail -c +200001 long.lca >&5
    exec 5>&-
    wait $writer
    cmp long.lca cut.lca
    assert_failure 2
    [[ $stderr == *"cut.lca is being written by another program"* ]]
}

@test "a recording, then the link: what is recorded and what comes after, as one stream" {
    export LCA_DIR=$PWD/ipc
    long_recording
    head -c 300000 long.lca >cut.lca
    lca-cat --in long.lca --out ipc:lca --expect late 3>&- &
    producer=$!
    lca-cat --name late cut.lca ipc:lca >joined.lca 2>err
    wait $producer
    cmp long.lca joined.lca
    : >empty.lca
    lca-cat --in long.lca --out ipc:lca --expect late 3>&- &
    producer=$!
    lca-cat --name late empty.lca ipc:lca >joined.lca
    wait $producer
    cmp long.lca joined.lca
}
