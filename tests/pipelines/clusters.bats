# docs/clusters.md: its manifest for Kubernetes, without Kubernetes, and its recipe for ssh, without ssh.
load ../helper
load ../live

MANIFEST=$ROOT/docs/examples/kubernetes.yaml

# manifest EXPRESSION: Python over d, the documents by "Kind name".
manifest() {
    "$PYTHON" -c '
import sys, yaml
d = {o["kind"] + " " + o["metadata"]["name"]: o for o in yaml.safe_load_all(open(sys.argv[1]))}
def pod(name): return d["Job " + name]["spec"]["template"]["spec"]
print(eval(sys.argv[2]))' "$MANIFEST" "$1"
}

is_true() {
    run manifest "$1"
    assert_output True
}

# command JOB: what its container runs, with this machine in place of the cluster.
command_of() {
    manifest "pod('$1')['containers'][0]['args'][0]" |
        sed "s|/lca/|$PWD/|; s|/lca/out|$PWD/out|; s|'tcp://\*:5555'|tcp://127.0.0.1:0,at:$PWD/pool|; s|--record|& --iterations $2|"
}

setup_file() {
    "$PYTHON" -c 'import yaml' 2>/dev/null || export NO_YAML="no python3-yaml"
}

# folder: the data and a way to the pipelines, as the container has them.
folder() {
    [ -z "${NO_YAML:-}" ] || skip "$NO_YAML"
    lca-data make synth:1,2000 --out mnist.data >/dev/null
    ln -s "$ROOT/pipelines" pipelines
    ln -s "$(dirname "$(command -v lca-grad)")" bin
}

# The page's commands for keys, with a kubectl that makes a folder of each Secret.
make_keys() {
    mkdir fake keys
    cat >fake/kubectl <<'END'
#!/bin/bash
mkdir -p "$4/peers"
for file in "${@:5}"; do cp "${file#--from-file=}" "$4"; done
[ ! -e "$4/worker.pub" ] || mv "$4/worker.pub" "$4/peers"
END
    chmod +x fake/kubectl
    sed -n 's/^    \(bin\/lca-keygen [rw][a-z]*\|kubectl create .*\)$/\1/p' "$ROOT/docs/clusters.md" >commands
    assert_equal "$(wc -l <commands)" 4
    (cd keys && ln -s ../bin bin && PATH=$PWD/../fake:$PATH bash -e ../commands >/dev/null)
}

# variables JOB: as the manifest sets them, but for the address.
variables() {
    manifest "'\n'.join(e['name'] + '=' + e['value'] for e in pod('$1')['containers'][0]['env'] if e['name'] != 'LCA_CONNECT')" |
        sed "s|/keys|$PWD/keys/${1%s}-keys|"
}

the_run() { bg run env $(variables lca-run) bash -c "$(command_of lca-run "$1")"; }

worker() {
    bg "worker$1" env $(variables lca-workers) LCA_CONNECT="at:$PWD/pool" JOB_COMPLETION_INDEX="$1" \
        bash -c "$(command_of lca-workers)"
}

@test "the manifest is YAML, and the names in it agree" {
    [ -z "${NO_YAML:-}" ] || skip "$NO_YAML"
    is_true 'sorted(d) == ["Job lca-run", "Job lca-workers", "Service lca-run"]'
    # the Service leads to the run's pod, by the port that the run binds
    is_true 'd["Service lca-run"]["spec"]["selector"].items() <= d["Job lca-run"]["spec"]["template"]["metadata"]["labels"].items()'
    is_true 'd["Service lca-run"]["spec"]["ports"][0]["port"] == pod("lca-run")["containers"][0]["ports"][0]["containerPort"]'
    # each has the keys that it names, where it looks for them
    is_true '[v["secret"]["items"] for v in pod("lca-run")["volumes"] if "secret" in v] == [[{"key": "run.key", "path": "run.key"}, {"key": "worker.pub", "path": "peers/worker.pub"}]]'
    is_true 'all(v["secret"]["defaultMode"] == 0o400 for n in ("lca-run", "lca-workers") for v in pod(n)["volumes"] if "secret" in v)'
    is_true '"tcp://*:%d" % d["Service lca-run"]["spec"]["ports"][0]["port"] in pod("lca-run")["containers"][0]["args"][0]'
    is_true '{"name": "LCA_CONNECT", "value": "tcp://lca-run:5555"} in pod("lca-workers")["containers"][0]["env"]'
    is_true 'all(m["name"] in [v["name"] for v in pod(n)["volumes"]] for n in ("lca-run", "lca-workers") for m in pod(n)["containers"][0]["volumeMounts"])'
    is_true 'all(pod(n)["restartPolicy"] == "Never" for n in ("lca-run", "lca-workers"))'
    is_true 'all(r["onExitCodes"]["containerName"] == pod("lca-workers")["containers"][0]["name"] for r in d["Job lca-workers"]["spec"]["podFailurePolicy"]["rules"] if "onExitCodes" in r)'
    is_true 'd["Job lca-workers"]["spec"]["completionMode"] == "Indexed" and d["Job lca-workers"]["spec"]["completions"] == d["Job lca-workers"]["spec"]["parallelism"]'
}

@test "its containers: a worker told to leave ends with 75, those that stay with 0, the run with 0" {
    folder
    make_keys
    the_run 120
    worker 0
    until_true has out/lca.lca 1000000      # it has joined
    worker 1
    kill -TERM "${pid[worker0]}"
    ends worker0 75
    until_true grep -q 'pool: worker-0 leaves' out/log
    ends run 0
    ends worker1 0
    run jq -c '[.status, .workers_joined]' out/summary.json
    assert_output '["ok",2]'
    run ! grep 'pool: .* gone' out/log
}

@test "its run told to end does so in order; a worker with other data is refused with 2" {
    folder
    make_keys
    the_run 5000
    worker 0
    until_true has out/lca.lca 2000000
    lca-data make synth:2,2000 --out other.data >/dev/null
    mv other.data mnist.data
    worker 1
    ends worker1 2 'has another data set'
    kill -TERM "${pid[run]}"
    ends run 130
    ends worker0 0
    run lca-check --in out/lca.lca
    assert_success
}

@test "a worker whose run has no address yet waits, and can be told to leave" {
    folder
    LCA_CONNECT=tcp://lca-run.invalid:5555 bg worker lca-grad --data mnist.data --insecure
    sleep 1
    kill -0 "${pid[worker]}"
    kill -TERM "${pid[worker]}"
    ends worker 0
}

@test "the recipe for ssh, on machines that are this one" {
    folder
    mkdir out fake
    printf '#!/bin/sh\nshift\nexec bash -c "$*"\n' >fake/ssh
    chmod +x fake/ssh
    sed -n '/^Machines that share a disk/,/^Machines that share nothing/p' "$ROOT/docs/clusters.md" | sed -n 's/^    //p' |
        sed 's|at:out/pool|tcp://127.0.0.1:0,&|; s|mnist-fc.sh|& --iterations 20|; s/node1 node2 node3/node1 node2/; s/\\$(nproc)/1/' >recipe
    echo wait >>recipe
    PATH=$PWD/fake:$PATH bg recipe bash recipe
    ends recipe 0
    run jq -c '[.status, .iterations]' out/summary.json
    assert_output '["ok",20]'
}
