load ../helper
bats_require_minimum_version 1.5.0

# Sockets go where the test can see whether anything is left; a value in the
# environment marks every process of the run.
setup() {
    cd "$BATS_TEST_TMPDIR"
    XDG_RUNTIME_DIR=$(mktemp -d /tmp/run-XXXXXX)
    RUN_MARK=mark-$$-$RANDOM-$BATS_TEST_NUMBER
    export XDG_RUNTIME_DIR RUN_MARK TERM=xterm
    mkdir fake
    PATH=$PWD/fake:$PATH
}

teardown() {
    until_true nothing_alive || true
    for p in $(alive); do kill -9 "$p"; done
    rm -rf "$XDG_RUNTIME_DIR"
}

# Processes that carry the mark, the test's own apart (their environment was set at exec).
alive() {
    /usr/bin/python3 - <<'PY'
import os
mark = b"RUN_MARK=" + os.environ["RUN_MARK"].encode()
for p in filter(str.isdigit, os.listdir("/proc")):
    try:
        if int(p) != os.getpid() and mark in open(f"/proc/{p}/environ", "rb").read().split(b"\0"):
            print(p, end=" ")
    except OSError:
        pass
PY
}
nothing_alive() { [ -z "$(alive)" ]; }
nothing_left() { nothing_alive && [ -z "$(ls "$XDG_RUNTIME_DIR")" ]; }

# Waits for a state, 15 s at most.
until_true() {
    for ((k = 0; k < 300; k++)); do
        "$@" && return 0
        sleep 0.05
    done
    echo "never became true: $*"
    return 1
}

# Starts lca-run in the background on the stages of stdin: $pid, messages in err. bash
# has such a job ignore SIGINT; lca-run and its stages take it all the same.
# start [OPTION of env]...
start() {
    cat >stages
    env "$@" lca-run --out out stages 2>err 3>&- &
    pid=$!
}
finish() {
    status=0
    wait "$pid" || status=$?
    nothing_left || { alive; ls -la "$XDG_RUNTIME_DIR"; return 1; }
}

@test "all stages end: 0, results, nothing left" {
    cat >s <<'E'
# a comment
one: echo "$LCA_STAGE $LCA_OUT $OPENBLAS_NUM_THREADS" >&2; \
     readlink "$LCA_OUT/ipc" >link; stat -c %a "$LCA_DIR" >mode; echo "$LCA_DIR" >dir

w*2: echo "I am $LCA_STAGE" >&2; cat
E
    run lca-run --out deep/er/out s
    assert_success
    assert_line "one $PWD/deep/er/out 1"
    assert_line "I am w.1"
    assert_line "I am w.2"
    assert_equal "$(sort deep/er/out/log)" "$(printf '%s\n' "${lines[@]}" | sort)"
    assert_equal "$(cat link)" "$(cat dir)"
    assert_equal "$(cat mode)" 700
    assert_equal "$(dirname "$(cat dir)")" "$XDG_RUNTIME_DIR"
    assert_link_not_exists deep/er/out/ipc
    nothing_left
    assert_equal "$(jq -r .status deep/er/out/summary.json)" ok
    assert_equal "$(jq -c '[.stages[]|[.name,.workers]]' deep/er/out/run.json)" '[["one",null],["w",2]]'
    assert_equal "$(jq -r .argv[2] deep/er/out/run.json)" deep/er/out
    assert_equal "$(jq -r '.machine.cores' deep/er/out/run.json)" "$(nproc)"
    run jq -re '.started, .versions.lca, .machine.host, .machine.cpu' deep/er/out/run.json
    assert_success
}

@test "the order of the lines does not matter" {
    b='writer: until [ -p "$LCA_DIR/p" ]; do sleep 0.02; done; echo data >"$LCA_DIR/p"'
    c='maker: mkfifo "$LCA_DIR/p"'
    a='reader: until [ -p "$LCA_DIR/p" ]; do sleep 0.02; done; cat "$LCA_DIR/p" >got'
    for order in "$a|$b|$c" "$c|$b|$a"; do
        rm -rf out got
        tr '|' '\n' <<<"$order" | lca-run --out out -
        assert_equal "$(cat got)" data
    done
    nothing_left
}

