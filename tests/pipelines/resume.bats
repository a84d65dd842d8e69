# Training that was cut off goes on from a checkpoint: the same bytes under the same
# numbers, in the theta stream and in all that is made of it.
load ../helper
load ../streams
load ../kills

more_files() {
    whole_run
}

# long OUT [OPTION]...: enough steps to be killed within.
long() {
    train "$1" --iterations 400 --checkpoint-every 20 "${@:2}"
}

# killed_and_resumed [OPTION]...: whole.lca in one go; a.lca, killed, and b.lca, gone on with.
killed_and_resumed() {
    train whole.lca --iterations 400 "$@"
    # the reader stops in the middle, so that the kill comes in the middle
    mkfifo pipe
    long - --checkpoint cp "$@" >pipe 2>err 3>&- &
    pid=$!
    exec 5<pipe
    head -c 3000000 <&5 >a.lca
    kill -9 $pid
    wait $pid || true
    cat <&5 >>a.lca
    exec 5<&-
    rm pipe
    long b.lca --checkpoint cp --resume cp "$@"
    rm -rf cp
    lca-cat a.lca b.lca >joined.lca
    cmp whole.lca joined.lca
    # and it did begin later
    [ "$(stat -c %s b.lca)" -lt "$(stat -c %s whole.lca)" ]
}

@test "killed with -9 and resumed, SGD with momentum: the same bytes" {
    killed_and_resumed
}

@test "killed with -9 and resumed, Adam: the same bytes" {
    killed_and_resumed --optimizer adam
}

@test "killed with -9 and resumed, dropout, delay, freeze, rates by layer and step: the same bytes" {
    sed 's/{"type": "relu"}/&, {"type": "dropout", "rate": 0.3}/' "$FILES/relu.json" >drop.json
    killed_and_resumed --net drop.json --delay two=7 --freeze one@250 --layer-lr two=0.02 --layer-momentum two=0.5 \
        --lr-steps 90=0.02,300=0.01
    rm a.lca b.lca whole.lca joined.lca
    killed_and_resumed --net drop.json --optimizer adam --delay one=3 --freeze two@250 --lr-steps 90=0.001
}

@test "each checkpoint on the way leads to the same end" {
    train whole.lca --iterations 12
    for every in 1 5; do
        for at in $(seq $every $every 11); do
            train a.lca --iterations 12 --checkpoint cp --checkpoint-every $every >/dev/null
            # go back: from the one of that step, as if it were the last
            rm -rf cp
            train a.lca --iterations "$at" --checkpoint cp --checkpoint-every $every
            run ls cp
            assert_line "step-$(printf %08d "$at").ckpt"
            train b.lca --iterations 12 --resume "cp/step-$(printf %08d "$at").ckpt"
            py "$at" <<'PY'
whole, b = read('whole.lca'), read('b.lca')
at = int(sys.argv[1])
assert b[0][0]['first'] == at if at else 'first' not in b[0][0]
assert b[1:] == whole[1 + at:]
PY
            rm -rf cp
        done
    done
}

@test "at the end of training and when interrupted there is a checkpoint of that step" {
    train a.lca --iterations 7 --checkpoint cp --checkpoint-every 5
    run ls cp
    assert_output "step-00000005.ckpt
step-00000007.ckpt"
    # a longer training goes on where the shorter one ended
    train whole.lca --iterations 9
    train b.lca --iterations 9 --resume cp
    py <<'PY'
whole, b = read('whole.lca'), read('b.lca')
assert b[0][0]['first'] == 7 and [p[1] for p in b[1:]] == [p[1] for p in whole[8:]]
PY
    env --default-signal=INT lca-train --net "$FILES/relu.json" --data "$FILES/s.data" --iterations 50000 --batch 50 \
        --checkpoint int --checkpoint-every 50000 --out i.lca 2>/dev/null 3>&- &
    until [ -s i.lca ] && [ "$(stat -c %s i.lca)" -gt 300000 ]; do sleep 0.05; done
    kill -INT $!
    status=0
    wait $! || status=$?
    assert_equal "$status" 130
    last=$(lca-tap --kind EOS --format '%{next}\n' i.lca)
    assert_equal "$(ls int)" "step-00000000.ckpt
step-$(printf %08d $((last - 1))).ckpt"
}

@test "where no checkpoint can be written training goes on, and says so" {
    mkfifo pipe
    train - --iterations 400 --checkpoint cp --checkpoint-every 1 >pipe 2>err 3>&- &
    exec 5<pipe
    head -c 100000 <&5 >/dev/null
    mv cp elsewhere
    cat <&5 >/dev/null
    wait $!
    run cat err
    assert_output --partial "warning: cannot write the checkpoint cp/step-"
    assert_output --partial "No such file or directory; training goes on without it"
    run --separate-stderr train a.lca --checkpoint /proc/none
    assert_failure 2
    [[ $stderr == *"--checkpoint: cannot make the folder /proc/none"* ]]
}

