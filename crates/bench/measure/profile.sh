#!/usr/bin/env bash
# Says where the server's CPU time goes under load: by thread, and by function.
#
#   profile.sh SERVER YARDSTICK DEVICES RECORDS INFLIGHT
#
# A fresh server is loaded for 6 s by DEVICES with RECORDS in a frame and INFLIGHT frames in flight each. Once all have logged in,
# perf looks 499 times a second where its threads are. Printed: what yardstick says; CPU time by thread name, from /proc, in us for
# an acknowledged frame, logins included; perf's share of each thread, and of the 25 greatest functions. Needs `perf`, python3.
set -euo pipefail
[ $# = 5 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 64; }
server=$(realpath "$1") yardstick=$(realpath "$2") devices=$3 records=$4 inflight=$5
here=$(dirname "$(realpath "$0")")
seconds=6
folder=$(mktemp -d)
pid='' loading=''
end() {
    for child in $loading $pid; do
        kill -9 "$child" 2>/dev/null && wait "$child" 2>/dev/null || true
    done
    rm -rf "$folder"
}
trap end EXIT
trap 'exit 143' TERM INT

free_port() { python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import common; print(common.free_port())' "$here"; }
# Name and ticks of CPU time of each thread. Those that end meanwhile are not counted.
threads() {
    cat /proc/"$pid"/task/*/stat 2>/dev/null | sed -E 's/^[0-9]+ \((.*)\) /\1\t/' |
        awk -F'\t' '{ split($2, field, " "); ticks[$1] += field[12] + field[13] }
            END { for (name in ticks) print name "\t" ticks[name] }' | sort
}

port=$(free_port) http=$(free_port)
ODOGRAPH_HTTP__LISTEN=127.0.0.1:$http "$server" serve --data "$folder/data" --listen teltonika=127.0.0.1:"$port" \
    >"$folder/log" 2>&1 &
pid=$!
for _ in $(seq 600); do
    kill -0 "$pid" 2>/dev/null || { cat "$folder/log" >&2; exit 1; }
    (exec 3<>/dev/tcp/127.0.0.1/"$port") 2>/dev/null && break
    sleep 0.1
done
sleep 0.5

threads >"$folder/before"
"$yardstick" load --target 127.0.0.1:"$port" --devices "$devices" --records-per-frame "$records" --pipeline "$inflight" \
    --duration $seconds >"$folder/result" &
loading=$!
# Logins are spread over time: 5,000 a second.
sleep "$(awk -v devices="$devices" 'BEGIN { print devices / 5000 + 0.5 }')"
perf record -q -F 499 -o "$folder/perf" -p "$pid" -- sleep $((seconds - 1)) >"$folder/perf.log" 2>&1 || cat "$folder/perf.log" >&2
for _ in $(seq 120); do kill -0 "$loading" 2>/dev/null || break; sleep 1; done
wait "$loading"
loading=''
threads >"$folder/after"
cat "$folder/result"

frames=$(python3 -c 'import json, sys
result = json.load(open(sys.argv[1]))
print(result["acked"] // result["records_per_frame"])' "$folder/result")
echo
echo "$frames frames acknowledged; CPU time by thread name:"
join -t "$(printf '\t')" -a 2 -e 0 -o 0,1.2,2.2 "$folder/before" "$folder/after" |
    awk -F'\t' -v frames="$frames" -v hz="$(getconf CLK_TCK)" '
        BEGIN { form = "%-16s %8.2f s %8.2f us/frame\n"; sorted = "sort -k4,4nr" }
        { us = ($3 - $2) / hz * 1e6; all += us; if (us > 0) printf form, $1, us / 1e6, us / frames | sorted }
        END { close(sorted); printf form, "all", all / 1e6, all / frames }'
kill "$pid"; wait "$pid" || true
pid=''
report() { perf report -i "$folder/perf" --stdio --percent-limit 0 "$@" 2>/dev/null | grep -v '^#' | grep -v '^ *$' || true; }
echo
echo "perf, by thread name:"
report --sort comm
echo
echo "perf, the greatest 25 functions:"
report --sort symbol | sed -E 's/ +(- +)*$//' | sed -n 1,25p
