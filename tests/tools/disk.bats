# Disks that are full or may not be written: a clear error, or patience, and nothing that
# was written before is lost.
load ../helper
load ../streams

more_files() {
    train t.lca --iterations 40
}

# on_small_disk KIB COMMAND: with a disk of so many KiB mounted at ./small, for it alone.
on_small_disk() {
    mkdir -p small
    unshare -m true 2>/dev/null && unshare -m bash -c 'mount -t tmpfs -o size=64k none small' 2>/dev/null ||
        skip "this user may not mount a file system"
    unshare -m bash -c "mount -t tmpfs -o size=${1}k none small; $2"
}

@test "a recorder that finds no space waits, holds its producer, and goes on when there is room" {
    export LCA_DIR=$PWD/ipc
    cat >script <<'END'
head -c 400k /dev/zero >small/fill
lca-cat --in ipc:theta --out small/a.lca 2>recorder.err 3>&- &
recorder=$!
lca-cat --in $FILES/t.lca --out ipc:theta 2>producer.err 3>&- &
producer=$!
until grep -q 'no space' recorder.err; do sleep 0.05; done
# what is not on the disk has not been acknowledged: the producer still has it
sleep 0.3
kill -0 $producer || exit 1
rm small/fill
wait $recorder || exit 2
wait $producer || exit 3
cmp $FILES/t.lca small/a.lca
END
    run on_small_disk 1100 '. ./script'
    assert_success
    run cat recorder.err
    assert_output --partial "lca-cat: warning: small/a.lca: no space, waiting: make room on the disk, and it goes on"
    assert_output --partial "lca-cat: small/a.lca: there is space again after"
}

@test "told to stop while it waits, it ends with a clear error and a good beginning" {
    cat >script <<'END'
mkfifo pipe
lca-cat --out small/a.lca <pipe 2>err 3>&- &
recorder=$!
cat $FILES/t.lca >pipe 2>/dev/null &
until grep -q 'no space' err; do sleep 0.05; done
kill -TERM $recorder
wait $recorder
echo "status $?"
lca-cat --repair small/a.lca --out good.lca
END
    run --separate-stderr on_small_disk 300 '. ./script'
    assert_output "status 1"
    run cat err
    assert_output --partial "small/a.lca: the disk is full, and what is there is cut short: lca-cat --repair keeps its whole steps: No space left"
    py "$FILES/t.lca" <<'END'
good, whole = read('good.lca'), read(sys.argv[1])
assert len(good) > 10 and good[:-1] == whole[:len(good) - 1]
END
}

@test "no room for a checkpoint: training goes on, the checkpoints that are there stay" {
    # two checkpoints of 38 KB fit, and half of one more
    run --separate-stderr on_small_disk 100 'lca-train --net $FILES/relu.json --data $FILES/s.data --batch 50 \
        --examples 500 --iterations 60 --checkpoint small/cp --checkpoint-every 20 --out a.lca && ls small/cp && cp small/cp/* .'
    assert_success
    assert_output "step-00000000.ckpt
step-00000020.ckpt"
    [[ $stderr == *"warning: cannot write the checkpoint small/cp/step-00000040.ckpt: No space left on device; training goes on without it"* ]]
    lca-train --net "$FILES/relu.json" --data "$FILES/s.data" --batch 50 --examples 500 --iterations 60 \
        --resume step-00000020.ckpt --out b.lca
    py <<'END'
assert read('b.lca')[1:] == read('a.lca')[21:]
END
}

@test "what stages print: the error names the file" {
    export LCA_DIR=$PWD/ipc
    allocate "$FILES/t.lca" lca.lca --sets train
    run on_small_disk 8 'lca-layers --in lca.lca | lca-tap --json >small/layers.jsonl; echo "${PIPESTATUS[@]}"'
    assert_output --regexp "lca-tap: error: cannot write to stdout, .*/small/layers.jsonl: the disk is full: make room and start again: No space left on device"
    # lca-layers may have gone before
    assert_line --regexp "^(141|0) 1$"
    run on_small_disk 4 'head -c 4k /dev/zero >small/fill; lca-check --in lca.lca >small/check.txt'
    assert_failure 1
    assert_output --partial "/small/check.txt: the disk is full"
}

@test "no room for summary.json: the run says so, what it recorded is there" {
    # run.json, the log and the recording take their part; the rest is taken by a stage
    run on_small_disk 1000 'lca-run --out small/out - <<END
a: lca-cat '"$FILES"'/t.lca --out \$LCA_OUT/t.lca; head -c 2M /dev/zero >small/fill || true
END
status=$?; cmp '"$FILES"'/t.lca small/out/t.lca && exit $status'
    assert_failure 1
    assert_output --partial "cannot write "
    assert_output --partial "/small/out/summary.json: No space left on device"
}

