#!/usr/bin/env bash
# run.sh [--rehearse] [PART]...: whether the CUDA backend is right on this machine's card,
# and how fast, beside PyTorch on the same card. Parts, all of them by default:
#   check          builds, runs the tests of operations and networks on card and CPU, holds
#                  gradients to PyTorch's in double, compares bytes of repeated runs with 1
#                  and 3 workers, mixes CPU and card in a pool, provokes errors, and looks
#                  for bad memory accesses (compute-sanitizer)
#   bench-eager    a full gradient of each network: lca-grad, and PyTorch at its best
#   bench-compile  the same through torch.compile
#   pipeline       a step of a pipeline against the two gradients that it takes; what each
#                  precision costs in conservation
# Everything that was measured goes to results.jsonl in $OUT (default .build/gpu-results),
# a line of JSON each; what the parts said to NAME.log there; report.py makes tables of it.
# Exit status 1 if anything failed. --rehearse does it all on the CPU with few examples:
# whether this script works, where there is no card.
#   LCA_GPU_DEVICE (cuda)              LCA_GPU_PRECISIONS ("float32 tf32"), of the benchmarks
#   LCA_GPU_NETS (the six of the paper)          LCA_GPU_SECONDS (8), PyTorch's per network and precision
#   LCA_GPU_WORKERS (1), of the pipeline         LCA_GPU_COMPILE_SECONDS (300), of bench-compile
#   LCA_GPU_STEPS: a regular expression, for those steps alone (build and data are needed by most)
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.." || exit 1
rehearse="" parts=()
for argument; do
    case $argument in
    -h|--help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    --rehearse) rehearse=1 ;;
    check|bench-eager|bench-compile|pipeline) parts+=("$argument") ;;
    all) parts=() ;;
    *) echo "run.sh: unknown part $argument: see --help" >&2; exit 2 ;;
    esac
done
[ ${#parts[@]} -gt 0 ] || parts=(check bench-eager bench-compile pipeline)

out=${OUT:-$PWD/.build/gpu-${rehearse:+rehearsal-}results}
mkdir -p "$out"
out=$(cd "$out" && pwd)
results=$out/results.jsonl
touch "$results"
device=${LCA_GPU_DEVICE:-cuda} torch_device=cuda
read -ra precisions <<<"${LCA_GPU_PRECISIONS:-float32 tf32}"
read -ra nets <<<"${LCA_GPU_NETS:-mnist-fc mnist-lenet cifar-resnet20 cifar-allcnn cifar-vgg5 cifar-vgg9}"
seconds=${LCA_GPU_SECONDS:-8}
kind=cuda checked=500 checked_precisions=(float32 tf32 bf16) pictures=50000
if [ -n "$rehearse" ]; then
    device=cpu:vec4 torch_device=cpu kind=cpu checked=20 checked_precisions=(float32) precisions=(float32)
    seconds=1 pictures=50
fi

# shellcheck disable=SC1091
. tests/gpu/env.sh || [ -n "$rehearse" ] || exit 1
export PATH=$PWD/bin:$PATH LCA_NETS=$PWD/pipelines/nets ROOT=$PWD LCA_BIN=$PWD/bin PYTHONUNBUFFERED=1
work=$(mktemp -d)
running=""
trap 'rm -rf "$work"' EXIT
# steps are process groups of their own, which a Ctrl-C does not reach
trap '[ -z "$running" ] || kill -- -"$running" 2>/dev/null; exit 130' INT TERM
card=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -1)
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -1)
version=$(git describe --always --dirty 2>/dev/null)
failures=0

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }'; }

# step NAME LIMIT COMMAND...: one line says how it went; its output goes to the part's log.
# Status 77 is a step that cannot be done here; its last line says why.
step() {
    local name=$1 limit=$2 begin status
    [[ $name =~ ${LCA_GPU_STEPS:-.} ]] || return 0
    begin=$(now)
    echo "== $name" >>"$log"
    # the limit ends the step with all that it started
    set -m
    ("${@:3}") >"$work/step" 2>&1 </dev/null &
    local pid=$!
    running=$pid
    (sleep "$limit" && kill -TERM -- -$pid && sleep 3 && kill -KILL -- -$pid) >/dev/null 2>&1 </dev/null &
    local watch=$!
    set +m
    wait $pid
    status=$?
    running=""
    kill -- -$watch 2>/dev/null
    wait $watch 2>/dev/null
    cat "$work/step" >>"$log"
    case $status in
    0) printf 'ok      %6s s  %s\n' "$(since "$begin")" "$name" ;;
    77) printf 'skipped %6s s  %s: %s\n' "$(since "$begin")" "$name" "$(tail -1 "$work/step")" ;;
    *)
        printf 'FAILED  %6s s  %s (status %s)\n' "$(since "$begin")" "$name" "$status"
        tail -20 "$work/step" | cut -c1-300 | sed 's/^/    | /'
        failures=$((failures + 1)) ;;
    esac
}

