# The accuracy bars, on 880 steps of real MNIST. Takes about a quarter of an hour;
# leaves the runs in $LCA_LONG_OUT where that is set.
load ../helper

setup_file() {
    export RUNS=${LCA_LONG_OUT:-$BATS_FILE_TMPDIR}
    mkdir -p "$RUNS"
    [ ! -d "$DATA/mnist" ] || lca-data make "$DATA/mnist" --out "$RUNS/mnist.data"
}

setup() {
    need_data mnist
}

# run_once NAME [OPTION]...: the pipeline, unless an earlier test has run it.
run_once() {
    local out=$RUNS/$1
    shift
    [ -e "$out/summary.json" ] ||
        "$ROOT/pipelines/mnist-fc.sh" --data "$RUNS/mnist.data" --out "$out" "$@" >"$out.txt" 2>&1 3>&- || {
            tail -20 "$out.txt"
            return 1
        }
}

# is NAME EXPRESSION: a jq expression over the run's summary holds.
is() {
    echo "# $1: $(jq -c '{total_error_percent, mean_step_error, max_step_error, fo: .first_order, loss_last,
        q: .percent_helping_q, z: .percent_zero, ev: .gradient_evaluations_per_step, at_max: .steps_at_max_pieces,
        seconds_total, worker_busy}' "$RUNS/$1/summary.json")" >&3
    run jq -e "$2" "$RUNS/$1/summary.json"
    assert_success
}

@test "two pieces, SGD with momentum: total error within 0.03 %, step error within 1e-5" {
    run_once sgd-off --tolerance off
    is sgd-off '(.total_error_percent | fabs) <= 0.03 and .mean_step_error <= 1e-5
        and .first_order.total_error_percent < -100'
}

@test "two pieces, Adam: total error within 0.05 %, step error within 1e-5" {
    run_once adam-off --tolerance off --optimizer adam
    is adam-off '(.total_error_percent | fabs) <= 0.05 and .mean_step_error <= 1e-5
        and .first_order.total_error_percent < -50'
}

@test "refined, SGD without momentum: in the published ranges" {
    run_once plain --momentum 0 --lr 0.5
    is plain '.total_error_percent >= -0.6 and .total_error_percent <= 0.2
        and .mean_step_error >= 4e-5 and .mean_step_error <= 1e-4
        and .first_order.total_error_percent >= -5500 and .first_order.total_error_percent <= -3000
        and .percent_helping_q >= 52.5 and .percent_helping_q <= 55
        and .percent_zero >= 34 and .percent_zero <= 50
        and .loss_last >= 0.065 and .loss_last <= 0.083'
}

@test "refined, SGD with momentum: in the published ranges" {
    run_once sgd
    is sgd '(.total_error_percent | fabs) <= 0.03 and .mean_step_error <= 6e-6
        and .first_order.total_error_percent >= -220 and .first_order.total_error_percent <= -120
        and .percent_helping_q >= 56.5 and .percent_helping_q <= 59.5
        and .percent_zero >= 15 and .percent_zero <= 23
        and .loss_last >= 0.063 and .loss_last <= 0.084'
}

@test "refined, Adam: in the published ranges" {
    run_once adam --optimizer adam
    is adam '(.total_error_percent | fabs) <= 0.03 and .mean_step_error <= 6e-6
        and .first_order.total_error_percent >= -95 and .first_order.total_error_percent <= -60
        and .percent_helping_q >= 54 and .percent_helping_q <= 57.5
        and .percent_zero >= 13 and .percent_zero <= 20
        and .loss_last >= 0.053 and .loss_last <= 0.070'
}

@test "tolerance 1e-5: each step within it or with the most pieces, mean within 3e-6" {
    run_once fine --tolerance 1e-5 --record
    is fine '.mean_step_error <= 3e-6'
    run lca-check --max-step-error 1e-5 --except-max-pieces --in "$RUNS/fine/lca.lca"
    assert_success
    echo "$output" | tail -6 | sed 's/^/# /' >&3
}

@test "by class, 880 steps: black pixels exactly 0, classes add up" {
    run_once by-class --by-class --record --tolerance off
    run lca-check --in "$RUNS/by-class/lca.lca"
    assert_success
    echo "$output" | sed 's/^/# /' >&3
    run "$PYTHON" "$ROOT/tests/long/black-pixels.py" "$RUNS/by-class/lca.lca" "$DATA/mnist"
    assert_success
    assert_output --regexp '^6700 weights at 67 black pixels: A is 0 in all 880 steps'
}
