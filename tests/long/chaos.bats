# 200 random faults in one run: workers killed, stopped, slowed, added and sent away,
# stages stopped, taps attached and killed, the pool empty for a while. The recorded
# streams are those of an undisturbed run.
load ../helper
load ../live
BATS_TEST_TIMEOUT=1200

@test "200 faults, fixed seed: the recordings are the same bytes" {
    set -o pipefail
    "$PYTHON" "$ROOT/tests/chaos.py" "${LCA_CHAOS_SEED:-1}" "${LCA_CHAOS_FAULTS:-200}" 1500 | sed 's/^/# /' >&3
}