# ---- check ----

build() {
    local flags=(CUDA=1)
    [ -z "$rehearse" ] || flags=()
    make -j"$(nproc)" "${flags[@]}" programs units && [ -x bin/lca-grad ]
}

unit() {
    LCA_TEST_DEVICES=$device ".build/$kind/unit/$1"
}

# The device's options at a precision; the CPU has but one.
at() {
    if [ -n "$rehearse" ]; then
        echo --device "$device"
    else
        echo --device "$device" --precision "$1"
    fi
}

check_data() {
    gpu_python tests/gpu/pictures.py 2000 200 "$work"
    (cd "$work" && lca-data make npy:images.npy,labels.npy,test-images.npy,test-labels.npy --out cifar.data)
    if [ -d "${LCA_DATA:-}/cifar10" ]; then
        lca-data make "cifar10:$LCA_DATA/cifar10" --out "$work/cifar.data"
    fi
    if [ -d "${LCA_DATA:-}/mnist" ]; then
        lca-data make "mnist:$LCA_DATA/mnist" --out "$work/mnist.data"
    else
        lca-data make synth:1,2000 --out "$work/mnist.data"
    fi
}

# Gradients at two points of a training path, on the CPU and on the card, against double.
precision() {
    local net=$1 p data=$work/${1%%-*}.data base=$work/$1 arguments
    lca-train --net "$net" --data "$data" --examples $checked --batch $((checked / 10)) --iterations 1 --lr 0.0005 \
        --out "$base.theta" || return
    lca-grad --data "$data" --chunk $checked <"$base.theta" >"$base.cpu" || return
    arguments=("cpu=$base.cpu")
    for p in "${checked_precisions[@]}"; do
        # shellcheck disable=SC2046
        lca-grad --data "$data" --chunk $checked $(at "$p") <"$base.theta" >"$base.$p" || return
        case $p in
        float32) arguments+=("$p=$base.$p=3xcpu") ;;
        tf32) arguments+=("$p=$base.$p=0.1") ;;
        bf16) arguments+=("$p=$base.$p=0.5") ;;
        esac
    done
    gpu_python tests/gpu/precision.py "$data" "$base.theta" "${arguments[@]}"
}

# All networks at once: it is not speed that is looked at.
precisions_of_all() {
    local net jobs=() failed=0
    for net in "${nets[@]}"; do
        precision "$net" >"$work/$net.precision" 2>&1 &
        jobs+=($!)
    done
    for net in "${nets[@]}"; do
        wait "${jobs[0]}" || { failed=1; echo "$net: too far off, or failed"; }
        jobs=("${jobs[@]:1}")
        cat "$work/$net.precision"
        grep '^{' "$work/$net.precision" >>"$results"
    done
    return $failed
}

# stages NET DATA ITERATIONS CHUNK WORKERS: a run that is recorded.
stages() {
    cat <<END
train:     lca-train --net $1 --data $2 --examples $((4 * $4)) --batch $4 --iterations $3 --out ipc:theta --expect integrate
grad*$5:   lca-grad --data $2 --device $device --pool ipc:pool
integrate: lca-integrate --in ipc:theta --pool ipc:pool --out ipc:lca --expect lca --sets train --chunk $4 ${rehearse:+--tolerance off}
lca:       lca-cat --in ipc:lca --out "\$LCA_OUT/lca.lca"
END
}

# determinism NET DATA ITERATIONS CHUNK: the same bytes again, and with 3 workers.
determinism() {
    local run workers
    for run in once again three; do
        workers=1
        [ $run != three ] || workers=3
        stages "$@" $workers >"$work/$1.stages"
        rm -rf "$work/$1.$run"
        lca-run -q --out "$work/$1.$run" "$work/$1.stages" || return
        cmp "$work/$1.once/lca.lca" "$work/$1.$run/lca.lca" || return
        sha256sum "$work/$1.$run/lca.lca"
    done
}

# A gradient of the filter, twice, at each precision.
repeated() {
    local p
    for p in "${checked_precisions[@]}"; do
        # shellcheck disable=SC2046
        lca-grad --data "$work/cifar.data" --chunk $checked $(at "$p") <"$work/cifar-resnet20.theta" >"$work/again" || return
        cmp "$work/cifar-resnet20.$p" "$work/again" || { echo "$p: other bytes"; return 1; }
    done
}

