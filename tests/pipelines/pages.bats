# Every command of the README and of docs/ is typed: each page's own lines, in its order, in a
# folder where they mean something short. What a page cannot mean here is edited, by sed, in its test.
load ../helper
load ../live
BATS_TEST_TIMEOUT=300

# A folder like the project's, but that its pipelines take three steps and its live views end.
setup() {
    runs_apart
    export PYTHONDONTWRITEBYTECODE=1 LCA_DATA=$DATA
    unset LCA_STAGE LCA_OUT
    mkdir bin pipelines
    ln -s "$(dirname "$(command -v lca-grad)")"/* bin
    ln -s "$ROOT"/pipelines/* pipelines
    ln -s "$ROOT"/{docs,src,tests} .
    PATH=$PWD/bin:$PATH
    for name in demo mnist-fc cifar-resnet20; do
        short pipelines/$name.sh 'case " $* " in
            *" --resume "*|*" --plan "*) exec "$REAL" "$@" ;;
            *) exec "$REAL" "$@" --iterations 3 --examples 1000 --heldout 100 ;; esac'
    done
    short bin/lca-top 'exec "$REAL" -n 1 -i 1 "$@"'
    # a view of a run that goes on
    short bin/lca-tap 'case "$*" in */ipc/*) set -- "$@" --count 3 ;; esac; exec "$REAL" "$@"'
    # the page comes up, then it is left as by Ctrl-C
    short bin/lca-web 'exec 3< <(exec "$REAL" --port 0 "$@")
        read -r url <&3 || exit 1
        until curl -sf "$url"api/runs | grep -q "\"state\":\"\(live\|playing\|ended\)\""; do sleep 0.05; done
        kill -INT $!'
}

teardown() {
    [ -z "${typing:-}" ] || kill -9 -- "-$typing" 2>/dev/null
    [ ! -e going ] || over
    runs_end
}

# short PROGRAM SHELL: SHELL in its place; $REAL is what it was.
short() {
    local real
    real=$([ -L "$1" ] && realpath "$1" || sed -n 's/^REAL=//p' "$1")
    rm "$1"
    printf '#!/bin/bash\nREAL=%q\n%s\n' "$real" "$2" >"$1"
    chmod +x "$1"
}

# endless PIPELINE: goes on in the background until `over`; returns when its sockets are there.
endless() {
    short "$1" 'out=out; for ((k = 1; k < $#; k++)); do [ "${!k}" != --out ] || { ((k++)); out=${!k}; }; done
        "$REAL" "$@" --iterations 1000000 --examples 1000 --heldout 100 >$out.txt 2>&1 3>&- &
        echo $! >>going
        until [ -S "$out/ipc/layers.tap" ]; do sleep 0.05; done'
}

# over: what was endless ends in order.
over() {
    local p
    for p in $(cat going); do
        kill -TERM "$p"
        # it is nobody's child here: it may stay as a zombie
        while grep -qs ') [^Z]' "/proc/$p/stat"; do sleep 0.05; done
    done
    rm going
}

# typed PAGE [EDIT]: its lines, one after the other; what they print is in `said`.
typed() {
    "$PYTHON" "$ROOT/tests/commands.py" --script "$ROOT/$1" >lines
    # a page that has lost its commands is no test
    [ "$(wc -l <lines)" -gt 0 ]
    sed -E "${2:-}" lines >script
    local status=0
    set -m
    bash -e -o pipefail script >said 2>errors 3>&- &
    typing=$!
    set +m
    wait $typing || status=$?
    [ $status -eq 0 ] || tail -n 20 said errors
    return $status
}

need() { command -v "$1" >/dev/null || skip "no $1: see .ci/packages"; }

# a_run OUT [OPTION]...: a short run of the demo, to look at.
a_run() { pipelines/demo.sh --out "$@" >"$1.txt" 2>&1 3>&-; }

# mine: a description, data and a path in the space of its weights, of somebody's own.
mine() {
    "$PYTHON" - <<'PY'
import json
import numpy as np
rng = np.random.default_rng(1)
np.save('images.npy', rng.integers(0, 256, (400, 8, 8, 1), dtype=np.uint8))
np.save('labels.npy', (np.arange(400) % 3).astype(np.uint8))
json.dump({'name': 'mine', 'input': [8, 8, 1], 'classes': 3, 'layers': [{'type': 'dense', 'units': 3}]}, open('my.json', 'w'))
np.save('path.npy', rng.standard_normal((4, 195)).astype(np.float32))
PY
}

@test "README: MNIST, fetched, and what can be seen while it trains" {
    need_data mnist
    endless pipelines/mnist-fc.sh
    typed README.md "s|fetch mnist|& --mirror file://$(cd "$DATA" && pwd)/mnist|; /^make/d"
    over
    [ "$(jq .examples out/summary.json)" -eq 1000 ]
}

@test "exports" {
    "$PYTHON" -c 'import h5py' 2>/dev/null || skip "no python3-h5py"
    a_run out --record
    cp out/lca.lca out/theta.lca .
    typed docs/exports.md
    for file in A.npy lca.h5 steps.csv layers.csv A.csv last.safetensors; do
        [ -s $file ] || fail $file
    done
}

@test "gallery" {
    need gnuplot
    a_run out --record --by-class --filter units,params,oscillation,spread,classes,correlation,overfit \
        --filter 'moments --of lca,move,eff'
    for n in 1 2; do
        mkdir -p seeds && a_run seeds/seed-$n --seed $n
        a_run lr-0.0$n --lr 0.0$n
    done
    typed docs/gallery.md 's/@50:200/@0:3/g; s/50:200/0:3/'
    [ "$(ls ./*.svg ./*.png ./*.gif style/layers.gp | wc -l)" -ge 18 ]
}

@test "tutorial: its runs say what it says" {
    need gnuplot
    # the runs have the length that the tables are of
    short pipelines/demo.sh 'exec "$REAL" "$@"'
    typed docs/tutorial.md
    # other processors give other last digits, and the late run swings wildly
    while IFS='|' read -r _ run loss right a b c _; do
        jq -e --arg run "$run" --argjson want "[$loss, $right, ${a#+}, ${b#+}, ${c/+/}]" '
            [.loss_last, .accuracy_test, (.layers[] | .lca)]
            | [., $want] | transpose | all((.[0] - .[1] | fabs) < 0.02 + 0.05 * (.[1] | fabs))' \
            "$(tr -d ' ' <<<"$run")/summary.json" >/dev/null || fail "$run: $(jq -c '[.loss_last, .accuracy_test,
                (.layers[] | .lca)]' "$(tr -d ' ' <<<"$run")/summary.json")"
    done < <(grep -E '^\| (plain|late|frozen|later) ' "$ROOT/docs/tutorial.md")
    grep -q '^plain  *0.25' said
    [ -s late.svg ] && [ -s compare.svg ] && grep -q '<svg' late.html
}

@test "how-to" {
    need gnuplot
    need dot
    mine
    endless pipelines/mnist-fc.sh
    # a run that goes on, for those who watch it: another one than the run that is recorded
    pipelines/mnist-fc.sh --data synth:1,1200 --out going-on
    typed docs/howto.md 's/^(lca-top|lca-tap|lca-web) run\b/\1 going-on/'
    over
    [ "$(wc -l <units.jsonl)" -ge 1 ] && [ -s A.npy ] && [ -s run.h5 ] && [ -s layers.csv ] && [ -s theta.lca ]
}

@test "importing: a path of PyTorch's" {
    "$PYTHON" -c 'import torch' 2>/dev/null || skip "no python3-torch"
    export LCA_DIR=$XDG_RUNTIME_DIR/lca
    # what the page begins with is the recipe below it
    typed docs/importing.md 's/--net my.json/--net .\/torch.json/; 1,2{w first
        d;}; s/^python3/\/usr\/bin\/python3/; $r first'
}

@test "interventions" {
    cat >small.json <<'NET'
{"name": "small", "input": [28, 28, 1], "classes": 10, "layers": [
  {"type": "dense", "name": "one", "units": 6}, {"type": "relu"}, {"type": "dense", "name": "two", "units": 10}]}
NET
    typed docs/interventions.md 's/--data [^ ]*/--data synth:1,1000/; s/--net [^ ]*//
        s/--seeds/--net .\/small.json --iterations 4 --examples 500 --heldout 100 --workers 1 &/
        s/--iterations 20//; /phase-lag/s/$/ --delays 1 --momenta 0.5/; s/1,2,3/1,2/'
    [ "$(ls -d first lag last tried)" ]
}

