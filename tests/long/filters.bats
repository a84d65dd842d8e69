# Every number of the filters, again in numpy: on real MNIST-FC by class, on LeNet and on a
# small network with batch norm.
load ../helper

setup_file() {
    cd "$BATS_FILE_TMPDIR"
}

setup() {
    cd "$BATS_FILE_TMPDIR"
}

# allocated NET FILE STEPS EXAMPLES OPTION...: FILE of training on MNIST by class, with
# movement and effective gradient; mnist.data beside it.
allocated() {
    need_data mnist
    [ -e mnist.data ] || lca-data make "$DATA/mnist" --out mnist.data >/dev/null
    export LCA_DIR=$PWD/ipc
    lca-train --net "$1" --data mnist.data --iterations "$3" --examples "$4" "${@:5}" --out theta.lca
    lca-grad --data mnist.data --pool ipc:pool 3>&- &
    lca-grad --data mnist.data --pool ipc:pool 3>&- &
    lca-integrate --in theta.lca --pool ipc:pool --by-class --emit lca,move,eff --out "$2"
    wait
}

# all_again FILE NEURON ROWS COLUMNS CHANNELS: oracle.py agrees with every filter.
all_again() {
    local filter
    for filter in units classes overfit; do
        lca-$filter <"$1" >$filter.lca
        "$PYTHON" "$ROOT/tests/oracle.py" $filter "$1" $filter.lca
    done
    lca-params --two-pass --neuron "$2" --in "$1" --out params.lca
    PYTHONPATH=$ROOT/tests "$PYTHON" - "$@" <<'PY'
import subprocess
import sys
import numpy as np
import oracle
from frames import read
file, neuron, *shape = sys.argv[1:]
s = oracle.Stream(read(file))
layer, unit = neuron.split(':')
oracle.check('params', s, read('params.lca'), neurons=[(layer, int(unit), tuple(map(int, shape)))])
# the directions in which the run moved most
moves = np.array([s.v['move', None, None, t] for t in s.steps], 'f8')
np.save('q.npy', np.linalg.svd(moves, full_matrices=False)[2][:3])
subprocess.check_call(['lca-project', '-d', 'q.npy', '--in', file, '--out', 'project.lca'])
oracle.check('project', s, read('project.lca'), np.load('q.npy'))
more = read('project.lca')[-1][0]['final']['project']
assert more[0]['percent_movement'] > 10 * more[1]['percent_movement'], more
PY
}

@test "mnist-fc on 55,000 images, by class" {
    allocated mnist-fc fc.lca 20 55000
    all_again fc.lca dense1:7 28 28 1
}

@test "mnist-lenet, by class" {
    allocated mnist-lenet lenet.lca 4 2000 --lr 0.02
    all_again lenet.lca dense1:3 7 7 40
}

@test "a small network with batch norm, by class" {
    cat >bn.json <<'NET'
{"name": "bn", "input": [28, 28, 1], "classes": 10, "layers": [
  {"type": "conv", "name": "conv1", "channels": 6, "kernel": 3, "stride": 2}, {"type": "batchnorm"}, {"type": "relu"},
  {"type": "conv", "name": "conv2", "channels": 8, "kernel": 3, "stride": 2}, {"type": "batchnorm"}, {"type": "relu"},
  {"type": "gap"}, {"type": "dense", "name": "dense1", "units": 10}]}
NET
    allocated ./bn.json bn.lca 12 2000
    all_again bn.lca conv2:5 3 3 6
    lca-helping <bn.lca >helping.lca
    run lca-tap --kind helping_total --fields keys.group helping.lca
    assert_output --partial all_but_bn_biases
}
