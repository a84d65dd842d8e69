# lca-grad as a filter, and its benchmark; as a worker it is tested with lca-integrate.
load ../helper
load ../streams

more_files() {
    train t.lca
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    t=$FILES/t.lca d=$FILES/s.data
}

@test "help, version, unknown options" {
    talks_like_a_tool lca-grad
}

@test "loss and gradient are those of numpy in double, by class too" {
    lca-grad --data $d --chunk 250 <$t >g.lca
    lca-grad --data $d --by-class <$t >c.lca
    py $t $d <<'END'
thetas, grads, classes = (read(f) for f in (sys.argv[1], 'g.lca', 'c.lca'))
data = reference.Data(sys.argv[2])
net = reference.Net(thetas[0][1])
x, y = data.sets['train'][0][:500], data.sets['train'][1][:500]
assert len(of_kind(grads, 'grad')) == 5 and len(of_kind(classes, 'grad')) == 50
for it in range(5):
    loss, g = net.loss(array(of_kind(thetas, 'theta', it=it)[0]), x, y)
    head, _ = pair = of_kind(grads, 'grad', it=it)[0]
    assert abs(head['loss'] - loss) < 1e-6, (head['loss'], loss)
    assert np.linalg.norm(array(pair) - g) < 1e-5 * np.linalg.norm(g)
    rows = of_kind(classes, 'grad', it=it)
    assert [h['cls'] for h, _ in rows] == list(range(10))
    assert abs(sum(h['loss'] for h, _ in rows) - loss) < 1e-6
    assert np.linalg.norm(sum(array(p).astype('f8') for p in rows) - g) < 1e-5 * np.linalg.norm(g)
END
}

@test "another data set is refused, naming both digests" {
    lca-data make synth:2,1000 --out other.data >/dev/null
    run --separate-stderr lca-grad --data other.data <$t
    assert_failure 2
    [[ $stderr == *"$(lca-data digest other.data | cut -c1-16)"* ]]
    [[ $stderr == *"$(lca-data digest $d | cut -c1-16)"* ]]
}

@test "a cut stream is 5, another network 2, a chunk that does not divide 2" {
    run bash -c "head -c 30000 $t | lca-grad --data $d"
    assert_failure 5
    run lca-grad --data $d --net mnist-fc <$t
    assert_failure 2
    assert_output --partial "is not the network of the stream"
    run lca-grad --data $d --chunk 7 <$t
    assert_failure 2
    assert_output --partial "does not divide"
    run lca-grad --data $d --set nothing <$t
    assert_failure 2
    run lca-grad --device tpu --benchmark --net mnist-fc
    assert_failure 2
}

@test "frames are not shown on a terminal" {
    on_terminal "lca-grad --data $d < $t"
    assert_output --partial "terminal"
}

@test "--benchmark prints one line of JSON" {
    run --separate-stderr lca-grad --benchmark --net "$FILES/relu.json" --examples 2000 --chunk 500
    assert_success
    run jq -e '.net == "small" and .examples == 2000 and .chunk == 500 and .device == "cpu" and .threads == 1
        and .us_per_example > 0 and .gflops > 0 and .peak_rss_mib > 1' <<<"$output"
    assert_success
}
