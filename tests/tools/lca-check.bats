load ../helper
load ../streams

more_files() {
    train t.lca --net "$FILES/smooth.json" --examples 100 --batch 100 --lr 0.2 --momentum 0 --iterations 6
    allocate t.lca a.lca --tolerance 1e-4
    allocate t.lca fixed.lca --tolerance off
    allocate t.lca low.lca --tolerance 1e-5 --max-pieces 4 --sets train
    # a network that has learnt: class against class, the whole near nothing
    train late.lca --lr 0.2 --iterations 400
    py <<'PY'
import copy
p = read('late.lca')
last = [copy.deepcopy(f) for f in of_kind(p, 'theta') if f[0]['it'] >= 396]
for k, f in enumerate(last):
    f[0].update(it=k, seq=k)
write('end.lca', [p[0]] + last + [[dict(p[-1][0], next=len(last)), b'']])
PY
    allocate end.lca class.lca --by-class --tolerance off --chunk 50
}

@test "lca-check talks like a tool" {
    talks_like_a_tool lca-check
}

@test "an honest stream passes, and the numbers are those of its frames" {
    run --separate-stderr lca-check --json <"$FILES/a.lca"
    assert_success
    assert_equal "$stderr" ""
    echo "$output" >check.json
    py <<'PY'
import os
p = read(os.environ['FILES'] + '/a.lca')
got = json.load(open('check.json'))
for name, it in (('train', got), ('val', got['heldout'])):
    h = [f[0] for f in of_kind(p, 'lca', set=name)]
    e = [abs(f['L1'] - f['L0'] - f['sum']) for f in h]
    change = h[-1]['L1'] - h[0]['L0']
    assert it['loss_first'] == h[0]['L0'] and it['loss_last'] == h[-1]['L1']
    assert abs(it['total_error_percent'] - 100 * (sum(f['sum'] for f in h) - change) / abs(change)) < 1e-9
    assert abs(it['mean_step_error'] - np.mean(e)) < 1e-15
    assert it['max_step_error'] == max(e) and it['max_step_error_at'] == int(np.argmax(e))
    fo = it['first_order']
    assert abs(fo['total_error_percent'] - 100 * (sum(f['fo'] for f in h) - change) / abs(change)) < 1e-9
    assert abs(fo['mean_step_error'] - np.mean([abs(f['L1'] - f['L0'] - f['fo']) for f in h])) < 1e-12
PY
}

@test "the table says the same to people" {
    run --separate-stderr lca-check <"$FILES/a.lca"
    assert_success
    assert_equal "$stderr" ""
    [ "$(grep -c '^train  *simpson ' <<<"$output")" -eq 1 ]
    [ "$(grep -c '^val  *simpson ' <<<"$output")" -eq 1 ]
    [ "$(grep -c '^train  *first-order ' <<<"$output")" -eq 1 ]
    assert_line --partial "gradients per step"
    json=$(lca-check --json <"$FILES/a.lca")
    total=$(jq -r .total_error_percent <<<"$json")
    assert_output --partial "$(printf '%+13.5f%%' "$total")"
}

@test "each bound: what is within passes, what is above fails and is named" {
    lca-check --json <"$FILES/fixed.lca" >check.json
    worst=$(jq -r '[.max_step_error, .heldout.max_step_error] | max' check.json)
    mean=$(jq -r '[.mean_step_error, .heldout.mean_step_error] | max' check.json)
    total=$(jq -r '[.total_error_percent, .heldout.total_error_percent] | map(fabs) | max' check.json)
    for bound in "--max-step-error $worst" "--max-mean-error $mean" "--max-total-error $total"; do
        set -- $bound
        lca-check $1 "$("$PYTHON" -c "print($2 * 1.0001)")" <"$FILES/fixed.lca"
        run --separate-stderr lca-check $1 "$("$PYTHON" -c "print($2 * 0.9999)")" <"$FILES/fixed.lca"
        assert_failure 1
        [[ $stderr == "lca-check: error: "*" is above "* ]]
    done
    # the first step above the bound is named, with its set and pieces
    run --separate-stderr lca-check --max-step-error 1e-3 <"$FILES/fixed.lca"
    first=$(py <<'PY'
import os
h = [f[0] for f in of_kind(read(os.environ['FILES'] + '/fixed.lca'), 'lca') if abs(f[0]['res']) > 1e-3]
print('step %d (%s)' % (h[0]['it'], h[0]['set']))
PY
)
    [[ $stderr == *"$first: the error of"*"with 2 pieces is above 0.001" ]]
    lca-check --max-step-error 1e-4 <"$FILES/a.lca"
}

