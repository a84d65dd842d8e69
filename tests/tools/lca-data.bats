load ../helper

# Four IDX files in folder idx: 24 training and 4 test images of 4 x 4.
make_idx() {
    mkdir idx
    "$PYTHON" - <<'PY'
import gzip, struct
def images(n, start):
    return struct.pack('>4I', 2051, n, 4, 4) + bytes((start + k) % 256 for k in range(16 * n))
def labels(n):
    return struct.pack('>2I', 2049, n) + bytes(k % 10 for k in range(n))
for part, n, start in ('train', 24, 0), ('t10k', 4, 99):
    gzip.open(f'idx/{part}-images-idx3-ubyte.gz', 'wb').write(images(n, start))
    open(f'idx/{part}-labels-idx1-ubyte', 'wb').write(labels(n))
PY
}

# Six CIFAR-10 batches of two records in folder $1.
make_cifar() {
    mkdir -p "$1"
    "$PYTHON" - "$1" <<'PY'
import sys
for b, name in enumerate([f'data_batch_{k}' for k in range(1, 6)] + ['test_batch']):
    with open(f'{sys.argv[1]}/{name}.bin', 'wb') as f:
        for i in range(2):
            f.write(bytes([b + i]) + bytes([10 + b]) * 1024 + bytes([20]) * 1024 + bytes([30]) * 1024)
PY
}

@test "help, version and manual page" {
    run -0 lca-data --help
    assert_output --partial 'usage: lca-data COMMAND WHAT'
    assert_output --partial 'synth:SEED,N'
    run -0 lca-data --version
    assert_output --regexp '^lca-data [0-9]+\.[0-9]+\.[0-9]+$'
    run -0 lca-data --man
    assert_line --index 0 --partial '.TH LCA-DATA 1'
}

