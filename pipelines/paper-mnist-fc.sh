#!/usr/bin/env bash
# paper-mnist-fc.sh: MNIST-FC as in Lan et al. 2019, in their three settings, and every
# number beside theirs.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

name=paper-mnist-fc
net=mnist-fc
iterations=880          # 4 epochs of 220 steps
lr_sgd=0.05 lr_adam=0.002
settings=plain,sgd,adam seeds=1

usage() {
    cat <<EOF
usage: pipelines/$name.sh --data DIR [OPTION]...
Runs MNIST-FC with SGD without momentum at learning rate 0.5 (plain), with SGD (sgd)
and with Adam (adam), computes every metric live, and prints it beside what the paper
reports and the range in which it should lie. Takes some minutes for each run.

  --data DIR         MNIST as published, or a file made by lca-data
  --out DIR          what the runs leave (default: a new folder here); runs that are
                     there already are not repeated
  --seeds A,B,...    a run for each; prints their mean and spread (default $seeds)
  --settings A,B,... of plain, sgd, adam (default $settings)
  any option of pipelines/mnist-fc.sh but --record, --checkpoint-every, --plan, --filter and --resume, for all runs

Leaves DIR/SETTING-SEED for each run, and DIR/paper.json: [{setting, number, paper, low,
high, values, mean, sd, inside}]. Status 1 when a number lies outside its range. Of the
correlations r it also has r_fake, the mean over fake units, and p of the test between the
two (Kolmogorov-Smirnov, exact; of several seeds the largest).
EOF
}

summary() { :; }

# run SETTING SEED [OPTION]...: with every filter whose numbers are wanted. The correlation
# is over one window of all steps, held in memory, so that nothing needs to be recorded.
run() {
    local setting=$1 seed=$2 options=()
    shift 2
    [ "$(jq -r .status "$out/$setting-$seed/summary.json" 2>/dev/null)" != ok ] || return 0
    case $setting in
    plain) options=(--momentum 0 --lr 0.5) ;;
    sgd) ;;
    adam) options=(--optimizer adam) ;;
    esac
    echo "$setting, seed $seed" >&2
    [ ! -e "$out/$setting-$seed/stages" ] || rm -rf "${out:?}/$setting-$seed"   # begun, but not finished
    attend pipeline --data "$data_file" --by-class --filter oscillation,spread,classes --filter "moments --of lca,move,eff" \
        --filter "correlation --window $iterations" "${options[@]}" "$@" --seed "$seed" --out "$out/$setting-$seed"
}

