#!/usr/bin/env bash
# draw.sh MNIST WORK: the figures of docs/gallery.md, from runs on MNIST (a folder as published) in
# the folder WORK; runs that are there already are not repeated. Takes some ten minutes on two cores.
set -euo pipefail
[ $# -eq 2 ] || { echo "usage: docs/gallery/draw.sh MNIST WORK" >&2; exit 2; }
to=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$to/../.." && pwd)
PATH=$root/bin:$PATH
data=$(cd "$1" && pwd)
mkdir -p "$2"
cd "$2"

# once NAME PIPELINE [OPTION]...: the run NAME, if it is not there.
once() {
    local name=$1 pipeline=$2
    shift 2
    [ "$(jq -r .status "$name/summary.json" 2>/dev/null)" != ok ] || return 0
    rm -rf "${name:?}"      # begun, but not finished
    "$root/pipelines/$pipeline.sh" --data "$data" --out "$name" "$@" >"$name.txt"
}

neurons=$(printf ' --neuron dense1:%d' 0 1 2 3 4 5 6 7)
once fc mnist-fc --by-class --filter units,oscillation,spread,classes,overfit --filter "params -k 50$neurons" \
    --filter 'moments --of lca,move,eff' --filter 'correlation --window 880'
once trace mnist-fc --record --examples 11000 --heldout 1000 --iterations 210 --filter oscillation
once lenet mnist-lenet --record --by-class --examples 5000 --heldout 1000 --iterations 60 \
    --filter units,spread,overfit,moments,classes,oscillation --filter "params -k 50${neurons//dense1/conv1}" \
    --filter 'correlation --window 60'
for seed in 1 2 3 4 5; do
    once seed-$seed mnist-fc --examples 11000 --heldout 0 --iterations 220 --seed $seed
done
for lr in 0.01 0.02 0.05 0.1 0.2 0.5; do
    for seed in 1 2; do
        once lr-$lr-$seed mnist-fc --examples 11000 --heldout 0 --iterations 220 --lr $lr --seed $seed
    done
done
[ -e trace.lca ] || lca-oscillation --in trace/lca.lca --steps 50:200 --trace hurting:dense3@50:200 \
    --trace helping:dense3@50:200 --out trace.lca

for kind in loss helping histogram parameter-helping layers cumulative moments correlation classes surrogate overfit; do
    lca-plot $kind --out "$to/$kind.svg" fc
done
for kind in heatmap curves saliency; do     # many lines and cells: smaller as bitmaps
    lca-plot $kind --out "$to/$kind.png" fc
done
lca-plot oscillation --out "$to/oscillation.svg" trace.lca
lca-plot layers --out "$to/layers-spread.svg" seed-*/
lca-plot sweep --out "$to/sweep.svg" lr-*/
lca-plot animation --pictures 24 --out "$to/animation.gif" fc
for kind in heatmap curves; do
    lca-plot $kind --out "$to/lenet-$kind.png" lenet
done
for kind in loss helping histogram parameter-helping layers cumulative moments correlation classes surrogate overfit; do
    lca-plot $kind --out "$to/lenet-$kind.svg" lenet
done
lca-plot saliency --out "$to/lenet-saliency.png" lenet
[ -e lenet.trace.lca ] || lca-oscillation --in lenet/lca.lca --trace hurting:dense2 --trace helping:dense2 --out lenet.trace.lca
lca-plot oscillation --out "$to/lenet-oscillation.png" lenet.trace.lca
! command -v optipng >/dev/null || optipng -quiet -o2 "$to"/*.png      # the same pixels in fewer bytes
du -ch "$to"/*.svg "$to"/*.png "$to"/*.gif | tail -n 1
