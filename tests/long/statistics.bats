# The statistics of real MNIST-FC: against numpy and scipy, and beside the paper. Takes
# half an hour on two cores, 2 GB of disk and 4 GB of memory.
load ../helper
export PYTHONPATH=$ROOT/tests PYTHONDONTWRITEBYTECODE=1

setup_file() {
    export RUNS=${LCA_LONG_OUT:-$BATS_FILE_TMPDIR}
    mkdir -p "$RUNS"
    [ ! -d "$DATA/mnist" ] || lca-data make "$DATA/mnist" --out "$RUNS/mnist.data"
}

setup() {
    need_data mnist
    cd "$BATS_TEST_TMPDIR" || return
}

@test "100 steps by class: every number is that of numpy and scipy" {
    export LCA_DIR=$PWD/ipc OPENBLAS_NUM_THREADS=1
    mkdir -m 700 ipc
    lca-grad --data "$RUNS/mnist.data" --pool ipc:pool 3>&- &
    lca-grad --data "$RUNS/mnist.data" --pool ipc:pool 3>&- &
    lca-train --net mnist-fc --data "$RUNS/mnist.data" --iterations 100 |
        lca-integrate --pool ipc:pool --sets train --by-class --emit lca,move,grad,eff >run.lca
    wait
    lca-spread <run.lca >spread.lca
    lca-spread --exact <run.lca >exact.lca
    lca-oscillation --trace 4242 --trace dense3/kernel:7 <run.lca >oscillation.lca
    lca-moments --of lca,move,eff --draws 50 <run.lca >moments.lca
    lca-moments --draws 10000 <run.lca >many.lca
    lca-correlation <run.lca >correlation.lca
    "$PYTHON" - <<'PY'
import stats
from frames import read
s = stats.Stream('run.lca')
stats.check_spread(s, read('spread.lca'))
stats.check_spread(s, read('exact.lca'), exact=True)
start = {t['n']: t['off'] for t in s.tensors}
stats.check_oscillation(s, read('oscillation.lca'), [4242, start['dense3/kernel'] + 7])
stats.check_moments(s, read('moments.lca'), ('lca', 'move', 'eff'), draws=50, again=3)
stats.check_moments(s, read('many.lca'), draws=10000, again=0)
stats.check_correlation(s, read('correlation.lca'))
PY
}

@test "880 steps in the three settings: every number lies in its range beside the paper's" {
    run "$ROOT/pipelines/paper-mnist-fc.sh" --data "$RUNS/mnist.data" --out "$RUNS/paper"
    echo "$output" | grep -v ' steps/min' | sed 's/^/# /' >&3
    assert_success
}