@test "steps that reached the most pieces may be let through, and are listed" {
    run --separate-stderr lca-check --max-step-error 1e-5 <"$FILES/low.lca"
    assert_failure 1
    run --separate-stderr lca-check --max-step-error 1e-5 --except-max-pieces <"$FILES/low.lca"
    assert_success
    above=$(py <<'PY'
import os
print(sum(abs(f[0]['res']) > 1e-5 for f in of_kind(read(os.environ['FILES'] + '/low.lca'), 'lca')))
PY
)
    [ "$above" -ge 2 ]
    assert_equal "$(grep -c 'with the most pieces, 4$' <<<"$output")" "$above"
    # but not where fewer pieces would have been enough to be caught
    run --separate-stderr lca-check --max-step-error 1e-9 --except-max-pieces <"$FILES/low.lca"
    assert_failure 1
}

@test "fixed pieces are no excuse: none of them reached the most" {
    run --separate-stderr lca-check --max-step-error 1e-5 --except-max-pieces <"$FILES/fixed.lca"
    assert_failure 1
}

@test "tampering is found, whatever it is, though every checksum is right" {
    py <<'PY'
import os, copy
p = read(os.environ['FILES'] + '/a.lca')
def tampered(name, change):
    q = copy.deepcopy(p)
    change(of_kind(q, 'lca', set='train'))
    write(name + '.lca', q)
def one_A(f):
    v = array(f[3]).copy()
    v[np.argmax(np.abs(v))] *= 1.01
    f[3][1] = v.tobytes()
def two_A(f):                   # nothing is lost in all, but the sum
    v = array(f[3]).copy()
    v[5] += 0.25
    f[3][1] = v.tobytes()
def nan(f):
    v = array(f[3]).copy()
    v[5] = np.nan
    f[3][1] = v.tobytes()
tampered('A', one_A)
tampered('B', two_A)
tampered('nan', nan)
tampered('sum', lambda f: f[3][0].update(sum=f[3][0]['sum'] + 1e-3, res=f[3][0]['L1'] - f[3][0]['L0'] - (f[3][0]['sum'] + 1e-3)))
tampered('res', lambda f: f[3][0].update(res=f[3][0]['res'] / 2))
tampered('L1', lambda f: f[3][0].update(L1=f[3][0]['L1'] + 1e-9, res=f[3][0]['L1'] + 1e-9 - f[3][0]['L0'] - f[3][0]['sum']))
tampered('it', lambda f: f[3][0].update(it=9))
PY
    for name in A B nan sum; do
        run --separate-stderr lca-check --in $name.lca
        assert_failure 1
        [[ $stderr == "lca-check: error: step 3 (train): A adds up to "* ]]
    done
    run --separate-stderr lca-check --in res.lca
    assert_failure 1
    [[ $stderr == *"step 3 (train): the residual "*" is not L1 - L0 - sum" ]]
    run --separate-stderr lca-check --in L1.lca
    assert_failure 1
    [[ $stderr == *"step 4 (train) does not begin where step 3 ended" ]]
    run --separate-stderr lca-check --in it.lca
    assert_failure 1
    [[ $stderr == *"step 9 (train) does not begin where step 2 ended" ]]
    # with --json too, which still prints its numbers
    run --separate-stderr lca-check --json --in A.lca
    assert_failure 1
    jq -e .loss_first <<<"$output"
}

