# The pipelines as a user starts them, on a small generated set.
load ../helper

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    "$ROOT/pipelines/demo.sh" --data synth:1,2000 --iterations 12 --by-class --record --out out >out.txt 2>&1 3>&-
}

setup() {
    cd "$BATS_FILE_TMPDIR"
}

small() {
    "$ROOT/pipelines/$1.sh" --data synth:1,2000 --iterations 6 "${@:2}"
}

@test "summary.json has every key, and run.json what repeats the run" {
    for key in network parameters iterations examples chunk workers device seed optimizer rule tolerance loss_first \
        loss_last loss_test accuracy_test total_error_percent mean_step_error max_step_error steps_at_max_pieces \
        gradient_evaluations_per_step percent_helping_p percent_helping_q percent_zero layers worker_busy \
        seconds_total seconds_per_step heldout classes; do
        run jq -e "has(\"$key\")" out/summary.json
        assert_success
    done
    run jq -e '.parameters == 84060 and .iterations == 12 and .examples == 2000 and .workers == 2
        and (.layers | map(.name) == ["dense1", "dense2", "dense3"]) and (.classes | length == 10)
        and ([.layers[].lca] | add) - ([.classes[].lca] | add) < 1e-6 and .worker_busy <= 1
        and (.heldout | has("loss_first") and has("total_error_percent") and has("mean_step_error"))' out/summary.json
    assert_success
    run jq -e '(.data.sha256 | length == 64) and .pipeline == "demo" and (.options | index("--by-class")) != null
        and (.versions | has("lca")) and (.machine | has("cpu"))' out/run.json
    assert_success
}

@test "the layers add up to the change of the loss" {
    run jq -e '([.layers[].lca] | add) as $sum | (.loss_last - .loss_first) as $change
        | ($sum - $change | fabs) < 0.002 * ($change | fabs)' out/summary.json
    assert_success
}

@test "aggregates are JSON lines, recordings pass the audit" {
    run jq -s -e 'map(select(.kind == "layers" and .set == "train")) | length == 12' out/layers.jsonl
    assert_success
    run jq -s -e 'map(select(.kind == "helping_total")) | length == 1' out/helping.jsonl
    assert_success
    run lca-check --in out/lca.lca
    assert_success
    assert_output --partial simpson
    run lca-tap --kind theta --format '%{it}\n' out/theta.lca
    assert_line --index 12 12
}

@test "more filters: each leaves what it says of the recording, and asks for what it needs" {
    "$PYTHON" -c 'import numpy as np; np.save("q.npy", np.eye(2, 84060, 500))'
    run small demo --by-class --record --out more --filter units,overfit --filter 'params -k 3 --every 2' \
        --filter classes --filter 'project --directions q.npy'
    assert_success
    for run in units overfit 'params -k 3 --every 2' classes 'project --directions q.npy'; do
        read -ra command <<<"$run"
        lca-"${command[@]}" <more/lca.lca | lca-tap --json >again.jsonl
        run cmp again.jsonl "more/$command.jsonl"
        assert_success
    done
    run jq -e '(.units | length == 3) and (.overfit | length == 4) and (.params[0].count == 3) and
        (.class_concentration | length == 3) and .project[0].directions == 2' more/summary.json
    assert_success
    # every key that it leaves is explained
    for key in $(jq -r 'keys[]' more/summary.json); do
        assert_file_contains "$ROOT/docs/pipelines.md" "^|.*\`$key\`.*|"
    done
}

@test "filters that are none, or that do not go" {
    for bad in 'nothing:there is no filter lca-nothing' 'layers:the run has one already' \
        'tap:there is no filter lca-tap' 'units,units:the run has one already' 'classes:needs --by-class'; do
        run small demo --out bad --filter "${bad%%:*}"
        assert_failure 2
        assert_output --partial "${bad#*:}"
    done
}

@test "what it prints ends with the folder" {
    run tail -1 out.txt
    assert_output --partial "$PWD/out"
    run cat out.txt
    assert_output --partial "conservation"
    assert_output --regexp "dense1 +-[0-9.]+ +#+"
}

@test "lca-run --out again out/stages repeats the run byte for byte" {
    mkdir -p again
    cp out/stages again/stages
    sed -i "s|$PWD/out/data|$PWD/again/data|" again/stages
    lca-data make synth:1,2000 --out again/data >/dev/null
    lca-run -q --out again again/stages 3>&-
    cmp out/lca.lca again/lca.lca
}

@test "--plan says what it takes and leaves nothing" {
    before=$(ls)
    run small mnist-fc --plan
    assert_success
    assert_output --partial "84060 parameters"
    assert_output --partial "13 without refinement"
    assert_equal "$(ls)" "$before"
}

