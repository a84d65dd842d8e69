# The server of the live page, by curl: what it says of a run, to whom, and what it costs
# the run. The page itself: lca-web-page.bats.
load ../helper
load ../streams
load ../live
load ../web

more_files() {
    train thetas.lca --iterations 8
    allocate thetas.lca run.lca --chunk 100 --by-class --sets train,val
}

# all NAME FILTER: data of a filter's frames of the training set, step by step.
all() {
    "$1" <"$FILES/run.lca" | lca-tap --kind "$2" | jq -c 'select((.set // "train") == "train") | .data' | jq -s .
}

@test "it talks like a tool" {
    talks_like_a_tool lca-web
}

@test "bad use: no run, one that has ended without a recording, a port that is taken" {
    run -2 lca-web missing
    assert_output --partial "missing"
    mkdir ended
    echo '{}' >ended/summary.json
    run -2 lca-web ended
    assert_line "lca-web: error: the run of ended has ended, and has no recording to be played: --record keeps one"
    run -2 env LCA_DIR="$PWD" lca-web
    assert_output --partial "no run of yours is alive"
    run -2 lca-web --history none "$FILES/run.lca"
    assert_output --partial "--history"
    run -2 lca-web --page . "$FILES/run.lca"
    assert_output --partial "there is no index.html"
    serve "$FILES/run.lca"
    run -2 lca-web --port "$port" "$FILES/run.lca"
    assert_output --partial "port $port is taken: give another --port, or 0 for one that is free"
}

@test "the numbers are lca-tap's, step by step" {
    serve "$FILES/run.lca"
    until_true at_step 7
    for ((it = 0; it < 8; it++)); do api "view?window=1&at=$it"; done | jq -s . >views
    jq -ne --slurpfile v views --argjson layers "$(all lca-layers layers)" --argjson classes "$(all lca-classes classes)" \
        --argjson helping "$(all lca-helping helping)" \
        --slurpfile f <(lca-tap --kind lca --fields it,set,cls,L0,L1,res "$FILES/run.lca") '
        def near($a; $b): ($a - $b | fabs) <= 1e-11 * ($b | fabs);
        def same($a; $b): [$a, $b] | map(flatten) | transpose | length > 0 and all(near(.[0]; .[1]));
        $v[0] as $v | ($v | length == 8) and all(range(8); . as $t | $v[$t]
            | (first($f[] | select(.it == $t and .set == "train" and .cls == -1))) as $train
            | (first($f[] | select(.it == $t and .set == "val" and .cls == -1))) as $val
            | .it == $t and .from == $t and .steps == 1 and .missed == 0
            and near(.L0; $train.L0) and near(.loss; $train.L1) and near(.res; $train.res) and near(.held; $val.L1)
            and same(.layers; $layers[$t]) and same(.classes; $classes[$t])
            and same(.p; [range(0; 12; 4) as $k | $helping[$t][$k]])
            and same(.q; [range(1; 12; 4) as $k | $helping[$t][$k]]))'
}

@test "a window sums up its steps; cells add up to the layer, of a class too" {
    serve "$FILES/run.lca"
    until_true at_step 7
    for ask in "window=3&at=6&class=-1" "window=0&class=4" "window=100&at=2&class=-1&layer=1"; do api "view?$ask"; done >views
    py "$(all lca-layers layers)" "$(all lca-layers class_layers)" <<'END'
import base64
layers, classes = (np.array(json.loads(a)) for a in sys.argv[1:3])
views = [json.loads(line) for line in open('views')]
head = json.load(open('runs'))[0]

def cells(view):
    """The value of each layer's cells, and how far off it may be."""
    q = np.frombuffer(base64.b64decode(view['map']['cells']), '<i2') / 32767
    out, at = [], 0
    for k, most in enumerate(view['map']['max']):
        n = sum(p['rows'] * p['cols'] for p in head['layers'][view['map']['first'] + k]['patches'])
        v = np.sign(q[at:at + n]) * q[at:at + n] ** 2 * most
        out.append((v.sum(), (np.abs(v) * most).__pow__(.5).sum() / 32767 + 1e-6 * np.abs(v).sum()))
        at += n
    assert at == len(q)
    return out

for view, sums, span in zip(views, [layers[4:7].sum(0), classes.reshape(8, 10, 2)[:, 4].sum(0), layers[:3].sum(0)],
                            [(4, 6), (0, 7), (0, 2)]):
    assert (view['from'], view['it']) == span, view['from']
    np.testing.assert_allclose(view['layers'], sums, rtol=1e-9)
    for (value, off), want in zip(cells(view), sums[view['map']['first']:]):
        assert abs(value - want) <= off, (value, want, off)
assert [len(v['map']['max']) for v in views] == [2, 2, 1]
END
}

