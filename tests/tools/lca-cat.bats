# lca-cat on files; on sockets it is tested in tests/pipelines/delivery.bats.
load ../helper
load ../streams

more_files() {
    train t.lca
    train other.lca --seed 2
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    t=$FILES/t.lca
}

@test "help, version, unknown options" {
    talks_like_a_tool lca-cat
}

@test "copies are the same bytes: pipe, file, several outputs, compressed" {
    lca-cat <$t >a.lca
    lca-cat $t --out b.lca --out c.lca.zst
    cmp $t a.lca
    cmp $t b.lca
    lca-cat c.lca.zst | cmp - $t
    run head -c 4 c.lca.zst
    [ "$(head -c 4 c.lca.zst | xxd -p)" = 28b52ffd ]
}

@test "pieces that overlap are joined; a gap is 5, another run 2" {
    py $t <<'END'
f = read(sys.argv[1])
eos = f[-1]
write('first.lca', f[:4])
for name, at in ('second.lca', 2), ('late.lca', 5):
    head = [dict(f[0][0], first=at - 1), f[0][1]]
    write(name, [head] + f[at:])
END
    run --separate-stderr lca-cat first.lca second.lca --out whole.lca
    assert_success
    cmp $t whole.lca
    run lca-cat first.lca late.lca --out x.lca
    assert_failure 5
    assert_output --partial "missing"
    run lca-cat first.lca "$FILES/other.lca" --out x.lca
    assert_failure 2
    assert_output --partial "not a piece of the same stream"
}

@test "cut anywhere: 5, and what is whole is kept" {
    size=$(stat -c %s $t)
    for at in 1 5 100 2000 $((size / 2)) $((size - 1)); do
        head -c "$at" $t >cut.lca
        run lca-cat cut.lca --out kept.lca
        assert_failure 5
        if [ "$at" = $((size / 2)) ]; then
            run lca-tap --kind theta --format '%{it}\n' kept.lca
            assert_line 0
            assert_line 1
        fi
    done
    : >empty.lca
    run lca-cat empty.lca --out x.lca
    assert_failure 5
    assert_output --partial "empty"
}

@test "one flipped byte is 5" {
    for at in 3 50 900 30000; do
        cp $t bad.lca
        "$PYTHON" -c '
import sys
b = bytearray(open("bad.lca", "rb").read()); b[int(sys.argv[1])] ^= 4; open("bad.lca", "wb").write(b)' $at
        run lca-cat bad.lca --out x.lca
        assert_failure 5
    done
}

@test "a repeated, missing or foreign frame is refused by name" {
    py $t <<'END'
f = read(sys.argv[1])
write('gap.lca', f[:2] + f[3:])
write('swap.lca', f[:2] + [f[3], f[2]] + f[4:])
g = [[dict(h), p] for h, p in f]
g[3][0]['run'] = bytes(16)
write('foreign.lca', g)
g = [[dict(h), p] for h, p in f]
g[2][1] = bytes(len(g[2][1])); g.insert(2, f[2])
write('twice.lca', g)
write('headless.lca', f[1:])
g = [[dict(h), p] for h, p in f]
g[0][0]['lca'] = 2
write('version.lca', g)
END
    for case in "gap 5 missing" "swap 5 missing" "foreign 5 another.run" "twice 6 diverged" "headless 5 HEAD" \
        "version 2 wire"; do
        read -r name status text <<<"$case"
        run lca-cat $name.lca --out x.lca
        assert_failure "$status"
        assert_output --regexp "$text"
    done
}

@test "a missing file, a file that is none of ours, a terminal" {
    run lca-cat missing.lca --out x.lca
    assert_failure 2
    assert_output --partial "missing.lca"
    echo "hello" >hello.lca
    run lca-cat hello.lca --out x.lca
    assert_failure 5
    on_terminal "lca-cat $t"
    assert_output --partial "terminal"
}
