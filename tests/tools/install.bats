load ../helper

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    make -C "$ROOT" install "DESTDIR=$PWD/root" PREFIX=/opt/lca >install.log 2>&1
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    root=$BATS_FILE_TMPDIR/root to=$BATS_FILE_TMPDIR/root/opt/lca
    unset LCA_NETS
}

# Nothing of the source tree is in the way.
installed() {
    env -i PATH="$to/bin:/usr/bin:/bin" HOME="$PWD" "$@"
}

@test "every program, pipeline, network, manual page and completion is installed" {
    for tool in "$ROOT"/src/tools/lca-*.c; do
        name=$(basename "$tool" .c)
        [ -x "$to/bin/$name" ] && [ -s "$to/share/man/man1/$name.1" ]
        bash -n "$to/share/bash-completion/completions/$name"
    done
    [ "$(installed lca-net --list | wc -l)" -eq "$(ls "$ROOT"/pipelines/nets/*.json | wc -l)" ]
    [ -s "$to/share/man/man7/lca.7" ] && [ -s "$to/share/man/man5/lca-frames.5" ]
    run ! grep -rIl "$BATS_FILE_TMPDIR" "$to"
}

@test "the commands of the page on installing run from the installed files" {
    "$PYTHON" "$ROOT/tests/commands.py" --script "$ROOT/docs/installing.md" |
        sed "s|/usr/local|$to|; s|--out demo|& --iterations 3 --examples 1000 --workers 1|" >script
    [ "$(grep -c 'lca-\|demo' script)" -ge 2 ]
    installed bash -e script >said
    grep -q "layer" said
    grep -q $'max-pieces=16\tLCA_MAX_PIECES' said
    [ "$(jq .iterations demo/summary.json)" -eq 3 ]
    # nobody else's programs are in the way: only bin/ beside share/, then what was in PATH
    run installed bash -c '. "$0/programs.sh"; echo "$PATH"' "$to/share/lca/pipelines"
    assert_output "$to/bin:$to/bin:/usr/bin:/bin"
    run installed bash -c '. "$0/programs.sh"; echo "$PATH"' "$ROOT/pipelines"
    assert_output "$ROOT/bin:$to/bin:/usr/bin:/bin"
}

@test "a filter in C is built with pkg-config" {
    cat >count.c <<'C'
#include <stdio.h>
#include <frame/frame.h>
#include <link/record.h>
int main(int argc, char **argv)
{
    struct lca_err err = {0};
    (void)argc;
    printf("%s %d\n", lca_kind_name(LCA_KIND_head), lca_fail(&err, LCA_USAGE, "%s", argv[0]));
    return 0;
}
C
    export PKG_CONFIG_PATH=$to/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
    # the sysroot is for lca alone: other packages are where they are
    flags=$(pkg-config --cflags --libs lca | sed "s#$root/usr#/usr#g")
    gcc -std=c11 -Wall -Werror -o count count.c $flags
    run -0 ./count
    assert_output "HEAD -1"
}

@test "completion offers the options of the program" {
    source "$to/share/bash-completion/completions/lca-integrate"
    COMPREPLY=()
    _lca_integrate lca-integrate --tol lca-integrate
    [ "${COMPREPLY[*]}" = --tolerance ]
    COMPREPLY=()
    _lca_integrate lca-integrate theta lca-integrate
    [ ${#COMPREPLY[@]} -eq 0 ]
}

@test "--print-config says each value and where it comes from" {
    LCA_MAX_PIECES=16 run -0 lca-integrate --tolerance 1e-4 --print-config
    assert_line $'max-pieces=16\tLCA_MAX_PIECES'
    assert_line $'tolerance=1e-4\toption'
    assert_line $'rule=simpson\tdefault'
    LCA_MAX_PIECES=many run -2 lca-integrate --print-config
}

@test "uninstall leaves nothing" {
    cp -r "$root" copy
    make -C "$ROOT" uninstall "DESTDIR=$PWD/copy" PREFIX=/opt/lca
    run find copy -type f
    assert_output ""
}
