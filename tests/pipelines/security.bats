# Who is let in, and who is not: keys, this machine and others, folders, other users.
load ../helper
load ../live

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    lca-data make synth:1,1000 --out d >/dev/null
    lca-train --net mnist-fc --data d --batch 50 --iterations 20 >thetas.lca
    for name in hub one two; do
        lca-keygen $name >/dev/null
    done
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    LCA_DIR=$(mktemp -d /tmp/lt.XXXX)
    export LCA_DIR
    cp "$BATS_FILE_TMPDIR"/{hub,one,two}.{key,pub} .
    mkdir peers
    cp one.pub peers
    at=tcp://127.0.0.1:$(free_port)
}

# produce [OPTION]...: the stream at $at, with the keys of hub; consume NAME KEY [OPTION]...
produce() { bg producer lca-cat --in "$BATS_FILE_TMPDIR/thetas.lca" --out "$at" "$@"; }
consume() { bg "$1" lca-cat --in "$at" --name "$1" --out "$1.lca" --key "$2.key" --server-key hub.pub "${@:3}"; }
same() { cmp "$BATS_FILE_TMPDIR/thetas.lca" "$1"; }

# After refusals the one who may still gets all.
all_is_well() {
    consume good one
    ends good 0
    ends producer 0 "${1:-}"
    same good.lca
}

# ---- keys ----

@test "no key: exit 2 says so, the producer too, and goes on" {
    produce --key hub.key --peers peers
    bg a lca-cat --in "$at" --name a --out a.lca
    ends a 2 'error: .*refused: we have no key, and the other side wants one: give --key FILE and --server-key FILE'
    until_true says producer 'refused a connection (without keys|that hung up before it showed a key) \(1 refused so far\)'
    all_is_well
}

@test "a key that is not allowed: exit 2 says so, and the producer whose it was" {
    produce --key hub.key --peers peers
    consume a two
    ends a 2 'error: .*refused: our key is not allowed: the .pub file of --key must lie in the folder --peers'
    key=$(sed -n 's/.*public-key = "\(.*\)"/\1/p' two.pub)
    grep -qF "refused key $key from 127.0.0.1, which is not in peers (1 refused so far)" producer.err
    all_is_well
}

@test "the wrong key of the side that binds: exit 2 says so" {
    produce --key hub.key --peers peers
    bg a lca-cat --in "$at" --name a --key one.key --server-key two.pub --out a.lca
    ends a 2 'error: .*refused: wrong key: the other side cannot read what is written to --server-key, or has no keys'
    until_true says producer 'refused a connection whose --server-key is not ours \(1 refused so far\)'
    all_is_well 'refused [0-9]+ connections in all'
}

@test "a key where the other side has none: exit 2 says so" {
    produce
    consume a one
    # whose end of the connection is first to see it decides what we learn
    ends a 2 'error: .*refused: (the other side has no keys: start it with --key and --peers too|wrong key: .*, or has no keys)'
    bg b lca-cat --in "$at" --name b --out b.lca
    ends b 0
    ends producer 0
    same b.lca
}

@test "who may connect is read anew each time: a key is put in, and taken out" {
    produce --key hub.key --peers peers
    consume a two
    ends a 2 'not allowed'
    cp two.pub peers
    mv peers/one.pub peers/one.off
    consume b one
    ends b 2 'not allowed'
    echo damaged >peers/broken.pub
    consume c two
    ends c 0
    ends producer 0
    same c.lca
}

@test "a worker without a key, and one with" {
    bg integrate lca-integrate --in "$BATS_FILE_TMPDIR/thetas.lca" --pool "$at" --key hub.key --peers peers --out lca.lca
    bg plain lca-grad --data "$BATS_FILE_TMPDIR/d" --pool "$at"
    ends plain 2 'we have no key'
    LCA_KEY=two.key LCA_SERVER_KEY=hub.pub bg other lca-grad --data "$BATS_FILE_TMPDIR/d" --pool "$at"
    ends other 2 'our key is not allowed'
    LCA_KEY=one.key LCA_SERVER_KEY=hub.pub bg grad lca-grad --data "$BATS_FILE_TMPDIR/d" --pool "$at"
    ends grad 0
    ends integrate 0
}

