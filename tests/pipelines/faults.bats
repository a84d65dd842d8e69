# What goes wrong, and that it is met: back-pressure, failures told up and down the
# stream, processes that die, stop and come back.
load ../helper
load ../live

# 200 thetas of 336 KB, 67 MB: twice what a window holds.
setup_file() {
    cd "$BATS_FILE_TMPDIR"
    lca-data make synth:1,1000 --out d >/dev/null
    lca-train --net mnist-fc --data d --batch 50 --iterations 199 >thetas.lca
    lca-train --net mnist-fc --data d --batch 50 --iterations 20 >twenty.lca
}

# produce [OPTION]...: of $thetas, or all of them; consume NAME [OPTION]...
produce() { bg producer lca-cat --in "${thetas:-$BATS_FILE_TMPDIR/thetas.lca}" --out ipc:theta "$@"; }
consume() { bg "$1" lca-cat --in ipc:theta --name "$1" --out "$1.lca" "${@:2}"; }
# hold: a consumer that takes no more than a pipe holds, until let_go; so the stream stays
# within its first window however late a busy machine lets us act. To be expected by name.
hold() {
    mkfifo held
    bg hold lca-cat --in ipc:theta --name hold --out held
    exec {held}<held
}
let_go() {
    bg held bash -c "exec cat <&$held"
    exec {held}<&-
}
held() {
    ends hold 0
    ends held 0
    same held.out
}
same() { cmp "$BATS_FILE_TMPDIR/thetas.lca" "$1"; }

# lost NAME: it has lost its producer; if it died instead, the test fails at once.
lost() {
    kill -0 "${pid[$1]}" || { cat "$1.err"; exit 1; }
    says "$1" 'connection lost'
}

@test "a slow consumer holds the producer: within a window, in little memory" {
    part thetas "$BATS_FILE_TMPDIR/thetas.lca" 5000000
    thetas=thetas produce --expect a,b
    consume a
    consume b
    until_true has a.lca 3000000
    kill -STOP "${pid[a]}"
    more thetas
    until_true still b.lca
    kill -0 "${pid[producer]}"
    lag=$(($(frames b.lca) - $(frames a.lca)))
    [ $lag -ge 0 ] && [ $lag -le 64 ]
    [ "$(peak "${pid[producer]}")" -le 60000 ]
    before=$(cpu "${pid[producer]}")
    sleep 1
    [ $(($(cpu "${pid[producer]}") - before)) -le 5 ]
    kill -CONT "${pid[a]}"
    ends producer 0
    ends a 0
    ends b 0
    same a.lca
    same b.lca
}

@test "training is held too, and goes on" {
    bg train lca-train --net mnist-fc --data "$BATS_FILE_TMPDIR/d" --batch 50 --iterations 199 --out ipc:theta \
        --expect hold
    bg tap lca-tap --fields seq ipc:theta
    hold
    until_true has tap.out 1
    until_true still tap.out
    kill -0 "${pid[train]}"
    [ "$(tail -1 tap.out | tr -dc 0-9)" -le 65 ]
    let_go
    ends train 0
    held
}

@test "--from now: the next whole iteration, and all that follow" {
    bg grad lca-grad --data "$BATS_FILE_TMPDIR/d" --pool ipc:pool
    lca-train --net mnist-fc --data "$BATS_FILE_TMPDIR/d" --batch 50 --iterations 60 |
        lca-integrate --pool ipc:pool --sets train,val,test --rule first-order --out lca.lca
    ends grad 0
    bg producer lca-cat --in lca.lca --out ipc:theta --expect a,hold
    consume a
    hold
    until_true has a.lca 2000000
    consume late --from now
    until_true has late.lca 1
    let_go
    ends producer 0
    ends a 0
    ends late 0
    ends hold 0
    cmp lca.lca a.lca
    first=$(lca-tap --kind HEAD --fields first late.lca | tr -dc 0-9)
    [ "$first" -gt 0 ] && [ "$first" -lt 180 ] && [ $((first % 3)) -eq 0 ]
    lca-tap --kind lca --fields seq,it,set,crc lca.lca | tail -n +$((first + 1)) >expected
    lca-tap --kind lca --fields seq,it,set,crc late.lca | cmp expected -
}

@test "a consumer killed: exit 3, which one, and the frame" {
    produce --lost 1 --expect a,hold
    consume a
    hold
    until_true has a.lca 3000000
    kill -9 "${pid[a]}"
    ends producer 3 'error: a lost, last acknowledged seq ([0-9]+) of [0-9]+ \(step \1\)'
}

@test "a producer killed: exit 3 after --lost, and the frame" {
    produce --expect a,hold
    consume a --lost 1
    hold
    until_true has a.lca 3000000
    kill -9 "${pid[producer]}"
    ends a 3 'did not come back in 1 s; the stream ends after seq ([0-9]+) without EOS \(step \1\)'
}

