# variants.sh: one run with and without interventions, over seeds, and what they change; for the
# paper-*.sh that compare. Such a script sets its network and its defaults, and defines
#     variants            a line for each: its name, a tab, what it is called in the table
#     options NAME SEED   fills the array `given` with the options of common.sh that make it
# and then calls: compare_variants "$@". The first variant is what the others are compared with.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

seeds=1,2,3 layer="" layers=() given=()

usage() {
    cat <<USAGE
usage: pipelines/$name.sh --data DIR [OPTION]...
$about

  --data DIR         the data as published, or a file made by lca-data
  --out DIR          what the runs leave (default: a new folder here); runs that are there already
                     are not repeated
  --seeds A,B,...    a run of each variant for each (default $seeds)
  --net NAME|FILE    network (default $net)
  --iterations N     training steps (default $iterations)
  --layer NAME       the layer to intervene at (default: the ${which_layer} one)
$more_usage  any option of pipelines/$net.sh but --record, --checkpoint-every, --plan and --resume, for all runs

Leaves DIR/VARIANT-SEED for each run; comparison.json, with t, degrees of freedom and p of Welch's test of
each variant's final losses against the first one's; losses.tsv, layers.tsv and, where gnuplot is
installed, comparison.svg, drawn from them.
USAGE
}

summary() { :; }

# Kernel layers, in the order of the vector.
read_layers() {
    local table
    table=$(lca-net --table "$net")
    mapfile -t layers < <(awk '$1 ~ /\/kernel$/ { sub("/kernel$", "", $1); print $1 }' <<<"$table")
    case $which_layer in
    first) layer=${layer:-${layers[0]}} ;;
    last) layer=${layer:-${layers[-1]}} ;;
    esac
    printf '%s\n' "${layers[@]}" | grep -Fx -- "$layer" >/dev/null ||
        die "--layer $layer: $net has the layers ${layers[*]}"
}

# A number of the shell's: what awk makes of an expression.
number() {
    awk "BEGIN { printf \"%.10g\", $1 }"
}

# The step from which the layer has done all the good it did, in the first variant's run of a seed.
argmin() {
    jq -r --arg layer "$layer" 'select(.t == "agg" and .kind == "layers_total" and .set == "train")
        | .more.argmin[.keys.layer | index($layer)]' "$out/$first-$1/layers.jsonl"
}

# run_variant NAME SEED [OPTION]...
run_variant() {
    local variant=$1 seed=$2 to=$out/$1-$2 all
    shift 2
    given=()
    options "$variant" "$seed"
    all=(--data "$data_file" --net "$net" --iterations "$iterations" "${given[@]}" "$@" --seed "$seed" --out "$to")
    if [ "$(jq -r .status "$to/summary.json" 2>/dev/null)" = ok ]; then
        jq -e '.options == $ARGS.positional' "$to/run.json" --args -- "${all[@]}" >/dev/null ||
            die "$to is a run with other options: give those again, or another --out"
        return 0
    fi
    echo "$variant, seed $seed" >&2
    [ ! -e "$to/stages" ] || rm -rf "${to:?}"       # begun, but not finished
    attend pipeline "${all[@]}"
}