@test "generated digits: table, JSON, digest, the same bytes twice" {
    run -0 lca-data make synth:1,1100 --out a.data
    assert_line 'synth: 28 x 28 x 1, 10 classes'
    assert_line --regexp '^examples +1100 +100 +220$'
    assert_line --regexp '^  7 +110 '
    digest=${lines[-1]#sha256 }
    run -0 lca-data digest a.data
    assert_output "$digest"
    lca-data make synth:1,1100 --out b.data
    cmp a.data b.data
    lca-data make synth:2,1100 --out c.data
    run ! cmp -s a.data c.data
    lca-data show a.data --json > a.json
    assert_equal "$(jq -c '[.name, .height, .width, .channels, (.classes | length), .sha256]' a.json)" \
        "[\"synth\",28,28,1,10,\"$digest\"]"
    assert_equal "$(jq -c '[.sets[] | [.set, .n, (.per_class | add)]]' a.json)" \
        '[["train",1100,1100],["val",100,100],["test",220,220]]'
    assert_equal "$(tail -c +4097 a.data | sha256sum)" "$digest  -"
}

@test "the header is JSON that other programs read" {
    lca-data make synth:1,100 --out a.data
    run -0 "$PYTHON" -c '
import json
raw = open("a.data", "rb").read()
h = json.loads(raw[8:4096])
print(raw[:8].decode(), h["sets"][2]["set"], len(raw) - 4096 - sum(s["n"] for s in h["sets"]) * 785)'
    assert_output 'LCADATA1 test 0'
}

@test "IDX files: split, --val, --name, --classes" {
    make_idx
    run -0 lca-data make idx --out a.data
    assert_line --regexp '^mnist: 4 x 4 x 1'
    assert_line --regexp '^examples +22 +2 +4$'
    run -0 lca-data make mnist:idx --out a.data --val 8 --name small --classes a,b,c,d,e,f,g,h,i,j
    assert_line --regexp '^small: '
    assert_line --regexp '^examples +16 +8 +4$'
    assert_line --regexp '^  j +1 +1 +0$'
    run -0 lca-data make idx --out a.data --val 0
    assert_line --regexp '^examples +24 +4$'
    run -2 lca-data make idx --out b.data --val 24
    assert_output --partial 'leaves none'
    run -2 lca-data make idx --out b.data --classes a,b
    assert_output --partial '--classes'
    assert_not_exist b.data
    assert_not_exist b.data.part
}

@test "CIFAR-10 batches, in the folder or one below" {
    make_cifar one/cifar-10-batches-bin
    run -0 lca-data make one --out a.data
    assert_line 'cifar10: 32 x 32 x 3, 10 classes'
    assert_line --regexp '^examples +10 +2$'
    assert_line --regexp '^  automobile +2 +0$'
    lca-data make cifar10:one/cifar-10-batches-bin --out b.data > b.txt
    cmp a.data b.data
    run -0 bash -c 'lca-data image a.data --set test --index 1 | head -c 2'
    assert_output P6
    assert_equal "$(lca-data image a.data --set test | tail -c 3072 | od -An -tu1 -N6 | xargs)" \
        '15 20 30 15 20 30'
    rm one/cifar-10-batches-bin/data_batch_3.bin
    run -2 lca-data make one --out c.data
    assert_output --partial 'no data_batch_3.bin'
}

@test "arrays that NumPy itself saved" {
    "$PYTHON" - <<'PY'
import numpy as np
r = np.random.default_rng(1)
x = r.integers(0, 256, (9, 5, 4, 3), np.uint8)
np.save('x.npy', x); np.save('y.npy', np.arange(9) % 3)
np.save('f.npy', np.asfortranarray(x)); np.save('d.npy', x / 255)
open('want', 'wb').write(x.tobytes() + bytes(k % 3 for k in range(9)))
PY
    run -0 lca-data make npy:x.npy,y.npy --out a.data --classes ant,bee,cat
    assert_line 'npy: 5 x 4 x 3, 3 classes'
    assert_line --regexp '^  bee +3$'
    tail -c +4097 a.data | cmp - want
    run -0 lca-data make npy:x.npy,y.npy,x.npy,y.npy --out a.data --val 2
    assert_line --regexp '^examples +7 +2 +9$'
    run -2 lca-data make npy:f.npy,y.npy --out b.data
    assert_output --partial 'Fortran'
    run -2 lca-data make npy:d.npy,y.npy --out b.data
    assert_output --partial 'd.npy'
    run -2 lca-data make npy:x.npy,gone.npy --out b.data
    assert_output --partial 'gone.npy'
    assert_not_exist b.data
}

@test "real MNIST has its known digest" {
    need_data mnist
    run -0 lca-data make "$DATA/mnist" --out m.data
    assert_line --regexp '^examples +55000 +5000 +10000$'
    assert_line 'sha256 c2069063c1105f2bf96266aef1ff68c6e13bdda7a54e37bf19c16f1db24efc83'
    assert_equal "$(lca-data image m.data --index 2 | sed -n 2p)" '# mnist train 2: 4'
}

@test "an image is not shown on a terminal" {
    lca-data make synth:1,100 --out a.data
    lca-data image a.data --index 5 > five.pgm
    assert_equal "$(head -c 2 five.pgm)" P5
    assert_equal "$(tail -c 784 five.pgm | sha256sum)" \
        "$(tail -c +$((4097 + 5 * 784)) a.data | head -c 784 | sha256sum)"
    on_terminal 'lca-data image a.data'
    assert_failure 2
    assert_output --partial 'terminal'
    run -2 lca-data image a.data --index 100
    assert_output --partial '0 to 99'
    run -2 lca-data image a.data --set other
    assert_output --partial 'train, val, test'
}

@test "wrong use ends with 2 and says what to do" {
    run -2 lca-data
    run -2 lca-data make
    run -2 lca-data frobnicate x
    assert_output --partial 'make, show, digest, image or fetch'
    run -2 lca-data make synth:1,10
    assert_output --partial '--out'
    run -2 lca-data make synth:1 --out x
    assert_output --partial 'synth:SEED,N'
    run -2 lca-data make mnist:nowhere --out x
    assert_output --partial 'no folder nowhere'
    assert_output --partial 'lca-data fetch mnist'
    run -2 lca-data make nowhere --out x
    mkdir empty
    run -2 lca-data make empty --out x
    assert_output --partial 'holds neither'
    run -2 lca-data show nowhere
    run -2 lca-data make synth:1,10 --out no/such/folder/x
    run -2 lca-data make synth:1,10 --out x --frobnicate
    assert_not_exist x
}

@test "damage ends with 5" {
    lca-data make synth:1,100 --out a.data
    head -c -1 a.data > short.data
    run -5 lca-data show short.data
    assert_output --partial 'short.data'
    cp a.data flipped.data
    printf '\377' | dd of=flipped.data bs=1 seek=5000 conv=notrunc status=none
    run -0 lca-data show flipped.data
    run -5 lca-data digest flipped.data
    assert_output --partial 'flipped.data'
    make_idx
    head -c 100 idx/train-images-idx3-ubyte.gz > x && mv x idx/train-images-idx3-ubyte.gz
    run -5 lca-data make idx --out b.data
    assert_output --partial 'train-images-idx3-ubyte.gz'
    assert_not_exist b.data
}

@test "a full disk is an error" {
    [ -w /dev/full ] || skip 'no /dev/full'
    lca-data make synth:1,100 --out a.data
    run -1 bash -c 'lca-data show a.data > /dev/full'
    assert_output --partial 'cannot write to stdout'
}

@test "fetch: from a mirror, checked, nothing half-written" {
    need_data mnist
    run -0 lca-data fetch mnist --out got --mirror "file://$(cd "$DATA/mnist" && pwd)"
    refute_output
    assert_equal "$(cd got && echo *)" \
        't10k-images-idx3-ubyte.gz t10k-labels-idx1-ubyte.gz train-images-idx3-ubyte.gz train-labels-idx1-ubyte.gz'
    # a file with another sum is fetched again, the others are kept
    echo broken > got/t10k-labels-idx1-ubyte.gz
    mkdir mirror && cp "$DATA/mnist/t10k-labels-idx1-ubyte.gz" mirror
    run -0 lca-data fetch mnist --out got --mirror "file://$PWD/mirror/"
    cmp got/t10k-labels-idx1-ubyte.gz "$DATA/mnist/t10k-labels-idx1-ubyte.gz"
}

@test "fetch: a mirror with other bytes, or with none" {
    mkdir mirror && echo other > mirror/train-images-idx3-ubyte.gz
    echo other > mirror/cifar-10-binary.tar.gz
    run -5 lca-data fetch mnist --out got --mirror "file://$PWD/mirror"
    assert_output --partial 'SHA256'
    assert_not_exist got
    run -5 lca-data fetch cifar10 --out got --mirror "file://$PWD/mirror"
    assert_output --partial 'MD5'
    assert_not_exist got
    run -3 lca-data fetch cifar10 --out got --mirror "file://$PWD/none"
    assert_output --partial 'cannot be had'
    assert_not_exist got
    run -2 lca-data fetch imagenet --out got
    assert_output --partial 'mnist and cifar10'
}

@test "fetch: without a network it says so" {
    # a proxy that refuses stands for a network that is not there
    https_proxy=http://127.0.0.1:9 run -3 lca-data fetch cifar10 --out got
    assert_output --partial 'cs.toronto.edu'
    assert_output --partial 'check the network'
    assert_not_exist got
}
