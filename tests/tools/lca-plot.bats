load ../helper
load ../streams
# Figures: that every kind is drawn, from whatever its input comes in, and that the numbers in
# its tables are those of the frames.

need_gnuplot() {
    command -v gnuplot >/dev/null || skip "no gnuplot: install gnuplot-nox"
}

# One run with everything, and of each filter NAME.lca and NAME.jsonl.
more_files() {
    train t.lca --iterations 12
    allocate t.lca a.lca --tolerance off --by-class --emit lca,move,grad
    mkdir run
    local name options
    while read -r name options; do
        eval "lca-$name $options --in a.lca --out $name.lca"
        lca-tap --json --data $name.lca >run/$name.jsonl
    done <<'END'
layers
helping
units
params -k 3 --neuron one:0 --neuron one:4
spread
oscillation --trace one/kernel:2600 --trace hurting:two
moments --draws 50
correlation
classes
overfit
END
}

# kind -> filter
KINDS="loss layers
helping helping
histogram spread
parameter-helping helping
layers layers
cumulative layers
heatmap units
curves params
oscillation oscillation
moments moments
correlation correlation
classes classes
saliency params
surrogate spread
overfit overfit"

@test "lca-plot talks like a tool" {
    talks_like_a_tool lca-plot
}

@test "every kind is drawn, the same from frames, lines of JSON and a run's folder" {
    need_gnuplot
    n=0
    while read -r kind filter; do
        lca-plot $kind <"$FILES/$filter.lca" >frames.svg || fail "$kind"
        lca-plot $kind "$FILES/run" >folder.svg
        lca-plot $kind --out lines.svg "$FILES/run/$filter.jsonl"
        cmp frames.svg folder.svg
        cmp frames.svg lines.svg
        ! command -v xmllint >/dev/null || xmllint --noout frames.svg
        grep -q 'small, 4,780 parameters, 12 steps on 500 examples of synth' frames.svg || fail "$kind: no caption"
        n=$((n + 1))
    done <<<"$KINDS"
    # each that there is, but for those of several runs and films
    assert_equal $n $(($(lca-plot none 2>&1 | sed 's/.*there are //' | tr , '\n' | wc -l) - 2))
}

