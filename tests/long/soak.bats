# Memory over a long run: 20,000 small steps with a slow consumer. What a stage holds is
# bounded by credit and does not depend on how long the run is; a slow consumer slows
# the integrator, and that the trainer.
load ../helper
load ../live
BATS_TEST_TIMEOUT=1200

@test "20,000 steps with a slow consumer: the memory of every stage stays" {
    steps=${LCA_SOAK_STEPS:-20000}
    cat >net.json <<'NET'
{"name": "small", "input": [28, 28, 1], "classes": 10, "layers": [
  {"type": "dense", "name": "one", "units": 32}, {"type": "relu"}, {"type": "dense", "name": "two", "units": 10}]}
NET
    lca-data make synth:1,100 --out d >/dev/null
    mkfifo slow
    set -o pipefail
    bg train lca-train --net ./net.json --data d --batch 10 --iterations "$steps" --out ipc:theta --expect integrate
    bg grad.1 lca-grad --data d --pool ipc:pool --name grad.1
    bg grad.2 lca-grad --data d --pool ipc:pool --name grad.2
    bg integrate lca-integrate --in ipc:theta --name integrate --pool ipc:pool --sets train --tolerance off --out ipc:lca \
        --expect layers,cat
    bg layers lca-layers --in ipc:lca --name layers --out ipc:layers --expect recorder
    bg recorder lca-cat --in ipc:layers --name recorder --out layers.lca
    bg tap lca-tap --fields it ipc:theta
    bg cat lca-cat --in ipc:lca --name cat --out slow
    stages=()
    for name in train integrate grad.1 grad.2 layers recorder tap cat; do
        stages+=("$name=${pid[$name]}")
    done
    "$PYTHON" "$ROOT/tests/long/soak.py" "$steps" tap.out "${stages[@]}" <slow | sed 's/^/# /' >&3
    for name in train integrate grad.1 grad.2 layers recorder cat; do
        ends $name 0
    done
    [ "$(lca-tap --kind layers --fields it layers.lca | grep -c it)" -eq "$steps" ]
}
