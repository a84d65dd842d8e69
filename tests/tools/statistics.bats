# What lca-spread, lca-oscillation, lca-moments and lca-correlation have in common.
load ../helper
load ../streams

more_files() {
    train t.lca --iterations 30
    allocate t.lca a.lca --tolerance off --emit lca,move,grad,eff
}

# The filters, each with what makes it read any input; those that read more than once.
FILTERS=("lca-spread" "lca-oscillation" "lca-moments --of lca,move,eff --draws 50" "lca-correlation --window 12")
AGAIN=("lca-spread --exact" lca-correlation)

@test "live says what the recording says" {
    export LCA_DIR=$PWD/ipc
    local pids=()
    for f in "${FILTERS[@]}"; do
        $f --in ipc:lca --name "${f%% *}" --out "${f%% *}.lca" 3>&- &
        pids+=($!)
    done
    timeout 60 lca-cat --in "$FILES/a.lca" --out ipc:lca --expect lca-spread,lca-oscillation,lca-moments,lca-correlation
    for p in "${pids[@]}"; do wait "$p"; done
    for f in "${FILTERS[@]}"; do
        $f <"$FILES/a.lca" | cmp - "${f%% *}.lca"
    done
}

@test "killed in the middle and started again from the recording, the result is the same" {
    local half=$(($(stat -c %s "$FILES/a.lca") / 2))
    for f in "${FILTERS[@]}"; do
        $f <"$FILES/a.lca" >whole.lca
        rm -f pipe out.lca
        mkfifo pipe
        $f --in "file:$PWD/pipe" --out out.lca 3>&- &
        local pid=$!
        { head -c $half "$FILES/a.lca" && until [ -s out.lca ]; do sleep 0.02; done && kill -9 $pid; } >pipe
        run wait $pid
        run ! cmp -s whole.lca out.lca
        rm out.lca
        $f --in "$FILES/a.lca" --out out.lca
        cmp whole.lca out.lca
    done
}

@test "all zeros, one parameter, one step, constant series, no step" {
    py <<'PY'
import handmade
kinds = ('lca', 'move', 'grad', 'eff')
noise = handmade.noise(2)
one = [('d', 'kernel', (1, 1))]
zero = lambda kind, t, s, c, P: np.zeros(P)
flips = lambda *a: noise(*a) + 1e-5 * (-1) ** a[1]
constant = lambda kind, t, s, c, P: np.linspace(-3, 5, P)
write('zeros.lca', handmade.stream(handmade.NET, handmade.TENSORS, 12, value=zero, emit=kinds))
write('parameter.lca', handmade.stream(handmade.NET, one, 50, value=flips, emit=kinds))
write('step.lca', handmade.stream(handmade.NET, handmade.TENSORS, 1, value=noise, emit=kinds))
write('none.lca', handmade.stream(handmade.NET, handmade.TENSORS, 0, value=noise, emit=kinds))
write('constant.lca', handmade.stream(handmade.NET, handmade.TENSORS, 9, value=constant, emit=kinds))
PY
    for name in zeros parameter step constant; do
        lca-spread <$name.lca >spread
        lca-spread --exact <$name.lca >exact
        lca-oscillation <$name.lca >oscillation
        lca-moments --of lca,move,eff --draws 20 <$name.lca >moments
        lca-correlation <$name.lca >correlation
        lca-correlation --window 5 <$name.lca >window
        py $name <<'PY'
import stats
s = stats.Stream(sys.argv[1] + '.lca')
stats.check_spread(s, read('spread'))
stats.check_spread(s, read('exact'), exact=True)
stats.check_oscillation(s, read('oscillation'))
stats.check_moments(s, read('moments'), ('lca', 'move', 'eff'), draws=20)
stats.check_correlation(s, read('correlation'))
if sys.argv[1] != 'step':
    stats.check_correlation(s, read('window'), 5)
PY
    done
    for f in "${FILTERS[@]}" "${AGAIN[@]}"; do
        $f <none.lca >p.lca
        py <<'PY'
p = read('p.lca')
assert [h['t'] for h, _ in p] == ['HEAD', 'EOS'], [h['t'] for h, _ in p]
PY
    done
}

@test "what is not a number is refused, with its step and parameter" {
    py <<'PY'
import handmade
noise = handmade.noise(2)
def value(kind, t, s, c, P):
    v = noise(kind, t, s, c, P)
    if t == 6 and kind == 'lca':
        v[60] = np.inf
    return v
write('bad.lca', handmade.stream(handmade.NET, handmade.TENSORS, 12, value=value, emit=('lca', 'move', 'grad', 'eff')))
PY
    for f in "${FILTERS[@]}" "${AGAIN[@]}"; do
        run --separate-stderr $f --in bad.lca --out p.lca
        assert_failure 5
        [[ $stderr == *"step 6 of train"*"parameter 60"* ]] || fail "$f: $stderr"
        $f --steps :6 --in bad.lca --out p.lca
    done
}

@test "memory does not grow with steps" {
    py <<'PY'
import handmade
for n in (20, 600):
    write('%d.lca' % n, handmade.stream(handmade.NET, handmade.TENSORS, n, value=handmade.noise(1),
                                        emit=('lca', 'move', 'grad')))
PY
    for f in lca-spread "lca-spread --exact" lca-oscillation lca-correlation "lca-correlation --window 15"; do
        py $f <<'PY'
import resource, subprocess
def peak(n):        # KiB, of the largest child so far
    subprocess.check_call(sys.argv[1:] + ['--in', '%d.lca' % n, '--out', 'p.lca'])
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
short = peak(20)
assert peak(600) < short + 1500, (sys.argv[1:], short, peak(600))
PY
    done
}
