# Conservation on real data for every network with convolutions: an hour on two cores.
# Leaves the residuals in $LCA_LONG_OUT where that is set.
load ../helper

setup_file() {
    export RUNS=${LCA_LONG_OUT:-$BATS_FILE_TMPDIR}
    # CIFAR-10 as published, or what unpacks it
    export CIFAR=$DATA/cifar10
    if [ ! -d "$CIFAR/cifar-10-batches-bin" ] && [ -x "$DATA/unpack-cifar10" ]; then
        CIFAR=$RUNS/cifar10
        [ -d "$CIFAR/cifar-10-batches-bin" ] || "$DATA/unpack-cifar10" "$CIFAR" >/dev/null
    fi
}

# conserved NAME STEPS: two pieces are far better than first order, more pieces better
# still, and with --tolerance 1e-4 each step would end within it or have the most pieces.
conserved() {
    [ "$1" = mnist-lenet ] && need_data mnist || [ -d "$CIFAR/cifar-10-batches-bin" ] || skip "no CIFAR-10 here"
    "$ROOT/tests/long/conservation.sh" --mnist "$DATA/mnist" --cifar "$CIFAR" --out "$RUNS" "$1" >"$RUNS/$1.md" 2>"$RUNS/$1.err" 3>&-
    sed -n '/^|/s/^/# /p' "$RUNS/$1.md" >&3
    run jq -es --argjson steps "$2" 'def abs: if . < 0 then -. else . end; def mean: add / length;
        length == $steps and all(.[]; (.tr | length) == 5 and ((.L1 - .L0 - .sum - .res) | abs) < 1e-12)
        and (map(.tr[0] | abs) | mean) < 0.1 * (map(.L1 - .L0 - .fo | abs) | mean)
        and (map(.tr[4] | abs) | mean) < (map(.tr[0] | abs) | mean)
        and all(.[]; . as $f | any($f.tr[]; abs <= 1e-4) or $f.n == 32)' "$RUNS/$1.jsonl"
    assert_success
}

@test "mnist-lenet, 50 steps on 2,000 examples" { conserved mnist-lenet 50; }
@test "cifar-resnet20, 10 steps on 1,000 examples" { conserved cifar-resnet20 10; }
@test "cifar-vgg5, 10 steps on 1,000 examples" { conserved cifar-vgg5 10; }
@test "cifar-vgg9, 10 steps on 1,000 examples" { conserved cifar-vgg9 10; }
@test "cifar-allcnn, 4 steps on 500 examples" { conserved cifar-allcnn 4; }
