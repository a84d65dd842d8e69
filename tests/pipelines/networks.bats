# The pipeline of each network of the paper, on few and tiny examples.
load ../helper

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    # the standard binary files, of a few pictures of stripes
    "$PYTHON" - <<'PY'
import os
import numpy
r = numpy.random.default_rng(1)
os.mkdir('cifar-10-batches-bin')
for name, n in [('data_batch_%d.bin' % k, 20) for k in range(1, 6)] + [('test_batch.bin', 20)]:
    label = numpy.arange(n, dtype='u1') % 10
    stripes = 128 + 100 * numpy.sin(numpy.arange(32) * (label[:, None] + 1) / 5)
    image = numpy.broadcast_to(stripes[:, None, None, :], (n, 3, 32, 32)) + r.normal(0, 20, (n, 3, 32, 32))
    image = image.clip(0, 255).astype('u1').reshape(n, -1)
    numpy.concatenate([label[:, None], image], axis=1).tofile('cifar-10-batches-bin/' + name)
open('cifar-10-batches-bin/batches.meta.txt', 'w').write('\n'.join('abcdefghij') + '\n')
PY
    lca-data make . --out c.data >/dev/null
    lca-data make synth:1,100 --out m.data >/dev/null
}

setup() {
    cd "$BATS_FILE_TMPDIR"
}

# tiny NAME [OPTION]...: its pipeline, into out-NAME.
tiny() {
    local data=c.data
    [ "$1" != mnist-lenet ] || data=m.data
    "$ROOT/pipelines/$1.sh" --data $data --out "out-$1" --examples 20 --batch 10 --iterations 2 --workers 2 --lr 0.001 \
        "${@:2}" 3>&-
}

# adds_up NAME EXPRESSION: so does its summary, and the expression holds.
adds_up() {
    run jq -e "$2"' and (([.layers[].lca] | add) as $sum | (.loss_last - .loss_first) as $change
        | ($sum - $change | fabs) < 0.01 * ($change | fabs) + 1e-3)
        and ([.layers[].parameters] | add) == .parameters and .iterations == 2 and .examples == 20' "out-$1/summary.json"
    assert_success
}

@test "mnist-lenet" {
    tiny mnist-lenet --heldout 3
    adds_up mnist-lenet '.parameters == 808970 and (.layers | map(.name) == ["conv1", "conv2", "dense1", "dense2"])'
    run jq -e '.heldout.loss_first > 0 and .chunk == 20' out-mnist-lenet/summary.json
    assert_success
}

@test "cifar-resnet20, with the folder as published, by class" {
    "$ROOT/pipelines/cifar-resnet20.sh" --data . --out out-cifar-resnet20 --examples 20 --batch 10 --iterations 2 \
        --workers 2 --lr 0.001 --by-class --heldout 10 --record 3>&-
    adds_up cifar-resnet20 '.parameters == 273066 and (.layers | length) == 22 and (.classes | length) == 10'
    run lca-check --in out-cifar-resnet20/lca.lca
    assert_success
    run lca-tap --json --kind HEAD out-cifar-resnet20/lca.lca
    run jq -c '.data.sets' <<<"$output"
    assert_output '[{"set":"train","N":20,"chunk":20},{"set":"test","N":10,"chunk":10}]'
}

@test "cifar-allcnn, as the code and as the text has it" {
    tiny cifar-allcnn --heldout 0 --record
    adds_up cifar-allcnn '.parameters == 1371658 and (.layers | length) == 9 and (has("heldout") | not)'
    mv out-cifar-allcnn code
    tiny cifar-allcnn --heldout 0 --net cifar-allcnn-relu --record
    adds_up cifar-allcnn '.parameters == 1371658 and .network == "cifar-allcnn-relu"'
    # which it was stands in the recording
    for out in code out-cifar-allcnn; do
        lca-tap --json --kind HEAD $out/lca.lca | jq -c '[.model, .def.network, .def.dropout, (.network.layers | length)]'
    done >heads
    assert_equal "$(cat heads)" '["cifar-allcnn","cifar-allcnn","on",24]
["cifar-allcnn-relu","cifar-allcnn-relu","on",26]'
    run cmp code/theta.lca out-cifar-allcnn/theta.lca
    assert_failure
}

