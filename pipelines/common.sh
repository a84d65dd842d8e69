# common.sh: what the pipelines share: options, --plan, the stages, the summary.
# A pipeline sets its network and its defaults, then calls: pipeline "$@"
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/programs.sh"
. "$here/filters.sh"

usage() {
    cat <<EOF
usage: pipelines/$name.sh $([ -n "$data" ] || echo "--data DIR") [OPTION]...
       pipelines/$name.sh --resume DIR
$about

  --data DIR         the data as published, or a file made by lca-data${data:+ (default: $data)}
  --out DIR          what the run leaves (default: a new folder here)
  --plan             say what it would take, and stop
training
  --iterations N     training steps (default $iterations)
  --examples N       train on the first N examples (default: all)
  --optimizer O      sgd or adam (default $optimizer)
  --lr X             learning rate (default: sgd $lr_sgd, adam $lr_adam)
  --momentum X       of sgd (default $momentum)
  --batch N          examples of a mini-batch (default $batch)
  --seed N           of weights, batches and dropout (default $seed)
  --dropout on|off   whether dropout layers act in training (default on)
  --net NAME|FILE    another network for these data (default $net)
  --from FILE[@T]    start from the weights of a recorded theta stream
interventions
  --freeze LAYER[@T]         keep a layer as it is from step T on; may be given several times,
  --layer-lr LAYER=X         and so may these
  --layer-momentum LAYER=X
  --delay LAYER=D
  --lr-steps T=X,...         from step T on the learning rate is X
allocation
  --rule R           first-order, trapezoid, midpoint, simpson or boole (default $rule)
  --tolerance X      refine each step until its residual is within X, or off (default 1e-3)
  --min-pieces N     pieces of a step to begin with (default: by the rule)
  --max-pieces N     and to end with (default 32)
  --chunk N          examples of a unit of work (default: by the network)
  --sets A,B         sets to allocate the loss of (default ${sets:-train, and val where there is one})
  --heldout N        the first N examples of each set but train (default: all; 0: no such set)
  --by-class         also allocate the loss of each class
  --filter WHAT      also units, params and so on (lca-units, lca-params ...): names parted by
                     commas, one name with options of its own, or all; may be given again
the run
  --workers N        gradient workers (default: one per core; 0: none here, see --pool)
  --pool EP          where workers join, also from other machines (default $pool)
  --device D         of the workers (default $device)
  --train-device D   of the training (default: the CPU)
  --record           keep theta.lca and lca.lca, and checkpoints of the training
  --checkpoint-every N       the same, with a checkpoint every N steps (default 100)
  --plot             draw figures of the run when it has ended: layers.svg, report.html
  --resume DIR       go on with the run in DIR that was cut off, with its own options
EOF
}

die() {
    echo "$name: $*" >&2
    exit 2
}

parse() {
    local given=$#
    while [ $# -gt 0 ]; do
        case $1 in
        -h|--help) usage; exit 0 ;;
        --by-class) by_class=1 ;;
        --record) record=1 ;;
        --filter)
            [ $# -ge 2 ] || die "$1 needs a value: see --help"
            filters+=("$2")
            shift ;;
        --plan) plan=1 ;;
        --plot) plot=1 ;;
        --freeze|--layer-lr|--layer-momentum|--delay)
            [ $# -ge 2 ] || die "$1 needs a value: see --help"
            interventions+=" $1 $(quoted "$2")"
            shift ;;
        --data|--out|--iterations|--examples|--workers|--pool|--device|--optimizer|--lr|--momentum|--batch|--chunk|--seed|\
--rule|--tolerance|--min-pieces|--max-pieces|--dropout|--net|--from|--lr-steps|--sets|--heldout|--checkpoint-every|\
--train-device|--resume)
            [ $# -ge 2 ] || die "$1 needs a value: see --help"
            local option=${1#--}
            printf -v "${option//-/_}" %s "$2"
            shift ;;
        *) die "unknown option $1: see --help" ;;
        esac
        shift
    done
    if [ -n "$resume" ]; then
        [ "$given" -eq 2 ] || die "--resume DIR goes on with the options of the run in DIR: give no others"
        return
    fi
    [ -z "$checkpoint_every" ] || record=1
    [ -z "$plot" ] || command -v gnuplot >/dev/null ||
        die "--plot needs gnuplot, which draws the figures: install the Debian package gnuplot-nox"
    [ -n "$data" ] || die "give --data DIR, the folder of the published files: see --help"
    case $optimizer in
    sgd) lr=${lr:-$lr_sgd} ;;
    adam) lr=${lr:-$lr_adam} ;;
    *) die "--optimizer takes sgd or adam, not '$optimizer'" ;;
    esac
    [ "$workers" != 0 ] || [ "$pool" != ipc:pool ] ||
        die "--workers 0 needs --pool EP, where workers of other machines can join: see docs/clusters.md"
    if [ "$heldout" = 0 ]; then
        sets=train heldout=
    fi
    [ -n "$out" ] || out=$(new_folder)
    [ ! -e "$out/run.json" ] || die "$out holds a run already: go on with it by --resume $out, or give another --out"
}

