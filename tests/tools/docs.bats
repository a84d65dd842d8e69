load ../helper
# What the pages say: that their recipes run, and that what they name exists.

PAGES=$ROOT/docs

# page_block FILE WORD: the indented lines of FILE from "cat > WORD <<'END'" to END.
page_block() {
    sed -n "/^    cat > $2 <<'END'/,/^    END/p" "$1" | sed '1d;$d;s/^    //'
}

# A short lca stream, run.lca, without lca-run.
make_stream() {
    export LCA_DIR=$PWD/ipc
    mkdir -m 700 ipc
    lca-data make synth:1,1100 --out digits.data >/dev/null
    lca-grad --data digits.data --pool ipc:pool 3>&- &
    lca-train --net mnist-fc --data digits.data --iterations 3 |
        lca-integrate --pool ipc:pool > run.lca
    wait
}

@test "docs: layers.py says what lca-layers says" {
    make_stream
    PYTHONPATH=$ROOT/src/python "$PYTHON" "$PAGES/examples/layers.py" < run.lca > python.lca
    for kind in layers layers_total; do
        lca-tap --kind $kind --fields it,set,keys,data python.lca > python.jsonl
        lca-layers < run.lca | lca-tap --kind $kind --fields it,set,keys,data > lca.jsonl
        run jq -en --slurpfile a python.jsonl --slurpfile b lca.jsonl '
            ($a | map(del(.data))) == ($b | map(del(.data))) and ($a | length) > 1 and
            ([[$a[].data[]], [$b[].data[]]] | transpose | all(.[]; (.[0] - .[1] | fabs) < 1e-12))'
        assert_success
    done
}

@test "docs: layers.py refuses a stream that is cut off" {
    make_stream
    size=$(stat -c %s run.lca)
    head -c $((size / 2)) run.lca > cut.lca
    PYTHONPATH=$ROOT/src/python run -5 --separate-stderr "$PYTHON" "$PAGES/examples/layers.py" --out got.lca < cut.lca
    [[ $stderr == "layers.py: error: stdin ends within a frame"* ]]
    assert_equal "$(lca-tap --kind EOS --fields status got.lca)" '{"status":"failed"}'
}

@test "docs: the page shows layers.py as it is" {
    awk '/^```python/ { f = 1; next } /^```/ { f = 0 } f' "$PAGES/taps-and-swaps.md" > shown.py
    run diff <(sed -n '/^import numpy/,$p' "$PAGES/examples/layers.py") shown.py
    assert_success
}

@test "docs: the page on Python shows the examples as they are, and its code is Python" {
    awk '/^```python/ { f = 1; next } /^```/ { f = 0 } f && !/^ *\.\.\.$/' "$PAGES/python.md" > shown
    while IFS= read -r line; do
        [[ $line != *"Watch("* && $line != *"watch."* && $line != *"work(T"* ]] ||
            grep -qxF -- "$line" "$PAGES"/examples/mnist.py "$PAGES"/examples/transformer.py ||
            fail "not in the examples: $line"
    done < shown
    "$PYTHON" - "$PAGES/python.md" <<'PY'
import ast, re, sys, textwrap
blocks = re.findall('```python\n(.*?)```', open(sys.argv[1]).read(), re.DOTALL)
assert len(blocks) >= 4
for block in blocks:
    ast.parse(textwrap.dedent(block))
PY
}

# typed HOST: what the page on security has a person type there.
typed() {
    awk -v here="    $1\$ " '/^    (hub|far)\$ / { on = index($0, here) == 1; if (on) print substr($0, 10); next }
        on && /^             / { print; next }
        { on = 0 }' "$PAGES/security.md"
}