@test "stdin of a stage is empty, stdout is lca-run's, pipefail holds" {
    run --separate-stderr lca-run --out out - <<<'a: cat; echo to stdout'
    assert_success
    assert_output "to stdout"
    run lca-run --out out2 - <<<'a: false | true'
    assert_failure 1
}

@test "a failing stage stops the others and gives its status" {
    start <<'E'
slow: trap 'echo told >told; exit 0' TERM; touch ready; sleep 100 & wait
deaf: trap '' TERM; while ! [ -e told ]; do sleep 0.05; done; kill -9 $$
bad: until [ -e ready ]; do sleep 0.02; done; exit 7
E
    finish
    assert_equal "$status" 7
    assert_file_exists told
    run cat err
    assert_line "lca-run: stage bad exited with status 7: stopping the others"
    assert_line "lca-run: error: stage bad exited with status 7"
    refute_output --partial slow
    refute_output --partial deaf
    assert_equal "$(jq -r .status out/summary.json)" failed
}

@test "a stage that ignores SIGTERM is killed 5 s later" {
    begun=$SECONDS
    run lca-run --out out - <<'E'
deaf: trap '' TERM; touch ready; while :; do sleep 0.2; done
bad: until [ -e ready ]; do sleep 0.02; done; exit 3
E
    assert_failure 3
    ((SECONDS - begun >= 4 && SECONDS - begun <= 9))
    nothing_left
}

@test "a killed stage gives 128 and the signal" {
    run lca-run --out out - <<<'a: kill -SEGV $$'
    assert_failure 139
    assert_output --partial "stage a killed by signal 11"
}

@test "a command that does not exist is a failure that is seen" {
    run -127 lca-run --out out - <<<'a: lca-no-such-tool'
    assert_output --partial "lca-no-such-tool"
}

@test "workers may die, one or all" {
    run lca-run --out out - <<'E'
grad*3: case $LCA_STAGE in *.1) until [ -e gone2 ]; do sleep 0.02; done; exit 5;; \
  *.2) kill -9 $$;; *) until [ -e gone1 ]; do sleep 0.02; done; exit 6;; esac
main: wait_for() { until grep -q "$1" out/log; do sleep 0.02; done; }; \
  wait_for 'grad.2 killed'; touch gone2; wait_for 'grad.1 exited'; touch gone1; wait_for 'grad.3 exited'
E
    assert_success
    assert_line "lca-run: worker grad.2 killed by signal 9; the run goes on with 2"
    assert_line "lca-run: worker grad.1 exited with status 5; the run goes on with 1"
    assert_line "lca-run: worker grad.3 exited with status 6; no grad is left"
    assert_equal "$(jq -r .status out/summary.json)" ok
}

@test "workers left over are told to leave after 10 s" {
    begun=$SECONDS
    run lca-run --out out - <<'E'
w: true
left*2: trap 'exit 0' TERM; sleep 100 & wait
E
    assert_success
    assert_line "lca-run: all stages are done: stopping 2 workers left"
    ((SECONDS - begun >= 9 && SECONDS - begun <= 14))
    nothing_left
}

@test "Ctrl-C once: stages get SIGINT, the run drains, 130" {
    start <<'E'
source: trap 'touch interrupted; exit 130' INT; touch ready; while :; do sleep 0.05; done
filter: trap '' INT; until [ -e interrupted ]; do sleep 0.05; done; sleep 0.3; \
        echo '{"drained": true}' >"$LCA_REPORT"
plain: sleep 100
w*1: trap '' INT; until [ -e interrupted ]; do sleep 0.05; done
E
    until_true test -e ready
    kill -INT $pid
    finish
    assert_equal "$status" 130
    assert_equal "$(jq -c '[.status, .drained]' out/summary.json)" '["interrupted",true]'
    run cat err
    assert_output --partial "lca-run: interrupted"
    refute_output --partial "exited with"
}