@test "the tables hold the numbers of the frames, to the last bit" {
    need_gnuplot
    while read -r kind filter; do
        lca-plot $kind --keep kept --out $kind.svg "$FILES/$filter.lca"
    done <<<"$KINDS"
    py <<'PY'
import os
def rows(name):
    text = open('kept/%s.tsv' % name).read().splitlines()
    assert text[0].startswith('# '), name
    return [[float(x) if x.replace('NaN', '0').strip('-0123456789.e+') == '' else x for x in line.split('\t')]
            for line in text[1:]]
def table(name):
    return np.array(rows(name), 'f8')
def same(name, *columns):
    got, want = table(name), np.column_stack(columns)
    assert got.shape == want.shape and np.array_equal(got, want, equal_nan=True), (name, got, want)
def of(filter, **keys):
    return of_kind(read('%s/%s.lca' % (os.environ['FILES'], filter)), 'agg', **keys)
def stack(filter, **keys):
    return np.array([array(f) for f in of(filter, **keys)], 'f8')
T, steps = 12, np.arange(12)

# the loss is that of the lca frames
for s in 'train', 'val':
    a = [f[0] for f in of_kind(read(os.environ['FILES'] + '/a.lca'), 'lca', set=s, cls=-1)]
    L = np.array([a[0]['L0']] + [h['L1'] for h in a])
    got = table('loss-' + s)
    assert got.shape == (T + 1, 5) and (got[:, 0] == np.arange(T + 1)).all() and (got[:, 1] == L).all()
    assert np.allclose(got[1:, 2], L[0] + np.cumsum([h['sum'] for h in a]), rtol=0, atol=1e-14)
    assert (got[1:, 3] == np.abs([h['res'] for h in a])).all()
    assert np.allclose(got[1:, 4], [abs(h['L1'] - h['L0'] - h['fo']) for h in a], rtol=0, atol=1e-15)

helping = stack('helping', kind='helping')          # [step][group][p, q, z, w]
got = table('helping-steps')
assert (got[:, 1] == helping[:, 0, 1]).all() and (got[:, 3] == helping[:, 0, 0]).all()
w = np.exp(-0.5 * np.arange(-3, 4) ** 2)
for t in range(T):
    k = np.arange(max(t - 3, 0), min(t + 4, T))
    assert np.isclose(got[t, 2], np.average(helping[k, 0, 1], weights=w[k - t + 3]), rtol=1e-12)
histogram = stack('helping', kind='helping_histogram')[0]
same('parameter-helping-parameters', np.arange(50) * 2 + 1, histogram.T)

for part, kind in ('whole', 'spread_histogram'), ('cut', 'spread_histogram_cut'):
    f, = of('spread', kind=kind)
    v = dict(zip(f[0]['keys']['measure'], array(f)))
    for figure in 'histogram', 'surrogate':
        same('%s-%s' % (figure, part), (v['from'] + v['to']) / 2, v['to'] - v['from'], v['count'], v['gaussian'],
             v['weibull'], v['from'], v['to'])

total = stack('layers', kind='layers_total', set='train')[0]
assert [r[:2] + r[3:] for r in rows('layers-total')] == [[0, total[0], 'one'], [1, total[1], 'two']]
same('cumulative-steps', np.arange(T + 1), np.vstack([[0, 0], stack('layers', kind='cumulative', set='train')]))
units = np.array([array(f)[0] for f in of('units', kind='units', set='train') if f[0]['keys']['layer'] == ['one']])
same('heatmap-units', units.T)

params = np.array([array(f)[0] for f in of('params', kind='params', set='train') if f[0]['keys']['layer'] == ['one']])
for k, group in enumerate(('helping', 'hurting', 'random')):
    same('curves-' + group, steps + 1, params[:, k])
for k, f in enumerate(of('params', kind='neuron_total', set='train')):
    same('saliency-%d' % k, array(f)[0, :, :, 0])

traces = stack('oscillation', kind='traces')        # [step][parameter][measure]
for k in range(2):
    same('oscillation-%d' % k, steps, traces[:, k])

at, size = stack('moments', kind='moments_at', set='train')[0], stack('moments', kind='moments_size', set='train')[0]
want = [[at[c, l, k], l * 12 + c, size[c, l, k], sum(at[c, l, k] in at[c, m] for m in range(2))]
        for l in range(2) for c in range(11) for k in range(at.shape[2]) if not np.isnan(at[c, l, k])]
assert want and [r[:4] for r in rows('moments-at')] == want

f, = of('correlation', kind='correlation_total')
v, names = array(f), f[0]['keys']['measure']
for i, side in enumerate(('inputs', 'outputs')):
    for j, series in enumerate(('step', 'cumulative')):
        m = v[:, i, j]
        exact, asymptotic = m[:, names.index('p_exact')], m[:, names.index('p_asymptotic')]
        p = np.where(np.isnan(exact), asymptotic, exact)
        same('correlation-%s-%s' % (side, series), [0, 1], m[:, names.index('r')], m[:, names.index('r_fake')], p)

same('classes-concentrated', [0, 1], stack('classes', kind='concentrated_total')[0])
c = stack('classes', kind='classes_total', set='train')[0]
same('classes-total', np.tile([0, 1], 10), np.repeat(np.arange(10), 2), c.ravel())

o = stack('overfit', kind='overfit_total')[0]
same('overfit-total', [0, 1], o.T)
d = stack('overfit', kind='overfit')[:, 2]
assert np.allclose(table('overfit-steps')[:, 1:], np.cumsum(d, axis=0), rtol=0, atol=1e-15)
PY
    # what is kept draws the figure again
    while read -r kind filter; do
        (cd kept && rm $kind.svg && gnuplot $kind.gp)
        cmp kept/$kind.svg $kind.svg
    done <<<"$KINDS"
}

