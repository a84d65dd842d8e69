# The live page over a long run: what server and page hold does not grow with the steps.
load ../helper
load ../live
load ../web
BATS_TEST_TIMEOUT=1200

@test "20,000 steps in the page: the memory of lca-web and of the browser stays" {
    steps=${LCA_SOAK_STEPS:-20000}
    export LCA_BROWSER=${LCA_BROWSER:-$ROOT/.build/browser}
    [ -e "$LCA_BROWSER/node_modules/playwright-core" ] || skip "no playwright-core: make browser"
    command -v /usr/bin/chromium >/dev/null || skip "no chromium: .ci/install web"
    cat >net.json <<'NET'
{"name": "small", "input": [28, 28, 1], "classes": 10, "layers": [
  {"type": "dense", "name": "one", "units": 8}, {"type": "relu"}, {"type": "dense", "name": "two", "units": 10}]}
NET
    lca-data make synth:1,100 --out d >/dev/null
    mkfifo stream
    lca-web --port 0 --rate 60 --history 4M run=stream >web.out 2>web.err 3>&- &
    pid[web]=$!
    bg grad lca-grad --data d --pool ipc:pool
    lca-train --net ./net.json --data d --batch 10 --iterations "$steps" 2>train.err 3>&- |
        lca-integrate --pool ipc:pool --by-class --sets train --rule trapezoid --tolerance off >stream 2>integrate.err 3>&- &
    pid[integrate]=$!
    until_true [ -s web.out ]
    url=$(cat web.out) url=${url%/}
    bg page node "$ROOT/tests/web/page.mjs" "$url/" results "memory=$steps,part"
    seen=
    while kill -0 "${pid[page]}" 2>/dev/null; do
        now=$(cat part 2>/dev/null || true)
        if [ "$now" != "$seen" ]; then
            echo "$now $(awk '/VmRSS/ { print $2 }' "/proc/${pid[web]}/status")" >>rss
            seen=$now
        fi
        sleep 0.1
    done
    ends page 0
    assert_equal "$(cat results/memory)" ok
    ends integrate 0
    sed 's/^/# part, KiB of lca-web: /' rss >&3
    sed 's/^/# page: /' page.out >&3
    awk '$1 == 0.1 { first = $2 } $1 == 1 { last = $2 } END { exit !(first && last <= 1.05 * first + 512) }' rss
    jq -se '(first(.[] | select(.part == 0.1))) as $a | (first(.[] | select(.part == 1))) as $b
        | $b.heap <= 1.1 * $a.heap + 2e5 and $b.nodes == $a.nodes' page.out
}
