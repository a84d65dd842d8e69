# The CUDA device on a card that is this CPU (tests/emulated), whole networks.
load ../helper

@test "networks on the card are the reference, whichever of its streams runs ahead" {
    unit=$ROOT/.build/emulated/unit/cuda-eval-conv-test
    [ -x "$unit" ] || skip "no CUDA toolkit: put nvcc in PATH or set CUDA_HOME, and make cuda"
    cd "$ROOT"
    for order in late early; do EMULATED_ORDER=$order LCA_TEST_DEVICES=cuda "$unit"; done
}