@test "docs: a run on two machines goes as the page on security says" {
    port=$("$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
    mkdir hub far
    lca-data make synth:1,1100 --out hub/digits.data >/dev/null
    ln hub/digits.data far
    page_block "$PAGES/pipelines.md" stages | sed 's/--iterations 100/--iterations 3/' > hub/stages
    for host in hub far; do
        typed $host | sed -E "s,scp (hub|far):,cp ../\1/,; s/(0.0.0.0|HUB|127.0.0.1):5555/127.0.0.1:$port/g
            s/--iterations 100/--iterations 3/; s/lca-run/lca-run --quiet/" > $host.sh
    done
    assert_equal "$(wc -l < hub.sh) $(wc -l < far.sh)" "9 3"
    (cd hub && sed 2q ../hub.sh | bash)
    (cd far && sed 1q ../far.sh | bash)
    (cd hub && sed -n 3p ../hub.sh | bash)
    (cd far && sed 1d ../far.sh | bash 3>&-) &
    (cd hub && sed -n 4,5p ../hub.sh | bash 3>&-)
    wait $!
    lca-check < hub/run.lca
    (cd hub && sed 1,5d ../hub.sh | bash 3>&-)
    assert_equal "$(jq .iterations hub/out/summary.json)" 3
}

@test "docs: the description of the page on networks is good" {
    awk '/^```json/ { f = 1; next } /^```/ { f = 0 } f' "$PAGES/networks.md" > my.json
    run lca-net my.json
    assert_success
    assert_output 238510
    while IFS='|' read -r _ name _ parameters _; do
        run lca-net "$(tr -d '` ' <<< "$name")"
        assert_output "$(tr -d ', ' <<< "$parameters")"
    done < <(grep -E '^\| `(mnist|cifar)-' "$PAGES/networks.md")
}

@test "docs: files, functions and pages that are named exist" {
    local missing=()
    while read -r page name; do
        file=${name%%:*}
        function=${name#"$file"}
        function=${function#:}
        if [ ! -e "$ROOT/$file" ]; then
            missing+=("$page: $file")
        elif [ -n "$function" ] && ! grep -q "\b${function#struct }\b" "$ROOT/$file"; then
            missing+=("$page: $name")
        fi
    done < <(cd "$ROOT" && grep -oE '`(src|proto|tests|pipelines|docs|\.ci)/[^`* ]*( lca_[a-z_]*)?`' \
        README.md docs/*.md | tr -d '`' | sed 's/:/ /' | grep -v NAME)
    while read -r page target; do
        [ -e "$(dirname "$ROOT/$page")/$target" ] || missing+=("$page: link to $target")
    done < <(cd "$ROOT" && grep -oE '\]\([^)#:]+\)' README.md docs/*.md |
        tr -d '])(' | sed 's/:/ /')
    [ ${#missing[@]} -eq 0 ] || fail "$(printf '%s\n' "${missing[@]}")"
}

@test "docs: every command on the pages is one that its program takes" {
    local wrong=() n=0
    while IFS=$'\t' read -r page command; do
        n=$((n + 1))
        eval "set -- $command"
        case $1 in
        *.py) ;;                # files, and nothing else
        *.sh)
            known=$("$ROOT/${1#/usr/local/share/lca/}" --help)
            for word in "${@:2}"; do
                [ "$word" != -- ] || break
                [[ $word != --* ]] || grep -qw -e "${word%%=*}" <<<"$known" || wrong+=("$page: $command: $word")
            done ;;
        *lca-report) ;;         # a folder, and nothing else
        *) said=$("${1##*/}" "${@:2}" --print-config 2>&1 >/dev/null) || wrong+=("$page: $command: $said") ;;
        esac
    done < <(cd "$ROOT" && "$PYTHON" tests/commands.py . README.md docs/*.md)
    [ "$n" -gt 150 ]
    [ ${#wrong[@]} -eq 0 ] || fail "$(printf '%s\n' "${wrong[@]}")"
}

@test "docs: README and lca(7) name every program" {
    for source in "$ROOT"/src/tools/lca-*; do
        name=$(basename "${source%.*}")
        assert_file_contains "$ROOT/README.md" "^| \`$name\` |"
        assert_file_contains "$PAGES/man/lca.7" "^.BR.* ${name/-/\\\\-}[ \"]"
    done
}

@test "docs: lca(7) has no mistakes of roff" {
    command -v groff >/dev/null || skip "no groff"
    run groff -man -ww -z "$PAGES/man/lca.7"
    assert_success
    assert_output ""
}

@test "docs: the tests that the page on failures names are there" {
    local missing=() n=0
    while IFS=$'\t' read -r file title; do
        n=$((n + 1))
        case $file in
        tests/*) file=$ROOT/$file ;;
        *.c) file=$ROOT/tests/unit/$file ;;
        *) file=$(echo "$ROOT"/tests/{tools,pipelines}/"$file" | tr ' ' '\n' | xargs ls 2>/dev/null || true) ;;
        esac
        grep -qF -e "@test \"$title" -e "static void $title" "$file" || missing+=("$file: $title")
    done < <("$PYTHON" - "$PAGES/failures.md" <<'PY'
import re
import sys
for line in open(sys.argv[1]):
    if line.startswith('| ') and not line.startswith(('| fault', '|---')):
        tests = re.findall(r'`([^`]+)` ((?:"[^"]+"(?:, )?)+)', line.rstrip().rstrip('|').split(' | ')[-1])
        assert tests, line
        for file, titles in tests:
            for title in re.findall(r'"([^"]+)"', titles):
                print(file, title, sep='\t')
PY
)
    [ "$n" -gt 60 ]
    assert_equal "$(printf '%s\n' "${missing[@]}")" ""
}
