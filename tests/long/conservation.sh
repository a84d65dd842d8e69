#!/usr/bin/env bash
# conservation.sh: how well the sums of A match the change of the loss, on real data.
#   conservation.sh [--mnist DIR] [--cifar DIR] [--out DIR] [NAME]...
# Each network (default: all) is trained for a few steps and each step is refined to 32
# pieces whatever it needs; frames list the residual after each doubling. So one run
# tells all: what two pieces leave, what --tolerance 1e-4 would have stopped at, and how
# the error falls. Leaves OUT/NAME.jsonl and prints a page with the tables. What is in
# OUT already is not computed again.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
export PATH=$here/bin:$PATH

die() {
    echo "conservation: $*" >&2
    exit 2
}

mnist=mnist cifar=cifar out=conservation names=()
while [ $# -gt 0 ]; do
    case $1 in
    -h|--help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --mnist|--cifar|--out) [ $# -ge 2 ] || die "$1 needs a value"; printf -v "${1#--}" %s "$2"; shift ;;
    -*) die "unknown option $1: see --help" ;;
    *) names+=("$1") ;;
    esac
    shift
done
[ ${#names[@]} -gt 0 ] || names=(mnist-lenet cifar-resnet20 cifar-vgg5 cifar-vgg9 cifar-allcnn)
mkdir -p "$out"

for name in "${names[@]}"; do
    case $name in
    mnist-lenet) settings="--data $mnist --iterations 50 --examples 2000" ;;
    cifar-allcnn) settings="--data $cifar --iterations 4 --examples 500 --chunk 500 --lr 0.01" ;;
    cifar-*) settings="--data $cifar --iterations 10 --examples 1000 --chunk 500 --lr 0.01" ;;
    *) die "no settings for '$name'" ;;
    esac
    [ ! -e "$out/$name.jsonl" ] || continue
    rm -rf "${out:?}/$name"
    # shellcheck disable=SC2086
    "$here/pipelines/$name.sh" $settings --heldout 0 --tolerance 1e-12 --record --out "$out/$name" >"$out/$name.txt"
    lca-tap --json --kind lca "$out/$name/lca.lca" | jq -c 'select((.part // 0) == 0)' >"$out/$name.part"
    rm -r "$out/$name"
    mv "$out/$name.part" "$out/$name.jsonl"
done

# rows NAME: its rows of the three tables, marked 1, 2 and 3.
rows() {
    jq -rs --arg name "$1" '
        def abs: if . < 0 then -. else . end;
        def mean: add / length;
        # three digits that count
        def short: if . == 0 then "0" else . as $x | ($x | abs | log10 | floor) as $e
            | if $e >= -3 and $e < 4 then ($x * pow(10; 2 - $e) | round) / pow(10; 2 - $e) | tostring
              else "\(($x * pow(10; 2 - $e) | round) / 100)e\($e)" end end;
        (.[-1].L1 - .[0].L0) as $change
        | def total: 100 * -add / ($change | abs);
        map(. as $f | ([range($f.tr | length) | select($f.tr[.] | abs <= 1e-4)][0]) as $k
            | {it, tr, fo: ($f.L1 - $f.L0 - $f.fo), within: ($k != null),
               e: $f.tr[$k // -1], n: (2 * pow(2; $k // (($f.tr | length) - 1)))})
        | "1| \($name) | \(length) | \($change | short) | \(map(.fo) | total | short) | \(map(.tr[0]) | total | short) | \(map(.tr[0] | abs) | mean | short) |",
          "2| \($name) | \(map(.e) | total | short) | \(map(.e | abs) | mean | short) | \(map(.n) | mean | short) | \(map(.n) | max) | \(map(select(.within | not) | "\(.it): \(.e | short)") | if length > 0 then join(", ") else "none" end) |",
          "3| \($name) | \([range(5) as $k | map(.tr[$k] | abs) | mean | short] | join(" | ")) |"' "$out/$1.jsonl"
}

for name in "${names[@]}"; do rows "$name"; done >"$out/rows"
cat <<'END'
# Conservation

The sums of A must be the change of the loss. How nearly they are depends on the network, the length
of its steps and the pieces that a step is cut into. This page shows it on real data for the networks
with convolutions; it is what this prints:

    tests/long/conservation.sh --mnist mnist --cifar cifar --out conservation

Each network is trained for a few steps with the usual mini-batches of 250, and every step is refined
to 32 pieces whatever it needs. Frames list the residual after each doubling (`tr`), so one run tells
what two pieces leave, where `--tolerance 1e-4` would have stopped, and how the error falls. LeNet: 50
steps at learning rate 0.02 on 2,000 examples. ResNet20, VGG-5 and VGG-9: 10 steps at 0.01 on 1,000,
in chunks of 500. AllCNN: 4 steps at 0.01 on 500, one chunk. Total error is in percent of the change
of the loss, as in [method.md](method.md).
END
table() {
    echo
    echo "$2"
    echo "$2" | sed 's/[^|]\+/---/g'
    sed -n "s/^$1//p" "$out/rows"
}
table 1 "| network | steps | change of the loss, nat | total error, first order, % | two pieces, % | mean step error, two pieces, nat |"
table 2 "| \`--tolerance 1e-4\` | total error, % | mean step error, nat | mean pieces | most | steps beyond it with 32 pieces: residual, nat |"
table 3 "| mean step error, nat | 2 pieces | 4 | 8 | 16 | 32 |"
cat <<'END'

Kinks bound what more pieces can do: where a ReLU or a max pool turns over within a step, the gradient
jumps, and the error falls more slowly than the 16 times with each doubling of a smooth loss.
END
