# helper.bash: what every .bats file loads. Programs come from bin/, or $LCA_BIN.
bats_require_minimum_version 1.5.0
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export ROOT PATH="${LCA_BIN:-$ROOT/bin}:$PATH"
export LCA_NETS="$ROOT/pipelines/nets"

for name in support assert file; do
    load "/usr/lib/bats/bats-$name/load.bash"
done

setup() {
    cd "$BATS_TEST_TMPDIR"
}
