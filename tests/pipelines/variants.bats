# The pipelines that compare runs with and without interventions, on a tiny network.
load ../helper

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    lca-data make synth:1,1000 --out s.data >/dev/null
    cat >small.json <<'NET'
{"name": "small", "input": [28, 28, 1], "classes": 10, "layers": [
  {"type": "dense", "name": "one", "units": 6}, {"type": "relu"}, {"type": "dense", "name": "two", "units": 10}]}
NET
    compare first-layer --seeds 1,2 >first.txt 2>first.err
}

setup() {
    cd "$BATS_FILE_TMPDIR" || return
}

# compare SCRIPT [OPTION]...: leaves SCRIPT/
compare() {
    "$ROOT/pipelines/paper-$1.sh" --data s.data --net ./small.json --iterations 6 --examples 500 --heldout 100 \
        --workers 1 --out "$1" "${@:2}" 3>&-
}

# given VARIANT-SEED: the options that made it what it is.
given() {
    jq -c '.options | .[index("--iterations") + 2:index("--examples")]' "$1/run.json"
}

@test "first layer: each variant is what it is called" {
    assert_equal "$(given first-layer/plain-1)" '[]'
    assert_equal "$(given first-layer/slow-2)" '["--layer-lr","one=0.01"]'
    assert_equal "$(given first-layer/frozen-2)" '["--freeze","one"]'
    for seed in 1 2; do
        # from after the step where its cumulative curve was least
        least=$(jq -s '[.[] | select(.kind == "cumulative" and .set == "train").data[0]] | [0] + . | index(min)' \
            first-layer/plain-$seed/layers.jsonl)
        assert_equal "$(given first-layer/argmin-$seed)" "[\"--freeze\",\"one@$least\"]"
    done
    run jq -c '[.variants[] | select(.name == "frozen").layers[] | .mean == 0]' first-layer/comparison.json
    assert_output '[true,false]'
}

@test "first layer: losses, totals and Welch's test are those of the runs" {
    run "$PYTHON" - <<'PY'
import json
from scipy import stats
runs = {v: [json.load(open('first-layer/%s-%d/summary.json' % (v, s))) for s in (1, 2)]
        for v in ('plain', 'slow', 'frozen', 'argmin')}
made = json.load(open('first-layer/comparison.json'))
assert made['layer'] == 'one' and made['iterations'] == 6 and [v['name'] for v in made['variants']] == list(runs)
for v in made['variants']:
    assert v['n'] == 2
    for key in ('loss_last', 'loss_test'):
        x = [r[key] for r in runs[v['name']]]
        assert v[key]['values'] == x and abs(v[key]['mean'] - sum(x) / 2) < 1e-12
        assert abs(v[key]['sd'] - stats.tstd(x)) < 1e-12
        want = stats.ttest_ind(x, [r[key] for r in runs['plain']], equal_var=False)
        if v['name'] != 'plain':
            assert abs(v[key]['t'] - want.statistic) < 1e-9 and abs(v[key]['p'] - want.pvalue) < 1e-9, (v[key], want)
    for k, layer in enumerate(v['layers']):
        x = [r['layers'][k]['lca'] for r in runs[v['name']]]
        assert abs(layer['mean'] - sum(x) / 2) < 1e-12 and abs(layer['sd'] - stats.tstd(x)) < 1e-12
    assert abs(v['layer']['mean'] + v['others']['mean'] - sum(x['mean'] for x in v['layers'])) < 1e-12
PY
    assert_success
}

@test "first layer: the table and the figure" {
    run cat first.txt
    assert_line --regexp '^\./small.json, 6 steps +runs +train loss +sd +test loss +sd +one +sd +others +sd$'
    assert_line --regexp '^lr x 0\.1 +2 +[0-9.]+ +[0-9.e-]+ +t -?[0-9.]+ df [0-9.]+ p [0-9.e-]+ +[0-9.]+'
    assert_line "$PWD/first-layer/comparison.json"
    assert_equal "$(wc -l <first-layer/losses.tsv) $(wc -l <first-layer/layers.tsv)" "5 3"
    if command -v gnuplot >/dev/null; then
        assert_file_contains first-layer/comparison.svg "frozen at argmin"
        run ! grep -iE "warning|error" first.err
    else
        assert_line --partial "without gnuplot there is no figure"
    fi
}

@test "last layer: it is the last one; runs that are there are not repeated" {
    compare last-layer --seeds 1
    assert_equal "$(given last-layer/frozen-1)" '["--freeze","two"]'
    assert_equal "$(given last-layer/slow-1)" '["--layer-lr","two=0.01"]'
    run jq -c '[.variants[] | [.loss_last.sd, .loss_last.p]]' last-layer/comparison.json
    assert_output '[[null,null],[null,null],[null,null]]'
    before=$(stat -c %Y.%i last-layer/plain-1/summary.json)
    run -0 compare last-layer --seeds 1
    refute_output --partial "plain, seed 1"
    assert_equal "$(stat -c %Y.%i last-layer/plain-1/summary.json)" "$before"
    # nor are those of another layer taken for them
    run -2 compare last-layer --seeds 1 --layer one
    assert_output --partial "slow-1 is a run with other options"
}

@test "phase lag: momentum of the last layer at the same effective rate, the others late" {
    compare phase-lag --seeds 1 --momenta 0.5 --delays 3 --lr 0.02 --momentum 0.75
    assert_equal "$(given phase-lag/momentum-0.5-1)" '["--layer-momentum","two=0.5","--layer-lr","two=0.04"]'
    assert_equal "$(given phase-lag/delay-3-1)" '["--delay","one=3"]'
    assert_equal "$(jq -c '[.variants[].title]' phase-lag/comparison.json)" '["as it is","momentum 0.5","others late by 3"]'
    run jq -r '.options | join(" ")' phase-lag/plain-1/run.json
    assert_output --partial "--lr 0.02 --momentum 0.75"
}

@test "bad use ends with 2 and says what to do" {
    run -2 compare first-layer --seeds a
    assert_output --partial "--seeds takes numbers"
    run -2 compare first-layer --layer three
    assert_output --partial "--layer three: ./small.json has the layers one two"
    run -2 compare phase-lag --delays x
    assert_output --partial "--delays takes numbers of steps"
    run -2 compare phase-lag --momenta 1
    assert_output --partial "--momenta takes numbers from 0 to below 1"
    run -2 compare last-layer --record
    assert_output --partial "--record is not for paper-last-layer"
    run -2 "$ROOT/pipelines/paper-last-layer.sh"
    assert_output --partial "give --data DIR"
    for script in first-layer last-layer phase-lag; do
        run -0 "$ROOT/pipelines/paper-$script.sh" --help
        assert_output --partial "usage: pipelines/paper-$script.sh --data DIR"
    done
}
