#!/usr/bin/env bash
# mnist-fc.sh: one table, measured side by side: loss and gradient of MNIST-FC over
# 55,000 examples by two lca-grad at once and by PyTorch in its best configuration of
# processes, threads and batch; then how busy the pipeline keeps its workers.
#   digits   random bytes, 19 % not 0, as in MNIST      dense   all bytes not 0
#   mnist    real training images (needs LCA_DATA or ../shared/data)
# Exit status 1 when PyTorch is faster or the workers are under 90 % busy.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH=$PWD/bin:$PATH
data=${LCA_DATA:-$PWD/../shared/data}
python=/usr/bin/python3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ours FILE|"": examples per microsecond of two processes at once
ours() {
    local common=(--benchmark --net mnist-fc --examples 55000 ${1:+--data "$1"})
    lca-grad "${common[@]}" "${@:2}" >"$work/1" & lca-grad "${common[@]}" "${@:2}" >"$work/2"
    wait
    jq -s 'map(1 / .us_per_example) | 1 / add' "$work/1" "$work/2"
}

best() {
    printf '%s\n' "$@" | sort -g | head -1
}

# What the two do with the same input, in turn: ours, theirs, ours.
row() {
    local kind=$1 file=$2 input=$3 a b c torch
    a=$(ours "$file")
    torch=$(lca-net --json mnist-fc | "$python" tests/bench/torch-net.py --input "$input" --examples 55000 \
        --batches 250,500,1000,2500,5000 - | tail -1)
    b=$(ours "$file")
    c=$(ours "$file" --by-class)
    jq -rn --arg kind "$kind" --argjson ours "$(best "$a" "$b")" --argjson class "$c" --argjson t "$torch" '
        [$kind, ($ours * 1000 | round / 1000), ($class * 1000 | round / 1000), $t.best.us_per_example,
         "\($t.best.processes)x\($t.best.threads), batch \($t.best.batch)",
         ($t.best.us_per_example / $ours * 100 | round / 100)] | @tsv' | tee -a "$work/table"
}

"$python" - "$work" <<'PY'
import sys
import numpy as np
r = np.random.RandomState(1)
np.save(sys.argv[1] + "/images.npy", r.randint(1, 256, (55000, 28, 28)).astype(np.uint8))
np.save(sys.argv[1] + "/labels.npy", r.randint(0, 10, 55000).astype(np.uint8))
PY
lca-data make "npy:$work/images.npy,$work/labels.npy" --out "$work/dense.data" >/dev/null

printf 'input\tours us\tby class us\tPyTorch us\tits best\tratio\n' >"$work/table"
row digits "" digits >&2
row dense "$work/dense.data" dense >&2
if [ -d "$data/mnist" ]; then
    lca-data make "$data/mnist" --out "$work/mnist.data" >/dev/null
    row mnist "$work/mnist.data" digits >&2
    run=(--data "$work/mnist.data")
else
    run=(--data synth:1,55000)
fi
pipelines/mnist-fc.sh "${run[@]}" --iterations 200 --workers 2 --out "$work/run" >"$work/run.txt" 2>&1
echo "us per example, two processes on $(nproc) cores, $(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo)"
column -t -s $'\t' "$work/table"
busy=$(jq .worker_busy "$work/run/summary.json")
echo "pipeline, 200 steps, 2 workers: $busy busy, $(jq .seconds_per_step "$work/run/summary.json") s per step"
awk -F'\t' 'NR > 1 && $6 < 1 { bad = 1 } END { exit bad }' "$work/table" && jq -en "$busy >= 0.9" >/dev/null
