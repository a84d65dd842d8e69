# live.bash: real processes within a test: load ../live after ../helper.
#
# Each test has an empty folder for its sockets. A test waits for states, never for
# times; one that never comes ends it.
BATS_TEST_TIMEOUT=60
declare -gA pid

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    LCA_DIR=$(mktemp -d /tmp/lt.XXXX)
    export LCA_DIR
}

teardown() {
    kill_all
    rm -rf "$LCA_DIR"
}

# kill_all: what bg has started.
kill_all() {
    local p
    for p in "${pid[@]}"; do
        kill -9 "$p" 2>/dev/null
        wait "$p" 2>/dev/null
    done
    return 0
}

# runs_apart, runs_end: setup and teardown where lca-run is killed: the folders of its sockets are
# where the test can see them, and it waits until the guards of what it killed have removed them.
runs_apart() {
    cd "$BATS_TEST_TMPDIR" || return
    XDG_RUNTIME_DIR=$(mktemp -d /tmp/lt.XXXX)
    export XDG_RUNTIME_DIR
    unset LCA_DIR
}

runs_end() {
    local k
    kill_all
    for ((k = 0; k < 100; k++)); do
        [ -n "$(ls "$XDG_RUNTIME_DIR")" ] || break
        sleep 0.05
    done
    rm -rf "$XDG_RUNTIME_DIR"
}

# bg NAME COMMAND...: in the background; NAME.out, NAME.err, ${pid[NAME]}.
bg() {
    "${@:2}" >"$1.out" 2>"$1.err" 3>&- &
    pid[$1]=$!
}

# part PIPE FILE BYTES...: PIPE gives FILE up to the first of BYTES, and goes on to the next, or to
# the end, with each `more PIPE`. What reads it is not over before a test has acted, however late a
# busy machine lets it act, or however fast that run is.
part() {
    mkfifo "$1"
    bg "$1.feeder" bash -c 'exec >"$1"
        at=0
        for to in "${@:3}"; do
            tail -c "+$((at + 1))" "$2" | head -c $((to - at))
            at=$to
            until [ -e "$1.more" ]; do sleep 0.02; done
            rm "$1.more"
        done
        exec tail -c "+$((at + 1))" "$2"' - "$@"
}
more() { touch "$1.more"; }

# ends NAME STATUS [TEXT]: waits for it; its messages match TEXT.
ends() {
    local status=0
    wait "${pid[$1]}" || status=$?
    unset "pid[$1]"
    if [ $status -ne "$2" ] || ! grep -qE -- "${3:-}" "$1.err" && [ -n "${3:-}" ]; then
        echo "$1 ended with $status, expected $2${3:+ and: $3}"
        cat "$1.err"
        return 1
    fi
}

# until_true COMMAND...
until_true() {
    until "$@"; do
        sleep 0.02
    done
}

# has FILE BYTES; says NAME TEXT
has() { [ -e "$1" ] && [ "$(stat -c %s "$1")" -ge "$2" ]; }
says() { grep -qsE -- "$2" "$1.err"; }

# Hundredths of a second of processor time; KiB of memory at most.
cpu() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
peak() { awk '/VmHWM/ { print $2 }' "/proc/$1/status"; }

# still FILE: it has stopped growing.
still() {
    local size
    size=$(stat -c %s "$1")
    sleep 0.4
    [ "$size" -eq "$(stat -c %s "$1")" ]
}

# frames FILE [OPTION]...: number of data frames, also while it is being written.
frames() { lca-tap "${@:2}" --fields seq "$1" 2>/dev/null | grep -c '"seq"' || true; }

# free_port: one on which nobody listens now.
free_port() {
    "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
