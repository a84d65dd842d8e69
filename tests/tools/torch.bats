# lca-grad beside PyTorch in double: the same networks, parameters and examples, through
# files alone. Few examples: what many do to rounding, the unit tests see.
load ../helper
load ../streams

more_files() {
    "$PYTHON" -c 'import torch' 2>torch.missing || return 0
    rm torch.missing
    # pictures of 32x32 in colour: waves, a different pair of directions in each class
    py <<'PY'
random = np.random.RandomState(1)
labels = (np.arange(40) % 10).astype('u1')
row, column = np.mgrid[0:32, 0:32] / 32 * 2 * np.pi
images = np.zeros((40, 32, 32, 3))
for image, c in zip(images, labels):
    for channel in range(3):
        phase, a, b = random.rand() * 2 * np.pi, c % 4 + random.rand(), c // 4 + random.rand()
        image[..., channel] = 128 + 90 * np.sin(a * column + b * row + phase)
images += 20 * random.standard_normal(images.shape)
np.save('images.npy', images.clip(0, 255).astype('u1'))
np.save('labels.npy', labels)
PY
    lca-data make npy:images.npy,labels.npy --out colour.data >/dev/null
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    [ ! -e "$FILES/torch.missing" ] || skip "no python3-torch: $(tail -1 "$FILES/torch.missing")"
}

# agrees DATA NET EXAMPLES CHUNK [OPTION]...: whole and by class, at the first parameters
# of a few training steps that lie near no kink.
agrees() {
    local data=$FILES/$1 net=$2 examples=$3 chunk=$4
    shift 4
    lca-train --net "$net" --data "$data" --examples "$examples" --batch "$chunk" --iterations 8 --lr 0.0005 "$@" \
        --out thetas.lca
    lca-grad --data "$data" --chunk "$chunk" <thetas.lca >whole.lca
    lca-grad --data "$data" --chunk "$chunk" --by-class <thetas.lca >class.lca
    run "$PYTHON" "$ROOT/tests/torch-grad.py" --first "$data" thetas.lca whole.lca class.lca
    assert_success
    # one line for the whole and one for each class
    assert_equal "$(grep -c 'class -1:' <<<"$output")" 1
    assert_equal "$(grep -c 'class  [0-9]:' <<<"$output")" 10
    assert_output --partial "kinks 0.0e+00"
    echo "# $net: ${lines[0]}" >&3
}

# small LAYERS: a network of few layers on 32x32x3.
small() {
    echo "{\"name\": \"small\", \"input\": [32, 32, 3], \"classes\": 10, \"layers\": [$1]}" >small.json
}

@test "mnist-fc" {
    agrees s.data mnist-fc 40 20
}

@test "mnist-lenet" {
    agrees s.data mnist-lenet 4 2
}

@test "cifar-vgg5" {
    agrees colour.data cifar-vgg5 2 1
}

@test "cifar-vgg9" {
    agrees colour.data cifar-vgg9 2 1
}

@test "cifar-resnet20: one chunk, for its statistics" {
    agrees colour.data cifar-resnet20 2 2 --seed 2
}

@test "cifar-allcnn: one chunk, for its statistics" {
    agrees colour.data cifar-allcnn 2 2 --seed 3
}

@test "batch norm in chunks, blocks in blocks, odd sizes and strides" {
    small '{"type": "conv", "channels": 5, "kernel": 5, "stride": 3}, {"type": "batchnorm"}, {"type": "relu"},
        {"type": "residual", "shortcut": "conv", "layers": [
          {"type": "conv", "channels": 7, "kernel": 3, "stride": 2}, {"type": "batchnorm"}, {"type": "relu"},
          {"type": "residual", "layers": [{"type": "conv", "channels": 7, "kernel": 2}, {"type": "batchnorm"}]}]},
        {"type": "relu"}, {"type": "dense", "units": 9}, {"type": "relu"}, {"type": "batchnorm"},
        {"type": "dense", "units": 10}'
    agrees colour.data ./small.json 20 5
}

@test "windows that overlap, valid padding, down to one pixel, averages" {
    small '{"type": "avgpool", "size": 3, "stride": 2}, {"type": "conv", "channels": 6, "kernel": 3, "stride": 2},
        {"type": "relu"}, {"type": "maxpool", "size": 3, "stride": 2},
        {"type": "conv", "channels": 8, "kernel": 3, "pad": "valid"}, {"type": "relu"},
        {"type": "conv", "channels": 8, "kernel": 3}, {"type": "relu"}, {"type": "conv", "channels": 10, "kernel": 7},
        {"type": "gap"}'
    agrees colour.data ./small.json 20 5
}

@test "batch norm of one example" {
    small '{"type": "conv", "channels": 4, "kernel": 3, "stride": 4}, {"type": "batchnorm"}, {"type": "relu"},
        {"type": "dense", "units": 10}'
    agrees colour.data ./small.json 6 1
}
