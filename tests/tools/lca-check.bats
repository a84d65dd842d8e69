# lca-check: what it lets pass and what it does not.
load ../helper
load ../streams

more_files() {
    train t.lca
    allocate t.lca l.lca --by-class
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    l=$FILES/l.lca
}

@test "help, version, unknown options" {
    talks_like_a_tool lca-check
}

@test "a good stream passes; its errors are those of its frames" {
    run lca-check --max-total-error 50 --max-mean-error 1 --max-step-error 1 <$l
    assert_success
    assert_line --partial simpson
    assert_line --partial first-order
    lca-check --json <$l >v.json
    py $l <<'END'
f, v = read(sys.argv[1]), json.load(open('v.json'))
for name, got in ('train', v), ('val', v['heldout']):
    h = [p[0] for p in of_kind(f, 'lca', set=name, cls=-1)]
    change = h[-1]['L1'] - h[0]['L0']
    assert abs(got['total_error_percent'] - 100 * (sum(x['sum'] for x in h) - change) / abs(change)) < 1e-9
    assert abs(got['mean_step_error'] - np.mean([abs(x['res']) for x in h])) < 1e-15
    assert got['max_step_error'] == max(abs(x['res']) for x in h)
    fo = got['first_order']
    assert abs(fo['total_error_percent'] - 100 * (sum(x['fo'] for x in h) - change) / abs(change)) < 1e-9
    assert abs(fo['mean_step_error'] - np.mean([abs(x['L1'] - x['L0'] - x['fo']) for x in h])) < 1e-12
END
}

@test "a bound that is broken is 1 and names the step" {
    run lca-check --max-step-error 1e-13 <$l
    assert_failure 1
    assert_output --partial "step 0 (train)"
    run lca-check --max-total-error 1e-9 <$l
    assert_failure 1
    assert_output --partial "the worst step is"
    run lca-check --max-mean-error 1e-13 <$l
    assert_failure 1
}

# tamper PYTHON: rewrites the train frame of step 2, h and A, with right checksums
tamper() {
    py $l "$1" <<'END'
f = read(sys.argv[1])
for pair in f:
    h = pair[0]
    if h['t'] == 'lca' and h['it'] == 2 and h['set'] == 'train':
        A = array(pair).copy()
        exec(sys.argv[2])
        pair[1] = A.tobytes()
write('bad.lca', f)
END
    run lca-check <bad.lca
    assert_failure 1
    assert_output --partial "step 2 (train)"
}

@test "tampering is found: A, sum, residual, losses, classes" {
    tamper 'A[0] += 1 if h["cls"] < 0 else 0'
    tamper 'h["res"] += 1e-9 if h["cls"] < 0 else 0'
    tamper 'h["L0"] += 1e-9; h["res"] = h["L1"] - h["L0"] - h["sum"]'
    tamper 'h["sum"] += 1e-6 if h["cls"] == 3 else 0'
    tamper 'A[:] = A[::-1].copy() if h["cls"] == 3 else A'
}

@test "a cut stream is 5, a failed one 4" {
    run bash -c "head -c 200000 $l | lca-check"
    assert_failure 5
    py $l <<'END'
f = read(sys.argv[1])
f[-1][0]['status'] = 'failed'; f[-1][0]['why'] = 'no more paper'
write('failed.lca', f)
END
    run lca-check <failed.lca
    assert_failure 4
    assert_output --partial "no more paper"
}
