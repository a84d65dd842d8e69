load ../helper
load ../streams

# lca-grad with CUDA, and the same with a card that is this CPU (tests/emulated): kernels,
# recorded work and the memory plan as they are, cuBLAS and cuDNN imitated.
CUDA=$ROOT/.build/cuda/bin/lca-grad
CARD=$ROOT/.build/emulated/bin/lca-grad
TRAIN=$ROOT/.build/emulated/bin/lca-train

need_toolkit() {
    [ -x "$CUDA" ] && [ -x "$CARD" ] || skip "no CUDA toolkit: put nvcc in PATH or set CUDA_HOME, and make cuda"
}

# a_run NAME STEPS WORKERS [OPTION...]: that many workers on the card, and $CPU's.
a_run() {
    cat >stages <<END
train:     lca-train --net "$FILES/relu.json" --data "$FILES/s.data" --examples 400 --batch 50 --iterations $2 --out ipc:theta --expect integrate
card*$3:   $CARD --data "$FILES/s.data" --device cuda --pool ipc:pool
${CPU:-}
integrate: lca-integrate --in ipc:theta --pool ipc:pool --out ipc:lca --expect lca,check --chunk 100 --sets train ${*:4}
lca:       lca-cat --in ipc:lca --out "\$LCA_OUT/lca.lca"
check:     lca-check --in ipc:lca > "\$LCA_OUT/check.txt"
END
    lca-run -q --out "$1" stages
}

@test "a build without CUDA says so, and never computes on the CPU instead" {
    case $(lca-grad --version) in *"without CUDA"*) ;; *) skip "bin/ is built with CUDA" ;; esac
    run -2 lca-grad --benchmark --quick --net mnist-fc --device cuda
    assert_output --partial "make CUDA=1"
    run -2 lca-grad --benchmark --quick --net mnist-fc --precision tf32
    assert_output --partial "--precision is for --device cuda"
}

@test "CUDA=1 without a toolkit names what is missing" {
    run ! make -C "$ROOT" CUDA=1 CUDA_HOME=/nowhere "B=$PWD/b" "$PWD/b/backend/cuda/cuda.o"
    assert_output --partial "needs nvcc"
    mkdir -p half/bin && printf '#!/bin/sh\n' >half/bin/nvcc && chmod +x half/bin/nvcc
    run ! env -u C_INCLUDE_PATH make -C "$ROOT" CUDA=1 "CUDA_HOME=$PWD/half" "B=$PWD/b" "$PWD/b/backend/cuda/cuda.o"
    assert_output --partial "there is no cublas_v2.h"
}

@test "the CUDA build links; a card that is not there is an error" {
    need_toolkit
    run -0 "$CUDA" --version
    assert_output --partial "(cpu, cuda)"
    if nvidia-smi -L 2>/dev/null | grep -q GPU; then
        run -2 "$CUDA" --benchmark --quick --net mnist-fc --device cuda:99
        assert_output --partial "CUDA card"
    else
        run -2 "$CUDA" --benchmark --quick --net mnist-fc --device cuda
        assert_output --partial "no CUDA card can be used here"
    fi
}

@test "devices and precisions by name" {
    need_toolkit
    for precision in float32 tf32 bf16; do
        run -0 "$CARD" --benchmark --quick --net mnist-fc --examples 200 --device cuda:0 --precision $precision
        assert_output --partial "emulated-card/$precision\""
    done
    for wrong in cuda: cuda:x cuda:0:f16 cuda0 cuda:1; do
        run -2 "$CARD" --benchmark --quick --net mnist-fc --examples 200 --device $wrong
        assert_output --partial "device"
    done
    run -2 "$CARD" --benchmark --quick --net mnist-fc --examples 200 --device cuda --precision half
    assert_output --partial "say cuda, or cuda:N"
}

@test "a chunk that is too large says which fits, and that one does" {
    need_toolkit
    resnet() { EMULATED_MIB=$1 "$CARD" --benchmark --quick --net cifar-resnet20 --device cuda "${@:2}"; }
    run -2 resnet 1100 --examples 2000 --chunk 1000
    assert_output --partial "the largest chunk that fits has "
    fits=$(sed -n 's/.*the largest chunk that fits has \([0-9]*\).*/\1/p' <<<"$output")
    run -0 resnet 1100 --examples "$fits" --chunk "$fits"
    run -2 resnet 1100 --examples $((2 * fits)) --chunk $((2 * fits))
    run -2 resnet 1024 --examples 10
    assert_output --partial "use another device"
}

@test "the same bytes with 1 and 3 workers on a card, and conservation" {
    need_toolkit
    a_run one 4 1
    a_run three 4 3
    cmp one/lca.lca three/lca.lca
    lca-check <one/lca.lca
    lca-tap --json --kind HEAD <one/lca.lca | jq -re .num | grep -q '^cuda/.*/float32$'
}