@test "a pool killed: its workers end with 3 after --lost" {
    bg integrate lca-integrate --in "$BATS_FILE_TMPDIR/thetas.lca" --pool ipc:pool --out lca.lca
    bg grad lca-grad --data "$BATS_FILE_TMPDIR/d" --pool ipc:pool --lost 1
    until_true has lca.lca 2000000
    kill -9 "${pid[integrate]}"
    ends grad 3 'the pool has gone and did not come back in 1 s'
}

@test "a stage that fails says so to all it feeds, however far they are: exit 4" {
    for bytes in 400000 20000000; do
        head -c $bytes "$BATS_FILE_TMPDIR/thetas.lca" >cut.lca
        bg producer lca-cat --in cut.lca --out ipc:theta --expect a,b
        consume a
        consume b
        ends producer 5 'cut.lca: ends within a frame after [0-9]+ whole frames'
        ends a 4 'the stage before failed: .*ends within a frame'
        ends b 4 'the stage before failed: .*ends within a frame'
    done
}

@test "a consumer killed and back at once: not its own rival" {
    produce --expect a,hold
    consume a
    hold
    until_true has a.lca 3000000
    kill -STOP "${pid[producer]}"      # it hears of the end and of the return at once
    kill -9 "${pid[a]}"
    mv a.lca first.lca
    consume a
    until_true test -e a.lca
    sleep 0.2
    kill -CONT "${pid[producer]}"
    let_go
    ends producer 0
    ends a 0
    held
    lca-cat first.lca a.lca --out whole.lca
    same whole.lca
}

@test "a recorder whose disk is full is missed: the run fails" {
    produce --expect a,full --lost 1
    consume a
    bg full lca-cat --in ipc:theta --name full --out /dev/full
    ends full 1 'disk is full'
    ends producer 3 'error: full lost'
    ends a 4
}

@test "a reader that had enough does not end the run, and nobody complains" {
    produce --expect a,peek
    consume a
    bg peek bash -c 'lca-cat --in ipc:theta --name peek | head -c 1000 >/dev/null; exit ${PIPESTATUS[0]}'
    ends peek 141
    run cat peek.err
    refute_output
    ends producer 0
    ends a 0
    same a.lca
}

@test "a full disk behind a pipe or a redirection: exit 1 and why" {
    bg train bash -c 'lca-train --net mnist-fc --data "$1" --iterations 3 --batch 50 >/dev/full' - "$BATS_FILE_TMPDIR/d"
    ends train 1 'disk is full'
    run lca-cat "$BATS_FILE_TMPDIR/thetas.lca" --out ok.lca --out /dev/full
    assert_failure 1
    assert_output --partial "/dev/full: the disk is full"
}

@test "training killed and started again: the same frames go on" {
    train() {
        bg train lca-train --net mnist-fc --data "$BATS_FILE_TMPDIR/d" --batch 50 --iterations 199 --out ipc:theta \
            --expect a,hold
    }
    train
    consume a
    hold
    until_true has a.lca 10000000
    kill -STOP "${pid[a]}"
    kill -9 "${pid[train]}"
    kill -CONT "${pid[a]}"
    until_true lost a
    let_go
    train
    ends train 0
    ends a 0
    held
    same a.lca
}

@test "training killed and started again while its steps are integrated: the same frames" {
    train() {
        bg train lca-train --net mnist-fc --data "$BATS_FILE_TMPDIR/d" --batch 50 --iterations 199 --out ipc:theta \
            --expect lca-integrate,hold
    }
    integrate() {
        bg grad lca-grad --data "$BATS_FILE_TMPDIR/d" --pool ipc:pool
        bg run lca-integrate --pool ipc:pool --sets train --rule first-order "$@"
    }
    integrate --in "$BATS_FILE_TMPDIR/thetas.lca" --out undisturbed.lca
    ends run 0
    ends grad 0
    train
    integrate --in ipc:theta --out lca.lca
    hold
    until_true has lca.lca 3000000
    kill -9 "${pid[train]}"
    until_true lost run
    let_go
    train
    ends train 0
    ends run 0
    ends grad 0
    held
    cmp undisturbed.lca lca.lca
}

@test "a producer killed while it sends, again and again: its consumers go on, each frame once" {
    kills=0
    for ((n = 0; n < 3; n++)); do
        produce --expect a,b,c
        for name in a b c; do consume $name; done
        for bytes in 1000000 25000000; do
            until_true has a.lca $bytes
            kill -9 "${pid[producer]}" || true
            status=0
            wait "${pid[producer]}" || status=$?    # then the socket is free
            [ $status -eq 137 ] || break            # on a busy machine all may be over already
            kills=$((kills + 1))
            produce --expect a,b,c
        done
        [ $status -eq 0 ] || ends producer 0
        for name in a b c; do
            ends $name 0
            same $name.lca
            rm $name.lca
        done
    done
    [ $kills -gt 0 ]
}

