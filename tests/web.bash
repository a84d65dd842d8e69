# web.bash: lca-web within a test: load ../web after ../live.

# serve [OPTION]... RUN...: $url, $port, ${pid[web]}, web.err.
serve() {
    bg web lca-web --port 0 "$@"
    until_true [ -s web.out ]
    url=$(cat web.out) url=${url%/} port=${url##*:}
    api runs >runs
}

api() { curl -s "$url/api/$1"; }

# at_step T, at_least T: what run 0 has come to. in_state RUN STATE
at_step() {
    api runs >runs
    api view | jq -e ".it == $1" >/dev/null 2>&1
}
at_least() { api view | jq -e ".it >= $1" >/dev/null 2>&1; }
in_state() { api runs | jq -e ".[$1].state == \"$2\"" >/dev/null; }
