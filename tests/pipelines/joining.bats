# How a worker, or any consumer, finds a socket whose address a file tells, and how a worker
# leaves: with what it holds done, and nothing lost.
load ../helper
load ../live

# at:FILE alone binds to every interface; tests keep to this machine.
BOUND=tcp://127.0.0.1:0,at:pool

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    lca-data make synth:1,1000 --out d >/dev/null
    lca-train --net mnist-fc --data d --batch 50 --iterations 40 >thetas.lca
    export LCA_DIR=$PWD/ipc
    lca-grad --data d --pool ipc:pool 3>&- &
    lca-integrate --in thetas.lca --pool ipc:pool --chunk 200 --out lca.lca
    wait
    unset LCA_DIR
}

# integrate NAME [OPTION]...: into NAME.lca, or where options say; of $thetas, or all of them.
integrate() {
    LCA_REPORT=$1.json bg "$1" lca-integrate --in "${thetas:-$BATS_FILE_TMPDIR/thetas.lca}" --chunk 200 --sets train,val \
        --pool "${pool:-$BOUND}" "${@:2}"
}
grad() { bg "$1" lca-grad --data "$BATS_FILE_TMPDIR/d" --name "$1" "${@:2}"; }

# same FILE: it is the undisturbed recording, but for EOS, whose counts are those of one process.
same() {
    local f
    for f in "$1" "$BATS_FILE_TMPDIR/lca.lca"; do lca-tap --json --kind lca "$f" | md5sum; done | uniq -c | grep -q '^ *2 '
}

# held NAME FILE: NAME, the only worker, stands still with work that the run waits for, of thetas.
held() {
    kill -STOP "${pid[$1]}"
    more thetas
    until_true still "$2"
}

@test "a worker waits for the file, joins, and the file goes with the run" {
    grad early --pool at:pool
    sleep 0.3
    kill -0 "${pid[early]}"
    integrate run --out run.lca
    ends run 0
    ends early 0
    same run.lca
    assert_file_not_exist pool
}

@test "the file tells the bound address, to its owner alone, and goes with who wrote it" {
    integrate one --out one.lca
    until_true test -e pool
    run cat pool
    assert_output --regexp '^tcp://127\.0\.0\.1:[0-9]+$'
    assert_equal "$(stat -c %a pool)" 600
    kill "${pid[one]}"
    ends one 130
    assert_file_not_exist pool
}

@test "LCA_CONNECT says where the pool is; --pool and --in come first" {
    integrate run --out run.lca
    LCA_CONNECT=at:pool grad one
    ends run 0
    ends one 0
    LCA_CONNECT=at:none bg filter lca-grad --data "$BATS_FILE_TMPDIR/d" --in "$BATS_FILE_TMPDIR/thetas.lca" --out g.lca
    ends filter 0
    export LCA_CONNECT=at:none
    integrate again --out again.lca
    grad two --pool at:pool
    ends again 0
    ends two 0
    same again.lca
}

@test "an integrator killed and started again has another address: its workers and readers find it" {
    part thetas "$BATS_FILE_TMPDIR/thetas.lca" 5000000
    thetas=thetas integrate run --out tcp://127.0.0.1:0,at:lca --expect recorder
    grad one --pool at:pool
    bg recorder lca-cat --in at:lca --name recorder --out run.lca
    until_true has run.lca 2000000
    kill -9 "${pid[run]}"
    until_true says one 'the pool has gone'
    integrate run --out tcp://127.0.0.1:0,at:lca --expect recorder
    ends run 0
    ends one 0
    ends recorder 0
    same run.lca
}