# new_folder: a name that nothing here has, also where two runs begin within a second.
new_folder() {
    local stem new k
    stem=$name-$(date +%Y%m%d-%H%M%S)
    new=$stem
    for ((k = 2; ; k++)); do
        [ -e "$new" ] || break
        new=$stem-$k
    done
    echo "$new"
}

# One word of a command line, whatever is in it.
quoted() {
    printf "'%s'" "${1//\'/\'\\\'\'}"
}

# The data file: made once per run, unless the user has one.
prepare() {
    mkdir -p "$out"
    out=$(cd "$out" && pwd)
    file=$data
    if [ -d "$data" ] || [ "${data#*:}" != "$data" ]; then
        file=$out/data
        lca-data make "$data" --out "$file" >"$out/data.txt"
    fi
    examples=${examples:-$(lca-data show --json "$file" | jq '.sets[] | select(.set == "train").n')}
}

# What the user left out is left to the programs' own defaults.
trainer="" integrator=""
arguments() {
    trainer="--net $(quoted "$net") --data $(quoted "$file") --examples $examples --iterations $iterations"
    trainer+=" --batch $batch --optimizer $optimizer --lr $lr --momentum $momentum --seed $seed"
    trainer+="${dropout:+ --dropout $dropout}${lr_steps:+ --lr-steps $lr_steps}$interventions"
    trainer+="${from:+ --from $(quoted "$from")}${train_device:+ --device $(quoted "$train_device")}"
    local kept='"$LCA_OUT/checkpoints"'
    trainer+="${record:+ --checkpoint $kept --checkpoint-every ${checkpoint_every:-100} \${LCA_RESUME:+--resume $kept\}}"
    integrator="--rule $rule${chunk:+ --chunk $chunk}${tolerance:+ --tolerance $tolerance}"
    integrator+="${min_pieces:+ --min-pieces $min_pieces}${max_pieces:+ --max-pieces $max_pieces}"
    integrator+="${record:+ \${LCA_RESUME:+--resume \"\$LCA_OUT/lca.lca\"\}}"
    integrator+="${by_class:+ --by-class}${sets:+ --sets $sets}${heldout:+ --heldout $heldout}"
    choose_filters
    integrator+=$(filter_emit)
}

stages() {
    [ "$workers" = 0 ] ||
        echo "grad*$workers: lca-grad --data $(quoted "$file") --device $device --pool $(quoted "$pool")"
    cat <<EOF
train:     lca-train $trainer --out ipc:theta --expect integrate${record:+,record-theta}
integrate: lca-integrate $integrator --in ipc:theta --pool $(quoted "$pool") --out ipc:lca --expect layers,helping,check$(filter_names)${record:+,record-lca}
layers:    lca-layers  --in ipc:lca --out - --tap ipc:layers  | lca-tap --json > "\$LCA_OUT/layers.jsonl"
helping:   lca-helping --in ipc:lca --out - --tap ipc:helping | lca-tap --json > "\$LCA_OUT/helping.jsonl"
check:     lca-check   --in ipc:lca > "\$LCA_OUT/check.txt"
EOF
    filter_stages
    if [ -n "$record" ]; then
        cat <<EOF
record-theta: lca-cat --in ipc:theta --out "\$LCA_OUT/theta.lca"
record-lca:   lca-cat --in ipc:lca   --out "\$LCA_OUT/lca.lca"
EOF
    fi
}

