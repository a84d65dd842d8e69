# The pipeline that prints every number beside the paper's, on a small generated set,
# where the ranges do not hold.
load ../helper

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    "$ROOT/pipelines/paper-mnist-fc.sh" --data synth:1,1000 --iterations 14 --seeds 1,2 --settings adam,plain \
        --out out >out.txt 2>out.err 3>&- || echo $? >status
}

setup() {
    cd "$BATS_FILE_TMPDIR" || return
}

@test "each number is that of the runs, with mean and spread over seeds" {
    assert_equal "$(cat status)" 1      # some lie outside: it is not the paper's run
    for setting in adam plain; do
        run jq -en --arg setting $setting --slurpfile paper out/paper.json --slurpfile a out/$setting-1/summary.json \
            --slurpfile b out/$setting-2/summary.json '
            def of($number): $paper[0][] | select(.setting == $setting and .number == $number);
            def near($x; $y): $x - $y | fabs < 1e-9;
            $a[0] as $a | $b[0] as $b
            | (of("helping, q (%)") | .values == [$a.percent_helping_q, $b.percent_helping_q]
                and near(.mean; (.values | add / 2)) and near(.sd; (.values[0] - .values[1] | fabs) / (2 | sqrt)))
            and (of("steps per weight turn").values == [$a.oscillation.steps_per_turn, $b.oscillation.steps_per_turn])
            and (of("excess kurtosis of all A").values == [$a.spread.kurtosis, $b.spread.kurtosis])
            and (of("moments of 20 shared by all layers").values == [$a.moments.synchronised, $b.moments.synchronised])
            and (of("layers that help").values | all(. <= 3))
            and (of("r, dense2 outputs, cumulative")
                | .values == [$a.correlation[1].outputs_cumulative_r, $b.correlation[1].outputs_cumulative_r]
                and near(.r_fake; ([$a, $b | .correlation[1].outputs_cumulative_r_fake] | add / 2)))
            and (of("units of dense1 at 80 % by 2 classes (%)").values
                == [$a.class_concentration[0].percent_r2, $b.class_concentration[0].percent_r2])'
        assert_success
    done
}

@test "inside means within low and high, of every seed" {
    run jq -e 'all(.[]; .low as $low | .high as $high | if $low == null and $high == null then .inside == null
        else .inside == ((.values | map(numbers) | length > 0) and all(.values[] | numbers;
            ($low == null or . >= $low) and ($high == null or . <= $high))) end)
        and any(.[]; .inside) and any(.[]; .inside == false)' out/paper.json
    assert_success
}

@test "the table has every number, and marks what is in and out" {
    run cat out.txt
    assert_line --regexp '^SGD without momentum, lr 0.5 +paper +expected +ours +sd'
    assert_line --regexp '^steps per weight turn +12.68 +11.41 \.\. 13.95 +[0-9.]+ +[0-9.e-]+ +(in|OUT)$'
    assert_line --regexp '^r, dense1 inputs, step +above fake units, ResNet +fake -?[0-9.e-]+, p [0-9.e-]+ +[0-9.e-]+'
    assert_equal "$(grep -c 'total error, Simpson' out.txt)" 2
    assert_equal "$(tail -1 out.txt)" "$PWD/out/paper.json"
}

@test "runs that are there are not repeated" {
    before=$(stat -c %Y.%i out/adam-1/summary.json)
    run -1 "$ROOT/pipelines/paper-mnist-fc.sh" --data synth:1,1000 --iterations 14 --settings adam --out out 3>&-
    refute_output --partial "adam, seed 1"
    assert_equal "$(stat -c %Y.%i out/adam-1/summary.json)" "$before"
}

@test "bad use ends with 2 and says what to do" {
    run -2 "$ROOT/pipelines/paper-mnist-fc.sh" --out none
    assert_output --partial "give --data"
    run -2 "$ROOT/pipelines/paper-mnist-fc.sh" --data x --seeds a --out none
    assert_output --partial "--seeds takes numbers"
    run -2 "$ROOT/pipelines/paper-mnist-fc.sh" --data x --settings rmsprop --out none
    assert_output --partial "--settings takes plain, sgd, adam"
    run -2 "$ROOT/pipelines/paper-mnist-fc.sh" --data x --record
    assert_output --partial "--record is not for paper-mnist-fc"
    run "$ROOT/pipelines/paper-mnist-fc.sh" --help
    assert_success
    assert_output --partial "usage: pipelines/paper-mnist-fc.sh --data DIR"
}
