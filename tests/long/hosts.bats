# Hosts that are away for longer than a connection lives without a sign of life, 30 s.
load ../helper
load ../live
load ../hosts
BATS_TEST_TIMEOUT=240

@test "a partition of more than 30 s: both sides notice, come back, and nothing is lost" {
    make_hosts
    on a integrate "${HUB[@]}" $(integrate --pool tcp://10.111.0.1:5000 --out tcp://10.111.0.1:5001 --expect r)
    on b far $(key one) $(grad --name far --pool tcp://10.111.0.1:5000)
    on b r $(key two) lca-cat --name r --in tcp://10.111.0.1:5001 --out out.lca
    until_true has out.lca 2000000
    down=$SECONDS
    cable down
    until_true says integrate 'pool: far gone, [0-9]+ units? again'
    until_true says integrate 'r lost, last acknowledged seq [0-9]+; keeping its frames'
    until_true says far 'the pool has gone, trying again'
    until_true says r 'connection lost at seq [0-9]+, trying again'
    [ $((SECONDS - down)) -le 60 ]
    cable up
    for name in integrate r far; do
        ends $name 0
    done
    same out.lca
}
