#!/usr/bin/env bash
# networks.sh [NET]...: one table, measured side by side: loss and gradient of each
# built-in network by two lca-grad at once, and by PyTorch in its best configuration of
# processes, threads, batch and memory format; each network's in turn, ours twice.
#   us         per example, of two processes together       peak    share of the machine's sgemm
#   by class   time of --by-class over time without         MiB     of one process, at the usual chunk
# Exit status 1 when a bar is missed: those that stand at `bars`, and by class no more
# than 15 % in networks without batch norm. LCA_BENCH_SECONDS (60) is what PyTorch's
# configurations share, per network.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH=$PWD/bin:$PATH
python=/usr/bin/python3
seconds=${LCA_BENCH_SECONDS:-60}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# network, examples and chunk; examples and chunk for by class; PyTorch's batches; bars:
# least ratio, most by class, most MiB
bars='
mnist-fc        55000  5000  55000 5000  250,500,1000,2500,5000  1.0  1.15  0
mnist-lenet      2000  1000   2000 1000  25,50,100,250           1.5  1.15  0
cifar-resnet20   2500  2500    250  250  25,50,100,250           1.5     0  4096
cifar-vgg5       1000  1000   1000 1000  25,50,100,250           1.2  1.15  0
cifar-vgg9       1000  1000   1000 1000  25,50,100,250           1.2  1.15  0
cifar-allcnn     2500  2500    100  100  25,50,100,250           1.2     0  6144'

# ours NET EXAMPLES CHUNK [OPTION]...: what two processes at once do, as one JSON object.
ours() {
    local common=(--benchmark --net "$1" --examples "$2" --chunk "$3" "${@:4}")
    lca-grad "${common[@]}" >"$work/1" &
    lca-grad "${common[@]}" >"$work/2"
    wait $!
    jq -s '{us: (map(1 / .us_per_example) | 1 / add), gflops: (map(.gflops) | add),
            mib: (map(.peak_rss_mib) | max)}' "$work/1" "$work/2"
}

sgemm() {
    "$python" - <<'PY'
import os
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(os.cpu_count())
import time
import torch
a, b = torch.rand(2048, 2048), torch.rand(2048, 2048)
best = float("inf")
for _ in range(12):
    begin = time.perf_counter()
    torch.mm(a, b)
    best = min(best, time.perf_counter() - begin)
print(2 * 2048 ** 3 / best / 1e9)
PY
}

row() {
    local net=$1 a b alone class torch
    a=$(ours "$net" "$2" "$3")
    torch=$(lca-net --json "$net" | "$python" tests/bench/torch-net.py --seconds "$seconds" --batches "$6" - | tail -1)
    b=$(ours "$net" "$2" "$3")
    alone=$(ours "$net" "$4" "$5")
    class=$(ours "$net" "$4" "$5" --by-class)
    jq -rn --arg net "$net" --argjson a "$a" --argjson b "$b" --argjson alone "$alone" --argjson class "$class" \
        --argjson peak "$peak" --argjson t "$torch" --argjson least "$7" --argjson most "$8" --argjson mib "$9" '
        def round(digits): . * pow(10; digits) | round / pow(10; digits);
        (if $a.us < $b.us then $a else $b end) as $ours | $t.best as $t
        | ($t.us_per_example / $ours.us) as $ratio | ($class.us / $alone.us) as $factor
        | [$net, ($ours.us | round(2)), ($ours.gflops | round), "\($ours.gflops / $peak * 100 | round) %",
           ($t.us_per_example | round(2)), "\($t.processes)x\($t.threads), \($t.batch), \($t.layout)",
           ($ratio | round(2)), ($factor | round(2)), ($ours.mib | round),
           ([if $ratio < $least then "ratio below \($least)" else empty end,
             if $most > 0 and $factor > $most then "by class above \($most)" else empty end,
             if $mib > 0 and $ours.mib >= $mib then "over \($mib) MiB" else empty end]
            | if . == [] then "ok" else join(", ") end)] | @tsv' | tee -a "$work/table" >&2
}

peak=$(sgemm)
printf 'network\tus\tGFLOP/s\tpeak\tPyTorch us\tits best\tratio\tby class\tMiB\tbars\n' >"$work/table"
while read -r net rest; do
    [ -n "$net" ] || continue
    [ $# -eq 0 ] || [[ " $* " == *" $net "* ]] || continue
    # shellcheck disable=SC2086     # columns of the table above
    row "$net" $rest </dev/null
done <<<"$bars"
printf 'us per example, two processes on %s cores, %s; sgemm %.0f GFLOP/s\n' "$(nproc)" \
    "$(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo)" "$peak"
column -t -s $'\t' "$work/table"
awk -F'\t' 'NR > 1 && $NF != "ok" { bad = 1 } END { exit bad }' "$work/table"