@test "events: the run, then its steps, with points for the curves; no more a second than --rate" {
    serve --pace 2000 --rate 4 "$FILES/run.lca"
    timeout 2 curl -sN "$url/api/events?window=1" >events || true
    assert_equal "$(head -1 events)" "event: run"
    sed -n 's/^data: //p' events | jq -s '[.[] | select(.trace)] as $v
        | ($v[-1].it == 7) and ($v | length <= 9) and ($v[0].trace.whole)
        and ([$v[].trace.it[]] == [range(8)]) and ([$v[].trace.res[]] | length == 8)' >result
    assert_equal "$(cat result)" true
    # what is asked for in vain is passed over
    curl -s "$url/api/view?run=0&class=99&layer=-7&window=x&at=1e9" | jq -e '.class == -1 and .layer == -1 and .it == 7'
    for path in 'api/view?run=1' 'api/steps?run=x' api/nothing ../../etc/passwd %2e%2e/lca-web; do
        run curl -s --path-as-is -o /dev/null -w '%{http_code}' "$url/$path"
        [ "$output" = 404 ] || [ "$path" = 'api/steps?run=x' ]
    done
}

@test "only this machine and this user are answered, and the page can load nothing from elsewhere" {
    serve "$FILES/run.lca"
    status_of() { curl -s -o /dev/null -w '%{http_code}' "$@"; }
    assert_equal "$(status_of "$url/api/runs")" 200
    assert_equal "$(status_of -H 'Host: localhost' "$url/api/runs")" 200
    assert_equal "$(status_of -H 'Host: localhost:1234' "$url/api/runs")" 200
    for host in evil.example "evil.example:$port" 127.0.0.1.evil.example "127.0.0.1:$port.evil.example" '127.0.0.1:' ''; do
        assert_equal "$host $(status_of -H "Host: $host" "$url/api/runs")" "$host 403"
    done
    for method in POST PUT DELETE OPTIONS; do
        assert_equal "$(status_of -X $method "$url/api/runs")" 405
    done
    assert_equal "$(status_of --data-binary "@$FILES/s.data" "$url/api/runs")" 405
    for path in / /api/runs /api/nothing; do
        run curl -si "$url$path"
        assert_line --regexp "^Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
        assert_line --regexp '^X-Content-Type-Options: nosniff'
        assert_line --regexp '^Cross-Origin-Resource-Policy: same-origin'
        refute_line --regexp '^Access-Control-Allow-Origin'
    done
    # it listens on 127.0.0.1 alone
    run awk -v port=":$(printf %04X "$port")" '$4 == "0A" && index($2, port) { print $2 }' /proc/net/tcp /proc/net/tcp6
    assert_output "0100007F:$(printf %04X "$port")"
    if [ "$(id -u)" = 0 ] && id nobody >/dev/null; then
        run ! setpriv --reuid nobody --clear-groups curl -s "$url/api/runs"
        assert_file_contains web.err "refused a connection of another user"
    fi
}

@test "without the page it says how to build it, and answers all the same" {
    mkdir bare
    cp "$(command -v lca-web)" bare
    bg web bare/lca-web --port 0 "$FILES/run.lca"
    until_true [ -s web.out ]
    url=$(cat web.out) url=${url%/}
    run curl -si "$url/"
    assert_line --regexp '^HTTP/1.1 503'
    assert_line 'The page is not built: run `make web` (it needs npm), then start lca-web again.'
    assert_file_contains web.err 'the page is not built: run `make web`'
    curl -s "$url/api/runs" | jq -e '.[0].name == "run.lca"'
}

@test "a recording that is cut off is shown as far as it goes, beside others" {
    head -c $(($(stat -c %s "$FILES/run.lca") * 2 / 3)) "$FILES/run.lca" >cut.lca
    echo nothing >bad.lca
    serve cut.lca good="$FILES/run.lca" bad.lca
    until_true in_state 2 bad
    until_true in_state 1 ended
    until_true in_state 0 bad
    api runs | jq -e '[.[].name] == ["cut.lca", "good", "bad.lca"] and (.[0].why | test("cut.lca"))'
    api 'view?run=0' | jq -e '.it >= 3 and .it < 7'
    run curl -s "$url/api/view?run=2"
    assert_output "No step of this run has come yet."
}