@test "SIGTERM is taken as the first Ctrl-C" {
    start --default-signal=HUP <<<'source: trap "exit 130" INT; touch ready; while :; do sleep 0.05; done'
    until_true test -e ready
    kill -TERM $pid
    finish
    assert_equal "$status" 130
}

@test "a lost terminal ends the run in order, but not under nohup" {
    start --default-signal=HUP <<<'source: trap "exit 130" INT; touch ready; while :; do sleep 0.05; done'
    until_true test -e ready
    kill -HUP $pid
    finish
    assert_equal "$status" 130
    rm -rf out ready
    trap '' HUP
    start <<<'a: touch ready; until [ -e go ]; do sleep 0.02; done'
    until_true test -e ready
    kill -HUP $pid
    touch go
    finish
    assert_equal "$status" 0
}

@test "Ctrl-C twice ends what is deaf, 130" {
    start <<'E'
deaf: trap '' INT TERM; touch ready; while :; do sleep 0.1; done
E
    until_true test -e ready
    kill -INT $pid
    until_true grep -q interrupted err
    begun=$SECONDS
    kill -INT $pid
    finish
    assert_equal "$status" 130
    ((SECONDS - begun <= 5))
    assert_equal "$(jq -r .status out/summary.json)" interrupted
}

@test "Ctrl-C before the stages have met: those that would wait for ever are stopped, 130" {
    start <<'E'
source: trap 'exit 130' INT; touch ready; while :; do sleep 0.05; done
waits: trap '' INT; while :; do sleep 0.05; done
E
    until_true test -e ready
    kill -INT $pid
    finish
    assert_equal "$status" 130
    assert_equal "$(jq -r .status out/summary.json)" interrupted
}

@test "a stage that ends with 130 without Ctrl-C has failed" {
    run lca-run --out out - <<<'a: exit 130'
    assert_failure 130
    assert_equal "$(jq -r .status out/summary.json)" failed
}

@test "a failure after Ctrl-C still stops the others" {
    start <<'E'
source: trap 'exit 4' INT; touch ready; while :; do sleep 0.05; done
deaf: trap '' INT; while :; do sleep 0.05; done
E
    until_true test -e ready
    kill -INT $pid
    finish
    assert_equal "$status" 4
}

@test "kill -9 of lca-run leaves nothing" {
    start <<'E'
pipe: cat /dev/zero | sleep 100 | cat
deaf: trap '' TERM INT HUP; touch ready1; while :; do sleep 0.1; done
tree: (sleep 100 & sleep 100 & wait) & wait
stray: setsid bash -c 'trap "" TERM; touch ready2; while :; do sleep 0.1; done' & sleep 100
w*2: sleep 100
E
    until_true test -e ready1 -a -e ready2
    assert_link_exists out/ipc
    [ "$(wc -w <<<"$(alive)")" -ge 10 ]
    kill -9 $pid
    wait $pid || true
    until_true nothing_left
    assert_link_not_exists out/ipc
}

@test "after kill -9 a stage is told once, by SIGTERM, and has time to end" {
    start <<'E'
a: exec 2>/dev/null; trap 'echo told >>told' TERM; touch ready; until [ -e told ]; do sleep 0.05; done; \
   for k in {1..10}; do sleep 0.05; done; echo ended >>told
E
    until_true test -e ready
    kill -9 $pid
    wait $pid || true
    until_true nothing_left
    assert_equal "$(tr '\n' ' ' <told)" "told ended "
}

@test "kill -9 during the start leaves nothing" {
    for ((n = 0; n < 8; n++)); do
        rm -rf out
        start <<<'w*40: sleep 100
a: sleep 100'
        sleep "0.00$((n * 3))"
        kill -9 $pid
        wait $pid || true
        until_true nothing_left
        assert_not_exists out/summary.json
    done
}

@test "what a stage leaves behind ends with the run" {
    run timeout 20 lca-run --out out - <<'E'
a: setsid sleep 100 & env -i setsid sleep 101 & sleep 102 & (trap "" TERM; sleep 103) & exit 0
E
    assert_success
    nothing_left
    run pgrep -f '^sleep 10[123]$'
    assert_failure
}