@test "bad use ends with 2 and says what to do" {
    run small demo --optimizer rmsprop
    assert_failure 2
    assert_output --partial "sgd or adam"
    run small demo --iterations
    assert_failure 2
    run small demo --bogus
    assert_failure 2
    assert_output --partial "see --help"
    run "$ROOT/pipelines/mnist-fc.sh"
    assert_failure 2
    assert_output --partial "--data DIR"
    run "$ROOT/pipelines/mnist-fc.sh" --data missing --out missing.out
    assert_failure 2
    assert_output --partial "missing"
    run small demo --out out
    assert_failure 2
    assert_output --partial "holds a run already"
    run small demo --workers 0
    assert_failure 2
    assert_output --partial "--workers 0 needs --pool EP"
    run small demo --chunk 7 --out chunk.out
    assert_failure 2
    assert_output --partial "does not divide"
}

@test "runs that begin within a second have folders of their own" {
    mkdir clock && cd clock
    printf '#!/bin/sh\necho 20260101-000000\n' >date
    chmod +x date
    for n in 1 2 3; do
        PATH=$PWD:$PATH "$ROOT/pipelines/demo.sh" --data synth:1,1000 --iterations 1 --heldout 0 >/dev/null 2>&1 3>&-
    done
    assert_equal "$(echo */summary.json)" \
        "demo-20260101-000000-2/summary.json demo-20260101-000000-3/summary.json demo-20260101-000000/summary.json"
}

# endless OUT: a run in a process group of its own, which is $pipeline, once it records.
endless() {
    set -m
    "$ROOT/pipelines/demo.sh" --data synth:1,2000 --iterations 100000 --record --out "$1" >"$1.txt" 2>&1 3>&- &
    pipeline=$!
    set +m
    until [ -s "$1/lca.lca" ] && [ "$(stat -c %s "$1/lca.lca")" -gt 2000000 ]; do
        kill -0 $pipeline
        sleep 0.05
    done
}

@test "the script told to stop, alone or with its group: the run ends in order, and once" {
    for whom in '' -; do
        endless "told$whom"
        kill -TERM -- "$whom$pipeline"
        status=0
        wait $pipeline || status=$?
        assert_equal $status 130
        assert_equal "$(jq -r .status "told$whom/summary.json")" interrupted
        run ! grep -q aborted "told$whom.txt"
        run -0 lca-check --in "told$whom/lca.lca"
        run ! pgrep -f "^lca-[a-z]* .*$PWD/told$whom/"
    done
}

@test "scripts that start other runs pass it on: seeds, variants, the page, the paper's numbers" {
    short=(--data synth:1,2000 --iterations 100000)
    for script in "repeat.sh --seeds 1,2 --out seeds -- $ROOT/pipelines/demo.sh ${short[*]}" \
        "paper-first-layer.sh ${short[*]} --net mnist-fc --seeds 1,2 --out variants" \
        "paper-mnist-fc.sh ${short[*]} --iterations 1000 --seeds 1 --out paper" "watch.sh ${short[*]} --out watched"; do
        # shellcheck disable=SC2086
        PORT=0 "$ROOT"/pipelines/$script >started.txt 2>&1 3>&- &
        pipeline=$!
        until find seeds variants paper watched -name layers.jsonl -size +4k 2>/dev/null | grep -q .; do
            kill -0 $pipeline || { cat started.txt; false; }
            sleep 0.05
        done
        kill -TERM $pipeline
        status=0
        wait $pipeline || status=$?
        assert_equal "$status" 130
        run ! pgrep -f "^lca-[a-z]* .*$PWD/"
        [ "$(find seeds variants paper watched -name summary.json 2>/dev/null | wc -l)" -eq 1 ]    # nor goes on with the next
        rm -rf seeds variants paper watched
    done
}

@test "Ctrl-C ends in order: status interrupted, a readable recording, exit 130" {
    endless stopped
    # as a terminal does: to lca-run too, which passes it on
    kill -INT -- -$pipeline
    status=0
    wait $pipeline || status=$?
    assert_equal $status 130
    run jq -e '.status == "interrupted"' stopped/summary.json
    assert_success
    run lca-check --in stopped/lca.lca
    assert_success
    run lca-tap --kind EOS --format '%{status}\n' stopped/lca.lca
    assert_output interrupted
}

@test "repeat.sh: mean and spread over seeds" {
    run "$ROOT/pipelines/repeat.sh" --seeds 1,2 --out rep -- "$ROOT/pipelines/demo.sh" --data synth:1,2000 --iterations 6
    assert_success
    run jq -e --slurpfile a rep/seed-1/summary.json --slurpfile b rep/seed-2/summary.json '
        def near($x): (. - $x | fabs) < 1e-12;
        .loss_last.n == 2 and (.loss_last.mean | near(($a[0].loss_last + $b[0].loss_last) / 2))
        and (.loss_last.sd | near(($a[0].loss_last - $b[0].loss_last | fabs) / (2 | sqrt)))
        and has("layers.dense1.lca")' rep/repeat.json
    assert_success
}