@test "several runs: mean and deviation of layers, a sweep over what differs" {
    need_gnuplot
    for lr in 0.1 0.3; do
        for seed in 1 2; do
            train t.lca --iterations 3 --lr $lr --seed $seed
            allocate t.lca a.lca --tolerance off --sets train
            lca-layers --in a.lca --out layers-$lr-$seed.lca
            lca-helping --in a.lca --out helping-$lr-$seed.lca
        done
    done
    lca-plot layers --keep kept --out l.svg layers-0.1-*.lca
    lca-plot sweep --keep kept --out s.svg helping-*.lca
    py <<'PY'
totals = [array(of_kind(read('layers-0.1-%d.lca' % k), 'agg', kind='layers_total')[0]) for k in (1, 2)]
rows = [line.split('\t') for line in open('kept/layers-total.tsv').read().splitlines()[1:]]
assert np.allclose([[float(x) for x in r[1:3]] for r in rows],
                   np.column_stack([np.mean(totals, axis=0), np.std(totals, axis=0, ddof=1)]), rtol=1e-12, atol=0)
rows = [line.split('\t') for line in open('kept/sweep-runs.tsv').read().splitlines()[1:]]
want = []
for place, lr in enumerate(('0.1', '0.3')):
    for seed in 1, 2:
        f = read('helping-%s-%d.lca' % (lr, seed))
        want.append((place, array(of_kind(f, 'agg', kind='helping_total')[0])[0][1],
                     of_kind(f, 'agg', kind='helping')[-1][0]['more']['L1'], lr))
assert sorted((int(a), float(b), float(c), d) for a, b, c, d in rows) == sorted(want)
PY
    grep -q '4 runs: small' s.svg
    run --separate-stderr lca-plot sweep --out x.svg helping-0.1-*.lca
    assert_failure 2
    [[ $stderr == *"differ in no option but the seed"* ]]
    run --separate-stderr lca-plot loss --out x.svg layers-0.1-*.lca
    assert_failure 2
    [[ $stderr == *"loss shows one run"* ]]
}

@test "SVG, PNG and PDF; no figure where drawing fails" {
    need_gnuplot
    lca-plot layers --out x.png "$FILES/run"
    lca-plot layers --out x.pdf "$FILES/run"
    assert_equal "$(head -c 8 x.png | od -An -tx1 | tr -d ' ')" 89504e470d0a1a0a
    assert_equal "$(head -c 5 x.pdf)" %PDF-
    run --separate-stderr lca-plot layers --out x.jpg "$FILES/run"
    assert_failure 2
    [[ $stderr == *"ends in none of .svg, .png, .pdf"* ]]
    run --separate-stderr lca-plot layers --out nowhere/x.svg "$FILES/run"
    assert_failure 1
    [[ $stderr == *"nowhere/x.svg: No such file"* ]]
    mkdir bin tmp
    printf '#!/bin/sh\necho "line 3: undefined variable" >&2\nexit 1\n' >bin/gnuplot
    chmod +x bin/gnuplot
    TMPDIR=$PWD/tmp PATH=$PWD/bin:$PATH run --separate-stderr lca-plot layers --out y.svg "$FILES/run"
    assert_failure 1
    [[ $stderr == *"gnuplot failed: line 3: undefined variable"* ]]
    assert_file_not_exist y.svg
    assert_equal "$(ls tmp)" ""
}

@test "told to stop it stops gnuplot, and leaves nothing behind" {
    mkdir bin tmp
    printf '#!/bin/sh\necho $$ >%s/pid\nexec sleep 60\n' "$PWD" >bin/gnuplot
    chmod +x bin/gnuplot
    TMPDIR=$PWD/tmp PATH=$PWD/bin:$PATH lca-plot layers --out y.svg "$FILES/run" 3>&- 2>words &
    for _ in $(seq 100); do [ -s pid ] && break; sleep 0.1; done
    kill -TERM $!
    status=0
    wait $! || status=$?
    assert_equal $status 130
    run ! kill -0 "$(cat pid)"
    assert_equal "$(ls tmp)" ""
    assert_file_not_exist y.svg
}

