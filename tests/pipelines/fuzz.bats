# Hostile input, for a moment: every fuzzer over its seeds and a second more.
load ../helper
BATS_TEST_TIMEOUT=300

@test "no fuzzer finds anything in a second" {
    fuzzers=$ROOT/.build/fuzz
    [ -x "$fuzzers/fuzz-frame" ] || skip "no fuzzers in $fuzzers: run make fuzzers"
    run "$ROOT/tests/fuzz/run.sh" "$fuzzers" 1
    assert_success
    for target in "$ROOT"/tests/fuzz/fuzz-*.c; do
        name=$(basename "$target" .c)
        assert_line --regexp "^${name#fuzz-} +[1-9][0-9]* executions in [0-9]+ s, [1-9][0-9]* edges"
    done
}

@test "what a fuzzer finds is a failure, and told" {
    mkdir fuzzers
    cat >fuzzers/fuzz-stages <<'END'
#!/bin/sh
echo 'found: two stages of one name'
exit 77
END
    chmod +x fuzzers/fuzz-stages
    run "$ROOT/tests/fuzz/run.sh" fuzzers 1 stages
    assert_failure 1
    assert_output --partial 'stages FAILED'
    assert_output --partial 'found: two stages of one name'
}
