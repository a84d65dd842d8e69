# hosts.bash: two hosts within a test: load ../hosts after ../helper and ../live.
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