@test "a damaged checkpoint is passed over; a file of that name is said to be damaged" {
    train whole.lca --iterations 10
    train a.lca --iterations 10 --checkpoint cp --checkpoint-every 4
    printf x | dd of=cp/step-00000010.ckpt bs=1 seek=3000 conv=notrunc status=none
    run --separate-stderr train b.lca --iterations 10 --resume cp/step-00000010.ckpt
    assert_failure 5
    [[ $stderr == *"step-00000010.ckpt: the checkpoint is damaged"* ]]
    run --separate-stderr train b.lca --iterations 10 --resume cp
    assert_success
    [[ $stderr == *"warning: "*"step-00000010.ckpt"*damaged* ]]
    cp -r cp torn
    for f in torn/*; do truncate -s 1000 "$f"; done
    run --separate-stderr train c.lca --iterations 10 --resume torn
    assert_failure 5
    [[ $stderr == *"none of the 2 checkpoints in torn is good: without them training begins at step 0"* ]]
    py <<'PY'
assert read('b.lca')[1:] == read('whole.lca')[9:]
PY
}

@test "another network, data or option is refused, and nothing is written" {
    train a.lca --iterations 6 --checkpoint cp --checkpoint-every 3
    before=$(ls -l --time-style=full-iso cp)
    lca-data make synth:2,1000 --out other.data >/dev/null
    while read -r word options; do
        run --separate-stderr train b.lca --iterations 6 --checkpoint cp --resume cp $options
        assert_failure 2
        [[ $stderr == *"the checkpoint is of another run: its $word is "* ]]
        assert_file_not_exist b.lca
    done <<END
lr --lr 0.06
batch --batch 100
seed --seed 2
momentum --momentum 0.5
examples --examples 400
optimizer --optimizer adam --lr 0.05
freeze --freeze one@5
delay --delay one=2
lr_steps --lr-steps 5=0.01
network --net $FILES/smooth.json
data_sha256 --data other.data
END
    run --separate-stderr train b.lca --iterations 5 --resume cp
    assert_failure 2
    [[ $stderr == *"of step 6, --iterations 5"* ]]
    run --separate-stderr train b.lca --iterations 6 --checkpoint cp
    assert_failure 2
    [[ $stderr == *"holds checkpoints already"*"--resume cp"* ]]
    run --separate-stderr train b.lca --iterations 6 --resume none
    assert_failure 2
    [[ $stderr == *"none"* ]]
    mkdir empty
    run --separate-stderr train b.lca --iterations 6 --resume empty
    assert_failure 2
    [[ $stderr == *"holds no checkpoint"* ]]
    run --separate-stderr train b.lca --iterations 6 --resume "$FILES/relu.json"
    assert_failure 2
    [[ $stderr == *"not a checkpoint"* ]]
    assert_equal "$(ls -l --time-style=full-iso cp)" "$before"
}

@test "lca-integrate goes on with a stream that begins later: the same frames, bit for bit" {
    train whole.lca --iterations 10 --checkpoint cp --checkpoint-every 6
    train rest.lca --iterations 10 --resume cp/step-00000006.ckpt
    allocate whole.lca lca.lca --tolerance 1e-6
    allocate rest.lca lca-rest.lca --tolerance 1e-6
    py <<'PY'
whole, rest = read('lca.lca'), read('lca-rest.lca')
parts = whole[0][0]['parts']
assert parts == 2 and rest[0][0]['first'] == 6 * parts and rest[0][0]['run'] == whole[0][0]['run']
assert [h['it'] for h, _ in rest[1:-1]] == [6, 6, 7, 7, 8, 8, 9, 9]
assert rest[1:-1] == whole[1 + 6 * parts:-1]
assert len({h['n'] for h, _ in rest[1:-1]}) >= 1 and all(len(h['tr']) > 1 for h, _ in rest[1:-1])
PY
    # what has been recorded of both is one recording
    head -c "$(($(stat -c %s lca.lca) * 8 / 10))" lca.lca >cut.lca
    lca-cat cut.lca lca-rest.lca >joined.lca
    lca-tap --kind lca --data lca.lca >one
    lca-tap --kind lca --data joined.lca >two
    cmp one two
}

@test "a trainer killed with -9 comes back to readers that waited: they notice nothing" {
    export LCA_DIR=$PWD/ipc
    train whole.lca --iterations 1000
    lca-grad --data "$FILES/s.data" --pool ipc:pool 2>/dev/null 3>&- &
    lca-integrate --in ipc:theta --pool ipc:pool --sets train --tolerance off --out lca.lca 2>integrate.err 3>&- &
    integrate=$!
    lca-cat --in ipc:theta --name recorder --out theta.lca 2>recorder.err 3>&- &
    recorder=$!
    start() {
        lca-train --net "$FILES/relu.json" --data "$FILES/s.data" --iterations 1000 --batch 50 --examples 500 \
            --checkpoint cp --checkpoint-every 10 --out ipc:theta --expect lca-integrate,recorder "$@" 2>>train.err 3>&- &
        trainer=$!
    }
    start
    until [ -s lca.lca ] && [ "$(stat -c %s lca.lca)" -gt 2000000 ]; do
        kill -0 $trainer
        sleep 0.02
    done
    kill -9 $trainer
    wait $trainer || true
    start --resume cp
    wait $trainer
    wait $recorder
    wait $integrate
    run cat integrate.err
    assert_output --partial "connection lost"
    cmp whole.lca theta.lca
    run lca-check --in lca.lca
    assert_success
    run lca-tap --kind lca --format '%{it}\n' lca.lca
    assert_equal "$output" "$(seq 0 999)"
}

@test "a whole run killed and gone on with, as the page on pipelines says: the same files" {
    cd "$BATS_TEST_TMPDIR"
    lca-data make synth:1,2000 --out d.data >/dev/null
    small() {
        "$ROOT/pipelines/demo.sh" --data d.data --iterations 100 --checkpoint-every 5 "$@" >/dev/null 2>&1 3>&-
    }
    small --out whole
    small --out out &
    pipeline=$!
    until [ -s out/lca.lca ] && [ "$(stat -c %s out/lca.lca)" -gt 20000000 ]; do
        kill -0 $pipeline
        sleep 0.02
    done
    # whoever is in the folder is not disturbed
    run "$ROOT/pipelines/mnist-fc.sh" --resume out
    assert_failure 2
    assert_output --partial "out holds a run of demo: pipelines/demo.sh --resume out"
    power_cut out
    wait $pipeline || true
    run --separate-stderr lca-check --in out/lca.lca
    assert_failure 5
    [[ $stderr == *"; its last whole step is "*": lca-cat --repair keeps what is whole"* ]]
    sed -n '/^### Going on after a crash$/,/^### /p' "$ROOT/docs/pipelines.md" | grep '^    pipelines' >recipe
    assert_equal "$(wc -l <recipe)" 1
    ln -s "$ROOT/pipelines" pipelines
    bash -e recipe >out.txt 2>recipe.err
    for f in theta.lca lca.lca layers.jsonl helping.jsonl check.txt; do cmp "whole/$f" "out/$f"; done
    diff <(summary_of whole) <(summary_of out)
    jq -e '.resumed == 1 and (has("seconds_per_step") | not)' out/summary.json
    jq -e '(.resumed | length) == 1 and .resumed[0].argv[1] == "--resume" and .pipeline == "demo"' out/run.json
    run cat recipe.err
    assert_line --regexp 'lca-integrate\[integrate\]: passing on the [0-9]+ steps of '
    run cat out.txt
    assert_output --partial "loss change by layer"
    run "$ROOT/pipelines/demo.sh" --resume out
    assert_success
    assert_line "lca-run: the run in $PWD/out has ended in order: there is nothing to do"
    run "$ROOT/pipelines/demo.sh" --resume out --lr 0.1
    assert_failure 2
    run "$ROOT/pipelines/demo.sh" --resume none
    assert_failure 2
    assert_output --partial "none holds no run"
}

@test "five kills at random moments, of any stage: the same bytes in the end" {
    kills 5 5
}

@test "interrupted, gone on with, killed, gone on with: the same files; without a recording too" {
    for record in record-lca ''; do
        rm -rf out
        stages | if [ -n "$record" ]; then cat; else
            sed 's/,record-[a-z]*//; /^record/d; s/--checkpoint "[^"]*" --checkpoint-every [0-9]*//; s/${LCA_RESUME:+[^}]*}//'
        fi >own
        lca-run --quiet --out out own 2>err 3>&- &
        runner=$!
        # frames flow when all stages are there
        until [ -e out/layers.jsonl ] && [ "$(wc -l <out/layers.jsonl)" -gt 2 ]; do kill -0 $runner; sleep 0.02; done
        kill -INT $runner
        wait $runner && false
        assert_equal "$(jq -r .status out/summary.json; cat err)" "interrupted