@test "a file left behind by a run that was killed does not mislead: the worker looks again" {
    # an address that nobody listens at, until the run tells its own
    port=$("$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    (umask 077 && echo "tcp://127.0.0.1:$port" >pool)
    grad one --pool at:pool
    sleep 1
    kill -0 "${pid[one]}"
    integrate run --out run.lca
    ends run 0
    ends one 0
    same run.lca
}

@test "a stream of such an address has its tap, told by a file beside it" {
    bg producer lca-cat --in "$BATS_FILE_TMPDIR/thetas.lca" --out tcp://127.0.0.1:0,at:theta --tap tcp://127.0.0.1:0,at:theta --expect a
    bg tap lca-tap at:theta
    until_true has tap.out 1
    bg a lca-cat --in at:theta --name a --out a.lca
    ends producer 0
    ends a 0
    cmp "$BATS_FILE_TMPDIR/thetas.lca" a.lca
    ends tap 0
    run cat tap.out
    assert_output --partial '"t":"theta"'
    assert_output --partial '"next":41'
    run ls
    refute_line theta
    refute_line theta.tap
}

@test "a file that is none of ours is neither believed nor overwritten" {
    echo results >pool
    run --separate-stderr lca-grad --data "$BATS_FILE_TMPDIR/d" --pool at:pool
    assert_failure 2
    [[ $stderr == *"pool does not hold the address of a socket"* ]]
    run --separate-stderr lca-integrate --in "$BATS_FILE_TMPDIR/thetas.lca" --pool $BOUND --out run.lca
    assert_failure 2
    [[ $stderr == *"not overwritten: pool does not hold the address of a socket"* ]]
    assert_equal "$(cat pool)" results
    echo tcp://127.0.0.1:1 >pool
    chmod 666 pool
    run --separate-stderr lca-grad --data "$BATS_FILE_TMPDIR/d" --pool at:pool
    assert_failure 2
    [[ $stderr == *"pool could have been written by somebody else"* ]]
}

@test "told to leave while it has work: that is done, nothing is done again, another takes over" {
    part thetas "$BATS_FILE_TMPDIR/thetas.lca" 4000000
    thetas=thetas pool=ipc:pool integrate run --out run.lca
    grad one --pool ipc:pool
    until_true has run.lca 1000000
    held one run.lca
    kill -TERM "${pid[one]}"
    kill -CONT "${pid[one]}"
    ends one 0
    until_true says run 'pool: one leaves'
    until_true says run 'pool: no workers, waiting'
    grad two --pool ipc:pool
    ends run 0
    ends two 0
    same run.lca
    run jq -c '[.workers_joined, .units_again]' run.json
    assert_output '[2,0]'
}

@test "told twice while it has work: ends at once with 130, others do the work" {
    part thetas "$BATS_FILE_TMPDIR/thetas.lca" 4000000
    thetas=thetas pool=ipc:pool integrate run --out run.lca
    # without threads of OpenBLAS both signals wait for the one that reads them
    OPENBLAS_NUM_THREADS=1 bg one env --default-signal=INT lca-grad --data "$BATS_FILE_TMPDIR/d" --name one --pool ipc:pool
    until_true has run.lca 1000000
    held one run.lca
    # of two SIGTERM that wait the system makes one
    kill -TERM "${pid[one]}"
    kill -INT "${pid[one]}"
    kill -CONT "${pid[one]}"
    ends one 130 interrupted
    until_true says run 'pool: one gone, [12] units again'
    grad two --pool ipc:pool
    ends run 0
    ends two 0
    same run.lca
}

@test "told to leave before there is a pool, and while the pool has gone: ends with 0" {
    grad one --pool ipc:pool
    grad two --pool at:pool
    sleep 0.3
    kill -TERM "${pid[one]}"
    kill -TERM "${pid[two]}"
    ends one 0
    ends two 0
    part thetas "$BATS_FILE_TMPDIR/thetas.lca" 4000000
    thetas=thetas pool=ipc:pool integrate run --out run.lca
    grad three --pool ipc:pool
    until_true has run.lca 1000000
    kill -9 "${pid[run]}"
    until_true says three 'the pool has gone, trying again for 60 s'
    kill -TERM "${pid[three]}"
    ends three 0
}

@test "told to leave while the pool stands still: does not wait for it for ever" {
    # the trainer pauses, so that all work is done; then the pool stops
    part thetas "$BATS_FILE_TMPDIR/thetas.lca" 4000000
    thetas=thetas pool=ipc:pool integrate run --out run.lca
    grad one --pool ipc:pool
    until_true has run.lca 1000000
    until_true still run.lca
    kill -STOP "${pid[run]}"
    kill -TERM "${pid[one]}"
    ends one 0
    kill -CONT "${pid[run]}"
    grad two --pool ipc:pool
    more thetas
    ends run 0
    ends two 0
    same run.lca
}