# pipeline STEPS NAME [OPTION]...: a run in out, and again when it is called again
pipeline() {
    rm -rf out/run.json out/summary.json
    cat >stages <<END
train:     lca-train --net $FILES/relu.json --data $FILES/s.data --iterations $1 --batch 50 --examples 500 ${*:3} --out ipc:theta
integrate: lca-integrate --in ipc:theta --pool ipc:pool --out ipc:lca --expect layers,record --chunk 100
grad*2:    lca-grad --data $FILES/s.data --pool ipc:pool
layers:    lca-layers --in ipc:lca --out - --tap ipc:layers | lca-tap --json > "\$LCA_OUT/layers.jsonl"
record:    lca-cat --in ipc:lca --out "\$LCA_OUT/$2.lca"
END
    bg run lca-run --quiet --out out stages
}

@test "a live run: it may begin later, ends, begins again; its bytes are the same as without" {
    unset LCA_DIR
    mkdir out
    serve --rate 20 out
    api runs | jq -e '.[0].state == "waiting"'
    timeout 50 curl -sN "$url/api/events?window=1" >events & pid[curl]=$!
    pipeline 300 first
    until_true in_state 0 live
    ends run 0
    until_true in_state 0 ended
    api 'view?window=0' | jq -e '.it > 250 and .first + .steps + .missed_in_all == .it + 1'
    # another path: where steps are missed, the same one would be taken for what was seen, going on
    pipeline 1000000 second --seed 2
    until_true in_state 0 live
    until_true at_least 20
    kill -9 "${pid[run]}"
    ends run 137
    until_true in_state 0 gone
    pipeline 300 third
    until_true in_state 0 live
    ends run 0
    until_true in_state 0 ended
    cmp out/first.lca out/third.lca
    # the page has been told of each beginning
    kill "${pid[curl]}"
    run jq -Rr 'select(startswith("data: ")) | .[6:] | try fromjson catch {} | .beginning // empty' events
    assert_line 1
    assert_line 2
    assert_line 3
    diff <(jq -c 'select(.kind == "layers") | .data' out/layers.jsonl) \
        <(lca-layers <out/first.lca | lca-tap --kind layers | jq -c .data)
}

@test "a socket whose stream has gone is waited for, and takes no processor time" {
    export LCA_DIR=$PWD/ipc
    bg grad lca-grad --data "$FILES/s.data" --pool ipc:pool
    bg train lca-train --net "$FILES/relu.json" --data "$FILES/s.data" --iterations 1000000 --batch 50 --examples 500 --out ipc:theta
    bg run lca-integrate --in ipc:theta --pool ipc:pool --out ipc:lca --chunk 100
    bg reader lca-layers --in ipc:lca --out layers.lca
    serve ipc:lca
    until_true in_state 0 live
    kill -9 "${pid[run]}"
    until_true in_state 0 gone
    before=$(cpu "${pid[web]}")
    sleep 1
    [ $(($(cpu "${pid[web]}") - before)) -le 5 ]
}

@test "a browser that does not read holds up nobody, and costs no memory" {
    unset LCA_DIR
    mkdir out
    serve --rate 60 out
    pipeline 1000000 lca
    until_true at_least 1
    curl -sN "$url/api/events?window=1" >deaf & pid[deaf]=$!
    curl -sN "$url/api/events?window=1" >good & pid[good]=$!
    until_true has deaf 1
    kill -STOP "${pid[deaf]}"
    until_true at_least 100
    before=$(peak "${pid[web]}")
    size=$(stat -c %s good)
    until_true at_least 400
    [ "$(stat -c %s good)" -gt "$size" ]
    # a sanitizer keeps what is freed
    [[ ${LCA_BIN:-} == */san/* ]] || [ $(($(peak "${pid[web]}") - before)) -lt 2000 ]
    kill -CONT "${pid[deaf]}"
    kill "${pid[deaf]}" "${pid[good]}"
    kill -TERM "${pid[web]}"
    ends web 0
    kill -TERM "${pid[run]}"
    ends run 130
}

@test "make watch's script: the demo with the page beside it, until Ctrl-C" {
    unset LCA_DIR
    bg watch env PORT=0 "$ROOT/pipelines/watch.sh" --out out --iterations 3 --examples 1000 --heldout 0 --record
    until_true grep -q 'stays at' watch.out
    url=$(sed -n '1s,^the live page is at \(http://127.0.0.1:[0-9]*\)/$,\1,p' watch.out)
    until_true in_state 0 ended
    assert_equal "$(jq .iterations out/summary.json)" 3
    api view | jq -e '.it == 2 and (.layers | length) == 3'
    server=$(pgrep -P "${pid[watch]}" lca-web)
    kill -INT "$server"
    ends watch 0
    run kill -0 "$server"
    assert_failure
}
