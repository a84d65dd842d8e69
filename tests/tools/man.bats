# The manual pages are made from the option tables and must be those of today.
load ../helper

@test "docs/man/*.1 are what the programs' --man prints: else run make man" {
    for tool in "$ROOT"/src/tools/lca-*; do
        name=$(basename "${tool%.*}")
        run diff <("$name" --man) "$ROOT/docs/man/$name.1"
        assert_success
    done
}
