#!/usr/bin/env bash
# A fleet's month through a real server, and questions to it: docs/internals/measuring.md as one script.
#
#   month.sh SERVER MONTH QUESTIONS DATA [RECORDS]
#
# MONTH and QUESTIONS are the programs of this crate; DATA is a folder that does not exist yet, on a disk with room (200 bytes a
# record); it stays. RECORDS: 100000000. Variables: DEVICES (10000), DAYS (30), SOCKETS (500), COUNT (500 questions of a kind, after
# 100 to warm up), PYTHON (python3: one with DuckDB), HOURS_MAX (6: history may take so long). Printed: time until all was
# acknowledged, until history has read it, and until it is in files; bytes of the folder's parts; live files; the questions'
# times; and DuckDB's over the same files, with `bytes_per_record_besides_id_and_received`.
set -euo pipefail
[ $# -ge 4 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 64; }
server=$(realpath "$1") month=$(realpath "$2") questions=$(realpath "$3") data=$(realpath -m "$4") records=${5:-100000000}
here=$(dirname "$(realpath "$0")")
devices=${DEVICES:-10000} days=${DAYS:-30} sockets=${SOCKETS:-500} count=${COUNT:-500}
python=${PYTHON:-python3} hours_max=${HOURS_MAX:-6}
[ ! -e "$data" ] || { echo "$data is there already" >&2; exit 64; }
mkdir -p "$(dirname "$data")"
log=$data.log
pid='' sending=''
end() {
    for child in $sending $pid; do
        kill "$child" 2>/dev/null && wait "$child" 2>/dev/null || true
    done
}
trap end EXIT
trap 'exit 143' TERM INT

free_port() { python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import common; print(common.free_port())' "$here"; }
now() { date +%s.%N; }
since() { awk -v from="$1" -v to="$(now)" 'BEGIN { printf "%.1f", to - from }'; }
# The sum over its labels.
metric() {
    python3 -c 'import sys, urllib.request
lines = urllib.request.urlopen(sys.argv[1], timeout=60).read().decode().splitlines()
named = [line for line in lines if line.startswith((sys.argv[2] + " ", sys.argv[2] + "{"))]
print(int(sum(float(line.rsplit(" ", 1)[1]) for line in named)))' "http://127.0.0.1:$http/metrics" "$1"
}
memory() { awk '/^(RssAnon|VmHWM):/ { printf "%s %.0f MiB  ", $1, $2 / 1024 }' "/proc/$pid/status"; }

port=$(free_port) http=$(free_port)
ODOGRAPH_HTTP__LISTEN=127.0.0.1:$http "$server" serve --data "$data" --listen teltonika=127.0.0.1:"$port" >"$log" 2>&1 &
pid=$!
for _ in $(seq 600); do
    kill -0 "$pid" 2>/dev/null || { cat "$log" >&2; exit 1; }
    (exec 3<>/dev/tcp/127.0.0.1/"$port") 2>/dev/null && break
    sleep 0.1
done

begun=$(now)
"$month" --target 127.0.0.1:"$port" --devices "$devices" --days "$days" --records "$records" --sockets "$sockets" \
    >"$log.month" 2>"$log.progress" &
sending=$!
last=0
while kill -0 "$sending" 2>/dev/null; do
    sleep 1
    if [ $((SECONDS - last)) -ge 60 ]; then
        last=$SECONDS
        kill -0 "$pid" || { tail -20 "$log" >&2; exit 1; }
        told=$(tail -c 200 "$log.progress" | tr '\r' '\n' | tail -1)
        echo "after $(since "$begun") s: $told  lag $(metric odograph_pipeline_lag_bytes) bytes  $(memory)"
    fi
done
wait "$sending" || { tail -5 "$log.progress" >&2; exit 1; }
sending=''
cat "$log.month"
echo "acknowledged after $(since "$begun") s"

# 64 KiB: of what the server itself notes, a little is always on its way. Twice, for the metrics are told once a second.
is_in_time() { awk -v s="$(since "$begun")" -v max="$hours_max" 'BEGIN { exit s > max * 3600 }'; }
is_near_nothing() { [ "$(metric "$1")" -le 65536 ]; }
for name in odograph_pipeline_lag_bytes odograph_pipeline_uncommitted_bytes odograph_pipeline_uncommitted_frames_bytes; do
    is_near_nothing $name || echo "$name $(metric $name) ..."
    until is_near_nothing $name && sleep 2 && is_near_nothing $name; do
        is_in_time || { echo "history takes too long" >&2; exit 1; }
        sleep 1
    done
    echo "$name is near nothing after $(since "$begun") s"
done
echo "memory: $(memory)"
echo "CPU time: $(awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); printf "%.0f s", ($12 + $13) / hz }' "/proc/$pid/stat")"

echo "bytes of the folder's parts:"
du -sb "$data"/journal "$data"/lake/*/* 2>/dev/null
"$python" - "$data/lake/default" "$records" <<'END' || true
# Only what the tables' logs name: what was merged stays in the folder for a day.
import json, pathlib, sys
for table in ("records", "frames"):
    live, log = {}, pathlib.Path(sys.argv[1]) / table / "_delta_log"
    for entry in sorted(log.glob("*.json")):
        for line in entry.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                live[action["add"]["path"]] = action["add"]["size"]
            if "remove" in action:
                live.pop(action["remove"]["path"], None)
    commits = len(list(log.glob("*.json")))
    size = sum(live.values())
    print(f"{table}: {len(live)} live files of {size} bytes, {size / int(sys.argv[2]):.2f} bytes a record sent; {commits} commits")
END

echo "questions, to have the files in memory:"
"$questions" --data "$data" --count $((count < 100 ? count : 100))
echo "questions:"
"$questions" --data "$data" --count "$count"
echo "memory: $(memory)"
"$server" sql --data "$data" --json "SELECT count(*) AS records FROM records"
kill "$pid"; wait "$pid" || echo "the server stopped with status $?" >&2
pid=''
if "$python" -c 'import duckdb' 2>/dev/null; then
    echo "DuckDB over the same files:"
    "$python" "$here/../duckdb_questions.py" "$data/lake/default/records" --count 100
else
    echo "no DuckDB in $python: say PYTHON=…" >&2
    exit 1
fi
