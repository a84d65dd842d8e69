load ../helper
load ../streams

# One small run with all filters, and its report.
more_files() {
    command -v gnuplot >/dev/null || return 0
    "$ROOT/pipelines/demo.sh" --net "$FILES/relu.json" --data "$FILES/s.data" --iterations 6 --batch 50 --out run \
        --by-class --filter all --plot >plot.txt 2>err.txt
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    command -v gnuplot >/dev/null || skip "no gnuplot: install gnuplot-nox"
}

@test "lca-report talks like a tool" {
    talks_like_a_tool lca-report
}

@test "a pipeline's --plot leaves the report and a picture of the layers" {
    run tail -n 1 "$FILES/plot.txt"
    assert_output "figures: $FILES/run/layers.svg, and all of them with their numbers: $FILES/run/report.html"
    grep -q '<svg' "$FILES/run/layers.svg"
    run --separate-stderr lca-report "$FILES/run"
    assert_success
    assert_equal "$stderr" ""
    assert_equal "$output" "$(cat "$FILES/run/report.html")"
}

@test "the page is complete in itself, its elements close, its ids differ" {
    py "$FILES/run/report.html" <<'PY'
import html.parser
text = open(sys.argv[1]).read()
assert 'http' not in text and '@import' not in text
void = {'meta', 'br', 'img', 'link', 'input', 'hr'}
class Page(html.parser.HTMLParser):
    open_, ids, links, kinds = [], [], [], []
    def handle_starttag(self, tag, attrs):
        for key, value in attrs:
            if key == 'id':
                self.ids.append(value)
            if key in ('href', 'xlink:href', 'src'):
                self.links.append(value)
        if tag == 'figure':
            self.kinds.append(dict(attrs)['id'])
        assert tag not in ('script', 'link', 'iframe', 'img')
        if tag not in void:
            self.open_.append(tag)
    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open_.pop()
    def handle_endtag(self, tag):
        assert self.open_.pop() == tag, (tag, self.getpos())
page = Page()
page.feed(text)
assert not page.open_
assert len(page.ids) == len(set(page.ids)), [i for i in page.ids if page.ids.count(i) > 1][:5]
assert all(link.startswith('data:image/png;base64,') or link[0] == '#' and link[1:] in page.ids for link in page.links)
assert page.kinds == ['loss', 'layers', 'cumulative', 'helping', 'parameter-helping', 'histogram', 'surrogate',
                      'heatmap', 'curves', 'moments', 'correlation', 'classes', 'overfit'], page.kinds
assert text.count('<figcaption>') == len(page.kinds) and '<figcaption></figcaption>' not in text
assert 'name="viewport"' in text and '@media print' in text and 'prefers-color-scheme: dark' in text
PY
}

@test "its numbers are those of summary.json" {
    py "$FILES/run" <<'PY'
import re
summary = json.load(open(sys.argv[1] + '/summary.json'))
def numbers(x):
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, list):
        for y in x:
            yield from numbers(y)
    elif isinstance(x, (int, float)) and not isinstance(x, bool):
        yield float(x)
there = set(numbers(summary))
data = re.findall(r'<data value="([^"]*)">([^<]*)(?:<sup>(-?\d+)</sup>)?', open(sys.argv[1] + '/report.html').read())
assert len(data) > 50
for value, shown, power in data:
    x = float(value)
    assert x in there, value
    y = float(shown.replace('·10', '')) * 10.0 ** int(power or 0)
    assert abs(y - x) <= 6e-3 * abs(x), (value, shown, power)
said = {float(v) for v, _, _ in data}
for key in ('loss_first', 'loss_last', 'loss_test', 'accuracy_test', 'total_error_percent', 'mean_step_error',
            'max_step_error', 'steps_at_max_pieces', 'percent_helping_q', 'percent_zero'):
    assert float(summary[key]) in said, key
for layer in summary['layers']:
    assert layer['lca'] in said
assert summary['spread']['kurtosis'] in said and summary['heldout']['total_error_percent'] in said
PY
}

@test "the verdict, and how to repeat the run" {
    grep -q '<strong>Yes.</strong> The sums of A make up the change' "$FILES/run/report.html"
    options="--net $FILES/relu.json --data $FILES/s.data --iterations 6 --batch 50 --out again --by-class"
    grep -qF "<pre>pipelines/demo.sh $options" "$FILES/run/report.html"
    mkdir bad
    jq '.total_error_percent = -1.5 | .status = "interrupted"' "$FILES/run/summary.json" >bad/summary.json
    cp "$FILES/run/run.json" bad
    lca-report bad >bad.html
    grep -q '<strong>No.</strong> The sums of A do not make up' bad.html
    grep -q 'did not end in order: it is interrupted' bad.html
    run ! grep -q '<figure' bad.html
}

@test "text is text" {
    mkdir evil
    jq '.network = "<script>alert(1)</script>&" | .layers[0].name = "<img src=x>" | .optimizer = "\"><b>"' \
        "$FILES/run/summary.json" >evil/summary.json
    jq '.options = ["--out", "x", "--net", "</pre><script>"] | .stages[0].command = "a < b && </pre>" |
        .data.name = "<i>"' "$FILES/run/run.json" >evil/run.json
    lca-report evil >evil.html
    run ! grep -qE '<script|<img|<b>|<i>|</pre><' evil.html
    grep -q '&lt;script&gt;alert(1)&lt;/script&gt;&amp;' evil.html
    grep -qE -- "--net &(apos|#39);&lt;/pre&gt;&lt;script&gt;&(apos|#39);" evil.html
}

@test "no run, a run that goes on, output that cannot be drawn" {
    run --separate-stderr lca-report
    assert_failure 2
    run --separate-stderr lca-report .
    assert_failure 2
    [[ $stderr == *". has no summary.json: it holds no run that has ended" ]]
    echo '[' >summary.json
    run --separate-stderr lca-report .
    assert_failure 2
    [[ $stderr == *"./summary.json is damaged"* ]]
    cp "$FILES"/run/{summary,run}.json .
    head -n 30 "$FILES/run/layers.jsonl" >layers.jsonl
    run --separate-stderr lca-report .
    assert_failure 1
    [[ $stderr == *"ends without EOS"* ]]
    [[ $output == *'<p class="no">lca-plot: error: ./layers.jsonl: ends without EOS'*"</html>" ]]
}