@test "what passes is encrypted: no name of a layer on the wire" {
    port=$(free_port)
    mkfifo passing
    produce --key hub.key --peers peers
    cat >spy.py <<'END'
import socket, sys, threading
ear = socket.create_server(("127.0.0.1", int(sys.argv[1])))
here, _ = ear.accept()
there = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
log = open("wire", "wb")
def one_way(a, b):
    while piece := a.recv(65536):
        log.write(piece)
        b.sendall(piece)
    b.shutdown(socket.SHUT_WR)
threading.Thread(target=one_way, args=(here, there)).start()
one_way(there, here)
END
    bg spy "$PYTHON" spy.py "$port" "${at##*:}"
    at=tcp://127.0.0.1:$port
    # until the spy listens the consumer tries again
    consume good one
    ends good 0
    ends producer 0
    ends spy 0
    same good.lca
    [ "$(stat -c %s wire)" -gt "$(stat -c %s good.lca)" ]
    grep -qa dense1 good.lca
    run ! grep -qa dense1 wire
}

@test "keys that must not be used, and options that do not go together" {
    chmod 644 hub.key
    run -2 lca-cat --in "$BATS_FILE_TMPDIR/thetas.lca" --out "$at" --key hub.key --peers peers
    assert_output --partial "others may read the secret key hub.key (mode 644): chmod 600 it"
    chmod 600 hub.key
    refuses() {
        run -2 lca-cat --in "$BATS_FILE_TMPDIR/thetas.lca" --out "$at" "${@:2}"
        assert_output --partial "$1"
    }
    refuses 'who may connect? Give --peers FOLDER' --key hub.key
    refuses 'cannot read the folder of keys nowhere' --key hub.key --peers nowhere
    refuses 'cannot read the key nowhere' --key nowhere --peers peers
    refuses 'hub.pub has no line' --key hub.pub --peers peers
    refuses '--peers needs --key too' --peers peers
    refuses '--insecure and --key exclude each other' --key hub.key --peers peers --insecure
    cp one.key peers/one.pub
    refuses 'peers/one.pub holds a secret key, which must not leave its machine' --key hub.key --peers peers
    run -2 lca-cat --in "$at" --key one.key
    assert_output --partial "whom to trust there? Give --server-key FILE"
    run -2 lca-cat --in "$at" --key one.key --server-key hub.key
    assert_output --partial "hub.key holds a secret key, which must not leave its machine"
}

# ---- this machine and others ----

@test "tcp beyond this machine needs keys, or --insecure: in every program" {
    d=$BATS_FILE_TMPDIR/d
    lca-integrate --help | grep -q -- --insecure
    refuses() {
        run -2 timeout 20 "$@"
        assert_output --partial "--insecure"
    }
    for host in 0.0.0.0 '*' 10.1.2.3; do
        refuses lca-train --net mnist-fc --data "$d" --iterations 1 --out "tcp://$host:5555"
    done
    refuses lca-cat --in "$BATS_FILE_TMPDIR/thetas.lca" --out - --tap tcp://0.0.0.0:5555
    refuses lca-integrate --in "$BATS_FILE_TMPDIR/thetas.lca" --pool tcp://0.0.0.0:5555 --out out.lca
    refuses lca-grad --data "$d" --pool tcp://192.0.2.1:5555
    refuses lca-layers --in tcp://example.org:5555
    refuses lca-check --in tcp://example.org:5555
    refuses lca-tap tcp://example.org:5555
    refuses lca-top tcp://example.org:5555
    # connecting is a matter of the side, not of the option
    refuses lca-cat --in bind+tcp://0.0.0.0:5555
}

@test "--insecure is taken at its word" {
    port=$(free_port)
    bg producer lca-cat --in "$BATS_FILE_TMPDIR/thetas.lca" --out "tcp://0.0.0.0:$port" --insecure
    lca-cat --in "tcp://127.0.0.1:$port" --out a.lca
    ends producer 0
    same a.lca
}

