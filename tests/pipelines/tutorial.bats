load ../helper
# The commands of the tutorial and of the how-to, as a reader types them, one after the other.

setup_file() {
    command -v gnuplot >/dev/null || return 0
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    ln -s "$ROOT/pipelines" pipelines
    command -v gnuplot >/dev/null || skip "no gnuplot"
}

# commands PAGE: its indented lines, less what programs print, what needs a browser, and what
# needs a run that is going.
commands() {
    sed -n 's/^    //p' "$ROOT/docs/$1" | grep -Ev '^(dense|make |lca-top|lca-web|lca-tap run/ipc)'
}

@test "tutorial: its runs say what it says" {
    commands tutorial.md >script
    assert_equal "$(grep -c '^pipelines/demo.sh' script)" 4
    bash -e script >said
    # the table, which other processors give other last digits: the late run swings wildly
    while IFS='|' read -r _ run loss right a b c _; do
        jq -e --arg run "$run" --argjson want "[$loss, $right, ${a#+}, ${b#+}, ${c/+/}]" '
            [.loss_last, .accuracy_test, (.layers[] | .lca)]
            | [., $want] | transpose | all((.[0] - .[1] | fabs) < 0.02 + 0.05 * (.[1] | fabs))' \
            "$(tr -d ' ' <<<"$run")/summary.json" >/dev/null || fail "$run: $(jq -c '[.loss_last, .accuracy_test,
                (.layers[] | .lca)]' "$(tr -d ' ' <<<"$run")/summary.json")"
    done < <(grep -E '^\| (plain|late|frozen|later) ' "$ROOT/docs/tutorial.md")
    grep -q '^plain  *0.25' said
    assert_file_exist late.svg
    assert_file_exist compare.svg
    grep -q '<svg' late.html
}

@test "how-to: its commands run" {
    "$PYTHON" - <<'PY'
import json
import numpy as np
rng = np.random.default_rng(1)
np.save('images.npy', rng.integers(0, 256, (400, 8, 8, 1), dtype=np.uint8))
np.save('labels.npy', (np.arange(400) % 3).astype(np.uint8))
json.dump({'name': 'mine', 'input': [8, 8, 1], 'classes': 3, 'layers': [{'type': 'dense', 'units': 3}]}, open('my.json', 'w'))
np.save('path.npy', rng.standard_normal((4, 195)).astype(np.float32))
PY
    commands howto.md >script
    [ "$(wc -l <script)" -gt 18 ]
    bash -e script
    [ "$(wc -l <units.jsonl)" -ge 1 ] && [ -s A.npy ] && [ -s run.h5 ] && [ -s layers.csv ] && [ -s theta.lca ]
}
