#!/usr/bin/env bash
# lca-report: one page about a run, complete in itself.
#
# In: the folder that a run has left: summary.json, run.json and the filters' *.jsonl. Out: HTML
# with the figures in it, which nothing has to be fetched for. Numbers stand in <data value="...">,
# to the last digit of summary.json.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
PATH=$here:$PATH

usage() {
    cat <<'END'
usage: lca-report OUT > report.html

Writes a page about the run whose folder is OUT: what ran, whether the sums of A
match the change of the loss, a figure of whatever the filters have left there with
a sentence and its numbers, and how to repeat it. The page is complete in itself: it
can be sent, printed, and read without a network. lca-plot draws the figures.

Options:
  -h, --help              Print this text and exit.
  -V, --version           Print the version and exit.
      --man               Print the manual page as roff and exit.
      --completion        Print the completion for bash and exit.

Example:
  lca-report out > out/report.html
END
}

man_page() {
    cat <<END
.TH LCA-REPORT 1 "" "lca $(version)" "Loss Change Allocation"
.SH NAME
lca-report \\- one page about a run, complete in itself
.SH SYNOPSIS
.B lca-report
OUT > report.html
.SH DESCRIPTION
Writes a page about the run whose folder is OUT: what ran, whether the sums of A match the change of the loss, a figure of whatever the filters have left there with a sentence and its numbers, and how to repeat it. The page is complete in itself: it can be sent, printed, and read without a network.
.PP
It reads summary.json, run.json and the *.jsonl of filters, and has lca-plot draw the figures. A number stands in an element data, whose value is that of summary.json to the last digit.
.SH OPTIONS
.TP
\\fB\\-h\\fR, \\fB\\-\\-help\\fR
Print this text and exit.
.TP
\\fB\\-V\\fR, \\fB\\-\\-version\\fR
Print the version and exit.
.TP
\\fB\\-\\-man\\fR
Print the manual page as roff and exit.
.SH EXIT STATUS
.TP
0
all done
.TP
1
a figure could not be drawn; the page says so in its place
.TP
2
wrong use, or OUT holds no run that has ended
.SH EXAMPLES
.nf
  lca\\-report out > out/report.html
.fi
.SH SEE ALSO
.BR lca\\-plot (1),
.BR lca (7)
END
}

version() {
    lca-plot --version | sed 's/^[^ ]* \([^ ]*\).*/\1/'
}

die() {
    echo "lca-report: error: $*" >&2
    exit 2
}

