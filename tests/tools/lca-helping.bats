# lca-helping: every number again in numpy.
load ../helper
load ../streams

more_files() {
    train t.lca
    allocate t.lca l.lca
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

@test "help, version, unknown options" {
    talks_like_a_tool lca-helping
}

@test "p, q, z, w of all and of each layer, their means, and the histogram" {
    lca-helping <"$FILES/l.lca" >a.lca
    py "$FILES/l.lca" <<'END'
f, a = read(sys.argv[1]), read('a.lca')
tensors = f[0][0]['layers']
names = list(dict.fromkeys(t['l'] for t in tensors))
owner = np.concatenate([np.full(t['len'], names.index(t['l'])) for t in tensors])
def measures(A):
    A = A.astype('f8'); down, zero = (A < 0).sum(), (A == 0).sum()
    return [100 * down / A.size, 100 * down / (A.size - zero), 100 * zero / A.size, 100 * -A[A < 0].sum() / abs(A).sum()]
steps, helped = [], 0
for it in range(4):
    A = array(of_kind(f, 'lca', it=it, set='train')[0])
    want = [measures(A)] + [measures(A[owner == l]) for l in range(len(names))]
    have = array(of_kind(a, 'agg', kind='helping', it=it)[0])
    assert np.allclose(have, want, rtol=1e-12, atol=0), (have, want)
    steps.append(want); helped = helped + (A < 0)
total = of_kind(a, 'agg', kind='helping_total')[0]
assert np.allclose(array(total), np.mean(steps, axis=0), rtol=1e-12)
assert total[0]['keys'] == {'group': ['all'] + names, 'measure': ['p', 'q', 'z', 'w']}
bins = array(of_kind(a, 'agg', kind='helping_histogram')[0])
want = np.bincount(np.minimum(helped * 50 // 4, 49), minlength=50)
assert np.array_equal(bins, want) and bins.sum() == f[0][0]['P']
final = a[-1][0]['final']
assert np.allclose([final[k] for k in ('percent_helping_p', 'percent_helping_q', 'percent_zero',
                                       'percent_helping_weighted')], np.mean(steps, axis=0)[0], rtol=1e-12)
END
}

@test "a step in which nothing moved: all zero, no q" {
    py "$FILES/l.lca" <<'END'
f = read(sys.argv[1])
f = [[h, bytes(len(p)) if h['t'] == 'lca' else p] for h, p in f]
write('still.lca', f)
END
    lca-helping <still.lca >a.lca
    py <<'END'
a = read('a.lca')
m = array(of_kind(a, 'agg', kind='helping')[0])[0]
assert m[0] == 0 and np.isnan(m[1]) and m[2] == 100 and np.isnan(m[3])
assert 'percent_helping_q' not in a[-1][0]['final'] and a[-1][0]['final']['percent_zero'] == 100
END
}
