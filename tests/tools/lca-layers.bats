# lca-layers: every number again in numpy.
load ../helper
load ../streams

more_files() {
    train t.lca
    allocate t.lca l.lca --by-class
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

@test "help, version, unknown options" {
    talks_like_a_tool lca-layers
}

@test "layers, tensors, cumulative, classes and totals" {
    lca-layers <"$FILES/l.lca" >a.lca
    py "$FILES/l.lca" <<'END'
f, a = read(sys.argv[1]), read('a.lca')
tensors = f[0][0]['layers']
names = list(dict.fromkeys(t['l'] for t in tensors))
def tensor_sums(A):
    return np.array([A[t['off']:t['off'] + t['len']].astype('f8').sum() for t in tensors])
def layer_sums(A):
    s = dict.fromkeys(names, 0.0)
    for t, v in zip(tensors, tensor_sums(A)):
        s[t['l']] += v
    return np.array(list(s.values()))
def agg(kind, **keys):
    return [array(p) for p in of_kind(a, 'agg', kind=kind, **keys)]
def near(x, y, scale):
    assert np.allclose(x, y, rtol=0, atol=1e-9 * scale), (x, y)
for name in 'train', 'val':
    total = np.zeros(len(names)); total_t = np.zeros(len(tensors)); by_class = np.zeros((10, len(names))); curve = []
    for it in range(4):
        head, _ = pair = of_kind(f, 'lca', it=it, set=name, cls=-1)[0]
        A, scale = array(pair), head['abs']
        near(agg('layers', it=it, set=name)[0], layer_sums(A), scale)
        near(agg('tensors', it=it, set=name)[0], tensor_sums(A), scale)
        total += layer_sums(A); total_t += tensor_sums(A); curve.append(total.copy())
        near(agg('cumulative', it=it, set=name)[0], total, scale)
        rows = np.array([layer_sums(array(of_kind(f, 'lca', it=it, set=name, cls=c)[0])) for c in range(10)])
        near(agg('class_layers', it=it, set=name)[0], rows, scale)
        by_class += rows
    near(agg('layers_total', set=name)[0], total, 1)
    near(agg('tensors_total', set=name)[0], total_t, 1)
    near(agg('class_layers_total', set=name)[0], by_class, 1)
    more = of_kind(a, 'agg', kind='layers_total', set=name)[0][0]['more']
    kernels = sum(v for t, v in zip(tensors, total_t) if t['k'] == 'kernel')
    assert abs(more['share_bias_bn'] - (1 - kernels / total.sum())) < 1e-9
    low = [min(range(5), key=lambda t: 0 if t == 0 else curve[t - 1][l]) for l in range(len(names))]
    assert more['argmin'] == low, (more, low)
    if name == 'train':
        final = a[-1][0]['final']
        near([l['lca'] for l in final['layers']], total, 1)
        near([c['lca'] for c in final['classes']], by_class.sum(axis=1), 1)
        n = [c['n'] for c in f[0][0]['classes']]
        near([c['lca_mean'] for c in final['classes']], by_class.sum(axis=1) * 500 / n, 10)
END
}

@test "the same bytes twice; a theta stream is refused" {
    lca-layers <"$FILES/l.lca" >a.lca
    lca-layers --in "$FILES/l.lca" --out b.lca
    cmp a.lca b.lca
    run lca-layers --in "$FILES/t.lca" --out c.lca
    assert_failure 2
    assert_output --partial "reads an lca stream"
}
