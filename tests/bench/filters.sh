#!/usr/bin/env bash
# filters.sh: how fast each filter reads a recorded stream of mnist-fc, in MB per second on
# one core (rates.py), beside its bar and beside the limits: memory that is copied, and
# lca-cat, which reads, checks and writes the same frames. BENCH_MB (default 150): size of
# each stream. Exit status 1 when a filter is below its bar.
#
#   lca            training and validation set          by-class   each class too
#   lca,move,eff   movement and effective gradient      ...grad    gradients as well
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PWD/bin:$PATH LCA_NETS=$PWD/pipelines/nets LCA_DIR
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
LCA_DIR=$work/ipc

# stream NAME VECTORS OPTION...: so many vectors to a step, 0.336 MB each
stream() {
    local steps=$((${BENCH_MB:-150} * 1000 / ($2 * 336) + 1))
    lca-train --net mnist-fc --data "$work/data" --iterations $steps --batch 50 --out "$work/theta.lca"
    lca-grad --data "$work/data" --pool ipc:pool &
    lca-integrate --in "$work/theta.lca" --pool ipc:pool --tolerance off --out "$work/$1.lca" "${@:3}"
    wait
}

lca-data make synth:1,1000 --out "$work/data" >/dev/null
stream lca 2
stream by-class 22 --by-class
stream lca,move,eff 5 --emit lca,move,eff
stream lca,move,grad,eff 7 --emit lca,move,grad,eff
/usr/bin/python3 tests/bench/rates.py "$work"