# Training on the card: the same bytes twice, and the CPU's losses to rounding.
trained() {
    local net options at
    for net in mnist-fc mnist-lenet; do
        options=(--net "$net" --data "$work/mnist.data" --examples "$checked" --batch "$((checked / 10))" --iterations 6)
        for at in cpu "$device" again; do
            lca-train "${options[@]}" --device "${at/again/$device}" >"$work/$net.$at.trained" || return
            lca-tap --fields mbloss <"$work/$net.$at.trained" | jq -s 'map(.mbloss)' >"$work/$net.$at.losses"
        done
        cmp "$work/$net.$device.trained" "$work/$net.again.trained" || return
        jq -ne --slurpfile a "$work/$net.cpu.losses" --slurpfile b "$work/$net.$device.losses" \
            '[range(1; 7) | ($a[0][.] - $b[0][.]) / $a[0][.] | fabs] | max | ., . < 1e-4' || return
    done
}

# A worker on the card beside two on the CPU: refused, unless the run allows it. The CPU takes
# some seconds, so that the card is there before the end.
mixed() {
    local option status
    for option in "" --mixed-numerics; do
        cat >"$work/mixed.stages" <<END
train:     lca-train --net mnist-fc --data $work/mnist.data --batch 50 --iterations 60 --out ipc:theta --expect integrate
cpu*2:     lca-grad --data $work/mnist.data --pool ipc:pool
card:      lca-grad --data $work/mnist.data --device $device --pool ipc:pool
integrate: lca-integrate --in ipc:theta --pool ipc:pool --out ipc:lca --expect check --sets train --chunk 500 --tolerance off $option
check:     lca-check --in ipc:lca > "\$LCA_OUT/check.txt"
END
        rm -rf "$work/mixed"
        lca-run -q --out "$work/mixed" "$work/mixed.stages" >"$work/mixed.txt" 2>&1
        status=$?
        tail -5 "$work/mixed.txt"
        if [ -z "$option" ]; then
            # who comes second: the card, and the run ends; or workers of the CPU, without whom it goes on
            grep -rqi "would differ" "$work/mixed.txt" "$work/mixed" || { echo "a mixed pool was not refused"; return 1; }
        else
            cat "$work/mixed/check.txt"
            [ $status -eq 0 ] || return
            jq -ce '{workers_joined, worker_busy}, .workers_joined >= 3' "$work/mixed/summary.json"
        fi
    done
}

# refused WORDS COMMAND...: ends with an error, not a signal, and says WORDS.
refused() {
    local said status
    said=$(timeout 60 "${@:2}" 2>&1)
    status=$?
    echo "status $status: $said"
    [ $status -gt 0 ] && [ $status -lt 124 ] && grep -Eqi "$1" <<<"$said"
}

errors() {
    [ -z "$rehearse" ] || { refused 'device|cpu' lca-grad --benchmark --net mnist-fc --device cpu:none; return; }
    local failed=0
    refused 'device|card|gpu' lca-grad --benchmark --net mnist-fc --device cuda:99 || failed=1
    refused 'device|card|gpu' env CUDA_VISIBLE_DEVICES= lca-grad --benchmark --net mnist-fc --device cuda || failed=1
    refused 'memory' lca-grad --benchmark --quick --net cifar-allcnn --examples 150000 --chunk 150000 --device cuda || failed=1
    # the card is as good as before
    lca-grad --benchmark --quick --net mnist-fc --examples 5000 --device cuda || failed=1
    return $failed
}

sanitizer() {
    local tool
    [ -z "$rehearse" ] || { echo "no card"; return 77; }
    for tool in "$(command -v compute-sanitizer)" "$CUDA_HOME"/{bin,compute-sanitizer}/compute-sanitizer; do
        [ ! -x "$tool" ] || break
    done
    [ -x "$tool" ] || { echo "no compute-sanitizer"; return 77; }
    "$tool" --tool memcheck --error-exitcode 9 \
        bin/lca-grad --benchmark --quick --net "$1" --examples 40 --chunk 20 --device "$device" >"$work/sanitizer" 2>&1
    local status=$?
    cat "$work/sanitizer"
    if [ $status -ne 0 ] && grep -qi 'device not supported' "$work/sanitizer"; then
        echo "compute-sanitizer does not support this machine"
        return 77
    fi
    return $status
}

