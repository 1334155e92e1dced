#!/bin/bash
# Speed, measured in one run: a table here and one JSON object a figure in build/bench.jsonl.
# BENCH_EVENTS is the large run; the rounds of ingest have a tenth of it. BENCH_HUGE=100000000 adds
# a still larger one for growth; BENCH_SCRATCH chooses the disk.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${BUILD:-build/release}
events=${BENCH_EVENTS:-10000000}
huge=${BENCH_HUGE:-0}
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
"$bin/bench/ingest_bench" "${common[@]}" --events $((events / 10)) --small-events $((events / 40)) \
    --keep tenth
"$bin/bench/ingest_bench" "${common[@]}" --events "$events" --only rows --rounds 1 --prefix large_
"$bin/bench/disk_bench" "${common[@]}"
"$bin/bench/seal_bench" "${common[@]}"
"$bin/bench/query_bench" "${common[@]}"
if [ "$huge" -gt 0 ]; then
    "$bin/bench/ingest_bench" "${common[@]}" --events "$huge" --only rows --rounds 1 \
        --slice 4000000 --prefix huge_ --keep huge
    "$bin/bench/growth_bench" "${common[@]}" --huge huge
else
    "$bin/bench/growth_bench" "${common[@]}"
fi
"$bin/bench/http_bench" "${common[@]}" --bridge "$bin/tally-http"
"$bin/bench/visible_bench" "${common[@]}"
/usr/bin/python3 -B bench/web_bench.py --json "$json"

printf '\n%s figures in %s: %s goals met, %s not\n' "$(wc -l <"$json")" "$json" \
    "$(grep -c '"met": true' "$json" || true)" "$(grep -c '"met": false' "$json" || true)"