@test "a folder that may not be written: exit 2 with its name, nothing else is touched" {
    cat >script <<'END'
mkdir small/cp small/out
cp $FILES/t.lca small/t.lca
lca-run --out small/out - <<<'a: exit 3' 2>/dev/null
lca-train --net $FILES/relu.json --data $FILES/s.data --batch 50 --iterations 2 --checkpoint small/cp --out /dev/null
mount -o remount,ro small
t() { "$@"; echo "status $?"; }
t lca-cat $FILES/t.lca --out small/a.lca
t lca-cat $FILES/t.lca --out small/t.lca
t lca-cat --repair $FILES/t.lca --out small/a.lca
t lca-run --out small/new - <<<'a: true'
t lca-run --resume small/out
t lca-train --net $FILES/relu.json --data $FILES/s.data --batch 50 --iterations 2 --checkpoint small/cp --resume small/cp
cmp $FILES/t.lca small/t.lca
END
    run on_small_disk 2000 '. ./script 2>&1'
    assert_success
    assert_equal "$(grep -c '^status' <<<"$output")" 6
    refute_line "status 0"
    assert_line --partial "lca-cat: error: small/a.lca: cannot write: Read-only file system"
    assert_line --partial "lca-cat: error: small/t.lca: cannot write: Read-only file system"
    assert_line --partial "lca-run: error: cannot make the folder small/new: Read-only file system"
    assert_line --regexp "lca-run: error: cannot write .*/small/out/run.json: Read-only file system"
    assert_line --partial "lca-train: error: --checkpoint: cannot write into the folder small/cp: Read-only file system"
}

@test "a limit on the size of files is an error, and what was written before stays good" {
    run bash -c 'ulimit -f 200; lca-cat $FILES/t.lca --out a.lca'
    assert_failure 1
    assert_output --partial "lca-cat: error: a.lca: cannot write: File too large"
    lca-cat --repair a.lca --out good.lca
    py "$FILES/t.lca" <<'END'
good, whole = read('good.lca'), read(sys.argv[1])
assert len(good) > 8 and good[:-1] == whole[:len(good) - 1]
END
}

@test "acknowledged means on disk: fdatasync comes before each ACK" {
    command -v strace >/dev/null || skip "no strace"
    export LCA_DIR=$PWD/ipc
    strace -f -xx -s 400 -e trace=fdatasync,sendto,write,writev -e signal=none -o trace \
        lca-cat --in ipc:theta --out a.lca 3>&- &
    recorder=$!
    lca-cat --in "$FILES/t.lca" --out ipc:theta
    wait $recorder
    cmp "$FILES/t.lca" a.lca
    "$PYTHON" - <<'END'
import msgpack, re
lines = open('trace').read().splitlines()
fd = next(re.search(r'fdatasync\((\d+)', l).group(1) for l in lines if 'fdatasync(' in l)
begun = written = on_disk = 0           # bytes to the file; of which a sync that began, or has ended, is after
frames = {}                             # bytes that the file has before data frame k
data, at, k = open('a.lca', 'rb').read(), 0, -1
while at < len(data):
    frames[k] = at
    n = int.from_bytes(data[at + 2:at + 6], 'big')
    at += 16 + n + int.from_bytes(data[at + 7 + n:at + 11 + n], 'big')
    k += 1
acks = 0
calls, under_way = [], {}               # a call that another thread's interrupts is on two lines
for l in lines:
    thread, rest = l.split(None, 1)
    if rest.endswith('<unfinished ...>'):
        under_way[thread] = rest[:-len('<unfinished ...>')]
        if not rest.startswith('write'):
            calls.append(rest)
        continue
    resumed = re.match(r'<... (\w+) resumed>', rest)
    if resumed and resumed.group(1).startswith('write'):
        rest = under_way.pop(thread) + rest[resumed.end():]
    calls.append(rest)
for l in calls:
    if re.match(r'writev?\(%s,' % fd, l):
        written += int(l.rsplit('= ', 1)[1].split()[0])
    if 'fdatasync(' in l:
        begun = written
    if 'fdatasync' in l and '= 0' in l:
        on_disk = begun
    sent = re.search(r'sendto\(\d+, "([^"]*)"', l)
    told = re.search(rb'\xa4done(.{1,9})', bytes.fromhex(sent.group(1).replace('\\x', '')), re.S) if sent else None
    if told:
        u = msgpack.Unpacker()
        u.feed(told.group(1))
        done = u.unpack()
        if done > 0:
            acks += 1
            assert frames[done] <= on_disk, (done, frames[done], on_disk)
assert acks >= 2, acks
END
}

@test "a checkpoint is on disk before it has its name, and its name before the one before it goes" {
    command -v strace >/dev/null || skip "no strace"
    strace -f -y -e trace=openat,write,fsync,rename,unlink -e signal=none -o trace lca-train --net "$FILES/relu.json" \
        --data "$FILES/s.data" --batch 50 --iterations 9 --checkpoint cp --checkpoint-every 3 --out a.lca
    # the calls about cp, by their first letters: open, write (however often), fsync of the file, rename,
    # fsync of the folder, unlink of what is no longer needed
    calls=$(grep -E 'cp[/>"]' trace | sed -E 's/^[0-9]+ +//; s/^openat.*O_DIRECTORY.*/-/; s/^openat.*/o/; s/^write.*/w/
        s/^fsync\([0-9]+<.*ckpt>.*/f/; s/^fsync.*/F/; s/^rename.*/r/; s/^unlink.*/u/' | tr -d '\n-')
    [[ $calls =~ ^(ow+frFu*){4}$ ]] || fail "$calls"
    assert_equal "$(tr -dc u <<<"$calls")" uu
}
