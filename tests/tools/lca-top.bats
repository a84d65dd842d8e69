load ../helper
load ../streams
load ../live

# Runs live where the test can see them, and each is ended by the test.
setup() {
    runs_apart
    export TERM=xterm
    unset NO_COLOR
}

teardown() { runs_end; }

# start OUT STEPS: a run; `stop OUT` ends it in order.
start() {
    cat >"$1.stages" <<END
train:     lca-train --net $FILES/relu.json --data $FILES/s.data --iterations $2 --batch 50 --examples 500 --out ipc:theta
integrate: lca-integrate --in ipc:theta --pool ipc:pool --out ipc:lca --expect layers,record --chunk 100
grad*2:    lca-grad --data $FILES/s.data --pool ipc:pool
layers:    lca-layers --in ipc:lca --out - --tap ipc:layers | lca-tap --json > "\$LCA_OUT/layers.jsonl"
record:    lca-cat --in ipc:lca --out "\$LCA_OUT/lca.lca"
END
    bg "$1" lca-run --quiet --out "$1" "$1.stages"
    until_true [ -S "$1/ipc/layers.tap" ]
}

stop() {
    kill -TERM "${pid[$1]}"
    ends "$1" 130
}

# told OUT FILTER: the first answer of jq to the STATUS frames of a run
told() {
    lca-top --json -n 9 "$1" | jq -nr "first(inputs | $2)"
}

term() { "$PYTHON" "$ROOT/tests/terminal.py" "$@"; }

@test "it talks like a tool" {
    talks_like_a_tool lca-top
}

@test "bad use: what is no run, one that has ended, none at all" {
    run -2 lca-top missing
    assert_output --partial "missing is neither a run's folder nor an output's socket"
    mkdir ended
    echo '{}' >ended/summary.json
    run -2 lca-top ended
    assert_output "lca-top: error: the run of ended has ended: ended/summary.json has its results"
    run -2 env TMPDIR=/nowhere LCA_DIR="$PWD" lca-top
    assert_output --partial "no stage is alive in $PWD"
    run -2 lca-top --interval 0
    assert_output --partial "--interval"
    run -2 lca-top --count 0 .
}

@test "not on a terminal: a line for each stage and worker, and for the run" {
    start out 1000000
    lca-top -n 2 -i 2 out >lines
    stop out
    for what in 'run: step [0-9]+/1000000  loss [0-9.]+  residual [-0-9.e]+  [0-9]+ steps/min' \
        'train: (runs|waits for integrate), step [0-9]+, [0-9.]+ steps/s, [0-9.]+ MB/s, [0-9]+ kept, [0-9.]+ MiB, [0-9]+% cpu' \
        'integrate: (runs|waits for (layers|record|ipc:theta)), step [0-9]+, .* kept, [0-9]+ behind, credit [0-9]+, ' \
        'layers: (runs|waits for ipc:lca), step [0-9]+, .* behind, credit [0-9]+, ' \
        'record: here, step [0-9]+, [0-9.]+ steps/s, [0-9]+ behind, credit [0-9]+' \
        'pool: [0-9]+ units wait, [0-9]+ points in flight, [0-9]+ done, 0 given twice, [0-9.]+ units/s' \
        'grad.1: (busy|idle), [0-2] held, [0-9]+ done, [0-9.e-]+ s each, pid [0-9]+ on '; do
        run grep -cE "^$what" lines
        assert_output 2
    done
    # nothing but text, and the stages in the order of the frames
    run grep -cP '[^\x20-\x7e]' lines
    assert_output 0
    run awk -F: 'NR <= 5 { print $1 }' lines
    assert_equal "$(tr '\n' ' ' <<<"$output")" "run train integrate layers record "
}

@test "a run that is watched leaves the same bytes, and its end is the watcher's: 0, with the last picture" {
    start calm 60
    ends calm 0
    start out 60
    for k in 1 2 3; do bg "top$k" lca-top --interval 0.1 out; done
    ends out 0
    for k in 1 2 3; do ends "top$k" 0; done
    cmp calm/lca.lca out/lca.lca
    cmp calm/layers.jsonl out/layers.jsonl
    run tail -8 top1.out
    assert_line --regexp '^run: step 60/60  '
    assert_line --regexp '^train: done, step 60, 0 kept'
    assert_line --regexp '^integrate: done, step 59, 0 kept'
    assert_line --regexp '^record: done, step 59, 0 behind'
    assert_line --regexp '^grad.2: done'
}

@test "--json: STATUS frames, as they come" {
    start out 1000000
    run --separate-stderr lca-top --json -n 9 out
    assert_success
    stop out
    assert_equal "${#lines[@]}" 9
    run jq -se 'all(.t == "STATUS" and .opt and .pid > 0 and .up >= 0 and .rss > 1e6) and
        ([.[].name] | unique == ["integrate", "layers", "train"]) and
        (map(select(.name == "integrate")) | all(.st == "lca" and (.workers | length == 2) and
            ([.consumers[].name] | sort == ["layers", "record"]) and .out[0].window > 0))' <<<"$output"
    assert_success
}

