# SIGUSR1: every stage says how it is, in one line; none ends by it, and no frame notices.
load ../helper
load ../streams
load ../live

# What is started inherits it, as lca-run's stages do: asked before main, it does not end.
setup() {
    cd "$BATS_TEST_TMPDIR" || return
    trap '' USR1
}

teardown() {
    for p in "${pid[@]}"; do
        kill -CONT "$p" 2>/dev/null
        kill -9 "$p" 2>/dev/null
        wait "$p" 2>/dev/null
    done
    return 0
}

# stages NAME...: a run of 60 steps; each NAME is a stage more that reads lca.
stages() {
    cat <<END
train:     lca-train --net $FILES/relu.json --data $FILES/s.data --iterations 60 --batch 50 --examples 500 --out ipc:theta
integrate: lca-integrate --in ipc:theta --pool ipc:pool --out ipc:lca --expect layers,check,record${1:+,$1}
grad*2:    lca-grad --data $FILES/s.data --pool ipc:pool
layers:    lca-layers --in ipc:lca | lca-tap --json > "\$LCA_OUT/layers.jsonl"
check:     lca-check --in ipc:lca > "\$LCA_OUT/check.txt"
record:    lca-cat --in ipc:lca --out "\$LCA_OUT/lca.lca"
END
}

more_files() {
    stages >stages
    lca-run --quiet --out calm stages 2>/dev/null
}

# asked FILE PROGRAM STAGE N: so many answers
asked() { [ "$(grep -cE "^$2\[$3\]: status: up " "$1")" -eq "$4" ]; }

# ask PID FILE PROGRAM: SIGUSR1 until there is an answer: a program that has only just been
# started is not there yet
ask() {
    until grep -qs "^$3: status: up " "$2"; do
        kill -USR1 "$1"
        sleep 0.02
    done
}

# wrote PID BYTES
wrote() { [ "$(awk '/^wchar/ { print $2 }' "/proc/$1/io")" -ge "$2" ]; }

@test "all stages of a run answer, once each, and the run is the undisturbed one" {
    { stages hold; echo 'hold: lca-cat --in ipc:lca | { head -c 100000; until [ -e go ]; do sleep 0.02; done; cat; } > held.lca'
    } >stages
    bg run lca-run --quiet --out out stages
    # held in its middle: 60 steps are more than the window
    until_true [ -s held.lca ]
    kill -USR1 "${pid[run]}"
    for who in 'lca-train train' 'lca-integrate integrate' 'lca-grad grad.1' 'lca-grad grad.2' 'lca-layers layers' \
        'lca-tap layers' 'lca-check check' 'lca-cat record' 'lca-cat hold'; do
        # shellcheck disable=SC2086
        until_true asked out/log $who 1
    done
    until_true grep -q '^lca-run: status: up [0-9]* s; 8 of 8 stages run: train, integrate, grad.1, grad.2, layers, check, record, hold$' out/log
    assert_equal "$(grep -c 'status: up' out/log)" 10
    touch go
    ends run 0
    cmp "$FILES/calm/lca.lca" out/lca.lca
    cmp "$FILES/calm/lca.lca" held.lca
    cmp "$FILES/calm/layers.jsonl" out/layers.jsonl
}

@test "asked at any time, from its start to its end, a run ends as if it had not been" {
    stages >stages
    bg run lca-run --quiet --out out stages
    until_true [ -e out/log ]
    while kill -USR1 "${pid[run]}" 2>/dev/null; do
        sleep 0.004
    done
    ends run 0
    cmp "$FILES/calm/lca.lca" out/lca.lca
    cmp "$FILES/calm/layers.jsonl" out/layers.jsonl
    cmp "$FILES/calm/check.txt" out/check.txt
    run grep -v 'status: up' out/log
    assert_output ""
}

@test "lca-run says which stages have ended, and with what" {
    printf 'w*2: if [ $LCA_STAGE = w.2 ]; then exit 7; fi; until [ -e go ]; do sleep 0.02; done\nb: until [ -e go ]; do sleep 0.02; done\n' >s
    bg run lca-run --out out s
    until_true grep -q 'worker w.2 exited' out/log
    kill -USR1 "${pid[run]}"
    until_true grep -qE '^lca-run: status: up [0-9]+ s; 2 of 3 stages run: w.1, b; ended: w.2 \(status 7, after [0-9]+ s\)$' out/log
    touch go
    ends run 0
}

@test "a filter answers while it waits for the first frame, and within one" {
    train thetas.lca
    mkfifo in
    bg cat lca-cat --in in --out out.lca
    exec 4>in
    ask "${pid[cat]}" cat.err lca-cat
    assert_file_contains cat.err 'waits for in; in in: 0 frames'
    : >cat.err
    size=$(stat -c %s thetas.lca)
    head -c $((size - 5000)) thetas.lca >&4
    until_true has out.lca $((size * 3 / 5))
    ask "${pid[cat]}" cat.err lca-cat
    tail -c 5000 thetas.lca >&4
    exec 4>&-
    ends cat 0
    cmp thetas.lca out.lca
}

@test "a filter answers while nobody reads what it writes, and cuts no frame" {
    train thetas.lca --iterations 40
    mkfifo out
    bg cat lca-cat --in thetas.lca --out out
    exec 4<out
    # 40 thetas of 19 kB are more than a pipe holds: the fourth waits within
    until_true wrote "${pid[cat]}" 50000
    for k in 1 2 3 4 5 6 7 8; do
        kill -USR1 "${pid[cat]}"
        until [ "$(grep -c 'status: up' cat.err)" -ge "$k" ]; do sleep 0.02; done
    done
    assert_file_contains cat.err 'out theta: [0-9]* frames'
    while kill -USR1 "${pid[cat]}" 2>/dev/null; do
        sleep 0.002
    done 3>&- &
    pid[asker]=$!
    touch asker.err
    cat <&4 >copy.lca
    exec 4<&-
    ends cat 0
    ends asker 0
    cmp thetas.lca copy.lca
}

@test "a worker answers between units, a trainer between steps" {
    LCA_DIR=$PWD/ipc
    export LCA_DIR
    bg grad lca-grad --data "$FILES/s.data" --pool ipc:pool
    ask "${pid[grad]}" grad.err 'lca-grad'
    assert_file_contains grad.err 'waits for ipc:pool; work of ipc:pool: 0 units done'
    bg train lca-train --net "$FILES/relu.json" --data "$FILES/s.data" --iterations 1000000 --out ipc:theta
    ask "${pid[train]}" train.err 'lca-train'
    : >train.err
    bg integrate lca-integrate --in ipc:theta --pool ipc:pool --out all.lca
    until_true has all.lca 1000000
    : >grad.err
    ask "${pid[grad]}" grad.err lca-grad
    ask "${pid[train]}" train.err lca-train
    run cat grad.err
    assert_output --regexp '^lca-grad: status: up [0-9]+ s, (step [0-9]+|waits for work).*[1-9][0-9]* units done'
    kill -TERM "${pid[train]}"
    ends train 130
    ends integrate 0
    ends grad 0
    lca-check --in all.lca
}