# Numbers, and per setting what the paper says and the least and most that is expected.
# The ranges come from independent runs over two to eight seeds; what the paper says
# without naming the network, or of another one, stands in `note`.
numbers() {
    cat <<'EOF'
[{"number": "total error, Simpson (%)", "key": ["total_error_percent"],
  "plain": [-0.27, -0.6, 0.2], "sgd": [0.00108, -0.03, 0.03], "adam": [0.00364, -0.03, 0.03]},
 {"number": "total error, first order (%)", "key": ["first_order", "total_error_percent"],
  "plain": [-4249.64, -5500, -3000], "sgd": [-171.10, -220, -120], "adam": [-75.31, -95, -60]},
 {"number": "step error, Simpson (nat)", "key": ["mean_step_error"],
  "plain": [6.11e-5, 4e-5, 1e-4], "sgd": [2.94e-6, 0, 6e-6], "adam": [2.31e-6, 0, 6e-6]},
 {"number": "step error, first order (nat)", "key": ["first_order", "mean_step_error"],
  "plain": [0.114, null, null], "sgd": [0.00459, null, null], "adam": [0.00199, null, null]},
 {"number": "final training loss (nat)", "key": ["loss_last"],
  "plain": [null, 0.065, 0.083], "sgd": [null, 0.063, 0.084], "adam": [null, 0.053, 0.070]},
 {"number": "steps per weight turn", "key": ["oscillation", "steps_per_turn"],
  "plain": [3.49, 2.792, 4.188], "sgd": [13.57, 12.213, 14.927], "adam": [12.68, 11.412, 13.948]},
 {"number": "steps per gradient crossing", "key": ["oscillation", "steps_per_crossing"],
  "plain": [3.48, 2.784, 4.176], "sgd": [11.68, 10.512, 12.848], "adam": [12.71, 11.439, 13.981]},
 {"number": "helping, q (%)", "key": ["percent_helping_q"],
  "plain": [null, 52.5, 55], "sgd": [null, 56.5, 59.5], "adam": [null, 54, 57.5]},
 {"number": "no change, z (%)", "key": ["percent_zero"],
  "plain": [null, 34, 50], "sgd": [null, 15, 23], "adam": [null, 13, 20]},
 {"number": "layers that help", "key": ["layers that help"], "note": "all",
  "plain": [3, 3, 3], "sgd": [3, 3, 3], "adam": [3, 3, 3]},
 {"number": "  part of dense1 (%)", "key": ["parts", 0], "plain": ["elsewhere 40 .. 67"], "sgd": ["elsewhere 71 .. 74"]},
 {"number": "  part of dense2 (%)", "key": ["parts", 1], "plain": ["elsewhere 18 .. 26"], "sgd": ["elsewhere 15 .. 17"]},
 {"number": "  part of dense3 (%)", "key": ["parts", 2], "plain": ["elsewhere 16 .. 34"], "sgd": ["elsewhere 11 .. 12"]},
 {"number": "moments of 20 shared by all layers", "key": ["moments", "synchronised"], "note": "optimiser not named",
  "plain": [12, 6, 16], "sgd": [12, 6, 16], "adam": [12, 6, 16]},
 {"number": "  p, null A (own minima)", "key": ["moments", "p_a"], "note": "< 0.001",
  "plain": [null, 0, 0.001], "sgd": [null, 0, 0.001], "adam": [null, 0, 0.001]},
 {"number": "  p, null B (shifts)", "key": ["moments", "p_b"], "note": "< 0.001",
  "plain": [null, 0, 0.001], "sgd": [null, 0, 0.001], "adam": [null, 0, 0.001]},
 {"number": "  p, null C (blocks of 40)", "key": ["moments", "p_c"]},
 {"number": "  p, exact, uniform", "key": ["moments", "p_exact"], "note": "< 1e-6",
  "plain": [null, 0, 1e-6], "sgd": [null, 0, 1e-6], "adam": [null, 0, 1e-6]},
 {"number": "effective gradient: shared peaks", "key": ["eff_moments", "synchronised"]},
 {"number": "movement: shared peaks", "key": ["move_moments", "synchronised"]},
 {"number": "excess kurtosis of all A", "key": ["spread", "kurtosis"], "note": "10420, network not named",
  "plain": [null, 100, null], "sgd": [null, 100, null], "adam": [null, 100, null]},
 {"number": "  mean over intervals", "key": ["spread", "kurtosis_of_intervals"], "note": "2141, network not named"},
 {"number": "  p (Anscombe-Glynn)", "key": ["spread", "kurtosis_p"], "note": "about 0",
  "plain": [null, 0, 1e-6], "sgd": [null, 0, 1e-6], "adam": [null, 0, 1e-6]},
 {"number": "double Weibull, shape", "key": ["spread", "weibull_shape"], "note": "0.53, ResNet"},
 {"number": "double Weibull, scale (nat)", "key": ["spread", "weibull_scale"], "note": "5.1e-8, ResNet"},
 {"number": "Gini of helping", "key": ["spread", "gini_helping"]},
 {"number": "parameters that carry 90 % of help (%)", "key": ["spread", "percent_carrying_90"]},
 {"number": "help by the top 1 % (%)", "key": ["spread", "percent_by_top_1"]}]
EOF
}

