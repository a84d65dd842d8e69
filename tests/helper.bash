# Loaded by every .bats file: assertions, the programs on PATH, a folder of its own.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PATH=${LCA_BIN:-$ROOT/bin}:$PATH

load /usr/lib/bats/bats-support/load.bash
load /usr/lib/bats/bats-assert/load.bash
load /usr/lib/bats/bats-file/load.bash

setup() {
    cd "$BATS_TEST_TMPDIR"
}
