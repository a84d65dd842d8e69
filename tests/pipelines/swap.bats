# A filter is stopped in the middle of a run, and another takes its place.
load ../helper
load ../live
load ../streams

# streams.bash's setup_file makes $FILES; live.bash's setup and teardown hold.

# start_run: trains and allocates, with layers, a second filter and a recorder as
# lca-integrate's consumers; slow enough that they can be swapped on the way.
start_run() {
    lca-data make synth:1,2000 --out run.data >/dev/null
    cat >stages <<'END'
train:     lca-train --net mnist-fc --data run.data --iterations 60 --batch 50 --out ipc:theta
integrate: lca-integrate --in ipc:theta --pool ipc:pool --by-class --tolerance off --out ipc:lca \
           --expect layers,helping,record
grad:      lca-grad --data run.data --pool ipc:pool
layers:    lca-layers --in ipc:lca --out $LCA_OUT/first.lca
helping:   lca-helping --in ipc:lca --out $LCA_OUT/helping.lca
record:    lca-cat --in ipc:lca --out $LCA_OUT/lca.lca
END
    bg run lca-run --quiet --out out stages
    until_true has out/first.lca 20000
}

# joined FIRST SECOND WHOLE: both together say what WHOLE says of each step, and where both
# speak of a step they say the same; but for sums since the first step, which each begins anew.
joined() {
    py "$@" <<'PY'
first, second, whole = [of_kind(read(f), 'agg') for f in sys.argv[1:]]
def steps(frames):
    return {(h['kind'], h['it'], h['set']): v for h, v in frames if h['kind'] in ('layers', 'tensors', 'class_layers')}
a, b, w = steps(first), steps(second), steps(whole)
assert all(a[k] == b[k] for k in a.keys() & b.keys()) and {**a, **b} == w
mine, its = {k[1] for k in a}, {k[1] for k in b}
# it went on with the step that came next, and that was not the first
assert min(mine) == 0 < min(its) <= max(mine) + 1 and max(its) == 59, (max(mine), min(its))
PY
}

@test "lca-layers is replaced while the run goes on" {
    start_run
    LCA_STAGE=layers bg second lca-layers --in out/ipc/lca --take --out second.lca
    ends run 0
    ends second 0
    lca-layers <out/lca.lca >whole.lca
    joined out/first.lca second.lca whole.lca
    # nobody else noticed
    lca-helping <out/lca.lca | cmp - out/helping.lca
    run jq -r .status out/summary.json
    assert_output ok
}

@test "it is stopped, and a filter of another kind comes in its place" {
    start_run
    # what it is replaced by begins with a whole step, also one by class
    LCA_STAGE=layers bg second lca-classes --in out/ipc/lca --take --out second.lca
    ends run 0
    ends second 0
    lca-classes <out/lca.lca >whole.lca
    py <<'PY'
part, whole = of_kind(read('second.lca'), 'agg'), of_kind(read('whole.lca'), 'agg')
def steps(frames):
    return {(h['kind'], h['it'], h['set']): v for h, v in frames if not h['kind'].endswith('_total')}
b, w = steps(part), steps(whole)
first = min(k[1] for k in b)
assert first > 0 and b == {k: v for k, v in w.items() if k[1] >= first}
PY
}