@test "told to stop while nobody reads: ends at once, 130" {
    bg train lca-train --net mnist-fc --data "$BATS_FILE_TMPDIR/d" --iterations 3 --out ipc:theta --expect nobody
    until_true test -S "$LCA_DIR/theta"
    kill "${pid[train]}"
    ends train 130 'interrupted while theta waited for its consumers'
}

# allocate IN [OPTION]...: the pool's side of 20 steps of 5 chunks, as `run`
allocate() { bg run lca-integrate --in "$1" --pool ipc:pool --chunk 200 "${@:2}"; }
# work NAME [OPTION]...
work() { bg "$1" lca-grad --data "$BATS_FILE_TMPDIR/d" --pool ipc:pool --name "$@"; }

@test "a worker stopped for longer than its lease: said, its unit goes to another, the bytes stay" {
    work one
    allocate "$BATS_FILE_TMPDIR/twenty.lca" --out reference.lca
    ends run 0
    ends one 0
    work one
    part thetas "$BATS_FILE_TMPDIR/twenty.lca" 4000000
    allocate thetas --lease 0.2 --out again.lca
    until_true has again.lca 1000000
    kill -STOP "${pid[one]}"
    more thetas
    until_true says run 'pool: one late on unit [0-9]+ \(t=[0-9]+\), and no other worker is free'
    before=$(cpu "${pid[run]}")
    sleep 1
    [ $(($(cpu "${pid[run]}") - before)) -le 5 ]
    work two
    until_true says run 'pool: one late on unit [0-9]+, also given to two'
    kill -CONT "${pid[one]}"            # its twin of the unit is the same, and dropped
    ends run 0
    ends one 0
    ends two 0
    cmp reference.lca again.lca
}

@test "a worker stopped beside one that idles: the run waits for no lease" {
    work one --lost 1
    work two
    part thetas "$BATS_FILE_TMPDIR/twenty.lca" 4000000
    allocate thetas --lease 3600 --out whole.lca
    until_true has whole.lca 1000000
    kill -STOP "${pid[one]}"
    more thetas
    ends run 0
    kill -CONT "${pid[one]}"
    ends two 0
    wait "${pid[one]}" || [ $? -eq 3 ]  # the pool has gone, with the goodbye that it could not take
    [ "$(frames whole.lca)" -eq 40 ]         # of the training and the validation set
}

@test "long chunks: none is given twice before anybody knows how long one takes" {
    lca-train --net mnist-lenet --data "$BATS_FILE_TMPDIR/d" --batch 50 --iterations 1 >theta.lca
    work one
    work two
    # a quarter of a second each; the first may take six leases
    bg run lca-integrate --in theta.lca --pool ipc:pool --chunk 250 --sets train --lease 0.01 --out lca.lca
    ends run 0
    ends one 0
    ends two 0
    says run 'is still at its first unit, after 0 s'
    ! says run 'also given'
}

@test "a sleeping aggregator: integrator and trainer stand still within their windows, and go on" {
    steps=300
    bg train lca-train --net mnist-fc --data "$BATS_FILE_TMPDIR/d" --batch 50 --iterations $steps --out ipc:theta \
        --expect run
    work grad
    bg run lca-integrate --in ipc:theta --name run --pool ipc:pool --sets train --rule first-order --out ipc:lca \
        --expect layers
    bg layers lca-layers --in ipc:lca --name layers --out layers.lca
    bg thetas lca-tap --fields it ipc:theta
    bg steps lca-tap --fields it ipc:lca
    until_true has layers.lca 5000
    kill -STOP "${pid[layers]}"
    until_true still steps.out
    until_true still thetas.out
    at=$(frames layers.lca --kind layers)
    for tap in thetas steps; do
        last=$(grep -o '"it":[0-9]*' $tap.out | tail -1 | tr -dc 0-9)
        echo "layers at $at, $tap at $last"
        [ "$last" -ge "$at" ] && [ "$last" -le $((at + 65)) ] && [ "$last" -lt $steps ]
    done
    # two windows of 64 vectors, and the steps under way: never the 50 MB of a whole run more
    echo "KiB: train $(peak "${pid[train]}") run $(peak "${pid[run]}")"
    [ "$(peak "${pid[train]}")" -le 60000 ] && [ "$(peak "${pid[run]}")" -le 100000 ]
    for stage in train run grad; do
        before=$(cpu "${pid[$stage]}")
        sleep 0.5
        [ $(($(cpu "${pid[$stage]}") - before)) -le 5 ]
    done
    kill -CONT "${pid[layers]}"
    for stage in train run grad layers; do
        ends $stage 0
    done
    [ "$(frames layers.lca --kind layers)" -eq $steps ]
}