@test "the live page" {
    a_run recorded --record
    endless pipelines/mnist-fc.sh
    for out in out1 out2; do pipelines/mnist-fc.sh --data synth:1,1200 --out $out; done
    # in place of what is on another host, and of the port that somebody may have
    port=$(free_port) here=$(free_port)
    bg stream lca-cat --in out1/ipc/lca --from now --name passing-on --out "tcp://127.0.0.1:$port" --tap "tcp://127.0.0.1:$port"
    bg reader lca-cat --in "tcp://127.0.0.1:$port" --out copy.lca
    bg web "$(sed -n s/^REAL=//p bin/lca-web)" --port "$here" out1
    typed docs/live-page.md "/^(make|ssh)/d; s/--data mnist /--data synth:1,1200 /; s|out/lca.lca|recorded/lca.lca|
        s/host:5001/127.0.0.1:$port/; s/8787/$here/; s/^curl/(timeout 2 curl/; s/ \| sed/ || true) &/"
    over
    grep -q '^{"it":' said
}

@test "networks" {
    need dot
    lca-data make synth:1,1100 --out digits.data
    mine
    lca-train --net mnist-fc --data digits.data --out theta.lca
    typed docs/networks.md 's/hidden@100/dense1@1/; s/out=0.01/dense3=0.01/; $s/$/ >of-mine.lca/'
    grep -qx 84060 said
}

