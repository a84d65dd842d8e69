# The live page in a real browser. Skipped, with the reason, where there is none.
load ../helper
load ../streams
load ../live
load ../web

export LCA_BROWSER=${LCA_BROWSER:-$ROOT/.build/browser}

# All checks of one recording share a server and a browser; each test looks at its own.
more_files() {
    train thetas.lca --iterations 8
    allocate thetas.lca run.lca --chunk 100 --by-class --sets train,val
    [ -z "$(lacks)" ] || return 0
    of() { "$1" <run.lca | lca-tap --kind "$2" | jq -c 'select(.it == 7 and (.set // "train") == "train").data'; }
    jq -n --argjson layers "$(of lca-layers layers)" --argjson classes "$(of lca-classes classes)" \
        --argjson helping "$(of lca-helping helping)" \
        --slurpfile f <(lca-tap --kind lca --fields it,set,cls,L1,res run.lca | jq -c 'select(.it == 7 and .cls == -1)') '
        {it: 7, $layers, classes: [$classes | _nwise(2)], q: [$helping[1, 5, 9]],
         loss: $f[0].L1, res: $f[0].res, held: $f[1].L1}' >want.json
    serve run.lca
    until_true in_state 0 ended
    timeout 100 node "$ROOT/tests/web/page.mjs" "$url/" results fast=1000 numbers=want.json time keys phone closed colours >measured
    kill "${pid[web]}"
    wait "${pid[web]}"
}

# lacks: what is missing here, and how to get it.
lacks() {
    if ! command -v node >/dev/null; then echo "no node: .ci/install npm"
    elif ! command -v "${CHROMIUM:-/usr/bin/chromium}" >/dev/null; then echo "no chromium: .ci/install web"
    elif [ ! -e "$LCA_BROWSER/node_modules/playwright-core" ]; then echo "no playwright-core: make browser (needs the network)"
    elif [ ! -e "$(dirname "$(command -v lca-web)")/web/index.html" ]; then echo "the page is not built: make web (needs the network)"
    fi
}

need_browser() {
    local lacks
    lacks=$(lacks)
    [ -z "$lacks" ] || skip "$lacks"
}

passed() {
    need_browser
    assert_equal "$(cat "$FILES/results/$1")" ok
}

@test "page: its numbers are lca-tap's, to the digits shown" {
    passed numbers
}

@test "page: pause, step back, windows, classes, layers, a click on a curve" {
    passed time
}

@test "page: by keyboard alone; everything has a name" {
    passed keys
}

@test "page: 360 pixels wide, by touch" {
    passed phone
}

@test "page: no request leaves the machine, and none could" {
    passed closed
}

@test "page: the first picture within a second" {
    passed fast
}

@test "page: help and harm can be told apart without red or green cones; text has contrast" {
    passed colours
}

@test "page: goes on when the pipeline begins again, and when lca-web does" {
    need_browser
    unset LCA_DIR
    mkdir out
    serve --rate 20 out
    pipeline() {
        rm -f out/run.json out/summary.json
        sed "s/STEPS/$1/" >stages <<END
train:     lca-train --net $FILES/relu.json --data $FILES/s.data --iterations STEPS --batch 50 --examples 500 --out ipc:theta
integrate: lca-integrate --in ipc:theta --pool ipc:pool --out ipc:lca --expect layers --chunk 100
grad:      lca-grad --data $FILES/s.data --pool ipc:pool
layers:    lca-layers --in ipc:lca > "\$LCA_OUT/layers.lca"
record:    true
END
        bg run lca-run --quiet --out out stages
    }
    pipeline 1000000
    until_true at_least 3
    bg page node "$ROOT/tests/web/page.mjs" "$url/" results restart=ready,299
    until_true grep -qs open ready
    kill -9 "${pid[run]}"
    ends run 137
    until_true grep -q gone ready
    pipeline 300
    ends run 0
    until_true grep -q ended ready
    kill "${pid[web]}"
    ends web 0
    until_true grep -q noticed ready
    # the run has ended, and left no recording of its own: play another of the same length
    lca-train --net "$FILES/relu.json" --data "$FILES/s.data" --iterations 300 --batch 50 --examples 500 |
        allocate - again.lca --chunk 500
    bg web lca-web --port "$port" out=again.lca
    ends page 0
    assert_equal "$(cat results/restart)" ok
}