@test "cifar-vgg5, dropout on and off, frozen layers" {
    tiny cifar-vgg5 --dropout off --freeze conv1 --record
    adds_up cifar-vgg5 '.parameters == 2473610 and .heldout.loss_first > 0 and .layers[0].lca == 0
        and ([.layers[1:][].lca] | map(. != 0) | all)'
    run lca-tap --json --kind HEAD out-cifar-vgg5/theta.lca
    run jq -c '[.def.dropout, .def.freeze]' <<<"$output"
    assert_output '["off",["conv1"]]'
    mv out-cifar-vgg5 off
    tiny cifar-vgg5 --freeze conv1 --record
    run cmp off/theta.lca out-cifar-vgg5/theta.lca
    assert_failure
    rm -r off out-cifar-vgg5
}

@test "cifar-vgg9" {
    tiny cifar-vgg9 --sets train
    adds_up cifar-vgg9 '.parameters == 1918666 and (.layers | length) == 9 and (has("heldout") | not)'
}

@test "their defaults are the paper's settings" {
    while read -r name iterations sgd adam sets; do
        run "$ROOT/pipelines/$name.sh" --help
        assert_success
        assert_output --partial "training steps (default $iterations)"
        assert_output --partial "(default: sgd $sgd, adam $adam)"
        assert_output --partial "examples of a mini-batch (default 250)"
        assert_output --partial "of sgd (default 0.9)"
        assert_output --partial "sets to allocate the loss of (default $sets"
    done <<END
mnist-fc 880 0.05 0.002 train, and val
mnist-lenet 880 0.02 0.002 train, and val
cifar-resnet20 5000 0.1 0.005 train,test
cifar-allcnn 5000 0.1 0.001 train,test
cifar-vgg5 5000 0.01 0.001 train,test
cifar-vgg9 5000 0.01 0.001 train,test
END
}

@test "--plan counts what there is to do and leaves nothing" {
    before=$(ls)
    run "$ROOT/pipelines/cifar-resnet20.sh" --data . --plan --iterations 10 --by-class
    assert_success
    assert_line "network     cifar-resnet20, 273066 parameters"
    assert_line "steps       10, on 100 training and 20 held-out examples, in chunks of 100"
    assert_line --regexp '^gradients   21 without refinement, [0-9]+ ms each'
    assert_line --regexp '^memory +[0-9]+ MiB per worker, [0-9]+ MiB for lca-integrate$'
    # 11 vectors of theta; 10 steps, 2 sets, 10 classes and all
    assert_line "recording   13 MB theta.lca, 241 MB lca.lca"
    run "$ROOT/pipelines/cifar-vgg9.sh" --data c.data --plan --examples 40 --heldout 5 --sets train,test --chunk 20
    assert_line "steps       5000, on 40 training and 5 held-out examples, in chunks of 20"
    run "$ROOT/pipelines/cifar-vgg9.sh" --data c.data --plan --sets train,val
    assert_failure
    assert_output --partial "no set val"
    assert_equal "$(ls)" "$before"
}

@test "repeat.sh runs them over seeds" {
    run "$ROOT/pipelines/repeat.sh" --seeds 1,2 --out rep -- "$ROOT/pipelines/cifar-resnet20.sh" --data c.data \
        --examples 20 --batch 10 --iterations 1 --heldout 0 --tolerance off --workers 2
    assert_success
    run jq -e '.loss_last.n == 2 and .loss_last.sd > 0 and (.["layers.conv1.lca"].n == 2)' rep/repeat.json
    assert_success
}