@test "watching a run" {
    endless pipelines/demo.sh
    pipelines/demo.sh --out out1
    pipelines/demo.sh --out out2
    port=$(free_port)
    lca-data make synth:1,1100 --out digits.data
    bg stream lca-train --net mnist-fc --data digits.data --out ipc:theta --tap "tcp://127.0.0.1:$port" --expect nobody
    typed docs/watching.md "s|/tmp/lca-1000|out/ipc|; s/host:5000/127.0.0.1:$port/; s/grep late/grep train/
        /^lca-top  out/,/^step/d"
    over
}

# pca.npy: two directions in the space of MNIST-FC's weights.
pca() {
    "$PYTHON" -c 'import numpy as np
np.save("pca.npy", np.linalg.qr(np.random.default_rng(1).standard_normal((84060, 2)))[0].T)'
}

@test "pipelines" {
    need gnuplot
    need ffmpeg
    pca
    export LCA_DIR=$XDG_RUNTIME_DIR/lca
    short bin/lca-train 'exec "$REAL" "$@" --iterations 3 --examples 1000'
    short pipelines/paper-mnist-fc.sh '"$REAL" "$@" --iterations 14 --settings plain || [ $? -eq 1 ]'
    # pictures as CIFAR-10's, to plan with
    "$PYTHON" -c 'import numpy as np
np.save("x.npy", np.zeros((2000, 32, 32, 3), "u1")); np.save("y.npy", (np.arange(2000) % 10).astype("u1"))'
    lca-data make npy:x.npy,y.npy,x.npy,y.npy --out cifar
    lca-data make synth:1,1200 --out mnist
    for n in 1 2; do a_run lr-0.0$n --lr 0.0$n; done
    mkdir elsewhere
    mv lr-* elsewhere       # the runs with other rates come first on the page
    a_run out --record --filter all
    cp out/lca.lca damaged.lca
    lca-keygen hub >/dev/null
    lca-keygen far >/dev/null
    mkdir peers
    cp far.pub peers
    port=$(free_port)
    typed docs/pipelines.md "/\[OPTION\]\.\.\./d; /lca-(train|integrate) \.\.\./,/^layers:/d
        s|lr-\*/|elsewhere/&|; s|seeds/seed-\*/|elsewhere/lr-*/|; s/--seeds 1,2,3 --out paper/--out paper --seeds 1/; s/1,2,3/1,2/
        s|--repair out/lca.lca|--repair damaged.lca|; 0,/--repair/s/^lca-cat --repair/truncate -s -1000 damaged.lca; &/
        s|--out out --progress|--out mine --progress|
        /^# 1/,/^# 3/s/^(lca-grad.*| +lca-int.*)$/\1 \&/; s/^lca-train .*> thetas.lca$/wait; &/
        s/0.0.0.0:5555/127.0.0.1:$port/; s/HERE:5555/127.0.0.1:$port/; /# here/s/ *# here/ \&/"
    # every key that a run leaves is explained
    for key in $(jq -r 'keys[]' out/summary.json mine/summary.json); do
        assert_file_contains "$ROOT/docs/pipelines.md" "^|.*\`$key\`.*|"
    done
}

@test "Python: a training watched, a network that only PyTorch knows" {
    "$PYTHON" -c 'import torch' 2>/dev/null || skip "no python3-torch"
    typed docs/python.md 's/ 60$/ 12/; s/synth:1,11000/synth:1,1100/'
    for run in watched external; do
        assert_equal "$(jq -c '[.status, .iterations]' $run.out/summary.json)" '["ok",12]'
        # each set's totals are the change of its loss
        run jq -e --slurpfile layers $run.out/layers.jsonl '
            ([$layers[] | select(.kind == "layers_total" and .set == "train").data[]] | add) as $A
            | .loss_last < .loss_first and (.loss_last - .loss_first - $A | fabs) < 1e-3' $run.out/summary.json
        assert_success
    done
    assert_equal "$(jq -r '.network, .parameters' external.out/summary.json | xargs)" "transformer 2584"
}