@test "classes that add up pass, even where they cancel" {
    run --separate-stderr lca-check <"$FILES/class.lca"
    echo "$stderr"
    assert_success
    py <<'PY'
import os
p = read(os.environ['FILES'] + '/class.lca')
ratio = [sum(c[0]['abs'] for c in of_kind(p, 'lca', set='train', it=k)[1:]) / of_kind(p, 'lca', set='train', it=k)[0][0]['abs']
         for k in range(4)]
assert max(ratio) > 2, ratio
# as a network that has converged might: the classes pull a thousand times as hard as
# the whole, and float rounds each
np.random.seed(1)
for k in range(4):
    f = of_kind(p, 'lca', set='train', it=k)
    rows = np.random.standard_normal((10, 4780))
    rows[9] += rows.sum(axis=0) * -1 + np.random.standard_normal(4780) * 1e-3
    sums = rows.sum(axis=1)
    whole = rows.sum(axis=0)
    for c, (frame, A) in enumerate(zip(f, [whole] + list(rows))):
        frame[1] = A.astype('f4').tobytes()
        total = float(sum(sums)) if c == 0 else float(sums[c - 1])
        h = frame[0]
        h.update(sum=total, abs=float(np.abs(A).sum()), L0=0.0, L1=0.0, res=0.0 - total)
write('cancel.lca', p)
PY
    run --separate-stderr lca-check --in cancel.lca
    echo "$stderr"
    assert_success
    lca-check --json <"$FILES/class.lca" | jq -e '.class_sum_error < 1e-12 and .class_lca_error < 1e-6'
}

@test "classes that do not add up are found" {
    py <<'PY'
import os, copy
p = read(os.environ['FILES'] + '/class.lca')
def tampered(name, change):
    q = copy.deepcopy(p)
    change(of_kind(q, 'lca', set='train', it=2))
    write(name + '.lca', q)
def swap(f):                    # the sum stays, the vector does not
    v = array(f[4]).copy()
    v[4710:4720] += .01
    v[4720:4730] -= .01
    f[4][1] = v.tobytes()
tampered('A', swap)
tampered('sum', lambda f: f[4][0].update(sum=f[4][0]['sum'] * 1.0001 + 1e-6))
def missing(f):
    f[-1][0]['cls'] = 3
tampered('missing', missing)
PY
    run --separate-stderr lca-check --in A.lca
    assert_failure 1
    [[ $stderr == *"step 2 (train): the class A differ from A by "* ]]
    run --separate-stderr lca-check --in sum.lca
    assert_failure 1
    [[ $stderr == *"step 2 (train): the class sums differ from the sum by "* ]]
    run --separate-stderr lca-check --in missing.lca
    assert_failure 1
    [[ $stderr == *"step 2 (train): class 3 comes where class 9 of step 2 is due" ]]
    # a step without its classes, in the middle and at the end
    py <<'PY'
import os
p = read(os.environ['FILES'] + '/class.lca')
for name, it in (('middle', 1), ('end', 3)):
    q = [f for f in p if not (f[0]['t'] == 'lca' and f[0]['set'] == 'train' and f[0]['it'] == it and f[0]['cls'] > 6)]
    write(name + '.lca', [[dict(h, **({'seq': k - 1} if h['t'] == 'lca' else {'next': len(q) - 2} if k else {})), b]
                          for k, (h, b) in enumerate(q)])
PY
    run --separate-stderr lca-check --in middle.lca
    assert_failure 1
    [[ $stderr == *"step 1 (train) has 7 of 10 classes" ]]
    run --separate-stderr lca-check --in end.lca
    assert_failure 1
    [[ $stderr == *"step 3 (train) has 7 of 10 classes" ]]
}

@test "what is no lca stream, or is cut, or failed, or has no step" {
    run --separate-stderr lca-check --in "$FILES/t.lca"
    assert_failure 2
    [[ $stderr == *"lca-check reads an lca stream"* ]]
    head -c 30000 "$FILES/a.lca" >cut.lca
    run --separate-stderr lca-check --in cut.lca
    assert_failure 5
    assert_output ""
    py <<'PY'
import os
p = read(os.environ['FILES'] + '/a.lca')
write('failed.lca', p[:-1] + [[dict(p[-1][0], status='failed', why='no more power'), b'']])
write('none.lca', [p[0], [dict(p[-1][0], next=0), b'']])
PY
    run --separate-stderr lca-check --in failed.lca
    assert_failure 4
    run --separate-stderr lca-check --in none.lca
    assert_success
    lca-check --json --in none.lca | jq -e 'type == "object"'
}
