# kills.bash: stages killed with -9 at random moments; load ../kills after ../streams.
#
# A small run, undisturbed in $FILES/whole, is what every killed one must come to:
# the same recordings and aggregates, byte for byte.

# stages: the run, as a stage file. LCA_RESUME decides where a stage begins.
stages() {
    cat <<END
train: exec lca-train --net "$FILES/relu.json" --data "$FILES/s.data" --examples 500 --batch 50 --iterations 150 \
    --checkpoint "\$LCA_OUT/cp" --checkpoint-every 15 \${LCA_RESUME:+--resume "\$LCA_OUT/cp"} \
    --out ipc:theta --lost 20 --expect integrate,record-theta
grad*2: exec lca-grad --data "$FILES/s.data" --pool ipc:pool
integrate: exec lca-integrate --sets train --chunk 250 --tolerance 1e-5 \${LCA_RESUME:+--resume "\$LCA_OUT/lca.lca"} \
    --in ipc:theta --pool ipc:pool --out ipc:lca --lost 20 --expect layers,check,record-lca
check: exec lca-check --in ipc:lca > "\$LCA_OUT/check.txt"
record-theta: exec lca-cat --in ipc:theta --out "\$LCA_OUT/theta.lca"
record-lca: exec lca-cat --in ipc:lca --out "\$LCA_OUT/lca.lca"
layers: lca-layers --in ipc:lca | lca-tap --json > "\$LCA_OUT/layers.jsonl"
END
}

whole_run() {
    stages >stages
    lca-run --quiet --out whole stages 2>/dev/null
    duration=$(jq .seconds_total whole/summary.json)
    echo "$duration" >duration
}

# What a run comes to, but for times and what depends on who was there when.
summary_of() {
    jq -S 'del(.seconds_total, .seconds_per_step, .worker_busy, .workers_joined, .units_again, .resumed)' "$1/summary.json"
}

# equals DIR: it holds what the undisturbed run holds.
equals() {
    local f
    for f in theta.lca lca.lca layers.jsonl check.txt; do
        cmp "$FILES/whole/$f" "$1/$f" || return
    done
    [ ! -e "$1/summary.json" ] || diff <(summary_of "$FILES/whole") <(summary_of "$1")
}

# prefix FILE: what is left of a recording can be read, and is the beginning of the whole.
prefix() {
    local good=good.lca status=0 same
    [ -s "$1" ] || return 0
    lca-cat --repair "$1" --out $good 2>repair.err || status=$?
    if [ $status -ne 0 ]; then
        # nothing but HEAD had come
        [ $status -eq 5 ] && grep -q 'no step of it is whole\|ends within a frame after 0' repair.err
        return
    fi
    # an EOS of its own, of less than 400 bytes, is all that is not of the whole
    same=$(cmp "$FILES/whole/${1##*/}" $good | sed -n 's/.*: byte \([0-9]*\),.*/\1/p')
    [ -z "$same" ] || [ "$same" -gt $(($(stat -c %s $good) - 400)) ]
}

# within DIR NAME PROGRAM: the process of a stage.
within() {
    local p
    for p in $(pgrep -x "$3"); do
        if grep -qsz "^LCA_OUT=$PWD/$1\$" "/proc/$p/environ" && grep -qsz "^LCA_STAGE=$2\$" "/proc/$p/environ"; then
            echo "$p"
            return
        fi
    done
}

# A moment within the run, in seconds.
moment() {
    awk -v r=$RANDOM -v d="$(<"$FILES/duration")" 'BEGIN { printf "%.3f", r / 32768 * d }'
}

program_of() {
    case $1 in
    record-*) echo lca-cat ;;
    *) echo "lca-$1" ;;
    esac
}

# All stand still before the first is dead: the power fails.
power_cut() {
    local all
    all=$(pgrep -f "^lca-run .*$PWD/$1( |\$)"; pgrep -x lca-run-guard; grep -lsz "^LCA_OUT=$PWD/$1\$" /proc/[0-9]*/environ |
        cut -d/ -f3)
    kill -STOP $all 2>/dev/null
    kill -9 $all 2>/dev/null
}

# run_killed VICTIM: a run in out loses it; lca-run --resume goes on. 9: the run was over before.
run_killed() {
    local victim=$1 at runner status=0 pid
    at=$(moment)
    rm -rf out
    timeout 120 lca-run --quiet --out "$PWD/out" "$FILES/stages" 2>run.err 3>&- &
    runner=$!
    if [ "$victim" = tap ]; then
        until [ -e out/ipc/lca.tap ]; do kill -0 $runner || return 9; sleep 0.01; done
        lca-tap --json out/ipc/lca >tap.json 2>/dev/null 3>&- &
        pid=$!
    fi
    sleep "$at"
    case $victim in
    tap) kill -9 $pid ;;
    power) power_cut out ;;
    *)
        pid=$(within out "$victim" "$(program_of "$victim")")
        [ -z "$pid" ] || kill -9 "$pid" || pid="" ;;
    esac
    wait $runner || status=$?
    if [ "$victim" = tap ]; then
        [ $status -eq 0 ] || return 1
        equals out
        return
    fi
    if [ $status -eq 0 ]; then
        [ -n "$pid" ] || return 9
        # it had done its work, and the others theirs
        equals out
        return
    fi
    [ "$victim" = power ] ||
        grep -qE "stage $victim (killed by signal 9|exited with status (137|5))" run.err ||
        { echo "no clear error:"; cat run.err; return 1; }
    prefix out/lca.lca && prefix out/theta.lca || { echo "no readable prefix"; cat repair.err; return 1; }
    timeout 120 lca-run --resume out 2>resume.err || { echo "not resumed:"; cat resume.err; return 1; }
    equals out
}

