# programs.sh: $bin, where the programs are: those of the source tree that this file is in, or those
# that were installed with it. First in PATH.
bin=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
case $bin in
*/share/lca/pipelines) bin=${bin%/share/lca/pipelines}/bin ;;
*) bin=${bin%/*}/bin ;;
esac
PATH=$bin:$PATH
