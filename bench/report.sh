#!/bin/bash
# Speed, measured in one run: a table here and one JSON object a figure in $BUILD/../bench.jsonl.
# BENCH_EVENTS=10000000 for the large run; BENCH_SCRATCH chooses the disk.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${BUILD:-build/release}
events=${BENCH_EVENTS:-1000000}
json=${BENCH_JSON:-build/bench.jsonl}
scratch=$(mktemp -d "${BENCH_SCRATCH:-/tmp}/tally-bench-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

mkdir -p "$(dirname "$json")"
: >"$json"
common=(--scratch "$scratch" --tallyd "$bin/tallyd" --json "$json")

model=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -1)
echo "$(nproc) x $model, $(df -P -T "$scratch" | awk 'NR == 2 { print $2 }'), Linux $(uname -r)," \
    "$events events of 90 days, $(date -u +%FT%TZ)"
read -r load _ </proc/loadavg
echo "load average at the start: $load; more than a little means that others take part of the cores"
"$bin/bench/ingest_bench" "${common[@]}" --events "$events" --small-events $((events / 4))
"$bin/bench/disk_bench" "${common[@]}"
"$bin/bench/query_bench" "${common[@]}"
"$bin/bench/http_bench" "${common[@]}" --bridge "$bin/tally-http"
"$bin/bench/visible_bench" "${common[@]}"
/usr/bin/python3 -B bench/web_bench.py --json "$json"

printf '\n%s figures in %s: %s goals met, %s not\n' "$(wc -l <"$json")" "$json" \
    "$(grep -c '"met": true' "$json" || true)" "$(grep -c '"met": false' "$json" || true)"