@test "what is still writing after a stage's end is heard" {
    run lca-run --out out - <<<'a: (sleep 0.3; echo late >&2) & exit 0'
    assert_success
    assert_line late
}

@test "the children that lca-run was started with are spared" {
    bash -c 'sleep 77 3>&- & echo $! >child; exec lca-run --out out - <<<"a: true"'
    kill "$(cat child)"
}

@test "lines of stages do not mix, an unfinished one is ended" {
    start <<'E'
a: for k in {1..300}; do printf aaaa >&2; printf 'aaaa\n' >&2; done
b: for k in {1..300}; do printf bbbb >&2; printf 'bbbb\n' >&2; done
c: printf cut >&2
E
    finish
    assert_equal "$status" 0
    assert_equal "$(sort err | uniq -c | tr -s ' \n' ' ')" " 300 aaaaaaaa 300 bbbbbbbb 1 cut "
    assert_equal "$(sort err)" "$(sort out/log)"
}

@test "reports are merged in the order of the file" {
    cat >s <<'E'
late: until [ -e done ]; do sleep 0.02; done; echo '{"loss":2,"o":{"b":2},"steps":5}' >"$LCA_REPORT"
soon: echo '{"loss":3,"o":{"a":1,"b":2}}' >"$LCA_REPORT"; touch done
bad: echo '{"x":' >"$LCA_REPORT"
list: echo '[1]' >"$LCA_REPORT"
E
    run lca-run --out out --iterations 10 --set 'net="n"' --set loss=1 --set iterations=4 --run seed=7 s
    assert_success
    assert_equal "$(jq -c 'del(.seconds_total,.seconds_per_step)' out/summary.json)" \
        '{"net":"n","loss":3,"iterations":4,"o":{"b":2,"a":1},"steps":5,"status":"ok"}'
    jq -e '.seconds_total > 0 and (.seconds_per_step - .seconds_total / 4 | fabs) < 1e-3' out/summary.json
    assert_equal "$(jq .seed out/run.json)" 7
    assert_line "lca-run: warning: late reports another value than before: loss"
    assert_line "lca-run: warning: soon reports another value than before: loss"
    assert_line --partial "warning: the report of bad is left out"
    assert_line "lca-run: warning: the report of list is left out: not a JSON object"
}

@test "mistakes in the command line and the file: 2, and nothing is made" {
    check() {
        run lca-run --out out "${@:2}"
        assert_failure 2
        assert_output --partial "$1"
        assert_not_exists out
    }
    echo 'a: touch ran' >good
    printf 'a: x\nb x\n' >bad
    check "bad:2: a colon is missing after the name b" bad
    check "cannot read nofile" nofile
    check "--set takes KEY=JSON" --set x good
    check "a string needs quotes" --set x=y good
    check "usage: lca-run"
    check "stdin: no stage" - </dev/null
    run lca-run good
    assert_failure 2
    assert_output --partial "--out DIR is missing"
    run lca-run --out out --run x=y good
    assert_failure 2
    assert_not_exists ran
    assert_not_exists out/run.json
    touch file
    run lca-run --out file/out good
    assert_failure 2
    nothing_left
}

@test "a folder that holds a run is refused" {
    lca-run --out out - <<<'a: echo first >>seen'
    cp out/run.json before
    run lca-run --out out - <<<'a: echo second >>seen'
    assert_failure 2
    assert_output --partial "already holds a run: choose another --out or remove it"
    assert_equal "$(cat seen)" first
    cmp before out/run.json
    nothing_left
}

@test "of two runs with one folder at the same time one is refused" {
    echo 'a: echo x >>seen; sleep 0.3' >s
    for k in {1..4}; do
        (lca-run --out out s 2>/dev/null || echo $? >>refused) 3>&- &
    done
    wait
    assert_equal "$(tr '\n' ' ' <refused)" "2 2 2 "
    assert_equal "$(cat seen)" x
    until_true nothing_left
}

