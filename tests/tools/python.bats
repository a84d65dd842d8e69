# lca_stream, the package for Python: its own tests, and its types. One that fails shows
# what pytest says of it.
load ../helper

tested() {
    export PYTHONDONTWRITEBYTECODE=1
    run "$PYTHON" -m pytest -q -p no:cacheprovider "$ROOT/tests/python/$1"
    assert_success
    refute_output --partial " skipped"
}

@test "python: frames and recordings" {
    tested test_wire.py
}

@test "python: links" {
    tested test_links.py
}

@test "python: layouts, the callback of a training loop, gradient workers" {
    "$PYTHON" -c 'import torch' 2>/dev/null || skip "no python3-torch"
    tested test_torch.py
}

@test "python: stages of one's own" {
    tested test_aggregator.py
}

@test "python: streams alone need no PyTorch" {
    PYTHONPATH=$ROOT/src/python run "$PYTHON" -c 'import sys, lca_stream; print("torch" in sys.modules)'
    assert_output False
}

@test "python: the types are right" {
    command -v mypy >/dev/null || skip "no mypy"
    run mypy --config-file "$ROOT/src/python/pyproject.toml" --cache-dir mypy "$ROOT/src/python/lca_stream"
    assert_success
}

@test "python: the package is of the version of the programs" {
    run grep -h '^version = ' "$ROOT/src/python/pyproject.toml"
    assert_output "version = \"$(lca-net --version | cut -d' ' -f2)\""
    PYTHONPATH=$ROOT/src/python run "$PYTHON" -c 'import lca_stream; print(lca_stream.__version__)'
    assert_output "$(lca-net --version | cut -d' ' -f2)"
}
