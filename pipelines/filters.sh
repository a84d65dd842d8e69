# filters.sh: the filters that a run has beside layers, helping and check; for common.sh.
#
# filters: what the user gave to --filter, each a list of names or one name with options of
# its own: "units,params", "params -k 20 --every 10", "all". chosen: one item a filter.
filters=() chosen=()

# Those that apply, and need nothing that only the user can give.
all_filters() {
    local name heldout="" applies=()
    heldout=$(lca-data show --json "$file" | jq -r '.sets[] | select(.set == "val" and .n > 0).n')
    [ -z "$sets" ] || heldout=${sets#train}
    for name in units params spread oscillation moments correlation ${by_class:+classes} ${heldout:+overfit}; do
        if command -v "lca-$name" >/dev/null; then applies+=("$name"); fi
    done
    echo "${applies[@]}"
}

choose_filters() {
    local item name seen=" layers helping check "
    for item in "${filters[@]}"; do
        if [[ $item == *' '* ]]; then
            chosen+=("$item")
        else
            [ "$item" != all ] || item=$(all_filters)
            read -ra item <<<"${item//,/ }"
            chosen+=("${item[@]}")
        fi
    done
    for item in "${chosen[@]}"; do
        name=${item%% *}
        lca-"$name" --help 2>/dev/null | grep -- '--layers PATTERN' >/dev/null ||
            die "--filter $name: there is no filter lca-$name"
        [[ $seen != *" $name "* ]] || die "--filter $name: the run has one already"
        [ "$name" != classes ] || [ -n "$by_class" ] || die "--filter classes needs --by-class"
        seen+="$name "
    done
}

# For --expect of lca-integrate: ",units,params".
filter_names() {
    local item
    for item in "${chosen[@]}"; do printf ',%s' "${item%% *}"; done
}

# The frames that they need beside lca, as an option of lca-integrate.
filter_emit() {
    local item kinds=""
    for item in "${chosen[@]}"; do
        case $item in
        oscillation*) kinds+=" move grad" ;;
        project*) kinds+=" move eff" ;;
        moments*--of*)
            [[ $item != *move* ]] || kinds+=" move"
            [[ $item != *eff* ]] || kinds+=" eff" ;;
        esac
    done
    [ -z "$kinds" ] || printf -- ' --emit lca,%s' "$(tr ' ' '\n' <<<"${kinds# }" | sort -u | paste -sd,)"
}

filter_stages() {
    local item name options
    for item in "${chosen[@]}"; do
        name=${item%% *} options=${item#"${item%% *}"}
        # what it would read a recording twice for, it does in windows of a live stream
        [[ $name != correlation || $options == *--window* ]] || options+=" --window 100"
        printf '%s: lca-%s%s --in ipc:lca --out - --tap ipc:%s | lca-tap --json > "$LCA_OUT/%s.jsonl"\n' \
            "$name" "$name" "$options" "$name" "$name"
    done
}
