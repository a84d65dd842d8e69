#!/usr/bin/env bash
# run.sh BIN UNITS: every unit test program in UNITS, and of tests/emulated where it was
# built, then every .bats file of tools and pipelines with the programs of BIN. The last line
# counts; status 1 if any failed.
set -u
cd "$(dirname "$0")/.."
export LCA_BIN=$1 ROOT=$PWD
export LCA_NETS=$PWD/pipelines/nets
[ -n "${LCA_DATA:-}" ] || export LCA_DATA=$PWD/../shared/data
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

for unit in "$2"/*-test .build/emulated/unit/cuda-*-test; do
    [ -x "$unit" ] || continue
    case $unit in
    # whole networks take half a minute on a card that is a CPU: tests/long has them
    */cuda-*) LCA_TEST_DEVICES=cuda LCA_TEST_ONLY='layers*' "$unit" >"$log" 2>&1 ;;
    *) "$unit" >"$log" 2>&1 ;;
    esac
    status=$?
    ok=$(grep -c '^\[       OK \]' "$log")
    bad=$(grep -c '^\[  FAILED  \] [^0-9]' "$log")
    missed=$(grep -c '^\[  SKIPPED \] [^0-9]' "$log")
    # a program that dies counts as a failure even when no test says so
    [ $status -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    echo "$(basename "$unit"): $ok passed, $bad failed"
    [ "$bad" -eq 0 ] || cat "$log"
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + missed))
done

for file in tests/tools/*.bats tests/pipelines/*.bats; do
    echo "$file"
    bats --tap "$file" >"$log" 2>&1
    status=$?
    grep -v '^1\.\.' "$log"
    bad=$(grep -c '^not ok' "$log")
    missed=$(grep -c '^ok .* # skip' "$log")
    ok=$(($(grep -c '^ok' "$log") - missed))
    [ $status -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + missed))
done

[ $skipped -eq 0 ] && echo "$passed passed, $failed failed" ||
    echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