declare -gA stage

# sweep DIR: ends what is left of its stages.
sweep() {
    kill -9 $(grep -lsz "^LCA_OUT=$PWD/$1\$" /proc/[0-9]*/environ | cut -d/ -f3) 2>/dev/null
    local p
    for p in "${stage[@]}"; do wait "$p"; done 2>/dev/null
    stage=()
    true
}

# start_stage NAME: as lca-run would, in the background: ${stage[NAME]}.
start_stage() {
    local command
    command=$(stages | sed -n "s/^$1[*0-9]*: *//p")
    LCA_STAGE=$1 LCA_OUT=$PWD/out bash -o pipefail -c "$command" 2>>"$1.err" 3>&- &
    stage[$1]=$!
}

# all_end VICTIM: all but it and the workers end in order. A producer that comes back when one
# of its consumers has taken the end already says that it waits for that: it is started again.
all_end() {
    local name missed
    local -A over=() again=()
    for ((k = 0; k < 600; k++)); do
        for name in train integrate check record-theta record-lca layers; do
            [ $name != "$1" ] && [ -z "${over[$name]}" ] && ! kill -0 "${stage[$name]}" 2>/dev/null || continue
            wait "${stage[$name]}" || { echo "$name ended with $?"; tail -n 5 ./*.err; return 1; }
            over[$name]=1
        done
        [ ${#over[@]} -lt 5 ] || return 0
        missed=$(sed -n 's/.*waiting [0-9]* s for the consumer \([a-z-]*\) of .*/\1/p' "$1.err" 2>/dev/null | tail -n 1)
        if [ -n "$missed" ] && [ -n "${over[$missed]}" ] && [ -z "${again[$missed]}" ]; then
            unset "over[$missed]"
            again[$missed]=1
            LCA_RESUME=1 start_stage "$missed"
        fi
        sleep 0.1
    done
    echo "no end: ${!over[*]} have ended"
    tail -n 5 ./*.err
    return 1
}

# restart_killed VICTIM: without lca-run; the others wait until it is started again.
restart_killed() {
    local victim=$1 name at pid k status=0
    at=$(moment)
    rm -rf out ./*.err
    mkdir out
    export LCA_DIR=$PWD/ipc
    for name in record-theta record-lca layers check integrate grad train; do start_stage $name; done
    sleep "$at"
    pid=$(within out "$victim" "$(program_of "$victim")")
    if [ -n "$pid" ] && kill -9 "$pid" 2>/dev/null; then
        wait "${stage[$victim]}" && status=9
        if [ $status -eq 0 ] && [ "$victim" = layers ]; then
            # what is recorded, then the link
            LCA_OUT=$PWD/out bash -o pipefail -c 'lca-cat --name layers out/lca.lca ipc:lca | lca-layers |
                lca-tap --json >out/layers.jsonl' 2>>layers.err 3>&- &
            stage[layers]=$!
        elif [ $status -eq 0 ]; then
            LCA_RESUME=1 start_stage "$victim"
        fi
    else
        status=9
    fi
    all_end "$victim" || { sweep out; return 1; }
    # killed in its last moment, when all had what they needed, it finds nobody; so do workers
    for ((k = 0; k < 30; k++)); do
        kill -0 "${stage[$victim]}" 2>/dev/null || break
        sleep 0.1
    done
    if kill -0 "${stage[$victim]}" 2>/dev/null && [ "$victim" = layers ]; then
        lca-layers --in out/lca.lca | lca-tap --json >out/layers.jsonl
    fi
    sweep out
    [ $status -ne 9 ] || return 9
    equals out
}

# kills SEED N: N kills, one after the other; says how each was met. Status 1 if one was not.
kills() {
    local done=0 victims=(train integrate layers record-lca record-theta tap power) victim how status bad=0
    RANDOM=$1
    declare -A met
    while [ $done -lt "$2" ]; do
        victim=${victims[RANDOM % 7]}
        how=run
        case $victim in
        tap|power) ;;
        *) [ $((RANDOM % 2)) -eq 0 ] || how=restart ;;
        esac
        status=0
        ${how}_killed $victim >why 2>&1 || status=$?
        [ $status -ne 9 ] || continue
        done=$((done + 1))
        echo "$done $victim $how $status" >>kills.log
        met[$victim-$how]=$((${met[$victim-$how]:-0} + 1))
        if [ $status -ne 0 ]; then
            bad=$((bad + 1))
            echo "kill $done, of $victim, $how: $(<why)"
            cp -r out "bad-$done"
            cp ./*.err "bad-$done" 2>/dev/null
        fi
    done
    for victim in "${!met[@]}"; do echo "$victim: ${met[$victim]}"; done | sort
    echo "$2 kills, $bad not met"
    [ $bad -eq 0 ]
}