# One row per number and setting, from all summary.json, each marked with its setting.
compare() {
    jq -s --argjson numbers "$(numbers)" '
        def layer_numbers: [.[0].correlation[].name as $l
            | ("inputs", "outputs") as $side | ("step", "cumulative") as $series
            | {number: "r, \($l) \($side), \($series)", key: ["\($l) \($side) \($series)", "r"],
               beside: ["\($l) \($side) \($series)"], note: "above fake units, ResNet"}]
          + [.[0].class_concentration[]?.name as $l | (1, 2, 3) as $k
            | {number: "units of \($l) at 80 % by \($k) classes (%)", key: ["\($l) r", "percent_r\($k)"]}];
        def by_name: . as $run
            | .["layers that help"] = ([.layers[] | select(.lca < 0)] | length)
            | .parts = ([.layers[].lca] | add as $sum | map(100 * . / $sum))
            | reduce (.correlation[] | .name as $l | ("inputs", "outputs") as $side | ("step", "cumulative") as $series
                | {key: "\($l) \($side) \($series)", of: "\($side)_\($series)", all: .}) as $x
                (.; .[$x.key] = {r: $x.all["\($x.of)_r"], r_fake: $x.all["\($x.of)_r_fake"], p: $x.all["\($x.of)_p"]})
            | reduce (.class_concentration[]?) as $x (.; .["\($x.name) r"] = $x);
        layer_numbers as $more
        | map(by_name) | group_by(.setting) | sort_by(.[0].setting | {plain: 0, sgd: 1, adam: 2}[.])
        | [.[] as $runs | ($numbers + $more)[] as $n | $n[$runs[0].setting] as $range
            | [$runs[] | getpath($n.key)] as $values | ($values | map(numbers)) as $v
            | {setting: $runs[0].setting, number: $n.number, paper: ($range[0] // $n.note),
               low: $range[1], high: $range[2], values: $values}
            | if $n.beside then .r_fake = ([$runs[] | getpath($n.beside + ["r_fake"])] | add / length)
                | .p = ([$runs[] | getpath($n.beside + ["p"])] | max) else . end
            | if ($v | length) == 0 then . else .mean = ($v | add / length) end
            | .mean as $mean
            | .sd = (if ($v | length) > 1 then ($v | map(. - $mean | . * .) | add / (length - 1) | sqrt) else null end)
            | .low as $low | .high as $high
            | .inside = (if $low == null and $high == null then null
                elif ($v | length) == 0 then false
                else all($v[]; ($low == null or . >= $low) and ($high == null or . <= $high)) end)]' \
        <(for run in "$@"; do
            setting=$(basename "$run")
            jq --arg setting "${setting%-*}" '.setting = $setting' "$run/summary.json"
        done) >"$out/paper.json"
}

show() {
    jq -r '
        def short: if . == null then "" elif type == "string" then . elif . == 0 then "0"
            else (fabs * 1.005 | log10 | floor) as $e | if $e < -3 or $e > 5 then pow(10; $e) as $m
                | "\(. / $m * 100 | round / 100)e\($e)"
                else pow(10; 3 - $e) as $m | . * $m | round / $m | tostring end end;
        def range: if .r_fake then "fake \(.r_fake | short), p \(.p | short)"
            elif .low == null and .high == null then ""
            elif .low == null then "<= \(.high | short)" elif .high == null then ">= \(.low | short)"
            elif .low == .high then .low | short else "\(.low | short) .. \(.high | short)" end;
        {plain: "SGD without momentum, lr 0.5", sgd: "SGD, momentum 0.9, lr 0.05", adam: "Adam, lr 0.002"} as $title
        | group_by(.setting) | sort_by(.[0].setting | {plain: 0, sgd: 1, adam: 2}[.]) | .[]
        | ([$title[.[0].setting], "paper", "expected", "ours", "sd", ""],
           (.[] | [.number, (.paper | short), range, (.mean | short), (.sd | short),
                   {"true": "in", "false": "OUT", "null": ""}["\(.inside)"]]), ["", "", "", "", "", ""]) | @tsv' \
        "$out/paper.json" | column -t -s "$(printf '\t')"
    echo "$out/paper.json"
}

rest=()
while [ $# -gt 0 ]; do
    case $1 in
    -h|--help) usage; exit 0 ;;
    --record|--plan|--filter|--resume|--checkpoint-every) die "$1 is not for $name: see --help" ;;
    --data|--out|--seeds|--settings|--iterations)
        [ $# -ge 2 ] || die "$1 needs a value: see --help"
        printf -v "${1#--}" %s "$2"
        shift ;;
    *) rest+=("$1") ;;
    esac
    shift
done
[ -n "$data" ] || die "give --data DIR, the folder of the published files: see --help"
[[ $seeds =~ ^[0-9]+(,[0-9]+)*$ ]] || die "--seeds takes numbers parted by commas, not '$seeds'"
[[ $settings =~ ^(plain|sgd|adam)(,(plain|sgd|adam))*$ ]] || die "--settings takes plain, sgd, adam, not '$settings'"
out=${out:-$name-$(date +%Y%m%d-%H%M%S)}
mkdir -p "$out"
out=$(cd "$out" && pwd)
data_file=$data
if [ ! -f "$data" ]; then
    data_file=$out/data
    [ -e "$data_file" ] || lca-data make "$data" --out "$data_file" >"$out/data.txt"
fi
runs=()
for setting in ${settings//,/ }; do
    for seed in ${seeds//,/ }; do
        run "$setting" "$seed" --iterations "$iterations" "${rest[@]}"
        runs+=("$out/$setting-$seed")
    done
done
compare "${runs[@]}"
show
jq -e 'all(.[]; .inside != false)' "$out/paper.json" >/dev/null
