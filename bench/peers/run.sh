#!/bin/bash
# The same work by ClickHouse and DuckDB, from npm, beside tally: a table, and build/bench-peers.jsonl.
set -euo pipefail
cd "$(dirname "$0")/../.."

bin=$(realpath "${BUILD:-build/release}")
events=${BENCH_EVENTS:-10000000}
json=$(realpath -m "${BENCH_JSON:-build/bench-peers.jsonl}")
modules=$bin/peers
scratch=$(mktemp -d "${BENCH_SCRATCH:-/tmp}/tally-peers-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

mkdir -p "$modules" "$(dirname "$json")"
cp bench/peers/package.json bench/peers/*.mjs "$modules"
(cd "$modules" && npm install --no-package-lock --no-audit --no-fund --no-update-notifier --loglevel=error)
: >"$json"
node "$modules/peers.mjs" "$bin" "$scratch" "$events" "$json"
