#!/usr/bin/env bash
# submit.sh: a pipeline on a Slurm cluster: a job for the run, and an array of jobs for its workers.
#   submit.sh [OPTION]... NAME --data WHAT --out DIR [OPTION OF THE PIPELINE]...
#   submit.sh [OPTION]... NAME --resume DIR
#
#   --workers N      jobs of the array (default 4), each with as many workers as it has CPUs: one
#   --run OPTS       options of sbatch for the run: '--time=3-0 --partition=long'
#   --worker OPTS    options of sbatch for the workers: '--time=1:00:00 --constraint=zen4'
#   --host HOST      host or network interface at which the workers find the run (default: all)
#
# NAME is that of a pipeline: mnist-fc. DIR must be seen by all nodes under the same name. Workers
# whose time is up leave before it is and queue again, until the run is over; the run waits for them.
# DIR/jobs has the numbers of both jobs, DIR/keys what the run and its workers know each other by.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../programs.sh"

die() {
    echo "submit: $*" >&2
    exit 2
}

workers=4 run="" worker="" host=""
while [ $# -gt 0 ]; do
    case $1 in
    -h|--help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    --workers|--run|--worker|--host)
        [ $# -ge 2 ] || die "$1 needs a value: see --help"
        printf -v "${1#--}" %s "$2"
        shift 2 ;;
    -*) die "unknown option $1: options of the pipeline follow its name, see --help" ;;
    *) break ;;
    esac
done
[ $# -gt 0 ] || die "which pipeline? See --help"
pipeline=$here/../$1.sh
[ -x "$pipeline" ] || die "there is no pipeline '$1' in $(dirname "$here")"
shift

# What the workers need to know too is taken out of the pipeline's options.
data="" out="" device=cpu resume="" options=()
while [ $# -gt 0 ]; do
    case $1 in
    --data|--out|--device|--resume)
        [ $# -ge 2 ] || die "$1 needs a value"
        printf -v "${1#--}" %s "$2"
        shift ;;
    --workers|--pool) die "$1 is not for the pipeline here: see --help" ;;
    *) options+=("$1") ;;
    esac
    shift
done
command -v sbatch >/dev/null || die "there is no sbatch here: this is for a Slurm cluster"
[[ $workers =~ ^[1-9][0-9]*$ ]] || die "--workers takes a number, not '$workers'"
if [ -n "$resume" ]; then
    [ -e "$resume/run.json" ] || die "$resume holds no run: there is nothing to go on with"
    out=$(cd "$resume" && pwd)
    option() { jq -r --arg o "$1" '.options | .[index($o) + 1]' "$out/run.json"; }
    data=$(option --data) device=$(option --device)
    options=(--resume "$out")
else
    [ -n "$data" ] || die "give --data, as to the pipeline"
    [ -n "$out" ] || die "give --out DIR, in a folder that all nodes see"
    [ ! -e "$out/run.json" ] || die "$out holds a run already: go on with it by --resume, or give another --out"
    mkdir -p "$out"
    out=$(cd "$out" && pwd)
    if [ ! -f "$data" ]; then
        "$bin/lca-data" make "$data" --out "$out/examples.data" >"$out/data.txt"
        data=$out/examples.data
    fi
    data=$(realpath "$data")
    options=(--data "$data" --out "$out" --device "$device" --workers 0 --pool "${host:+tcp://$host:0,}at:$out/pool"
        "${options[@]}")
fi

# Nobody else may join the run, or read along.
keys=$out/keys
if [ ! -d "$keys" ]; then
    mkdir -m 700 "$keys" "$keys/peers"
    "$bin/lca-keygen" "$keys/run" >/dev/null
    "$bin/lca-keygen" "$keys/worker" >/dev/null
    mv "$keys/worker.pub" "$keys/peers"
fi

read -ra run <<<"$run"
read -ra worker <<<"$worker"
job=$(sbatch --parsable --output="$out/run.log" "${run[@]}" "$here/run.sbatch" "$out" "$pipeline" "${options[@]}")
job=${job%%;*}
array=$(sbatch --parsable --output="$out/workers-%a.log" --array="1-$workers" --dependency="after:$job" "${worker[@]}" \
    "$here/workers.sbatch" "$job" "$bin/lca-grad" --data "$data" --device "$device" --pool "at:$out/pool" \
    --key "$keys/worker.key" --server-key "$keys/run.pub") || {
    scancel "$job"
    die "the workers could not be submitted, so the run is not either"
}
array=${array%%;*}
echo "$job $array" >"$out/jobs"
echo "run $job, workers $array; what they say: $out/log and $out/workers-*.log"
