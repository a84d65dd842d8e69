# The manual pages are made from the option tables and must be those of today.
load ../helper

@test "docs/man/*.1 are what the programs' --man prints: else run make man" {
    for tool in "$ROOT"/src/tools/lca-*; do
        name=$(basename "${tool%.*}")
        run diff <("$name" --man) "$ROOT/docs/man/$name.1"
        assert_success
    done
}

@test "docs/man/*.5 are what docs/ says: else run make man" {
    for page in frames networks; do
        run diff <("$ROOT/docs/man/section5.sh" $page) "$ROOT/docs/man/lca-$page.5"
        assert_success
    done
}
