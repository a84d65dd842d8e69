#!/usr/bin/env bash
# watch.sh [OPTION]...: the demo, and the live page beside it. Options are the demo's. The
# page stays until Ctrl-C; $PORT is its port (default 8787).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/programs.sh"

out=
for ((k = 1; k < $#; k++)); do
    next=$((k + 1))
    [ "${!k}" != --out ] || out=${!next}
done
case " $* " in
*' --help '*|*' -h '*|*' --plan '*|*' --resume '*) exec "$here/demo.sh" "$@" ;;
esac
if [ -z "$out" ]; then
    out=demo-$(date +%Y%m%d-%H%M%S)
    set -- --out "$out" "$@"
fi
mkdir -p "$out"

web=
trap '[ -z "$web" ] || kill "$web" 2>/dev/null || true' EXIT
exec 3< <(exec lca-web --port "${PORT:-8787}" "$out")
web=$!
read -r url <&3 || exit 2
echo "the live page is at $url"
status=0
attend "$here/demo.sh" "$@" || status=$?
if [ $status -eq 0 ]; then
    echo "the live page stays at $url until Ctrl-C"
    wait "$web" || true
fi
exit $status
