# Large chunks on the fast evaluator against the plain-C reference in double: rounding
# that grows with the number of examples. The smooth twins of the networks have no ReLU
# and average pools; with kinks, what those within rounding could change is allowed for.
load ../helper

setup_file() {
    [ -x "$UNIT_TESTS/eval-conv-test" ] || skip "no \$UNIT_TESTS/eval-conv-test: say make test-long"
}

# agrees NET EXAMPLES STEPS: whole vector within 1e-5, loss within 1e-6.
agrees() {
    run "$UNIT_TESTS/eval-conv-test" "$@"
    echo "# $(grep 'gradient off' <<<"$output")" >&3
    assert_success
}

@test "mnist-fc: 5,000 examples" {
    agrees mnist-fc 5000 10
}

@test "mnist-lenet: a chunk of 1,000, with and without kinks" {
    agrees mnist-lenet 1000 20
    agrees smooth:mnist-lenet 1000 20
}

@test "cifar-resnet20: 500 of a chunk, with and without kinks" {
    agrees cifar-resnet20 500 5
    agrees smooth:cifar-resnet20 500 5
}

@test "cifar-allcnn: 60 examples, without kinks" {
    agrees smooth:cifar-allcnn 60 0
}

@test "cifar-vgg5 and cifar-vgg9: 200 examples, without kinks" {
    agrees smooth:cifar-vgg5 200 5
    agrees smooth:cifar-vgg9 200 0
}