# Welch's test: the chance of so large a |t| is the regularised incomplete beta function
# I(df / (df + t^2); df / 2, 1 / 2), here by its continued fraction (Lentz).
compare() {
    jq -n --arg layer "$layer" --arg net "$net" --argjson iterations "$iterations" \
        --argjson runs "$(while IFS=$'\t' read -r variant title; do
            for seed in ${seeds//,/ }; do
                jq -c --arg variant "$variant" --arg title "$title" '{variant: $variant, title: $title, loss_last,
                    loss_test, layers: [.layers[] | {name, lca}]}' "$out/$variant-$seed/summary.json"
            done
        done < <(variants) | jq -s .)" '
        def mean: add / length;
        def variance: mean as $m | map(. - $m | . * .) | add / (length - 1);
        def spread: {mean: mean, sd: (if length > 1 then variance | sqrt else null end)};
        def away: if fabs < 1e-300 then 1e-300 else . end;
        def fraction($a; $b; $x): (1 / (1 - ($a + $b) * $x / ($a + 1) | away)) as $d
            | reduce range(1; 200) as $m ({c: 1, d: $d, h: $d};
                reduce ($m * ($b - $m) * $x / (($a + 2 * $m - 1) * ($a + 2 * $m)),
                        -($a + $m) * ($a + $b + $m) * $x / (($a + 2 * $m) * ($a + 2 * $m + 1))) as $k (.;
                    .d = 1 / (1 + $k * .d | away) | .c = (1 + $k / .c | away) | .h *= .c * .d)) | .h;
        def beta($a; $b; $x): (($a + $b | lgamma) - ($a | lgamma) - ($b | lgamma) + $a * ($x | log)
                + $b * (1 - $x | log) | exp) as $front
            | if $x < ($a + 1) / ($a + $b + 2) then $front * fraction($a; $b; $x) / $a
              else 1 - $front * fraction($b; $a; 1 - $x) / $b end;
        def welch($other): (length) as $n | ($other | length) as $m
            | if $n < 2 or $m < 2 then {t: null, df: null, p: null}
              else (variance / $n) as $v | ($other | variance / $m) as $w
                | if $v + $w == 0 then {t: null, df: null, p: null}
                  else {t: ((mean - ($other | mean)) / ($v + $w | sqrt)),
                        df: (($v + $w) * ($v + $w) / ($v * $v / ($n - 1) + $w * $w / ($m - 1)))}
                    | .p = (if .t == 0 then 1 else beta(.df / 2; 0.5; .df / (.df + .t * .t)) end) end end;
        [$runs | group_by(.variant)[]] | INDEX(.[0].variant) as $of
        | [$runs[].variant] | reduce .[] as $v ([]; if index([$v]) then . else . + [$v] end)
        | $of[.[0]] as $base
        | {network: $net, iterations: $iterations, layer: $layer, variants: [.[] as $v | $of[$v] as $r
            | {name: $v, title: $r[0].title, n: ($r | length)}
              + ([("loss_last", "loss_test") as $key | [$r[][$key]] as $x | [$base[][$key]] as $y
                  | {key: $key, value: (($x | spread) + (if $v == $base[0].variant then {} else ($x | welch($y)) end)
                                        + {values: $x})}] | from_entries)
              + {layer: ([$r[] | .layers[] | select(.name == $layer).lca] | spread),
                 others: ([$r[] | [.layers[] | select(.name != $layer).lca] | add] | spread),
                 layers: [range($r[0].layers | length) as $k | {name: $r[0].layers[$k].name}
                     + ([$r[].layers[$k].lca] | spread)]}]}' >"$out/comparison.json"
    jq -r '["variant", "runs", "train", "sd", "test", "sd", "layer", "sd", "others", "sd"], (.variants[]
        | [.title, .n, (.loss_last, .loss_test, .layer, .others | .mean, .sd // 0)]) | @tsv' \
        "$out/comparison.json" >"$out/losses.tsv"
    jq -r '["layer", (.variants[] | .title, "sd")], (.variants as $v | range($v[0].layers | length) as $k
        | [$v[0].layers[$k].name, ($v[].layers[$k] | .mean, .sd // 0)]) | @tsv' "$out/comparison.json" >"$out/layers.tsv"
}

show() {
    jq -r 'def short: if . == null then "" elif . == 0 then "0" elif fabs < 0.0001 then
            (fabs | log10 | floor) as $e | "\(. / pow(10; $e) * 10 | round / 10)e\($e)"
            else . * 10000 | round / 10000 | tostring end;
        def test: if .t == null then "" else "t \(.t * 100 | round / 100) df \(.df * 10 | round / 10) p \(.p | short)" end;
        .layer as $layer | ["\(.network), \(.iterations) steps", "runs", "train loss", "sd", "", "test loss", "sd", "", $layer,
            "sd", "others", "sd"], (.variants[] | [.title, .n, (.loss_last, .loss_test | (.mean | short), (.sd | short), test),
            (.layer, .others | (.mean | short), (.sd | short))]) | @tsv' "$out/comparison.json" |
        column -t -s "$(printf '\t')"
    if command -v gnuplot >/dev/null; then
        gnuplot -c "$here/variants.gp" "$out/losses.tsv" "$out/layers.tsv" "$out/comparison.svg" "$layer"
        echo "$out/comparison.svg"
    else
        echo "without gnuplot there is no figure: install gnuplot-nox and run this again"
    fi
    echo "$out/comparison.json"
}

# Options of a script's own: each takes a value, and is a shell variable of that name.
own_options=""
compare_variants() {
    local rest=() option variant title seed first
    while [ $# -gt 0 ]; do
        option=${1#--}
        case " data out seeds net iterations layer lr momentum $own_options " in
        *" $option "*)
            [ $# -ge 2 ] || die "$1 needs a value: see --help"
            printf -v "${option//-/_}" %s "$2"
            [[ $option != lr && $option != momentum ]] || rest+=("$1" "$2")
            shift ;;
        *)
            case $1 in
            -h|--help) usage; exit 0 ;;
            --record|--plan|--resume|--checkpoint-every|--seed) die "$1 is not for $name: see --help" ;;
            esac
            rest+=("$1") ;;
        esac
        shift
    done
    [ -n "$data" ] || die "give --data DIR, the folder of the published files: see --help"
    [[ $seeds =~ ^[0-9]+(,[0-9]+)*$ ]] || die "--seeds takes numbers parted by commas, not '$seeds'"
    lr=${lr:-$lr_sgd}
    read_layers
    variants >/dev/null     # ends here where its own options are no good
    first=$(variants | sed -n '1s/\t.*//p')
    out=${out:-$name-$(date +%Y%m%d-%H%M%S)}
    mkdir -p "$out"
    out=$(cd "$out" && pwd)
    data_file=$data
    if [ ! -f "$data" ]; then
        data_file=$out/data
        [ -e "$data_file" ] || lca-data make "$data" --out "$data_file" >"$out/data.txt"
    fi
    while IFS=$'\t' read -r variant title <&3; do
        for seed in ${seeds//,/ }; do
            run_variant "$variant" "$seed" "${rest[@]}"
        done
    done 3< <(variants)
    compare
    show
}
