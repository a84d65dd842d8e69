# A network whose vectors do not fit a frame: 30 million parameters in eight slices.
load ../helper
load ../streams

@test "30 million parameters pass through the pipeline in slices: conserved, layers add up, memory bounded" {
    cat >wide.json <<'END'
{"name": "wide", "input": [28, 28, 1], "classes": 10, "layers": [
  {"type": "dense", "name": "one", "units": 5100}, {"type": "relu"},
  {"type": "dense", "name": "two", "units": 5100}, {"type": "relu"},
  {"type": "dense", "name": "three", "units": 10}]}
END
    # what each stage needed at most, in MiB
    cat >peak.py <<'END'
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
open('peak', 'a').write('%s %d\n' % (sys.argv[1], resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10))
sys.exit(code)
END
    cat >stages <<END
train:     $PYTHON peak.py train lca-train --net wide.json --data $FILES/s.data --examples 20 --batch 20 --iterations 2 --lr 0.01 --out ipc:theta
grad*2:    $PYTHON peak.py grad lca-grad --data $FILES/s.data --pool ipc:pool
integrate: $PYTHON peak.py integrate lca-integrate --in ipc:theta --pool ipc:pool --sets train --tolerance off --chunk 10 --out ipc:lca --expect layers,helping,check,tap
layers:    $PYTHON peak.py layers lca-layers --in ipc:lca | lca-tap --json >layers.jsonl
helping:   $PYTHON peak.py helping lca-helping --in ipc:lca | lca-tap --json >helping.jsonl
check:     $PYTHON peak.py check lca-check --in ipc:lca >check.txt
tap:       lca-cat --in ipc:lca | lca-tap --json --kind lca >slices
END
    lca-run -q --out out stages
    run jq -e '.parameters == 30069610 and .iterations == 2 and (.total_error_percent | fabs) < 0.1
        and ([.layers[].lca] | add) - (.loss_last - .loss_first) < 1e-3 * (.loss_first - .loss_last)
        and ([.layers[].parameters] | add) == .parameters and ([.layers[].lca] | max) < 0' out/summary.json
    assert_success
    # 7 slices of 4 Mi and the rest, of two steps
    run jq -s -e 'length == 16 and map(.seq) == [range(16)] and map(.part // 0) == [range(8), range(8)]
        and ([.[:8][].sh[0]] | add) == 30069610 and .[7].sh[0] == 30069610 - 7 * 4194304' slices
    assert_success
    sort peak | sed 's/^/# MiB /' >&3
    # vectors of 115 MiB: a worker has theta, gradient, and what is on its way; lca-integrate
    # three gradients and G in double. A sanitizer needs memory of its own.
    [[ $LCA_BIN != */san/* ]] || return 0
    for most in "train 1200" "grad 1200" "integrate 3000" "layers 500" "helping 600" "check 500"; do
        run awk -v name="${most% *}" -v most="${most#* }" '$1 == name && $2 > most' peak
        assert_output ""
    done
}
