# A run through a dozen random faults; make chaos does it with 200.
load ../helper
load ../live

@test "12 faults of a fixed seed: the recordings are the same bytes" {
    "$PYTHON" "$ROOT/tests/chaos.py" 1 12 90
}