# Time and memory from one chunk at one worker; sizes by counting.
say_plan() {
    local P bench
    P=$(lca-net "$net")
    bench=$(lca-grad --benchmark --quick --net "$net" --data "$file" --examples "$examples" --device "$device" \
        ${chunk:+--chunk "$chunk"} ${by_class:+--by-class})
    jq -rn --argjson b "$bench" --argjson d "$(lca-data show --json "$file")" --argjson P "$P" --argjson T "$iterations" \
        --argjson n "$examples" --argjson w "$workers" --argjson by_class "${by_class:-0}" --arg sets "$sets" \
        --argjson most "${heldout:-null}" '
        def mb: if . >= 1e10 then "\(. / 1e9 | ceil) GB" else "\(. / 1e6 | ceil) MB" end;
        def duration: if . < 7200 then "\(. / 60 * 10 | ceil / 10) minutes"
            elif . < 172800 then "\(. / 3600 * 10 | ceil / 10) hours" else "\(. / 86400 * 10 | ceil / 10) days" end;
        ([$w, 1] | max) as $w
        | ($d.sets | map({key: .set, value: .n}) | from_entries) as $has
        | (if $sets != "" then $sets | split(",") elif $has.val then ["train", "val"] else ["train"] end) as $sets
        | ($sets - ["train"] | map($has[.] // error("the data have no set " + .) | [., $most // .] | min) | add // 0) as $held
        | (if $by_class > 0 then ($d.classes | length) else 1 end) as $rows
        | (if $by_class > 0 then $rows + 1 else 1 end) as $vectors
        | ($sets | length) as $s
        | ($b.us_per_example * 1e-6 * ($n + $held) / $w) as $gradient
        | (2 * $T + 1) as $gradients
        | "network     \($b.net), \($P) parameters",
          "steps       \($T), on \($n) training and \($held) held-out examples, in chunks of \($b.chunk)",
          "gradients   \($gradients) without refinement, \($gradient * 1000 | round) ms each with \($w) workers",
          "time        \($gradients * $gradient | duration); each doubling of all steps doubles it",
          "memory      \($b.peak_rss_mib | ceil) MiB per worker, \(($s * $rows * 32 * $P) as $step | $step * ([1073741824 / $step | floor, 1, 8] | sort[1])
              + 8 * ($rows + 2) * $P | . / 1048576 | ceil) MiB for lca-integrate",
          "recording   \(($T + 1) * $P * 4 | mb) theta.lca, \($T * $P * 4 * $s * $vectors | mb) lca.lca"'
}

summary() {
    echo
    jq -r '
        def bar($most): (40 * (if . < 0 then -. else . end) / $most | round) as $n
            | (if . < 0 then "#" else "+" end) * ([$n, 1] | max);
        def round4: . * 10000 | round / 10000;
        "\(.network), \(.parameters) parameters, \(.iterations) steps on \(.examples) examples, \(.optimizer) lr \(.lr)",
        "loss              \(.loss_first | round4) -> \(.loss_last | round4)   test \(.loss_test | round4), \(.accuracy_test | round4) % right",
        "conservation      total error \(.total_error_percent | round4) %, mean step error \(.mean_step_error * 1e9 | round / 1e9) nat",
        "  first order     total error \(.first_order.total_error_percent | round4) %",
        "gradients         \(.gradient_evaluations_per_step * 1000 | round / 1000) per step, \(.steps_at_max_pieces) steps at the most pieces; workers \(.worker_busy * 1000 | round / 10) % busy",
        "parameters        \(.percent_helping_q * 100 | round / 100) % of those that did anything helped; \(.percent_zero * 100 | round / 100) % did nothing",
        "",
        "loss change by layer (# helped, + hurt)",
        (([.layers[].lca | if . < 0 then -. else . end] | max) as $most | ([.layers[].name | length + 1] | [max, 14] | max) as $wide | .layers[]
            | "  \(.name + " " * ([$wide - (.name | length), 1] | max))\(.lca * 10000 | round / 10000 | tostring | . + " " * ([10 - length, 1] | max))\(.lca | bar($most))")
    ' "$out/summary.json"
    echo
    echo "everything about this run: $out"
}

figures() {
    lca-plot layers --out "$out/layers.svg" "$out"
    lca-report "$out" >"$out/report.html"
    echo "figures: $out/layers.svg, and all of them with their numbers: $out/report.html"
}

# The data file is needed again where the run may be gone on with, or has been recorded.
tidy() {
    [ ! -e "$out/data" ] || [ -e "$out/lca.lca" ] || rm -f "$out/data"
    summary
    [ -z "$plot" ] || figures
}

resume() {
    local of status=0
    [ -e "$resume/run.json" ] || die "$resume holds no run: there is nothing to go on with"
    of=$(jq -r .pipeline "$resume/run.json")
    [ "$of" = "$name" ] || die "$resume holds a run of $of: pipelines/$of.sh --resume $resume"
    out=$(cd "$resume" && pwd)
    jq -e '.options | index("--plot")' "$resume/run.json" >/dev/null && plot=1
    attend lca-run --resume "$out" || status=$?
    [ $status -ne 0 ] || tidy
    return $status
}

pipeline() {
    parse "$@"
    if [ -n "$resume" ]; then
        resume
        return
    fi
    if [ -n "$plan" ]; then
        out=$(mktemp -d)
        trap 'rm -rf "$out"' EXIT
        prepare
        say_plan
        return
    fi
    prepare
    arguments
    stages >"$out/stages"
    local status=0
    attend lca-run --out "$out" --progress ipc:lca --iterations "$iterations" \
        --set "workers=$workers" --set "device=\"$device\"" --run "pipeline=\"$name\"" \
        --run "data=$(lca-data show --json "$file" | jq -c '{name, sha256, sets}')" \
        --run "options=$(jq -cn '$ARGS.positional' --args -- "$@")" "$out/stages" || status=$?
    [ $status -ne 0 ] || tidy
    return $status
}

# Options without a default of the pipeline's own.
data="" out="" examples="" device=cpu lr="" chunk="" tolerance="" min_pieces="" max_pieces="" sets="" heldout=""
by_class="" record="" plan="" plot="" dropout="" from="" lr_steps="" interventions="" checkpoint_every="" resume=""
train_device=""
workers=$(nproc) pool=ipc:pool optimizer=sgd momentum=0.9 batch=250 seed=1 rule=simpson