@test "on a terminal: drawn in place, as wide as the window; q leaves it as it was" {
    start out 1000000
    run term 24 100 wait:'grad.2' wait:MB/S wait:loss wait:train save:wide size:8,40 wait:'... and' save:narrow raw:raw key:q -- lca-top -i 0.2 out
    stop out
    assert_success
    assert_line --index 0 'lca-top  out'
    assert_line --regexp '^grad.1 '
    run cat wide
    assert_line --index 0 'lca-top  out'
    assert_line --regexp '^step [0-9]+/1000000  loss '
    assert_line --regexp '^STAGE +STATE +STEP +STEPS/S +MB/S +KEPT +BEHIND +CREDIT +MEMORY +CPU$'
    assert_line --regexp '^record +here '
    assert_line --regexp '^WORKER +STATE +HELD +DONE +S/UNIT +PID +HOST$'
    assert_equal "$(wc -l <narrow)" 7
    assert_equal "$(awk 'length > 40' narrow)" ""
}

@test "on a terminal: Ctrl-C and SIGTERM leave it too, and so does the end of the run" {
    start out 1000000
    run term 24 100 wait:train key:$'\x03' -- lca-top out
    assert_success
    run term 24 100 wait:train kill:TERM -- lca-top out
    assert_success
    # one that cannot be drawn on gets lines
    TERM=dumb run term 24 100 wait:'train: ' key:$'\x03' -- lca-top -i 0.2 out
    assert_success
    refute_line --partial $'\e'
    run term 24 100 wait:train run:"kill -TERM ${pid[out]}" -- lca-top out
    assert_success
    assert_line --index 0 'lca-top  out: has ended'
    assert_line --regexp '^train +stopped '
    ends out 130
}

@test "a worker that is stopped is late, one that is killed is gone, a stage that is stopped silent: in colour" {
    start out 1000000
    layers=$(told out 'select(.name == "layers").pid')
    read -r one two <<<"$(told out '.workers // [] | select(length == 2) | sort_by(.name) | "\(.[0].pid) \(.[1].pid)"')"
    bg top lca-top -i 0.5 out
    for no in '' 1; do
        NO_COLOR=$no bg "term$no" term 24 100 wait:'layers  ' run:"touch at$no" wait:late wait:silent raw:"raw$no" key:q \
            -- lca-top -i 0.2 out
        until_true [ -e "at$no" ]
    done
    until_true grep -q '^grad.2: busy' top.out
    kill -STOP "$one"
    kill -9 "$two"
    until_true grep -q '^grad.2: gone' top.out
    kill -STOP "$layers"
    until_true grep -q '^layers: silent for [0-9]* s' top.out
    until_true grep -q '^grad.1: late, [12] held' top.out
    assert_file_contains top.out ', 1 worker late$'
    ends term 0
    ends term1 0
    kill -CONT "$one" "$layers"
    lines=$(wc -l <top.out)
    until tail -n +"$lines" top.out | grep -q '^grad.1: busy'; do sleep 0.02; done
    kill "${pid[top]}"
    ends top 0
    stop out
    run grep -cE $'\e\\[33msilent|\e\\[31mlate' raw
    refute_output 0
    run grep -c $'\e\\[3[0-9]m' raw1
    assert_output 0
}

@test "without operands: the run there is, the newest of several, or LCA_DIR" {
    start one 1000000
    run --separate-stderr lca-top -n 1 -i 0.1
    assert_success
    assert_equal "$stderr" ""
    assert_line --regexp '^train: '
    start two 1000000
    run --separate-stderr lca-top -n 1 -i 0.1
    assert_success
    [[ $stderr == *"lca-top: 2 runs are alive; this is the newest, $PWD/two" ]]
    LCA_DIR=$(readlink one/ipc) run --separate-stderr lca-top -n 1 -i 0.1
    assert_success
    assert_equal "$stderr" ""
    # both at once, and one output alone
    run lca-top -n 1 -i 0.1 one two
    assert_line --regexp '^one: train: '
    assert_line --regexp '^two: grad.1: '
    run lca-top -n 1 -i 0.1 one/ipc/lca
    assert_line --regexp '^integrate: '
    refute_line --regexp '^train: '
    stop one
    stop two
}

@test "an output on the network: with its keys, and refused without" {
    lca-keygen hub >pairs
    lca-keygen me >>pairs
    mkdir friends
    cp me.pub friends/
    train thetas.lca
    at=tcp://127.0.0.1:$((30000 + RANDOM % 10000))
    mkdir -m 700 ipc
    LCA_DIR=$PWD/ipc bg cat lca-cat --in thetas.lca --out ipc:theta --tap "$at" --key hub.key --peers friends
    run lca-top -n 1 -i 0.1 --key me.key --server-key hub.pub "$at"
    assert_success
    assert_line --regexp '^lca-cat: waits for a consumer, 0 kept, '
    run -2 lca-top -n 1 "$at"
    assert_output --partial "error: $at"
}