case ${1-} in
-h|--help) usage; exit 0 ;;
-V|--version) echo "lca-report $(version)"; exit 0 ;;
--man) man_page; exit 0 ;;
--completion) echo "complete -o default -W '--help --version --man --completion' lca-report"; exit 0 ;;
-?*) die "unknown option $1: see --help" ;;
esac
[ $# -eq 1 ] || die "give the folder of one run: see --help"
out=$1
[ -d "$out" ] || die "$out is no folder"
for file in summary.json run.json; do
    [ -e "$out/$file" ] || die "$out has no $file: it holds no run that has ended"
    jq -e 'type == "object"' "$out/$file" >/dev/null 2>&1 || die "$out/$file is damaged: it holds no JSON object"
done
command -v gnuplot >/dev/null || die "there is no gnuplot, which draws the figures: install the Debian package gnuplot-nox"
[ ! -t 1 ] || die "stdout is a terminal: lca-report $out > report.html"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

# What all jq programs below share. n: a number for people, whose value stands beside it.
shared='
    def short: if . == null then "?" elif type == "string" then @html elif . == 0 then "0" else (fabs | log10 | floor) as $e
        | if $e < -4 then pow(10; $e) as $m | (. / $m * 100 | round / 100) as $x
            | if $x | fabs >= 10 then "\($x / 10)e\($e + 1)" else "\($x)e\($e)" end
          elif $e >= 4 then round | tostring
          else pow(10; 3 - $e) as $m | (. * $m | round) / $m | tostring end end;
    def n: if type == "number" then "<data value=\"\(.)\">\(short | sub("e(?<x>-?[0-9]+)$"; "·10<sup>\(.x)</sup>"))</data>"
        elif . == null then "?" else tostring | @html end;
    def s: tostring | @html;
    def row($name; $value): "<tr><th scope=\"row\">\($name)</th><td>\($value)</td></tr>";
'
say() {
    jq -r --slurpfile run "$out/run.json" "$shared $1" "$out/summary.json"
}

head_of_page() {
    cat <<END
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$(say '"LCA of \(.network | s), \(.iterations | s) steps"')</title>
<style>
:root { --text: #1c1c1c; --page: #ffffff; --quiet: #5c5c5c; --line: #d5d5d5; --helps: #00795a; --hurts: #b84c00 }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e4e4; --page: #161616; --quiet: #a5a5a5; --line: #3c3c3c; --helps: #35c69a; --hurts: #ff8c42 }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); max-width: 56rem;
       margin: 0 auto; padding: 1rem }
h1, h2 { line-height: 1.2 }
h2 { margin-top: 2.2rem; border-bottom: 1px solid var(--line) }
.quiet, figcaption { color: var(--quiet) }
.yes { color: var(--helps) }
.no { color: var(--hurts) }
.wide { overflow-x: auto }
table { border-collapse: collapse }
th, td { text-align: left; padding: .15rem 1rem .15rem 0; vertical-align: top; border-bottom: 1px solid var(--line) }
th { font-weight: normal; color: var(--quiet) }
td.number { text-align: right; font-variant-numeric: tabular-nums }
figure { margin: 1.5rem 0 }
figure svg { display: block; width: 100%; min-width: 36rem; height: auto; background: #fff; border-radius: 4px }
figure image { image-rendering: pixelated }
code { overflow-wrap: anywhere }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); border-radius: 4px; padding: .6rem }
@media print {
  :root { --text: #000; --page: #fff; --quiet: #333; --line: #bbb; --helps: #005f46; --hurts: #8f3b00 }
  body { max-width: none; font-size: 10.5pt; padding: 0 }
  figure, tr, pre { break-inside: avoid }
  h2 { break-after: avoid }
  figure svg { min-width: 0 }
}
</style>
</head>
<body>
END
}

what_ran() {
    say '"<h1>Loss change allocation of \(.network | s)</h1>",
        "<p>\(.iterations | n) steps of \(.optimizer | s) took the training loss from \(.loss_first | n) to \(.loss_last | n) nat, over \(.examples | n) examples\(
            if $run[0].data.name then " of \($run[0].data.name | s)" else "" end).\(
            if .accuracy_test then " On the test set the loss is \(.loss_test | n) nat, and \(.accuracy_test | n) % are right." else "" end)</p>",
        if .status != "ok" then "<p class=\"no\"><strong>The run did not end in order: it is \(.status | s).</strong></p>" else empty end,
        "<h2>What ran</h2>", "<div class=\"wide\"><table>",
        row("network"; "\(.network | s), \(.parameters | n) parameters"),
        row("training"; "\(.optimizer | s), learning rate \(.lr | n)\(if .momentum then ", momentum \(.momentum | n)" else "" end), batch \(.batch | n), seed \(.seed | n)"),
        row("allocation"; "\(.rule | s), tolerance \(.tolerance | n) nat, chunks of \(.chunk | n) examples"),
        (if $run[0].data.sha256 then row("data"; "\($run[0].data.name | s), SHA-256 <code>\($run[0].data.sha256 | s)</code>") else empty end),
        row("started"; $run[0].started | s),
        row("machine"; "\($run[0].machine.cpu | s), \($run[0].machine.cores | s) cores, \($run[0].machine.system | s)"),
        row("time"; "\(.seconds_total | n) s; \(.workers // .workers_joined | n) workers on \(.device // "?" | s)\(
            if .worker_busy then ", busy for \(100 * .worker_busy | short) % of it" else "" end)"),
        row("version"; "lca \($run[0].versions.lca | s)"),
        "</table></div>"'
}

