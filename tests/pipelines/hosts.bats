# A run on several machines: over tcp with keys, on a network that is slow, loses, parts
# and comes together again. The results are the bytes of a run on one machine.
load ../helper
load ../live
load ../hosts

# port RELAY: where it listens
port() { cat "$1.out"; }

# relay NAME PORT [OPTION]...: a bad way to the port; order WORD...: to all relays.
relay() {
    local fd
    mkfifo "$1.orders"
    exec {fd}<>"$1.orders"
    orders+=("$fd")
    # what runs in the background reads nothing unless it is told to itself
    bg "$1" bash -c 'exec "$0" "$@" <'"$1.orders" "$PYTHON" "$ROOT/tests/relay.py" "127.0.0.1:$2" "${@:3}"
    until_true has "$1.out" 2
}
order() {
    for fd in "${orders[@]}"; do
        echo "$@" >&"$fd"
    done
}

@test "two hosts: workers and a recorder on the other, with keys" {
    make_hosts
    on a integrate "${HUB[@]}" $(integrate --pool tcp://10.111.0.1:5000 --out tcp://10.111.0.1:5001 --expect r)
    on b w1 $(key one) $(grad --pool tcp://10.111.0.1:5000)
    on b w2 $(key two) $(grad --pool tcp://10.111.0.1:5000)
    on b r $(key one) lca-cat --name r --in tcp://10.111.0.1:5001 --out out.lca
    for name in integrate r w1 w2; do
        ends $name 0
    done
    same out.lca
}

@test "two hosts: a partition that heals loses nothing" {
    make_hosts
    part thetas "$F/thetas.lca" 4000000
    thetas=thetas
    on a integrate "${HUB[@]}" $(integrate --pool tcp://10.111.0.1:5000 --out tcp://10.111.0.1:5001 --expect r)
    on b w1 $(key one) $(grad --pool tcp://10.111.0.1:5000)
    on b r $(key two) lca-cat --name r --in tcp://10.111.0.1:5001 --out out.lca
    until_true has out.lca 2000000
    cable down
    more thetas
    until_true still out.lca
    kill -0 "${pid[integrate]}"
    cable up
    for name in integrate r w1; do
        ends $name 0
    done
    same out.lca
    run ! grep -E 'lost|gone' integrate.err r.err w1.err
}

@test "two hosts: what a worker had goes to another when its host is gone" {
    make_hosts
    part thetas "$F/thetas.lca" 4000000
    thetas=thetas
    on a integrate "${HUB[@]}" $(integrate --verbose --pool tcp://10.111.0.1:5000 --out out.lca)
    on b far $(key one) $(grad --name far --pool tcp://10.111.0.1:5000)
    until_true has out.lca 2000000
    cable down
    more thetas
    until_true still out.lca        # the far worker has units, and nobody else is there
    on a near $(key two) $(grad --name near --pool tcp://10.111.0.1:5000)
    ends integrate 0 'far (late|slow) on unit [0-9]+, also given to near'
    ends near 0
    same out.lca
}

@test "a network that is slow and loses packets" {
    port=$(free_port)
    bg integrate "${HUB[@]}" $(integrate --pool "tcp://127.0.0.1:$port" --out out.lca)
    relay net "$port" --delay 0.02 --loss 0.002
    bg w1 $(key one) $(grad --pool "tcp://127.0.0.1:$(port net)")
    bg w2 $(key two) $(grad --pool "tcp://127.0.0.1:$(port net)")
    ends integrate 0
    ends w1 0
    ends w2 0
    same out.lca
}

@test "a partition that heals, then a connection that is cut: pool and stream go on" {
    pool=$(free_port)
    lca=$(free_port)
    part thetas "$F/thetas.lca" 4000000 7000000
    thetas=thetas
    bg integrate "${HUB[@]}" $(integrate --pool "tcp://127.0.0.1:$pool" --out "tcp://127.0.0.1:$lca" --expect r)
    relay to_pool "$pool"
    relay to_lca "$lca"
    bg w1 $(key one) $(grad --pool "tcp://127.0.0.1:$(port to_pool)")
    bg r $(key two) lca-cat --name r --in "tcp://127.0.0.1:$(port to_lca)" --out out.lca
    until_true has out.lca 2000000
    order stall
    more thetas
    until_true still out.lca
    order go
    until_true has out.lca 5000000
    run ! grep -E 'lost|gone' integrate.err r.err w1.err
    order cut
    more thetas
    until_true says w1 'the pool has gone, trying again'
    until_true says r 'connection lost at seq [0-9]+, trying again'
    order go
    for name in integrate r w1; do
        ends $name 0
    done
    same out.lca
}
