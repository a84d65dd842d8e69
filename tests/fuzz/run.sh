#!/usr/bin/env bash
# run.sh FUZZERS SECONDS [NAME,NAME...]: the programs FUZZERS/fuzz-NAME, each for SECONDS of
# processor time, from the seeds that seeds.py makes and what was found before. One line per
# target; status 1 if one found something: the input is then in FUZZERS/crash-NAME-*.
set -u
fuzzers=$(realpath "$1") seconds=$2 failed=0
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
export TMPDIR=$work
trap 'rm -rf "$work"' EXIT
/usr/bin/python3 tests/fuzz/seeds.py bin "$work" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }

names=${3:-$(cd tests/fuzz && ls fuzz-*.c | sed 's/^fuzz-//; s/\.c$//')}
for name in ${names//,/ }; do
    # no output of the library between libFuzzer's: it has a descriptor of its own for that
    options=(-close_fd_mask=0 -max_len=65536 -timeout=25 -rss_limit_mb=4096 -print_final_stats=1 -verbosity=1
             -artifact_prefix="$fuzzers/crash-$name-" -max_total_time=$((20 * seconds)))
    [ ! -e "$work/$name.dict" ] || options+=(-dict="$work/$name.dict")
    found=tests/fuzz/found/$name
    mkdir -p "$work/$name" "$fuzzers/corpus/$name"
    begin=$SECONDS
    FUZZ_CPU=$seconds "$fuzzers/fuzz-$name" "${options[@]}" "$fuzzers/corpus/$name" "$work/$name" \
        $([ ! -d "$found" ] || echo "$found") >"$work/log" 2>&1
    status=$?
    awk -v name="$name" -v seconds=$((SECONDS - begin)) '
        /^stat::number_of_executed_units/ { runs = $2 }
        /^stat::new_units_added/ { units = $2 }
        match($0, /cov: [0-9]+/) { edges = substr($0, RSTART + 5, RLENGTH - 5) }
        END { printf "%-10s %9d executions in %d s, %d edges, %d new inputs\n", name, runs, seconds, edges, units }
    ' "$work/log"
    if [ $status -ne 0 ]; then
        failed=1
        echo "$name FAILED: "
        grep -aE '^found:|ERROR: |runtime error|Test unit written|SUMMARY' "$work/log"
        cp "$work/log" "$fuzzers/log-$name"
    fi
done
exit $failed
