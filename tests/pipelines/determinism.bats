# The recorded streams are the same bytes however the work was shared.
load ../helper

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    lca-data make synth:1,2000 --out s.data >/dev/null
    cat >stages <<'END'
train:     lca-train --net mnist-fc --data s.data --iterations 24 --out ipc:theta --expect integrate,theta
grad*2:    lca-grad --data s.data --pool ipc:pool
integrate: lca-integrate --in ipc:theta --pool ipc:pool --out ipc:lca --expect lca --chunk 200 --tolerance 2e-5
theta:     lca-cat --in ipc:theta --out $LCA_OUT/theta.lca
lca:       lca-cat --in ipc:lca --out $LCA_OUT/lca.lca
END
    sed 's/^integrate:.*/& --by-class/' stages >stages.by-class
    for kind in stages stages.by-class; do
        lca-run -q --out "reference.$kind" $kind
    done
}

setup() {
    cd "$BATS_FILE_TMPDIR"
    out=$BATS_TEST_TMPDIR/out
}

# with N [KIND]: the same run with N workers.
with() {
    sed "s/^grad\*2/grad*$1/" "${2:-stages}" >"$BATS_TEST_TMPDIR/stages"
    lca-run -q --out "$out" "$BATS_TEST_TMPDIR/stages"
}

same() {
    cmp "$out/theta.lca" "reference.${1:-stages}/theta.lca"
    cmp "$out/lca.lca" "reference.${1:-stages}/lca.lca"
}

# in_flight N: waits until the recording has N bytes, with the run still alive.
in_flight() {
    until [ -s "$out/lca.lca" ] && [ "$(stat -c %s "$out/lca.lca")" -ge "$1" ]; do
        kill -0 "$run"
        sleep 0.02
    done
}

# a worker of this very run
worker() {
    pgrep -f "^lca-grad .*--pool ipc:pool" | while read -r pid; do
        grep -qz "LCA_OUT=$out" "/proc/$pid/environ" 2>/dev/null && echo "$pid"
    done | head -1
}

start() {
    sed "s/^grad\*2/grad*$1/; s/--iterations 24/--iterations ${2:-24}/" "stages" >"$BATS_TEST_TMPDIR/stages"
    lca-run -q --out "$out" "$BATS_TEST_TMPDIR/stages" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
    run=$!
}

@test "steps of the reference were refined: the test sees out-of-order points" {
    run lca-tap --kind lca --format '%{n}\n' reference.stages/lca.lca
    assert_line 4
}

@test "1 and 3 workers: the same bytes as 2" {
    with 1
    same
    rm -rf "$out"
    with 3
    same
}

@test "by class, 1 and 3 workers: the same bytes as 2" {
    with 1 stages.by-class
    same stages.by-class
    rm -rf "$out"
    with 3 stages.by-class
    same stages.by-class
}

@test "a worker killed with -9 in the middle: said, and the same bytes" {
    start 2
    in_flight 3000000
    kill -9 "$(worker)"
    wait $run
    run cat "$BATS_TEST_TMPDIR/err"
    assert_output --partial "killed by signal 9"
    assert_output --regexp 'pool: grad\.[12] gone'
    same
}

@test "a worker stopped, continued, and one that joins late: the same bytes" {
    start 1
    in_flight 2000000
    pid=$(worker)
    kill -STOP "$pid"
    LCA_DIR=$(readlink -f "$out/ipc") lca-grad --data s.data --pool ipc:pool --name late 3>&- &
    late=$!
    kill -CONT "$pid"
    wait $run
    wait $late
    same
}

@test "the pool empty for a while: said, no busy loop, the same bytes" {
    start 1
    in_flight 2000000
    kill -9 "$(worker)"
    until grep -q "no workers, waiting" "$BATS_TEST_TMPDIR/err"; do
        kill -0 $run
        sleep 0.02
    done
    pid=$(pgrep -f "^lca-integrate .*--tolerance 2e-5" | while read -r p; do
        grep -qz "LCA_OUT=$out" "/proc/$p/environ" && echo "$p"
    done | head -1)
    before=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
    sleep 1
    after=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
    assert [ $((after - before)) -le 10 ]       # hundredths of a second
    LCA_DIR=$(readlink -f "$out/ipc") lca-grad --data s.data --pool ipc:pool --name fresh 3>&- &
    fresh=$!
    wait $run
    wait $fresh
    same
}