@test "without gnuplot it says which package has it" {
    mkdir bin
    ln -s "$(command -v lca-plot)" bin
    run --separate-stderr env PATH="$PWD/bin" lca-plot layers --out x.svg "$FILES/run"
    assert_failure 2
    [[ $stderr == *"there is no gnuplot, which does the drawing: install the Debian package gnuplot-nox"* ]]
}

@test "films: .gif by gnuplot alone, .mp4 and .webm by ffmpeg" {
    need_gnuplot
    lca-plot animation --pictures 4 --keep kept --out x.gif "$FILES/run"
    assert_equal "$(head -c 6 x.gif)" GIF89a
    py <<'PY'
import os
f = of_kind(read(os.environ['FILES'] + '/units.lca'), 'agg', kind='units', set='train')
by_step = [np.concatenate([array(x)[0] for x in f if x[0]['it'] == t]) for t in range(12)]
blocks = open('kept/animation-units.tsv').read().strip().split('\n\n\n')
got = [[float(line.split('\t')[3]) for line in b.splitlines() if line[0] != '#'] for b in blocks]
assert np.allclose(got, np.array(by_step).reshape(4, 3, 16).sum(axis=1), rtol=1e-12, atol=1e-18)
last = open('kept/animation-all.tsv').read().splitlines()[-1].split('\t')
assert last[0] == '12' and np.isclose(float(last[1]), np.sum(by_step), rtol=1e-12)
PY
    run --separate-stderr lca-plot animation --out x.svg "$FILES/run"
    assert_failure 2
    [[ $stderr == *"an animation needs --out FILE"* ]]
    run --separate-stderr lca-plot layers --out x.gif "$FILES/run"
    assert_failure 2
    [[ $stderr == *"does not move"* ]]
    command -v ffmpeg >/dev/null || skip "no ffmpeg: .mp4 and .webm are not tried"
    lca-plot animation --pictures 4 --out x.mp4 "$FILES/run"
    assert_equal "$(head -c 8 x.mp4 | tail -c 4)" ftyp
    lca-plot animation --pictures 4 --out x.webm "$FILES/run"
    assert_equal "$(head -c 4 x.webm | od -An -tx1 | tr -d ' ')" 1a45dfa3
}

@test "what a kind needs and is not there: the filter and its option are named" {
    lca-params --in "$FILES/a.lca" --out params.lca
    lca-oscillation --in "$FILES/a.lca" --out oscillation.lca
    while read -r kind file words; do
        run --separate-stderr lca-plot $kind --out x.svg $file
        assert_failure 2
        [[ $stderr == *"$words"* ]] || fail "$kind: $stderr"
    done <<END
saliency params.lca lca-params --neuron LAYER:UNIT
oscillation oscillation.lca lca-oscillation --trace WHICH
classes $FILES/layers.lca lca-classes
loss $FILES/a.lca a filter such as lca-layers sums them up first
nothing $FILES/run there is no figure 'nothing'; there are loss, helping
END
    run --separate-stderr lca-plot moments --of eff --out x.svg "$FILES/run"
    assert_failure 2
    [[ $stderr == *"has no eff_moments_at frames: they need lca-moments --of lca,eff"* ]]
    mkdir empty
    run --separate-stderr lca-plot saliency --out x.svg empty
    assert_failure 2
    [[ $stderr == *"empty has no params.jsonl: run the pipeline with --filter 'params --neuron LAYER:UNIT'"* ]]
    run --separate-stderr lca-plot heatmap --layer three --out x.svg "$FILES/run"
    assert_failure 2
    [[ $stderr == *"there is no such layer; there are one, two"* ]]
    run --separate-stderr lca-plot layers --set test --out x.svg "$FILES/run"
    assert_failure 2
    [[ $stderr == *"no layers_total of the set 'test'"* ]]
    lca-layers --every 3 --in "$FILES/a.lca" --out every.lca
    run --separate-stderr lca-plot loss --out x.svg every.lca
    assert_failure 2
    [[ $stderr == *"after step 0 comes step 3, and sums need every step"* ]]
    py <<'PY'
import os
a = read(os.environ['FILES'] + '/layers.lca')
for f in a:
    f[0].pop('more', None)
write('old.lca', a)
PY
    run --separate-stderr lca-plot loss --out x.svg old.lca
    assert_failure 2
    [[ $stderr == *"do not tell the loss"* ]]
    assert_file_not_exist x.svg
}