@test "an --out of any length: sockets stay within 107 bytes" {
    long=$(printf 'x%.0s' {1..120})
    run lca-run --out "$long/$long" - <<'E'
a: /usr/bin/python3 -c 'import os, socket; s = socket.socket(socket.AF_UNIX); \
   s.bind(os.environ["LCA_DIR"] + "/integrate-gradients-pool.tap.lock")'
E
    assert_success
    # A runtime folder that would not leave room is passed over.
    mkdir "$XDG_RUNTIME_DIR/$long"
    XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR/$long run lca-run --out out - <<<'a: echo "$LCA_DIR" >&2'
    assert_success
    assert_output --regexp '^/tmp/lca-......$'
    assert_not_exists "$output"
}

fake_tap() {
    cat >fake/lca-tap <<'E'
#!/bin/bash
echo "$@" >tap-args
echo "tap says" >&2
echo '{"t":"head"}'
for k in {0..19}; do echo "{\"it\":$k,\"L1\":$((20 - k)),\"res\":1e-6,\"n\":2}"; sleep 0.02; done
touch tap-done
exec sleep 100
E
    chmod +x fake/lca-tap
}

@test "progress without a terminal: plain lines" {
    fake_tap
    run lca-run --out out --progress ipc:lca --iterations 20 - <<<'a: until [ -e tap-done ]; do sleep 0.02; done'
    assert_success
    assert_regex "$(cat tap-args)" '^--json --fields [a-zA-Z0-9,]*it,[a-zA-Z0-9,]* ipc:lca$'
    assert_line --regexp '^step 20/20  loss 1.0000  residual 1.0e-06  [0-9]+ steps/min$'
    assert_line --regexp '^step 10/20  loss 11.0000 .* ETA 0:00:0[0-9]$'
    [ "${#lines[@]}" -le 12 ]
    assert_equal "$(cat out/log)" "tap says"
    nothing_left
    rm -rf out tap-done
    run lca-run --quiet --out out --progress ipc:lca - <<<'a: until [ -e tap-done ]; do sleep 0.02; done'
    assert_success
    assert_output ""
}

@test "progress on a terminal: one line, redrawn around others" {
    fake_tap
    echo 'a: sleep 0.3; echo "a line" >&2; until [ -e tap-done ]; do sleep 0.02; done; echo "the end" >&2' >s
    run script -qec "stty cols 200; lca-run --out out --progress ipc:lca --iterations 20 s" typescript </dev/null
    assert_success
    wipe=$'\r\e[K'
    assert_output --partial "${wipe}step 1/20  loss 20.0000"
    assert_output --regexp $'\r\e\\[Ka line\r\nstep [0-9]+/20 '
    assert_output --regexp $'step 20/20  loss 1.0000[^\r]*\r\n?'
    run grep -c step out/log
    assert_output 0
    # 20 frames in 0.4 s and more: at most 5 a second are drawn, and those around a line.
    [ "$(tr '\r' '\n' <typescript | grep -c step)" -le 12 ]
}

@test "a narrow terminal cuts the line, a dumb one gets plain lines" {
    fake_tap
    echo 'a: until [ -e tap-done ]; do sleep 0.02; done' >s
    run script -qec "stty cols 12; lca-run --out out --progress ipc:lca --iterations 20 s" typescript </dev/null
    assert_success
    assert_output --partial $'\r\e[Kstep 20/20 \r'
    refute_output --partial loss
    rm -rf out tap-done
    TERM=dumb run script -qec "lca-run --out out --progress ipc:lca --iterations 20 s" typescript </dev/null
    refute_output --partial $'\e'
    assert_output --partial "step 20/20  loss 1.0000"
}

@test "a tap that fails or is missing does not matter" {
    printf '#!/bin/bash\nexit 9\n' >fake/lca-tap
    chmod +x fake/lca-tap
    run lca-run --out out --progress ipc:lca - <<<'a: sleep 0.2'
    assert_success
    assert_output ""
    rm fake/lca-tap
    cp "$(command -v lca-run)" fake        # programs are also found beside it
    PATH=$PWD/fake:/usr/bin:/bin run lca-run --out out2 --progress ipc:lca - <<<'a: sleep 0.2'
    assert_success
    grep -q "cannot start lca-tap" out2/log
}