@test "taps and swaps" {
    # so long that every tap finds the run going on; then it is ended
    short bin/lca-train 'exec "$REAL" "$@" --iterations 1000000'
    typed docs/taps-and-swaps.md 's/synth:1,11000/synth:1,1100/; s/^lca-run .* &$/& run=$!/; s/^wait$/kill -INT $run; wait/
        s/^(lca-units .*)/\1 \& sleep 1/; s/^sleep 1.*/until [ -S out\/ipc\/layers.tap ]; do sleep 0.05; done/
        /--out live/,/^wait/s/out\/ipc/live\/ipc/; /--out swapped/s/lca-run/timeout -s INT 5 & /; /--out swapped/s/$/ || [ $? = 124 ]/'
    # what was recorded says what was seen, whoever says it
    local sums='select(.kind == "layers" and .it < 20) | [.it, .set, (.data | map(. * 1e9 | round))]'
    for out in out swapped.out; do jq -c "$sums" $out/layers.jsonl >$out.sums; done
    assert_equal "$(wc -l <out.sums)" 40
    cmp out.sums swapped.out.sums
    [ -s units.jsonl ]
}

@test "on a GPU, whose part the CPU plays" {
    cards=$ROOT/.build/emulated/bin
    [ -x "$cards/lca-train" ] || skip "no CUDA toolkit: put nvcc in PATH or set CUDA_HOME, and make cuda"
    export LCA_DIR=$XDG_RUNTIME_DIR/lca
    ln -sf "$cards"/* bin
    ln -sf "$ROOT/pipelines/cifar-resnet20.sh" pipelines       # which takes programs from the bin/ beside it
    lca-data make synth:1,1000 --out mnist.data
    "$PYTHON" -c 'import numpy as np
np.save("x.npy", np.zeros((1000, 32, 32, 3), "u1")); np.save("y.npy", (np.arange(1000) % 10).astype("u1"))'
    lca-data make npy:x.npy,y.npy,x.npy,y.npy --out cifar10
    echo '{"name": "tiny", "input": [32, 32, 3], "classes": 10, "layers": [{"type": "dense", "units": 10}]}' >tiny.json
    # this card is alone; and workers of different precisions take part in one run
    lca-train --net mnist-fc --data mnist.data --iterations 3 >thetas.lca
    bg run lca-integrate --in thetas.lca --pool ipc:pool --mixed-numerics --out lca.lca
    # what takes minutes, or a network, is in tests/long/pages.bats
    typed docs/gpu.md '/^tests/d; s/^(bin.lca-grad[^#]*)/\1 \& /; s/cuda:1/cuda:0/; s/^pipelines.*/wait; & --net .\/tiny.json --iterations 3 --examples 500 --heldout 100 --out run/
        s/(--train-device.*)--out run/\1--out trained/'
    ends run 0
    lca-check --in lca.lca
    [ "$(jq -r .device run/summary.json)" = cuda ]
    grep -q -- '--device .cuda.' trained/stages
    [ -s trained/layers.jsonl ]
}

@test "clusters: numerics, and machines that share nothing" {
    printf '#!/bin/sh\n[ "$1" = -R ] && shift 2\nshift\nexec "$@"\n' >bin/ssh
    printf '#!/bin/sh\nexec cp "$1" "./${2#*:}copy"\n' >bin/scp
    chmod +x bin/ssh bin/scp
    lca-data make synth:1,1200 --out mnist.data
    port=$(free_port)
    # what needs Slurm, Kubernetes or several hosts is in slurm.bats and clusters.bats
    typed docs/clusters.md "/^make|fetch|submit.sh|kubectl|keygen|^mkdir|^mv|^LCA_KEY/d; /^for/,/^done/d
        s/5555/$port/g; s|lca/bin|bin|; s|--benchmark|& --examples 500|; \$a wait"
    grep -q '^cpu' said
    run jq -c '[.status, .iterations, .workers_joined]' out/summary.json
    assert_output '["ok",3,1]'
}

# Pages whose commands are typed elsewhere.
ELSEWHERE='docs/security.md docs/installing.md docs/conservation.md'

@test "no page is left out" {
    local left=()
    for page in $(cd "$ROOT" && "$PYTHON" tests/commands.py . README.md docs/*.md | cut -f1 | uniq); do
        grep -q "typed $page" "$BATS_TEST_FILENAME" || [[ " $ELSEWHERE " == *" $page "* ]] || left+=("$page")
    done
    assert_equal "${left[*]}" ""
}