@test "broken input: cut, failed, damaged" {
    head -c 5000 "$FILES/layers.lca" >cut.lca
    head -c 5000 "$FILES/run/layers.jsonl" >cut.jsonl
    head -n 20 "$FILES/run/layers.jsonl" >open.jsonl
    (head -n 3 "$FILES/run/layers.jsonl"; echo '{"lost":3}') >lost.jsonl
    sed '/layers_total/s/"sh":\[2\]/"sh":[3]/' "$FILES/run/layers.jsonl" >shape.jsonl
    (head -n 2 "$FILES/run/layers.jsonl"; echo nonsense) >nonsense.jsonl
    sed 1d "$FILES/run/layers.jsonl" >headless.jsonl
    sed 's/"set":"val"/"set":"..\/..\/x"/' "$FILES/run/layers.jsonl" >set.jsonl
    for file in cut.lca cut.jsonl open.jsonl lost.jsonl shape.jsonl nonsense.jsonl headless.jsonl set.jsonl; do
        run --separate-stderr lca-plot layers --out x.svg $file
        assert_failure 5
        assert_output ""
        [[ $stderr == "lca-plot: error: "*"$file"* ]] || fail "$file: $stderr"
    done
    py <<'PY'
import os
a = read(os.environ['FILES'] + '/layers.lca')
write('failed.lca', a[:-1] + [[dict(a[-1][0], status='failed', why='no more power'), b'']])
# a step of fewer layers than the others, for each kind that goes through steps
for name, kind in ('layers', 'cumulative'), ('helping', 'helping'), ('overfit', 'overfit'), ('units', 'units'), \
                  ('params', 'params'), ('oscillation', 'traces'):
    b = read(os.environ['FILES'] + '/%s.lca' % name)
    f = [x for x in b if x[0].get('kind') == kind and x[0]['it'] == 7][0]
    f[0].pop('keys', None) if kind != 'units' and kind != 'params' else f[0]['keys'].pop('unit', None)
    f[0]['sh'] = f[0]['sh'][:-1] + [1]
    f[1] = f[1][:8 * int(np.prod(f[0]['sh']))]
    write('odd-%s.lca' % kind, b)
PY
    for kind in cumulative helping overfit heatmap curves oscillation animation; do
        file=odd-$(sed 's/heatmap/units/; s/animation/units/; s/curves/params/; s/oscillation/traces/' <<<$kind).lca
        run --separate-stderr lca-plot $kind --out x.$([ $kind = animation ] && echo gif || echo svg) $file
        assert_failure 5
        [[ $stderr == *"values, and "*" before" || $stderr == *"other units than the first" ]] || fail "$kind: $stderr"
    done
    run --separate-stderr lca-plot layers --out x.svg failed.lca
    assert_failure 4
    [[ $stderr == *"no more power"* ]]
    run --separate-stderr lca-plot layers --out x.svg missing.jsonl
    assert_failure 2
    assert_file_not_exist x.svg
}

@test "text of a stream is shown as it is, and neither run nor taken for markup" {
    need_gnuplot
    py <<'PY'
import os
evil = "`touch owned` '\".system('touch owned').'\" {/*9 x}_^@&~ <b>\n\t$x \\"
a = read(os.environ['FILES'] + '/layers.lca')
a[0][0]['model'] = evil
for f in a:
    if 'layer' in f[0].get('keys', {}):
        f[0]['keys']['layer'] = [evil, 'two']
write('evil.lca', a)
PY
    for kind in layers cumulative loss; do
        lca-plot $kind --out $kind.svg evil.lca
        ! command -v xmllint >/dev/null || xmllint --noout $kind.svg
        assert_file_not_exist owned
        # as text: without the tags that style it
        sed 's/<[^>]*>//g' $kind.svg >text
        grep -qF "\`touch owned\` '\".system('touch owned').'\" {/*9 x}_^@&amp;~ &lt;b>  \$x \\" text ||
            fail "$kind"
    done
}
