#!/usr/bin/env bash
# section5.sh NAME: docs/NAME.md as a manual page of section 5, lca-NAME.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/.*LCA_VERSION "\(.*\)"/\1/p' ../src/base/version.h)
title=$(sed -n '1s/^# //p' "$1.md")
printf "'\\\\\" t\n"
printf '.TH LCA-%s 5 "" "lca %s" "Loss Change Allocation"\n.SH NAME\nlca\\-%s \\- %s\n.SH DESCRIPTION\n' \
    "$(tr '[:lower:]' '[:upper:]' <<<"$1")" "$version" "$1" "$(tr '[:upper:]' '[:lower:]' <<<"${title:0:1}")${title:1}"
sed 1d "$1.md" | lowdown -Tman
printf '.SH SEE ALSO\n.BR lca (7)\n'