@test "whichever of a card's streams runs ahead, units and sets get the same bytes" {
    need_toolkit
    lca-train --net "$FILES/relu.json" --data "$FILES/s.data" --examples 400 --batch 50 --iterations 3 >theta.lca
    for order in early late; do
        export EMULATED_ORDER=$order
        "$CARD" --data "$FILES/s.data" --device cuda --chunk 100 <theta.lca >$order.lca
        "$CARD" --data "$FILES/s.data" --device cuda --chunk 100 --by-class <theta.lca >$order-class.lca
        a_run $order 4 2 --by-class
    done
    EMULATED_NO_GRAPHS=1 "$CARD" --data "$FILES/s.data" --device cuda --chunk 100 <theta.lca >anew.lca 2>err
    cmp early.lca late.lca
    cmp anew.lca late.lca
    [ "$(grep -c "work is asked for anew for each chunk" err)" -eq 1 ]
    cmp early-class.lca late-class.lca
    cmp early/lca.lca late/lca.lca
    lca-check <late/lca.lca
}

@test "a pool killed and started again: its worker's card drops what it was at, and the bytes stay" {
    need_toolkit
    a_run whole 60 1
    export LCA_DIR=$PWD/ipc
    lca-train --net "$FILES/relu.json" --data "$FILES/s.data" --examples 400 --batch 50 --iterations 60 \
        --out ipc:theta --expect integrate 2>train.err 3>&- &
    "$CARD" --data "$FILES/s.data" --device cuda --pool ipc:pool 2>card.err 3>&- &
    lca-cat --in ipc:lca --name lca --out lca.lca 2>cat.err 3>&- &
    recorder=$!
    start() {
        lca-integrate --in ipc:theta --name integrate --pool ipc:pool --chunk 100 --sets train --out ipc:lca \
            --expect lca 2>>integrate.err 3>&- &
        integrate=$!
    }
    start
    until [ -s lca.lca ] && [ "$(stat -c %s lca.lca)" -gt 200000 ]; do
        kill -0 $integrate
        sleep 0.01
    done
    kill -9 $integrate
    wait $integrate || true
    start
    wait $integrate $recorder
    grep -q 'the pool has gone' card.err
    for f in whole/lca.lca lca.lca; do lca-tap --json --kind lca $f; done | sort | uniq -c | awk '$1 != 2 { bad = 1 } END { exit bad }'
}

@test "CPU and card in one pool: refused, unless the run allows it" {
    need_toolkit
    CPU="cpu:  lca-grad --data $FILES/s.data --pool ipc:pool"
    run a_run refused 200 1
    assert_output --partial "--mixed-numerics allows it"
    a_run mixed 200 1 --mixed-numerics
    [ "$(jq .workers_joined mixed/summary.json)" -eq 2 ]
    lca-check <mixed/lca.lca
}

@test "training on a card: the CPU's to rounding, with dropout too, and the same bytes again" {
    need_toolkit
    local p="--data $FILES/s.data --examples 400 --batch 50 --iterations 12"
    jq '.layers |= .[:2] + [{type: "dropout", rate: 0.5}] + .[2:]' "$FILES/relu.json" >dropout.json
    grep -q dropout dropout.json
    for net in "$FILES/relu.json" dropout.json; do
        lca-train --net $net $p >cpu.lca
        "$TRAIN" --net $net $p --device cuda >card.lca
        "$TRAIN" --net $net $p --device cuda >again.lca
        cmp card.lca again.lca
        jq -es 'length == 24 and (.[:12] as $a | .[12:] as $b | [range(12) | ($a[.] - $b[.]) / $a[.] | fabs] | max < 1e-5)' \
            <(for f in cpu.lca card.lca; do lca-tap --fields mbloss <$f | jq '.mbloss | select(. > 0)'; done)
    done
    [ "$(lca-tap --json --kind HEAD <card.lca | jq -r .num)" = "$(lca-tap --json --kind HEAD <again.lca | jq -r .num)" ]
    lca-tap --json --kind HEAD <card.lca | jq -re .num | grep -q '^cuda/.*/float32$'
    lca-tap --json --kind HEAD <cpu.lca | jq -re .num | grep -q '^cpu/'
}

@test "training on a card goes on where it was cut off, on that card alone" {
    need_toolkit
    local p="--net $FILES/relu.json --data $FILES/s.data --examples 400 --batch 50"
    "$TRAIN" $p --iterations 12 --device cuda >whole.lca
    "$TRAIN" $p --iterations 6 --device cuda --checkpoint cp >/dev/null
    run -2 lca-train $p --iterations 12 --resume cp
    assert_output --partial "cuda/"
    "$TRAIN" $p --iterations 12 --device cuda --resume cp >b.lca
    for f in whole.lca b.lca; do lca-tap --json --kind theta $f | tail -n 6 | md5sum; done | uniq -c | grep -q '^ *2 '
    case $(lca-train --version) in *"without CUDA"*) ;; *) return ;; esac
    run -2 lca-train $p --device cuda
    assert_output --partial "make CUDA=1"
}

@test "a pipeline with training and workers on a card" {
    need_toolkit
    mkdir tree
    cp -r "$ROOT/pipelines" "$ROOT/bin" tree/
    cp "$CARD" "$TRAIN" tree/bin/
    tree/pipelines/mnist-fc.sh --data synth:1,600 --batch 50 --iterations 2 --heldout 0 --workers 1 --device cuda \
        --train-device cuda --record --out out
    [ "$(jq -r .device out/summary.json)" = cuda ]
    for f in theta lca; do lca-tap --json --kind HEAD out/$f.lca | jq -re .num | grep -q '^cuda/'; done
    lca-check --in out/lca.lca
}
