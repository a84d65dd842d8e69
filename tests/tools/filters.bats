# What holds of every filter over an lca stream: of each program that knows --layers and
# writes frames.
load ../helper
load ../live
load ../streams
BATS_TEST_TIMEOUT=120

more_files() {
    train t.lca --iterations 8
    allocate t.lca all.lca --tolerance off --by-class --emit lca,move,grad,eff
    py <<'PY'
a = read('all.lca')
write('half.lca', a[:len(a) // 2])
np.save('directions.npy', np.linalg.qr(np.random.default_rng(1).standard_normal((4780, 3)))[0].T)
from handmade import *
write('zero.lca', stream(NET, TENSORS, 4, sets=(('train', 100), ('val', 50)), classes=CLASSES,
                         emit=('lca', 'move', 'grad', 'eff'), value=lambda *a: np.zeros(a[-1])))
np.save('zero.npy', np.eye(1, read('zero.lca')[0][0]['P']))
PY
}

filters() {
    local tool
    for tool in "$ROOT"/src/tools/lca-*.c; do
        tool=$(basename "$tool" .c)
        if [ "$("$tool" --help | grep -cE -- '--(layers PATTERN|expect A,B)')" -eq 2 ]; then echo "$tool"; fi
    done
}

# own FILTER DIRECTIONS: the options that it cannot do without.
own() {
    case $1 in
    lca-project) echo "--directions $2" ;;
    lca-correlation) echo "--window 3" ;;       # else it reads a file twice, and nothing live
    esac
}

# each COMMAND: runs it with every filter's name and its own options.
each() {
    local filter options n=0
    for filter in $(filters); do
        read -ra options <<<"$(own "$filter" "$FILES/directions.npy")"
        "$@" "$filter" "${options[@]}" || fail "$filter"
        n=$((n + 1))
    done
    [ $n -ge 7 ]
}

same_bytes() {
    "$@" <"$FILES/all.lca" >"$1.pipe.lca" && "$@" --in "$FILES/all.lca" --out "$1.file.lca" &&
        cmp "$1.pipe.lca" "$1.file.lca" && [ "$(stat -c %s "$1.file.lca")" -gt 1000 ]
}

@test "the same stream twice gives the same bytes" {
    each same_bytes
}

# start_half FILTER...: it has read the first half of the recording and waits for more.
start_half() {
    rm -f pipe
    mkfifo pipe
    exec {hold}<>pipe
    bg "$1" "$@" --in file:pipe --out part.lca
    cat "$FILES/half.lca" >pipe
}

killed() {
    start_half "$@"
    kill -9 "${pid[$1]}"
    wait "${pid[$1]}" 2>/dev/null || true
    unset "pid[$1]"
    exec {hold}<&-
    # from the recording, where it was left and where nothing was
    "$@" --in "$FILES/all.lca" --out part.lca && "$@" <"$FILES/all.lca" | cmp - part.lca
}

@test "killed and started again from the recording: the same bytes as if nothing had been" {
    each killed
}

stopped() {
    start_half "$@"
    kill -TERM "${pid[$1]}"
    ends "$1" 0
    exec {hold}<&-
    [ "$(lca-tap --fields t,status part.lca | tail -n 1)" = '{"t":"EOS","status":"interrupted"}' ]
}

@test "told to stop, it ends its stream in order" {
    each stopped
}

live() {
    bg "$1" "$@" --in ipc:lca --out live.lca
    lca-cat --in "$FILES/all.lca" --out ipc:lca --expect "$1"
    ends "$1" 0
    "$@" <"$FILES/all.lca" | cmp - live.lca
}

@test "live it says what it says of the recording" {
    each live
}

@test "NaN and infinity are refused with step and parameter, by all" {
    py <<'PY'
import os
a = read(os.environ['FILES'] + '/all.lca')
f, = of_kind(a, 'lca', it=5, set='train', cls=-1)
v = array(f).copy()
v[4700] = np.inf
f[1] = v.tobytes()
f, = of_kind(a, 'lca', it=5, set='train', cls=3)
f[1] = v.tobytes()
write('inf.lca', a)
PY
    refuses() {
        run --separate-stderr "$@" --in inf.lca --out p.lca
        assert_failure 5
        [[ $stderr == *"step 5 of train: lca of parameter 4700, one/kernel[783][2], is inf: "* ]]
        # what comes before is good
        "$@" --in inf.lca --steps :5 --out p.lca
    }
    each refuses
}

@test "where nothing happens all end well" {
    local filter options
    for filter in $(filters); do
        read -ra options <<<"$(own "$filter" "$FILES/zero.npy")"
        run --separate-stderr "$filter" "${options[@]}" --in "$FILES/zero.lca" --out p.lca
        assert_success
        assert_equal "$stderr" ""
        run lca-tap --fields t,status p.lca
        assert_line --index -1 '{"t":"EOS","status":"ok"}'
    done
}

@test "steps, layers and --every are in the provenance of all" {
    notes() {
        "$@" --steps 1:7 --layers 'o*' --every 2 --in "$FILES/all.lca" --out p.lca
        "$PYTHON" "$ROOT/tests/frames.py" p.lca | head -n 1 |
            jq -e '.prov[-1].args | .steps == "1:7" and .layers == "o*" and .every == 2'
    }
    # directions that stay orthonormal when a layer is taken away
    py <<'PY'
import os
q = np.zeros((3, 4780))
q[[0, 1, 2], [1, 2, 3]] = 1
np.save(os.environ['FILES'] + '/directions.npy', q)
PY
    each notes
}
