# Nothing is lost: every frame arrives once and in order, or the run ends non-zero with
# a message that names the stage and the step.
load ../helper
BATS_TEST_TIMEOUT=120

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    lca-data make synth:1,500 --out s.data >/dev/null
    lca-train --net mnist-fc --data s.data --batch 50 --iterations 300 >thetas.lca
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    cp -l "$BATS_FILE_TMPDIR"/{s.data,thetas.lca} .
    LCA_DIR=$(mktemp -d /tmp/lca-delivery.XXXX)
    export LCA_DIR
}

teardown() {
    rm -rf "$LCA_DIR"
}

# produce [OPTION]...: the stream on ipc:theta, in the background
produce() {
    lca-cat --in thetas.lca --out ipc:theta "$@" 2>producer.err 3>&- &
    producer=$!
}

# consume NAME [OPTION]...
consume() {
    lca-cat --in ipc:theta --name "$1" --out "$1.lca" "${@:2}" 2>"$1.err" 3>&- &
    consumer=$!
}

# hold [OPTION]...: one more consumer, which takes 20 of 100 MB and then waits for let_go. So the
# stream stays in its middle, however busy the machine is. To be expected by name.
hold() {
    lca-cat --in ipc:theta --name hold "$@" 2>hold.err 3>&- |
        { head -c 20000000; until [ -e go ]; do sleep 0.02; done; cat; } >hold.lca 3>&- &
    holder=$!
}
let_go() {
    touch go
    wait $holder
    cmp thetas.lca hold.lca
}

# grown FILE BYTES: waits until it has them
grown() {
    until [ -e "$1" ] && [ "$(stat -c %s "$1")" -ge "$2" ]; do
        sleep 0.01
    done
}

# ended PID STATUS: waits for a child, which must end so
ended() {
    local status=0
    wait "$1" || status=$?
    assert_equal $status "$2"
}

# says FILE TEXT: waits until somebody has said so
says() {
    until grep -qs "$2" "$1"; do
        sleep 0.02
    done
}

@test "a consumer that sleeps gets every frame" {
    produce
    consume a
    grown a.lca 5000000
    kill -STOP $consumer
    sleep 1
    run kill -0 $producer       # held by credit: it cannot have finished
    assert_success
    kill -CONT $consumer
    wait $producer
    wait $consumer
    cmp thetas.lca a.lca
}

@test "a consumer that starts late gets every frame, when it is expected" {
    produce --expect a,b
    consume a
    sleep 0.5
    assert [ "$(stat -c %s a.lca 2>/dev/null || echo 0)" -lt 336000 ]      # no frame before b is there
    consume b
    wait $producer
    wait $consumer
    cmp thetas.lca a.lca
    cmp thetas.lca b.lca
}

@test "a late consumer that nobody expected is told what is gone" {
    produce --expect a,hold
    hold
    consume a
    first=$consumer
    grown a.lca 20000000
    grown hold.lca 20000000
    run lca-cat --in ipc:theta --name b --out b.lca
    assert_failure 2
    assert_output --partial "lca-cat"
    assert_output --partial "is gone"
    let_go
    wait $producer
    wait $first
    cmp thetas.lca a.lca
}

@test "--from now begins with a frame under way and goes on to the end" {
    produce --expect a,hold
    hold
    consume a
    first=$consumer
    grown a.lca 5000000
    consume late --from now
    grown late.lca 200
    let_go
    wait $producer
    wait $first
    cmp thetas.lca a.lca
    wait $consumer
    run lca-tap --kind theta --format '%{it}\n' late.lca
    assert_success
    refute_line 0
    assert_line 300
    assert_equal "${#lines[@]}" $((301 - ${lines[0]}))
}

@test "a consumer killed: the run ends with 3 and names it and the frame" {
    produce --lost 1 --expect a,hold
    hold
    consume a
    grown a.lca 5000000
    kill -9 $consumer
    ended $producer 3
    touch go
    wait $holder
    run cat producer.err
    assert_output --regexp "a lost, last acknowledged seq [0-9]+ of [0-9]+ \(step [0-9]+\)"
}

@test "a consumer killed, --lost drop: the others get everything" {
    produce --lost drop --expect a,b,hold
    hold
    consume a
    victim=$consumer
    consume b
    grown a.lca 5000000
    kill -9 $victim
    let_go
    wait $producer
    wait $consumer
    cmp thetas.lca b.lca
}

@test "a consumer killed and started again under its name: each frame once" {
    produce --expect a,hold
    hold
    consume a
    grown a.lca 5000000
    kill -9 $consumer
    says producer.err "keeping its frames"
    mv a.lca first.lca
    consume a
    let_go
    wait $producer
    wait $consumer
    run --separate-stderr lca-cat first.lca a.lca --out whole.lca
    assert_success
    cmp thetas.lca whole.lca
}

@test "a consumer is replaced with --take: the old one ends in order, each frame once" {
    produce --expect a,hold
    hold
    consume a
    old=$consumer
    grown a.lca 5000000
    mv a.lca old.lca
    consume a --take
    wait $old
    let_go
    wait $producer
    wait $consumer
    lca-cat old.lca a.lca --out whole.lca 2>join.err
    cmp thetas.lca whole.lca
    run ! grep refused producer.err         # what it had sent before it knew
}

@test "a producer that exits right after its last frame: a slow reader still gets all" {
    lca-train --net mnist-fc --data s.data --batch 50 --iterations 20 --out ipc:theta 3>&- &
    producer=$!
    consume a
    kill -STOP $consumer
    sleep 0.5
    kill -CONT $consumer
    wait $producer
    wait $consumer
    lca-train --net mnist-fc --data s.data --batch 50 --iterations 20 >direct.lca
    cmp direct.lca a.lca
}

@test "a producer killed: its consumer ends with 3 and says where" {
    produce --expect a,hold
    hold --lost 1
    consume a --lost 1
    grown a.lca 5000000
    kill -9 $producer
    ended $consumer 3
    touch go
    wait $holder
    run cat a.err
    assert_output --regexp "ipc:theta: the producer has gone .* after seq [0-9]+ without EOS \(step [0-9]+\)"
}

@test "two consumers of one name: the second is refused and the first goes on" {
    produce --expect a,hold
    hold
    consume a
    grown a.lca 1000000
    run lca-cat --in ipc:theta --name a --out second.lca
    assert_failure 2
    assert_output --partial "attached already"
    let_go
    wait $producer
    wait $consumer
    cmp thetas.lca a.lca
}

@test "one socket for two producers: the second is told who has it" {
    produce --expect nobody
    until [ -S "$LCA_DIR/theta" ]; do sleep 0.02; done
    run lca-cat --in thetas.lca --out ipc:theta
    assert_failure 2
    assert_output --partial "in use by pid"
    kill $producer
    wait $producer || true
}

@test "a stream cut short on a pipe: exit 5 and the last good frame" {
    run bash -c 'head -c 2000000 thetas.lca | lca-cat --out short.lca'
    assert_failure 5
    assert_output --partial "ends within a frame"
}

@test "a reader that leaves early ends the writer quietly with 141" {
    run bash -c 'lca-cat thetas.lca | head -c 1000 >/dev/null; exit ${PIPESTATUS[0]}'
    assert_failure 141
    refute_output
}

@test "a full disk is an error" {
    run lca-cat thetas.lca --out /dev/full
    assert_failure 1
    assert_output --partial "full"
}