check() {
    step build 400 build
    [ -x "bin/lca-grad" ] || return
    local unit
    for unit in backend-test eval-test eval-conv-test; do
        step "$unit" 240 unit $unit
    done
    step data 60 check_data
    step "gradients against double" 150 precisions_of_all
    grep -h '^{' "$work"/*.precision 2>/dev/null | jq -r '"        \(.net): \(.gradient | to_entries
        | map("\(.key) \(.value)") | join(", ")), kinks \(.kinks)"' 2>/dev/null
    step "same bytes twice" 60 repeated
    step "same bytes with 1 and 3 workers, mnist-fc" 60 determinism mnist-fc "$work/mnist.data" 24 $((checked / 2))
    step "same bytes with 1 and 3 workers, cifar-resnet20" 90 determinism cifar-resnet20 "$work/cifar.data" 3 $((checked / 2))
    step "training" 90 trained
    step "CPU and card in one pool" 60 mixed
    step errors 120 errors
    local net
    for net in mnist-lenet cifar-resnet20; do
        step "memory accesses, $net" 60 sanitizer $net
    done
}

# ---- benchmarks ----

# Examples of the published training sets.
examples_of() {
    if [ -n "$rehearse" ]; then
        echo 100
    else
        case $1 in mnist-*) echo 55000 ;; *) echo 50000 ;; esac
    fi
}

# Batches for PyTorch and chunks for us, the likeliest first: batch norm's are part of what is computed, the others
# are to choose.
batches_of() {
    if [ -n "$rehearse" ]; then
        echo 50,100
    elif lca-net --json "$1" | grep -q batchnorm; then
        echo 2500
    else
        case $1 in
        mnist-fc) echo 11000,27500,55000,5500 ;;
        mnist-*) echo 5500,11000,2500,1000 ;;
        *) echo 2500,5000,1000,12500 ;;
        esac
    fi
}

# ours NET PRECISION: a line of results, of the chunk that is best.
ours() {
    local chunk chunks best=""
    IFS=, read -ra chunks <<<"$(batches_of "$1")"
    for chunk in "${chunks[@]}"; do
        # shellcheck disable=SC2046
        lca-grad --benchmark --net "$1" --examples "$(examples_of "$1")" --chunk "$chunk" $(at "$2") >"$work/ours" || return
        best=$(jq -cs 'min_by(.us_per_example)' - "$work/ours" <<<"$best")
    done
    jq -c --arg p "$2" --arg card "$card" --arg driver "$driver" --arg version "$version" \
        '{what: "lca"} + . + {precision: $p, seconds: (.us_per_example * .examples * 1e-6), card: $card, driver: $driver,
          version: $version}' <<<"$best" | tee -a "$results"
}

# theirs NET OPTION...: lines of results.
theirs() {
    lca-net --json "$1" >"$work/net.json" || return
    gpu_python tests/gpu/torch-gpu.py --device $torch_device --examples "$(examples_of "$1")" "${@:2}" \
        "$work/net.json" | tee -a "$results"
}

join() { local IFS=,; echo "$*"; }

ready() {
    # make knows what is done already
    step build 400 build
}

ceilings() {
    gpu_python tests/gpu/torch-gpu.py --ceilings --device $torch_device | tee -a "$results"
}

# both NET: ours and theirs, in turn.
both() {
    local p failed=0
    for p in "${precisions[@]}"; do
        ours "$1" "$p" || failed=1
    done
    theirs "$1" --precision "$(join "${precisions[@]}")" --seconds "$seconds" --batches "$(batches_of "$1")" || failed=1
    return $failed
}

bench_eager() {
    local net
    ready
    step ceilings 90 ceilings
    for net in "${nets[@]}"; do
        step "$net" 150 both "$net"
    done
    gpu_python tests/gpu/report.py "$results"
}

# compiled NET PRECISION: in the configuration that was best without, or a likely one.
compiled() {
    local found batch layout input modes=default
    gpu_python -c 'import torch; torch.compile' 2>/dev/null || {
        echo "this PyTorch has no torch.compile"
        return 77
    }
    found=$(jq -r --arg n "$1" --arg p "$2" 'select(.what == "pytorch" and .net == $n and .precision == $p
        and .compile == null and .batch != null) | "\(.batch) \(.layout) \(.input)"' "$results" 2>/dev/null | tail -1)
    case $1 in mnist-*) modes=default,reduce-overhead ;; esac
    read -r batch layout input <<<"${found:-$(batches_of "$1" | cut -d, -f1) nhwc float32}"
    jq -e --arg n "$1" --arg p "$2" 'select(.what == "lca" and .net == $n and .precision == $p)' "$results" >/dev/null 2>&1 ||
        ours "$1" "$2"
    theirs "$1" --precision "$2" --compile $modes --batches "$batch" --layout "$layout" --input "$input" --seconds 6
}

bench_compile() {
    local net p begin
    ready
    begin=$(now)
    for p in "${precisions[@]}"; do
        for net in "${nets[@]}"; do
            if awk -v s="$(since "$begin")" -v m="${LCA_GPU_COMPILE_SECONDS:-300}" 'BEGIN { exit !(s > m) }'; then
                echo "skipped          $net $p: the time is up"
                continue
            fi
            step "$net $p" 80 compiled "$net" "$p"
        done
    done
    gpu_python tests/gpu/report.py "$results"
}

# ---- pipeline ----

picture_data() {
    gpu_python tests/gpu/pictures.py $pictures 1000 "$work" &&
        (cd "$work" && lca-data make npy:images.npy,labels.npy,test-images.npy,test-labels.npy --out pictures.data) &&
        rm -f "$work"/*.npy
}

# a_run STEPS NAME: seconds of the pipeline with that many steps.
a_run() {
    pipelines/cifar-resnet20.sh --data "$work/pictures.data" --device "$device" --train-device "$device" \
        --workers "${LCA_GPU_WORKERS:-1}" \
        --iterations "$1" ${rehearse:+--batch 50} --heldout 0 --tolerance off --out "$work/$2" >&2 &&
        jq .seconds_total "$work/$2/summary.json"
}

# Two lengths: the difference is steps alone, without start and end.
steps_against_gradients() {
    local p=$1 few=3 many=11 short long one
    if [ -n "$rehearse" ]; then
        few=1 many=3
    else
        export LCA_PRECISION=$p
    fi
    short=$(a_run $few "few.$p") || return
    long=$(a_run $many "many.$p") || return
    unset LCA_PRECISION
    # shellcheck disable=SC2046
    lca-grad --benchmark --net cifar-resnet20 --data "$work/pictures.data" $(at "$p") >"$work/ours" || return
    one=$(jq '.us_per_example * .examples * 1e-6' "$work/ours")
    jq -cn --arg p "$p" --arg card "$card" --argjson workers "${LCA_GPU_WORKERS:-1}" --argjson short "$short" \
        --argjson long "$long" --argjson steps $((many - few)) --argjson one "$one" \
        --slurpfile s "$work/many.$p/summary.json" '
        (($long - $short) / $steps) as $step
        | {what: "pipeline", net: "cifar-resnet20", precision: $p, workers: $workers, seconds_per_step: $step,
           seconds_of_gradient: $one, ratio: ($step / (2 * $one)), gradients_per_step: $s[0].gradient_evaluations_per_step,
           worker_busy: $s[0].worker_busy, card: $card}' | tee -a "$results"
}

# conserved NET DATA STEPS: the same steps, allocated in each precision.
conserved() {
    local p run
    for p in "${checked_precisions[@]}"; do
        run=$work/$1.conserved.$p
        LCA_PRECISION=$([ -n "$rehearse" ] || echo "$p") \
            "pipelines/$1.sh" --data "$2" --device "$device" --workers 1 --iterations "$3" ${rehearse:+--batch 50} --heldout 0 \
            --tolerance off --out "$run" >&2 || return
        jq -c --arg net "$1" --arg p "$p" --arg card "$card" --argjson steps "$3" \
            '{what: "conservation", net: $net, precision: $p, steps: $steps, total_error_percent, mean_step_error,
              mean_step: ((.loss_first - .loss_last) / $steps), card: $card}' "$run/summary.json" | tee -a "$results"
    done
}

pipeline() {
    local p
    ready
    step data 90 picture_data
    for p in "${precisions[@]}"; do
        step "cifar-resnet20 $p" 150 steps_against_gradients "$p"
    done
    step "data for conservation" 60 check_data
    if [ -n "$rehearse" ]; then
        step "conservation, mnist-fc" 60 conserved mnist-fc synth:1,600 2
    else
        step "conservation, mnist-fc" 60 conserved mnist-fc "$work/mnist.data" 100
        step "conservation, mnist-lenet" 90 conserved mnist-lenet "$work/mnist.data" 40
        step "conservation, cifar-resnet20" 90 conserved cifar-resnet20 "$work/cifar.data" 10
    fi
    gpu_python tests/gpu/report.py "$results"
}

for part in "${parts[@]}"; do
    begin=$(now)
    log=$out/$part.log
    : >"$log"
    echo "--- $part"
    case $part in
    check) check ;;
    bench-eager) bench_eager ;;
    bench-compile) bench_compile ;;
    pipeline) pipeline ;;
    esac
    echo "--- $part: $(since "$begin") s"
done
[ $failures -eq 0 ] && echo "all well" || echo "$failures failed"
[ $failures -eq 0 ]
