# programs.sh: how scripts find programs, and start what takes long.
#
# $bin, first in PATH, is where the programs are: those of the source tree that this file is in, or
# those that were installed with it.
bin=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
case $bin in
*/share/lca/pipelines) bin=${bin%/share/lca/pipelines}/bin ;;
*) bin=${bin%/*}/bin ;;
esac
PATH=$bin:$PATH

# attend COMMAND...: runs it and returns its status. What tells the script to stop tells the command,
# which ends in order; by SIGTERM, since bash starts it with SIGINT ignored.
attend() {
    "$@" &
    local child=$! status=0
    trap 'kill -TERM $child 2>/dev/null || true' INT TERM HUP
    while kill -0 $child 2>/dev/null; do wait $child || true; done
    wait $child || status=$?
    trap - INT TERM HUP
    return $status
}