# The sums of A against the change of the loss. 1 %: beyond it no other number means much.
ledger() {
    say 'def line($name; $x): "<tr><th scope=\"row\">\($name)</th><td class=\"number\">\($x.loss_first | n)</td><td class=\"number\">\($x.loss_last | n)</td><td class=\"number\">\($x.total_error_percent | n) %</td><td class=\"number\">\($x.mean_step_error | n)</td><td class=\"number\">\(
                if $x.max_step_error then $x.max_step_error | n else "" end)</td></tr>";
        "<h2>Is the ledger balanced?</h2>",
        if .total_error_percent == null then "<p>Nothing in this run has checked it: it had no lca-check.</p>"
        else (if .total_error_percent | fabs <= 1 then "<p class=\"yes\"><strong>Yes.</strong> The sums of A make up the change of the training loss"
              else "<p class=\"no\"><strong>No.</strong> The sums of A do not make up the change of the training loss" end)
            + " but for \(.total_error_percent | n) %, and that of a step but for \(.mean_step_error | n) nat on average, at most \(.max_step_error | n) nat (step \(.max_step_error_at | n)). \(
                .steps_at_max_pieces | n) steps were refined to the most pieces that are allowed; a step took \(.gradient_evaluations_per_step | n) gradients on average.</p>",
            "<div class=\"wide\"><table><tr><th></th><th>first loss</th><th>last loss</th><th>total error</th><th>mean residual (nat)</th><th>largest</th></tr>",
            line("training set"; .),
            (if .first_order then line("to first order"; .first_order + {loss_first, loss_last}) else empty end),
            (if .heldout then line("held-out set"; .heldout) else empty end),
            "</table></div>" end'
}

layers() {
    say 'if (.layers | length) == 0 then empty else
        "<h2>Layers</h2>", "<div class=\"wide\"><table><tr><th>layer</th><th>parameters</th><th>loss change (nat)</th></tr>",
        (.layers[] | "<tr><td>\(.name | s)</td><td class=\"number\">\(.parameters | n)</td><td class=\"number \(if .lca > 0 then "no" else "yes" end)\">\(.lca | n)</td></tr>"),
        "</table></div>" end'
}

# A sentence for each kind of figure, with its numbers.
sentence() {
    say "{
        loss: \"The loss (wide) and the first loss plus the sums of A (dashed) lie on each other: the total error is \(.total_error_percent | n) %. Below, what is missing in each step: \(.mean_step_error | n) nat on average\(if .first_order then \", and \(.first_order.mean_step_error | n) nat where the gradient at the step's begin is taken for all of it\" else \"\" end).\",
        layers: \"What each layer did to the loss in all. \([.layers[] | select(.lca < 0)] | length | s) of \(.layers | length | s) layers helped.\",
        cumulative: \"The same, summed up from the first step on: when each layer learned.\",
        helping: \"In a step \(.percent_helping_q | n) % of the parameters that did anything helped, on average; \(.percent_helping_p | n) % of all, as \(.percent_zero | n) % did nothing.\",
        \"parameter-helping\": \"Parameters by how often they helped. Weighted by the size of what they did, \(.percent_helping_weighted | n) % of it was help.\",
        histogram: \"All A of all steps and parameters that are not 0, whole and without the tails; on the lower scale each line is ten times the one below.\",
        surrogate: \"A has far heavier tails than a normal distribution of the same mean and deviation: its excess kurtosis is \(.spread.kurtosis | n). The top 1 % of the helping parameters carry \(.spread.percent_by_top_1 | n) % of the help.\",
        heatmap: \"Each row is a neuron or channel of the first layer that was selected, each column a step. lca-plot heatmap --layer NAME draws the others.\",
        curves: \"The parameters that helped most and hurt most in all, and as many drawn at random, from step to step. The scales differ.\",
        saliency: \"What each weight did, as an image of the pixels that the weights belong to.\",
        oscillation: \"A weight that swings through a valley helps on the way down and hurts on the way up. Weights of this run turned every \(.oscillation.steps_per_turn | n) steps, gradients crossed 0 every \(.oscillation.steps_per_crossing | n).\",
        moments: \"The steps in which each layer learned most. \(.moments.synchronised | n) of them are shared by all layers; by chance so many would be with p = \(.moments.p_c | n) (moments drawn anew within blocks of steps) or \(.moments.p_b | n) (layers shifted against each other).\",
        correlation: \"Whether the weights of one input or output act alike, beside as many weights that have none in common. * : the two differ, p < 0.05.\",
        classes: \"How many neurons have \(.class_concentration_threshold | n) % of their help to one, two or three classes; and what each layer did for each class.\",
        overfit: \"What each layer did to the loss on either set; the difference of all is \([.overfit[]? | select(.name == \"all\").difference][0] | n) nat. To the right, where the training set was helped more (below 0).\"
    }[\"$1\"]"
}

