# What every .bats file begins with: load ../helper
#
# Programs come from $LCA_BIN, else $ROOT/bin. Each test runs in an empty folder of
# its own, so it may write wherever it stands; a file with a setup of its own does
# that cd itself.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PATH=${LCA_BIN:-$ROOT/bin}:$PATH
DATA=${LCA_DATA:-$ROOT/../shared/data}
PYTHON=/usr/bin/python3
export PATH PYTHON
export LCA_NETS="$ROOT/pipelines/nets"

bats_require_minimum_version 1.5.0     # run -N, run !
load "${LCA_BATS:-/usr/lib/bats}/bats-support/load"
load "${LCA_BATS:-/usr/lib/bats}/bats-assert/load"
load "${LCA_BATS:-/usr/lib/bats}/bats-file/load"

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# need_data mnist: skips the test where $DATA/mnist is missing.
need_data() {
    [ -d "$DATA/$1" ] || skip "no $DATA/$1: set LCA_DATA to the folder that holds $1/"
}

# on_terminal COMMAND: runs it with a terminal as stdin, stdout and stderr.
on_terminal() {
    run script -qec "$1" /dev/null
}
