# The Debian package: built, installed, used and removed on this very machine.
load ../helper

@test "make deb: lintian finds no error; installed, the demo runs; removed, nothing is left" {
    [ "$(id -u)" = 0 ] || skip "installing needs root"
    ! dpkg-query -W lca 2>/dev/null || skip "a package lca is installed already"
    make -C "$ROOT" deb >deb.log 2>&1 || { cat deb.log; false; }
    run ! grep '^E:' deb.log
    dpkg -i "$ROOT"/.build/deb/lca_*.deb
    dpkg -L lca >files
    unset LCA_NETS LCA_BIN
    status=0
    env -i PATH=/usr/bin:/bin HOME="$PWD" /usr/share/lca/pipelines/demo.sh --out run --iterations 3 --workers 1 \
        --examples 1000 || status=$?
    dpkg -P lca
    [ $status -eq 0 ] && [ "$(jq .iterations run/summary.json)" -eq 3 ]
    while read -r file; do
        [ ! -f "$file" ] || { echo "$file is left"; false; }
    done <files
    [ ! -e /usr/share/lca ]
}