# figure KIND: the SVG, as part of the page: its names are its own there, and it needs no other.
figure() {
    local kind=$1
    printf '<figure id="%s">\n' "$kind"
    if lca-plot "$kind" --out "$work/$kind.svg" "$out" 2>"$work/words"; then
        echo '<div class="wide">'
        sed -e '/^<?xml/d' -e 's/ xmlns\(:xlink\)\?="[^"]*"//' -e "s/ id=\([\"']\)/ id=\1$kind-/" \
            -e "s/xlink:href='#/xlink:href='#$kind-/g" -e "s/url(#/url(#$kind-/g" \
            -e "s|<title>Gnuplot</title>|<title>$kind</title>|" -e '/^<desc>/d' -e "s/^<svg/<svg role=\"img\" aria-label=\"$kind\"/" "$work/$kind.svg"
        echo '</div>'
    else
        status=1
        cat "$work/words" >&2
        printf '<p class="no">%s</p>\n' "$(jq -Rrs @html "$work/words")"
    fi
    printf '<figcaption>%s</figcaption>\n</figure>\n' "$(sentence "$kind")"
}

# has FILTER [KIND]: OUT has its output, and frames of this kind in it.
has() {
    [ -e "$out/$1.jsonl" ] && { [ $# -eq 1 ] || grep -q -m1 "\"kind\":\"$2\"" "$out/$1.jsonl"; }
}

figures() {
    echo "<h2>Figures</h2>"
    echo "<p class=\"quiet\">Bluish green helped, vermillion hurt. A is in nat; below 0 helped.</p>"
    ! has layers layers || figure loss
    ! has layers layers_total || figure layers
    ! has layers cumulative || figure cumulative
    if has helping helping_total; then figure helping; figure parameter-helping; fi
    if has spread spread_histogram; then figure histogram; figure surrogate; fi
    ! has units units || figure heatmap
    ! has params params || figure curves
    ! has params neuron_total || figure saliency
    ! has oscillation traces || figure oscillation
    ! has moments moments_at || figure moments
    ! has correlation correlation_total || figure correlation
    ! has classes concentrated_total || figure classes
    ! has overfit overfit_total || figure overfit
}

again() {
    say '($run[0].options // [] | [., [range(length)]] | transpose | map(. as [$o, $k] | if $k > 0 and $run[0].options[$k - 1] == "--out" then "again" else $o end)) as $options
        | "<h2>How to repeat it</h2>",
        "<p>With version \($run[0].versions.lca | s) of lca and the same data; the results are the same bytes, for any number of workers, where the processor has the same instruction set.</p>",
        (if $run[0].pipeline then "<pre>pipelines/\($run[0].pipeline).sh \($options | @sh)" | gsub("\u0027(?<w>[A-Za-z0-9_./,:=@%+-]+)\u0027"; .w) | sub("<pre>"; "") | "<pre>\(@html)</pre>" else empty end),
        "<p>Or stage by stage, by <code>lca-run --out again stages</code>, where the file stages holds:</p>",
        ([$run[0].stages[] | .name + (if .workers then "*\(.workers)" else "" end) + ": " + .command] | join("\n") | "<pre>\(@html)</pre>"),
        "<p class=\"quiet\">A that is below 0 lowered the loss. The method: Lan et al., LCA: Loss Change Allocation for Neural Network Training, NeurIPS 2019.</p>"'
}

head_of_page
what_ran
ledger
layers
figures
again
echo "</body>"
echo "</html>"
exit $status