@test "a run goes on when nobody reads its messages" {
    lca-run --out out - <<<'a: for k in {1..50}; do echo $k >&2; sleep 0.01; done; touch done' 2> >(head -n 1 >/dev/null)
    assert_file_exists done
    assert_equal "$(wc -l <out/log)" 50
}

@test "standard descriptors that are closed do no harm" {
    lca-run --out out - <<<'a: echo x >&2; cat' >&- 2>&-
    assert_equal "$(cat out/log)" x
    echo 'a: cat' >s
    lca-run --out out2 s <&-
}

@test "help, version and manual page" {
    run lca-run --help
    assert_success
    assert_output --partial "usage: lca-run --out DIR"
    run lca-run --version
    assert_output --partial "lca-run "
    lca-run --man | grep -q '^.SH OPTIONS'
}

@test "stages find the programs beside lca-run, whatever the PATH" {
    PATH=/usr/bin:/bin run "$(command -v lca-run)" --out out - <<<'a: lca-net --version >&2'
    assert_success
    assert_output --partial "lca-net "
}

@test "--resume starts the same stages again in the same folder, and tells of it" {
    mkdir sub
    cat >s <<'END'
one: [ -n "$LCA_RESUME" ] || exit 4; pwd; echo "$LCA_RESUME $LCA_STAGE $LCA_OUT" >"$LCA_OUT/told"; echo '{"x": 1}' >$LCA_REPORT
w*2: true
END
    run lca-run --out out --set y=2 --iterations 10 --run z=3 s
    assert_failure 4
    assert_equal "$(jq -c '[.status, .x, .y]' out/summary.json)" '["failed",null,2]'
    (cd sub && lca-run --resume ../out >told 2>err)
    assert_equal "$(cat out/told)" "1 one $PWD/out"
    assert_equal "$(cat sub/told)" "$PWD"
    assert_equal "$(jq -c '[.status, .x, .y, .resumed, .seconds_per_step]' out/summary.json)" '["ok",1,2,1,null]'
    jq -e '(.stages | length) == 2 and .z == 3 and (.resumed | length) == 1 and .resumed[0].argv[2] == "../out"' out/run.json
    assert_equal "$(grep -c 'going on with the run in' out/log)" 1
    grep -q 'stage one exited with status 4' out/log
    before=$(cat out/run.json)
    run lca-run --resume out
    assert_success
    assert_output "lca-run: the run in out has ended in order: there is nothing to do"
    assert_equal "$(cat out/run.json)" "$before"
    for wrong in "--set a=1" "--out other" "--iterations 5" "--run a=1" s; do
        run lca-run --resume out $wrong
        assert_failure 2
    done
    # a fresh run is not told to resume, whoever has it in the environment
    LCA_RESUME=1 run lca-run --out fresh s
    assert_failure 4
    nothing_left
}

@test "--resume waits for the guard of a killed run, and is refused while the run is alive" {
    start <<<'a: [ -z "$LCA_RESUME" ] || exit 0; trap "" TERM; while :; do sleep 0.1; done'
    until_true test -e out/ipc
    kill -9 $pid
    # its stage ignores SIGTERM: the guard takes 2 s to end it
    run --separate-stderr lca-run --resume out
    assert_success
    [[ $stderr == *"is in use: waiting 8 s for the end of the run in it"* ]]
    assert_equal "$(jq -r .status out/summary.json)" ok
    wait $pid || true
    nothing_left
}

@test "--resume of what is no run: 2, with the file" {
    mkdir empty
    run lca-run --resume empty
    assert_failure 2
    assert_output --partial "there is no run to go on with: cannot read $PWD/empty/run.json"
    echo '{"stages": 3}' >empty/run.json
    run lca-run --resume empty
    assert_failure 2
    assert_output --partial "it does not say how to go on"
    run lca-run --resume none
    assert_failure 2
    assert_output --partial "cannot find the folder none"
    lca-run --out out - <<<'a: exit 3' 2>/dev/null || true
    jq '.folder = "/nowhere"' out/run.json >r && mv r out/run.json
    run lca-run --resume out
    assert_failure 2
    assert_output --partial "the run's stages were started in /nowhere: cannot enter it"
}
