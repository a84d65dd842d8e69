# pipelines/slurm/ on a real Slurm of one node: the run is one job, its workers are an array that
# comes and goes.
load ../helper
load ../slurm

setup_file() {
    slurm_start
    cd "$BATS_FILE_TMPDIR"
    lca-data make synth:1,2000 --out d >/dev/null
}

teardown_file() { slurm_stop; }

setup() {
    slurm_there
    cd "$BATS_FILE_TMPDIR"
}

until_true() { until "$@"; do sleep 0.1; done; }

# submit [OPTION]... -- [OPTION OF THE PIPELINE]...: a small run, found on this machine alone.
submit() {
    local own=()
    while [ "$1" != -- ]; do own+=("$1"); shift; done
    "$ROOT/pipelines/slurm/submit.sh" --host 127.0.0.1 "${own[@]}" demo --data d --record "${@:2}" 3>&-
}

has() { [ -e "$1" ] && [ "$(stat -c %s "$1")" -ge "$2" ]; }
gone() { [ -z "$(squeue -h -j "$1" 2>/dev/null)" ]; }
nothing_queued() { [ -z "$(squeue -h)" ]; }
is() { [ "$(state "$2")" = "$1" ]; }
came_back() { [ "$(restarts "$1")" = 1 ] && is RUNNING "$1"; }
leaves() { grep -q 'pool: .* leaves' "$1/log"; }

# recorder OUT: the process that records the lca stream; while it stands still the run waits.
recorder() {
    grep -lsz "^LCA_STAGE=record-lca\$" $(grep -lsz "^LCA_OUT=$PWD/$1\$" /proc/[0-9]*/environ) | cut -d/ -f3 |
        while read -r p; do [ "$(cat "/proc/$p/comm")" != lca-cat ] || echo "$p"; done
}