lca-run: interrupted: the stages finish what is under way; once more to abort
$(grep '^lca-train' err)
lca-run: error: interrupted"
        lca-run --resume out 2>err 3>&- &
        runner=$!
        until [ -n "$(within out integrate lca-integrate)" ]; do kill -0 $runner; sleep 0.02; done
        power_cut out
        wait $runner && false
        lca-run --resume out
        for f in ${record:+theta.lca lca.lca} layers.jsonl check.txt; do cmp "$FILES/whole/$f" "out/$f"; done
        diff <(summary_of "$FILES/whole") <(summary_of out)
        assert_equal "$(jq .resumed out/summary.json)" 2
    done
}

@test "what cannot be resumed is refused, with what differs" {
    # a stage that fails, on which all others end in order
    { stages; echo 'fails: [ -z "$LCA_RESUME" ] || exit 0; until [ "$(stat -c %s "$LCA_OUT/lca.lca")" -gt 500000 ]; do sleep 0.02; done; exit 7'; } >own
    run lca-run --quiet --out out own
    assert_failure 7
    cp -r out kept
    theta=$(stat -c %s out/theta.lca)
    lca=$(stat -c %s out/lca.lca)
    refused() {
        run --separate-stderr lca-run --resume out
        assert_failure 2
        [[ $stderr == *"$1"* ]] || fail "$stderr"
        # nothing that was recorded is lost; training may have gone on before it was told
        assert_equal "$(stat -c %s out/lca.lca)" "$lca"
        [ "$(stat -c %s out/theta.lca)" -ge "$theta" ]
    }
    change() { jq "$1" kept/run.json >out/run.json; }
    change '.stages[0].command |= sub("--batch 50"; "--batch 50 --lr 0.06")'
    refused "the checkpoint is of another run: its lr is 0.05"
    rm -r out/cp
    refused "is of another run: its lr is 0.05"
    rm -r out/cp
    cp -r kept/cp out
    change '.stages[2].command |= sub("1e-5"; "1e-6")'
    refused "lca.lca is of another run: its tolerance is 1e-5, here it is 1e-6"
    lca-data make synth:2,1000 --out other.data >/dev/null
    change '.stages[].command |= sub("[^\"]*s.data"; "other.data")'
    refused "is of another run: its data_sha256 is "
    cp kept/run.json out
    rm -r out/cp
    cp -r kept/cp out
    # checkpoints, and nobody has the steps before them
    mv out/lca.lca moved
    : >out/lca.lca
    lca=0
    refused "and the steps from 0 on are in no recording"
    mv moved out/lca.lca
    # a run that is alive
    cp own other
    sed -i 's/exit 7/sleep 60/' other
    lca-run --quiet --out alive other 2>/dev/null 3>&- &
    runner=$!
    until [ -e alive/ipc ]; do sleep 0.02; done
    run --separate-stderr timeout 30 lca-run --resume alive
    kill -TERM $runner
    kill -TERM $runner
    wait $runner || true
    assert_failure 2
    [[ $stderr == *"the run in $PWD/alive is still going on"* ]]
    mkdir empty
    run --separate-stderr lca-run --resume empty
    assert_failure 2
    [[ $stderr == *"there is no run to go on with"* ]]
    run --separate-stderr lca-run --resume out --out x own
    assert_failure 2
}

