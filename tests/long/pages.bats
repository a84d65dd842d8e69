# The commands of the pages that take minutes, or a network: what `make` does for a newcomer, and
# what is to be run on a card.
load ../helper
load ../live
BATS_TEST_TIMEOUT=1200

# A clone of what is committed, with what has been built.
setup() {
    cd "$BATS_TEST_TMPDIR" || return
    git clone -q "$ROOT" clone
    cp -r "$ROOT/bin" "$ROOT/.build" clone
    cd clone
    find . -name .git -prune -o -exec touch -r README.md {} +     # nothing is older than its source
}

@test "make demo; make picture; make watch, which comes up and ends" {
    make demo >demo.txt
    grep -q '^everything about this run' demo.txt
    make picture >picture.txt
    figures=$(sed -n 's/^figures: \([^,]*\),.*/\1/p' picture.txt)
    grep -q '<svg' "$figures"
    bg watch make watch PORT="$(free_port)"
    until_true grep -q '^the live page is at' watch.out
    url=$(sed -n 's/^the live page is at //p' watch.out)
    until_true bash -c "curl -sf ${url}api/runs | grep -q '\"state\":\"live\"'"
    curl -sf "$url" | grep -q '<html'
    pkill -TERM -P "$(pgrep -P "${pid[watch]}" -f watch.sh)" || true
    wait "${pid[watch]}" || true
}

@test "on a GPU: the bundle, and all of run.sh rehearsed" {
    mkdir cifar10
    ln -s "${CIFAR:-/nowhere}" cifar10/cifar-10-batches-bin
    "$PYTHON" tests/commands.py --script docs/gpu.md | grep '^tests' |
        sed 's|tests/gpu/run.sh|& --rehearse|; s|\.build/gpu-results|.build/gpu-rehearsal-results|' >script
    assert_equal "$(wc -l <script)" 5
    bash -e script >said 2>errors || { grep -A20 FAILED said; tail -n 40 said errors; false; }
    grep -q '^| ' said
    [ "$(du -sm .gpu-bundle | cut -f1)" -lt 40 ]
}
