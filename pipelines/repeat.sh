#!/usr/bin/env bash
# repeat.sh: a pipeline over several seeds; mean and spread of every number.
#   repeat.sh --seeds 1,2,3 [--out DIR] -- pipelines/mnist-fc.sh --data DIR [OPTION]...
# Leaves DIR/seed-S for each run and DIR/repeat.json: {key: {n, mean, sd, min, max}}.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/programs.sh"

die() {
    echo "repeat: $*" >&2
    exit 2
}

seeds="" out=""
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case $1 in
    -h|--help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --seeds|--out) [ $# -ge 2 ] || die "$1 needs a value"; printf -v "${1#--}" %s "$2"; shift ;;
    *) die "unknown option $1: see --help" ;;
    esac
    shift
done
[ $# -ge 2 ] || die "usage: repeat.sh --seeds 1,2,3 [--out DIR] -- PIPELINE [OPTION]..."
shift
[[ $seeds =~ ^[0-9]+(,[0-9]+)*$ ]] || die "--seeds takes numbers parted by commas, not '$seeds'"
out=${out:-repeat-$(date +%Y%m%d-%H%M%S)}
[ ! -e "$out" ] || die "$out exists: give another --out"
mkdir -p "$out"

for seed in ${seeds//,/ }; do
    echo "seed $seed" >&2
    attend "$@" --seed "$seed" --out "$out/seed-$seed" >"$out/seed-$seed.txt" ||
        { status=$?; echo "repeat: seed $seed failed: see $out/seed-$seed.txt and $out/seed-$seed/log" >&2; exit $status; }
done

# Every number, however deep; a layer or a class is called by its name.
jq -s '
    def flat($at): if type == "object" then to_entries[] | .key as $k | .value | flat($at + [$k])
        elif type == "array" then .[] | (.name // "") as $n | del(.name?) | flat($at + [$n])
        elif type == "number" then {key: ($at | join(".")), value: .} else empty end;
    [.[] | flat([])] | group_by(.key) | map({key: .[0].key, value: ([.[].value] | (add / length) as $mean
        | {n: length, mean: $mean, min: min, max: max,
           sd: (if length > 1 then (map(. - $mean | . * .) | add / (length - 1) | sqrt) else 0 end)})})
    | from_entries' "$out"/seed-*/summary.json >"$out/repeat.json"
jq -r '(["number", "n", "mean", "sd", "min", "max"], (to_entries[] | [.key, .value.n, .value.mean, .value.sd, .value.min,
    .value.max])) | @tsv' "$out/repeat.json" | column -t -s "$(printf '\t')"
echo "$out/repeat.json"