@test "IPv6 has a loopback too" {
    "$PYTHON" -c 'import socket; socket.socket(socket.AF_INET6).bind(("::1", 0))' || skip "no IPv6 here"
    at=tcp://[::1]:$(free_port)
    produce
    lca-cat --in "$at" --out a.lca
    ends producer 0
    same a.lca
}

@test "a tap on tcp is there where it is asked for, and wants a key as its output does" {
    listens() { "$PYTHON" -c "import socket; socket.create_connection(('127.0.0.1', $1))" 2>/dev/null; }
    port=${at##*:}
    produce --key hub.key --peers peers
    until_true listens "$port"
    run ! listens $((port + 1))
    all_is_well
    produce --key hub.key --peers peers --tap "$at"
    until_true listens $((port + 1))
    for look in lca-tap lca-top; do
        bg plain $look "$at"
        ends plain 2 'we have no key'
    done
    bg tap lca-tap --fields t --key one.key --server-key hub.pub "$at"
    until_true has tap.out 1
    all_is_well
    ends tap 0
    assert_equal "$(sed -n '1p;$p' tap.out)" '{"t":"HEAD"}
{"t":"EOS"}'
}

# ---- this machine ----

@test "sockets lie in a folder that nobody else may enter" {
    for mode in 711 755 710 1777; do
        chmod $mode "$LCA_DIR"
        for way in '--in ipc:x' '--out ipc:x'; do
            run -2 timeout 20 lca-cat $way <"$BATS_FILE_TMPDIR/thetas.lca"
            assert_output --partial "others may enter the folder $LCA_DIR (mode $mode): "
        done
        run -2 timeout 20 lca-tap ipc:x
    done
    chmod 700 "$LCA_DIR"
    # one that is missing is made, by whoever comes first
    export LCA_DIR=$LCA_DIR/more
    (
        umask 000
        bg a lca-cat --in ipc:x --out a.lca
        until_true test -d "$LCA_DIR"
        [ "$(stat -c %a "$LCA_DIR")" = 700 ]
        lca-cat --in "$BATS_FILE_TMPDIR/thetas.lca" --out ipc:x
        ends a 0
    )
    same a.lca
}

@test "a folder of somebody else is no place for a socket" {
    [ "$(id -u)" = 0 ] || skip "only root can give a folder away"
    chown 65534 "$LCA_DIR"
    for way in '--in ipc:x' '--out ipc:x'; do
        run -2 timeout 20 lca-cat $way <"$BATS_FILE_TMPDIR/thetas.lca"
        assert_output --partial "$LCA_DIR belongs to somebody else: set LCA_DIR to a folder of yours"
    done
}

@test "a peer of another user is shown the door, though he found the socket open" {
    [ "$(id -u)" = 0 ] || skip "only root can be two users"
    bg producer lca-cat --in "$BATS_FILE_TMPDIR/thetas.lca" --out ipc:x
    until_true test -S "$LCA_DIR/x"
    chmod 711 "$LCA_DIR"
    chmod 777 "$LCA_DIR/x"
    run "$PYTHON" -c 'import os, socket, sys
os.setgroups([]); os.setegid(65534); os.seteuid(65534)
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.settimeout(20)
print(s.recv(100))' "$LCA_DIR/x"
    assert_output "b''"
    until_true says producer 'ipc:x: refused a connection of another user \(1 refused so far\)'
    chmod 700 "$LCA_DIR"
    lca-cat --in ipc:x --out a.lca
    ends producer 0
    same a.lca
}

@test "--mem: a peer that would fill all memory is cut off, and the stage lives on" {
    bg integrate lca-integrate --in "$BATS_FILE_TMPDIR/thetas.lca" --pool "$at" --out lca.lca --mem 600M
    until_true "$PYTHON" "$ROOT/tests/flood.py" "${at#tcp://}" >flood 2>/dev/null
    run cat flood
    assert_output --regexp '^cut off after [0-9]+ MiB$'
    bg grad lca-grad --data "$BATS_FILE_TMPDIR/d" --pool "$at"
    ends grad 0
    ends integrate 0
    run -2 lca-cat --mem 1M
    assert_output --partial "--mem: 1M is less than"
    run -2 lca-cat --mem plenty
    assert_output --partial "--mem: 'plenty' is no size: write 500M or 4G"
}
