# What the tests of stages share, after load ../helper: small networks, data, runs.
#
#   $FILES/s.data       1,000 generated digits, 91 for validation, 200 for testing
#   $FILES/relu.json    784 - 6 - ReLU - 10        $FILES/smooth.json  784 - 4 - 10
# made once per file by setup_file. py runs Python with tests/frames.py and
# tests/reference.py at hand.
FILES=$BATS_FILE_TMPDIR
export FILES PYTHONPATH=$ROOT/tests PYTHONDONTWRITEBYTECODE=1
unset LCA_STAGE LCA_REPORT

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_files
    if declare -F more_files >/dev/null; then more_files; fi
}

make_files() {
    lca-data make synth:1,1000 --out s.data >/dev/null
    cat >relu.json <<'NET'
{"name": "small", "input": [28, 28, 1], "classes": 10, "layers": [
  {"type": "dense", "name": "one", "units": 6}, {"type": "relu"}, {"type": "dense", "name": "two", "units": 10}]}
NET
    cat >smooth.json <<'NET'
{"name": "smooth", "input": [28, 28, 1], "classes": 10, "layers": [
  {"type": "dense", "name": "one", "units": 4}, {"type": "dense", "name": "two", "units": 10}]}
NET
}

# train OUT [OPTION]...: a few steps of the small network, unless options say otherwise.
train() {
    lca-train --net "$FILES/relu.json" --data "$FILES/s.data" --iterations 4 --batch 50 --examples 500 --out "$@"
}

# allocate THETAS OUT [OPTION]...: lca-integrate with one worker, in a private LCA_DIR.
# Its own output and status.
allocate() {
    local in=$1 out=$2 status=0 worker
    shift 2
    export LCA_DIR=$PWD/ipc
    lca-grad --data "$FILES/s.data" --pool ipc:pool 2>worker.err 3>&- &
    worker=$!
    timeout 60 lca-integrate --in "$in" --out "$out" --pool ipc:pool --pool-wait 20 "$@" || status=$?
    # after a failure the worker would wait for another pool
    [ $status -eq 0 ] || kill -9 "$worker"
    wait "$worker" || [ $status -ne 0 ] || status=99
    return $status
}

# py [ARGUMENT]... <<END: Python from stdin. Assertions fail the test.
py() {
    "$PYTHON" -c '
import sys, json, numpy as np
import frames, reference
from frames import read, write, array, of_kind
exec(compile(sys.stdin.read(), "test", "exec"))' "$@"
}

# talks_like_a_tool NAME: --help, --version and what it says of unknown options.
talks_like_a_tool() {
    run --separate-stderr "$1" --help
    assert_success
    assert_line --index 0 --partial "usage: $1"
    assert_equal "$stderr" ""
    run --separate-stderr "$1" --version
    assert_success
    assert_output --regexp "^$1 [0-9]+\.[0-9]+\.[0-9]+"
    run --separate-stderr "$1" --bogus </dev/null
    assert_failure 2
    assert_output ""
    [ "$stderr" = "$1: error: unknown option --bogus: see --help" ]
}
