load ../helper

@test "lca-net prints the number of parameters of each built-in network" {
    while read -r name count; do
        run --separate-stderr lca-net "$name"
        assert_success
        assert_output "$count"
        assert_equal "$stderr" ""
    done <<END
mnist-fc 84060
mnist-lenet 808970
cifar-resnet20 273066
cifar-allcnn 1371658
cifar-allcnn-relu 1371658
cifar-vgg5 2473610
cifar-vgg9 1918666
END
}

@test "lca-net --list names them, and each of them loads" {
    run lca-net --list
    assert_success
    assert_line mnist-fc
    assert_equal "${#lines[@]}" 7
    for name in $(lca-net --list); do
        run lca-net --check "$name"
        assert_success
        assert_output ""
    done
}

@test "lca-net finds the built-in networks beside its own folder" {
    mkdir -p there/bin there/share/lca/nets
    cp "$(command -v lca-net)" there/bin/
    cp "$LCA_NETS/mnist-fc.json" there/share/lca/nets/
    unset LCA_NETS
    run there/bin/lca-net mnist-fc
    assert_success
    assert_output 84060
    run there/bin/lca-net --list
    assert_output mnist-fc
}

@test "lca-net --table shows layers, tensors and cost" {
    run lca-net --table mnist-fc
    assert_success
    assert_line "mnist-fc: input 28x28x1, 10 classes, 84060 parameters"
    assert_line --regexp '^dense1 +dense +784 +100 +78500 +0\.157$'
    assert_line --regexp '^dense2/bias +83500 +50 +50$'
    assert_line "MFLOP per example: forward 0.168, loss and gradient 0.503"
}

@test "lca-net --json is canonical" {
    lca-net --json cifar-resnet20 > a.json
    lca-net --json ./a.json > b.json
    cmp a.json b.json
    run lca-net a.json
    assert_output 273066
    jq -e '.layers[3].layers[0].name == "conv1"' a.json
}

@test "lca-net: a description of one's own" {
    cat > my.json <<'END'
{"name": "mine", "input": [4, 4, 2], "classes": 3,
 "layers": [{"type": "conv", "channels": 5, "kernel": 3}, {"type": "batchnorm"},
            {"type": "relu"}, {"type": "gap"}, {"type": "dense", "units": 3}]}
END
    run lca-net my.json
    assert_success
    assert_output $((3 * 3 * 2 * 5 + 5 + 10 + 5 * 3 + 3))
}

@test "lca-net: wrong descriptions are exit 2 and say which layer" {
    echo '{"name":"x","input":[4,4,1],"classes":3,"layers":[{"type":"dense","units":0}]}' > bad.json
    run --separate-stderr lca-net --check bad.json
    assert_failure 2
    assert_output ""
    assert_equal "$stderr" "lca-net: error: bad.json: layer dense1: units must be a whole number from 1 to 1048576"
    echo '{"name":"x"' > bad.json
    run lca-net bad.json
    assert_failure 2
    assert_output --partial "bad.json: line"
    run lca-net no-such-net
    assert_failure 2
    assert_output --partial "no network 'no-such-net'"
    run lca-net ./none.json
    assert_failure 2
    assert_output --partial "No such file"
    run lca-net
    assert_failure 2
}

@test "lca-net --dot is a graph that Graphviz draws, with every layer and connection" {
    command -v dot >/dev/null || skip "no Graphviz"
    for name in $(lca-net --list); do
        lca-net --dot "$name" >graph.dot
        dot -Tsvg graph.dot >graph.svg
        # a node for each layer, beside image and loss; an edge to each, a second one to where two are added
        layers=$(lca-net --table "$name" | awk 'NR > 3 { if (!NF) exit; n += 1 + ($2 == "add") } END { print n + 0 }')
        added=$(lca-net --table "$name" | awk '$2 == "add"' | wc -l)
        assert_equal "$name $(grep -c 'class="node"' graph.svg)" "$name $((layers - added + 2))"
        assert_equal "$name $(grep -c 'class="edge"' graph.svg)" "$name $((layers + 1))"
    done
    run lca-net --dot cifar-resnet20
    assert_line --index 0 'digraph "cifar-resnet20" {'
    assert_line --partial 'label="conv1\nconv 3x3\n448 parameters"'
    assert_line --regexp '^    l[0-9]+ -> loss \[label="10"\]$'
    # the shortcut with a convolution: both its ends meet in the sum
    run bash -c 'lca-net --dot cifar-resnet20 | grep -c shortcut'
    assert_output 2
}