@test "bad use ends with 2 and says what to do, and submits nothing" {
    for bad in "which pipeline: " "no pipeline 'nothing': nothing" "unknown option --bogus: --bogus demo" \
        "give --data: demo --out o" "give --out DIR: demo --data d" "--pool is not for the pipeline here: demo --pool ipc:x" \
        "--workers takes a number: --workers few demo --data d --out o" "--workers needs a value: --workers" \
        "holds no run: demo --resume none"; do
        # shellcheck disable=SC2086
        run "$ROOT/pipelines/slurm/submit.sh" ${bad#*: }
        assert_failure 2
        assert_output --partial "${bad%%: *}"
    done
    run "$ROOT/pipelines/slurm/submit.sh" --worker --bogus demo --data d --out bogus
    assert_failure 2
    assert_output --partial "the workers could not be submitted"
    assert_file_not_exist bogus/jobs
    until_true nothing_queued
    run "$ROOT/pipelines/slurm/submit.sh" --help
    assert_success
    assert_line --partial "submit.sh [OPTION]... NAME --data WHAT --out DIR"
}

@test "a run that fails takes its workers with it" {
    submit -- --out failed --chunk 7
    read -r run array <failed/jobs
    until_true gone "$run"
    until_true gone "$array"
    assert_equal "$(state "$run")" FAILED
    run cat failed/run.log failed/log
    assert_output --partial "does not divide"
}

@test "a run whose time is up ends in order; workers that wait in the queue are let go" {
    # three workers a job, and no room for the second
    submit --workers 2 --worker '--cpus-per-task=3' -- --out early --iterations 100
    read -r run array <early/jobs
    until_true has early/lca.lca 2000000
    assert_equal "$(state "${array}_1") $(state "${array}_2")" "RUNNING PENDING"
    # what Slurm sends before the limit; the recorder stands still meanwhile, and with it the run
    hold=$(recorder early)
    kill -STOP "$hold"
    scancel --batch --signal=USR1 "$run"
    sleep 0.5
    kill -CONT "$hold"
    until_true gone "$run"
    until_true gone "$array"
    assert_equal "$(scontrol -o show job "$run" | grep -o ' ExitCode=[0-9:]*')" " ExitCode=130:0"
    run jq -c '[.status, .workers_joined]' early/summary.json
    assert_output '["interrupted",3]'
    run lca-check --in early/lca.lca
    assert_success
    # and it can be gone on with
    "$ROOT/pipelines/slurm/submit.sh" --workers 2 demo --resume early 3>&-
    read -r run array <early/jobs
    until_true gone "$run"
    run jq -c '[.status, .iterations]' early/summary.json
    assert_output '["ok",100]'
    lca-train --net mnist-fc --data d --examples 2000 --iterations 100 --lr 0.05 --momentum 0.9 --batch 250 --seed 1 >t.lca
    cmp t.lca early/theta.lca
}

@test "a worker leaves before its time is up and comes back: the stream is that of a plain run" {
    submit --workers 2 --worker '--time=10 --signal=B:USR1@50' -- --out out --iterations 120
    read -r run array <out/jobs
    until_true has out/lca.lca 2000000
    hold=$(recorder out)
    kill -STOP "$hold"
    until_true is RUNNING "$array"
    # Slurm tells the first task, as its limit nears, and not the other
    scontrol update JobId="${array}_1" TimeLimit=1
    "$ROOT/pipelines/demo.sh" --data d --record --out plain --iterations 120 >plain.txt 2>&1 3>&-
    # a machine that computes otherwise would spoil the bytes: refused, and its job fails
    other=$(sbatch --parsable --output=other.log "$ROOT/pipelines/slurm/workers.sbatch" "$run" \
        "$LCA_BIN/lca-grad" --data d --device cpu:vec4:direct --pool "at:$PWD/out/pool" \
        --key out/keys/worker.key --server-key out/keys/run.pub)
    until_true gone "$other"
    assert_equal "$(state "$other")" FAILED
    run cat other.log
    assert_output --partial "and the bytes would differ"
    # nor does anybody come in without a key
    run -2 lca-grad --data d --pool "at:$PWD/out/pool"
    assert_output --partial "we have no key"
    until_true leaves out
    until_true came_back "${array}_1"
    kill -CONT "$hold"
    until_true gone "$run"
    until_true gone "$array"
    assert_equal "$(state "$run") $(state "$array")" "COMPLETED COMPLETED"
    assert_equal "$(restarts "${array}_2")" 0
    assert_equal "$(grep -c 'pool: .* leaves' out/log)" 1
    cmp out/theta.lca plain/theta.lca
    for f in out plain; do lca-tap --json --kind lca $f/lca.lca | md5sum; done >sums
    assert_equal "$(sort -u sums | wc -l)" 1
    # the one that came back joined a second time; what it had been given was done (what is slow on a
    # busy machine may have been given to another too)
    run jq -c '[.status, .workers_joined >= 2]' out/summary.json
    assert_output '["ok",true]'
    run ! grep 'pool: .* gone' out/log
    assert_file_not_exist out/pool
}

@test "as the page on clusters says: submitted, cut off, gone on with" {
    need_data mnist
    ln -s "$(dirname "$(command -v lca-grad)")" bin
    ln -s "$ROOT/pipelines" pipelines
    short=" --iterations 40 --examples 1000 --heldout 100"
    "$PYTHON" "$ROOT/tests/commands.py" --script "$ROOT/docs/clusters.md" |
        sed -n "s|/shared/me|$PWD/shared|g; s|32 --run|2 --host 127.0.0.1 --run|
            s|fetch mnist|& --mirror file://$(cd "$DATA" && pwd)/mnist|p; /submit.sh/p" >script
    assert_equal "$(wc -l <script)" 3
    mkdir shared
    sed "2s|\$|$short|; 3d" script | bash -e 3>&-
    read -r run array <shared/run1/jobs
    until_true [ -e shared/run1/run.json ]
    scancel --quiet "$run"
    until_true gone "$run"
    until_true gone "$array"
    [ "$(jq -r .status shared/run1/summary.json)" = ok ] || sed -n 3p script | bash -e 3>&-
    read -r run array <shared/run1/jobs
    until_true gone "$run"
    until_true gone "$array"
    run jq -c '[.status, .iterations]' shared/run1/summary.json
    assert_output '["ok",40]'
}
