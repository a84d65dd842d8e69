# hosts.bash: two hosts within a test: load ../hosts after ../helper and ../live. A
# training path, its lca stream as one machine computes it, and keys are made for the file.
#
# Hosts a and b are network namespaces of the test's own, with a cable between them:
# 10.111.0.1 and 10.111.0.2. Nothing of the machine's own network is touched.

# make_hosts: or skips the test, with the reason.
make_hosts() {
    local why
    HOSTS=lca-test-$BASHPID
    command -v ip >/dev/null || skip "no ip: install iproute2"
    why=$(ip netns add "$HOSTS-a" 2>&1 && ip netns add "$HOSTS-b" 2>&1 &&
        ip link add cable netns "$HOSTS-a" type veth peer name cable netns "$HOSTS-b" 2>&1) ||
        { unmake_hosts; skip "no network namespaces here: $why"; }
    for host in a b; do
        ip -n "$HOSTS-$host" link set lo up
        ip -n "$HOSTS-$host" link set cable up
    done
    ip -n "$HOSTS-a" address add 10.111.0.1/24 dev cable
    ip -n "$HOSTS-b" address add 10.111.0.2/24 dev cable
}

unmake_hosts() {
    for host in a b; do
        ip netns del "${HOSTS:-none}-$host" 2>/dev/null || true
    done
}

# on HOST NAME COMMAND...: in the background, as bg.
on() { bg "$2" ip netns exec "$HOSTS-$1" "${@:3}"; }

# cable up|down: down, nothing passes, and nobody is told.
cable() { ip -n "$HOSTS-b" link set cable "$1"; }

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    lca-data make synth:1,1000 --out d >/dev/null
    lca-train --net mnist-fc --data d --batch 50 --iterations 24 >thetas.lca
    LCA_DIR=$(mktemp -d /tmp/lt.XXXX)
    export LCA_DIR
    lca-grad --data d --pool ipc:pool 3>&- &
    lca-integrate --in thetas.lca --pool ipc:pool --chunk 250 >reference.lca
    wait
    rm -r "$LCA_DIR"
    for name in hub one two; do
        lca-keygen $name >/dev/null
    done
    mkdir peers
    cp one.pub two.pub peers
}

teardown() {
    kill_all
    unmake_hosts
    rm -rf "$LCA_DIR"
}

# What is started on the side that binds, and on that of a key NAME.
F=$BATS_FILE_TMPDIR
HUB=(env LCA_KEY="$F/hub.key" LCA_PEERS="$F/peers")
key() { echo env LCA_KEY="$F/$1.key" LCA_SERVER_KEY="$F/hub.pub"; }

# of a part of the thetas, or all of them
integrate() { echo lca-integrate --in "${thetas:-$F/thetas.lca}" --chunk 250 "$@"; }
grad() { echo lca-grad --data "$F/d" "$@"; }
same() { cmp "$F/reference.lca" "$1"; }
