load ../helper

@test "lca-keygen makes a secret file that only we can read, and its public half" {
    umask 000
    run lca-keygen hub
    assert_success
    assert_output "hub.key  secret: stays here, for --key
hub.pub  public: for the others, in their folder --peers or as their --server-key"
    assert_equal "$(stat -c %a hub.key)" 600
    assert_equal "$(grep -c secret-key hub.key) $(grep -c secret-key hub.pub)" "1 0"
    run diff <(grep public-key hub.key) <(grep public-key hub.pub)
    assert_success
    assert_equal "$(sed -n 's/.*public-key = "\(.*\)"/\1/p' hub.pub | tr -d '\n' | wc -c)" 40
}

@test "lca-keygen: keys in a folder, each another" {
    mkdir keys
    lca-keygen keys/a
    lca-keygen keys/b
    assert_file_exist keys/a.key
    run ! diff <(grep curve -A2 keys/a.key) <(grep curve -A2 keys/b.key)
}

@test "lca-keygen replaces nothing" {
    lca-keygen hub
    cp hub.key before.key
    run -2 lca-keygen hub
    assert_output --partial "hub.pub is there already: choose another name"
    rm hub.pub
    run -2 lca-keygen hub
    assert_output --partial "hub.key is there already: choose another name"
    assert_file_not_exist hub.pub
    cmp hub.key before.key
}

@test "lca-keygen leaves no half of a pair where it cannot write" {
    run -2 lca-keygen no-such-folder/hub
    assert_output --partial "cannot make no-such-folder/hub.key: No such file or directory"
    ln -s nowhere half.pub
    run -2 lca-keygen half
    assert_output --partial "half.pub is there already"
    assert_file_not_exist half.key
}

@test "lca-keygen --public gives the public half again" {
    lca-keygen hub
    lca-keygen --public hub.key >again.pub
    run diff <(grep -v '^#' hub.pub) again.pub
    assert_success
}

@test "lca-keygen --public refuses a secret that others may read, and what is no secret" {
    lca-keygen hub
    chmod 640 hub.key
    run -2 lca-keygen --public hub.key
    assert_output --partial "others may read the secret key hub.key (mode 640): chmod 600 it"
    run -2 lca-keygen --public hub.pub
    assert_output --partial "hub.pub has no line 'secret-key"
}

@test "lca-keygen: a name is needed, one" {
    run -2 lca-keygen
    assert_output --partial "usage: lca-keygen NAME"
    run -2 lca-keygen a b
    assert_output --partial "unexpected 'b'"
    run -2 lca-keygen a/
    assert_output --partial "'a/' is no name for a key"
}