@test "lca-integrate killed with -9 and started again: trainer, workers and readers go on, the same bytes" {
    export LCA_DIR=$PWD/ipc
    train t.lca --iterations 600
    allocate t.lca whole.lca --sets train --tolerance 1e-5
    lca-train --net "$FILES/relu.json" --data "$FILES/s.data" --iterations 600 --batch 50 --examples 500 \
        --out ipc:theta --expect lca-integrate 2>train.err 3>&- &
    trainer=$!
    for _ in 1 2; do lca-grad --data "$FILES/s.data" --pool ipc:pool 2>>grad.err 3>&- & done
    lca-cat --in ipc:lca --name recorder --out lca.lca 2>recorder.err 3>&- &
    recorder=$!
    start() {
        lca-integrate --in ipc:theta --pool ipc:pool --sets train --tolerance 1e-5 --out ipc:lca --expect recorder \
            2>>integrate.err 3>&- &
        integrate=$!
    }
    start
    until [ -s lca.lca ] && [ "$(stat -c %s lca.lca)" -gt 2000000 ]; do
        kill -0 $integrate
        sleep 0.02
    done
    kill -9 $integrate
    wait $integrate || true
    start
    wait $trainer
    wait $integrate
    wait $recorder
    run cat recorder.err
    assert_output --partial "connection lost"
    # all but EOS, whose counts are those of one process
    for f in whole.lca lca.lca; do
        lca-tap --json --kind lca $f | md5sum
    done >sums
    assert_equal "$(sort -u sums | wc -l)" 1
    run lca-check --in lca.lca
    assert_success
}
