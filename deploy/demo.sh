#!/bin/bash
# The product at work: a daemon in a scratch directory, an org, four simulated gateways that push
# 90 days of history and then live usage; the ranked team, repositories and pull requests; the
# address of the HTTP API; and a recount of everything. Ends by Ctrl-C, or by itself after DEMO_SECONDS.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${BUILD:-build/release}
export TALLY_DATA
TALLY_DATA=$(mktemp -d /tmp/tally-demo-XXXXXX)
seconds=${DEMO_SECONDS:-0}
daemon=
live=

finish() {
    [ -z "$live" ] || kill "$live" 2>/dev/null || true
    [ -z "$live" ] || wait "$live" 2>/dev/null || true
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
    [ -z "$daemon" ] || wait "$daemon" 2>/dev/null || true
    rm -rf "$TALLY_DATA"
}
trap finish EXIT
trap 'exit 0' INT TERM

field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p" | head -1; }
title() { printf '\n\033[1m%s\033[0m\n' "$*"; }

title "A daemon in $TALLY_DATA, and an org"
"$bin/tally" up --ingest none --query none --accept-past-days 100 --disk-floor-bytes 256M \
    --http "${DEMO_HTTP:-127.0.0.1:0}" --metrics "${DEMO_METRICS:-127.0.0.1:0}" 2>"$TALLY_DATA/tallyd.log" &
daemon=$!
for _ in $(seq 200); do
    [ -S "$TALLY_DATA/ingest-control.sock" ] && break
    kill -0 "$daemon" 2>/dev/null || { cat "$TALLY_DATA/tallyd.log" >&2; exit 1; }
    sleep 0.05
done
for _ in $(seq 200); do
    port=$(sed -n 's/.*ready http_port=\([0-9]*\).*/\1/p' "$TALLY_DATA/tallyd.log" | tail -1)
    [ -n "$port" ] && break
    sleep 0.05
done
[ -n "$port" ] || { cat "$TALLY_DATA/tallyd.log" >&2; exit 1; }
made=$("$bin/tally" org create acme --tz Europe/Berlin --seats 40 --json)
admin=$(field admin_token <<<"$made")
gateway=$(field gateway_token <<<"$made")
echo "org acme: one token for gateways, one for its admin"

title "Four gateways push 90 days of history: late events, resends, links that come after the usage"
"$bin/tally" load --token "$gateway" --ingest "ipc://$TALLY_DATA/ingest.sock" --days 90 \
    --events "${DEMO_EVENTS:-60000}"
for who in ada grace linus; do
    "$bin/tally" keys create --type claude_code --email "$who@acme.example" --org acme >/dev/null
done
"$bin/tally" load --token "$gateway" --ingest "ipc://$TALLY_DATA/ingest.sock" --rate 40 \
    --events 1000000000 --seed 7 >/dev/null 2>&1 &
live=$!

export TALLY_TOKEN=$admin
show() {
    title "tally top --range 30d"
    "$bin/tally" top --range 30d --limit 12
    title "tally top --range 24h --by tokens"
    "$bin/tally" top --range 24h --by tokens --limit 5
    title "tally repos --range 30d"
    "$bin/tally" repos --range 30d --limit 8
    title "tally pulls --range 7d"
    "$bin/tally" pulls --range 7d --limit 8
}

in_a_browser() {
    title "In a browser, signed in by this address (once, within ten minutes)"
    "$bin/tally" login-link --http "http://127.0.0.1:$port"
}

over_http() {
    title "The same over HTTP: http://127.0.0.1:$port/api/v1/openapi.json lists what can be asked"
    echo "  curl -H 'Authorization: Bearer $admin' 'http://127.0.0.1:$port/api/v1/leaderboard?range=24h&limit=1'"
}

ends=$((SECONDS + seconds))
sleep 1
show
over_http
in_a_browser
title "tally verify: every figure recounted from the raw events"
"$bin/tally" verify

if [ "$seconds" -eq 0 ]; then
    title "Live usage goes on. In another terminal:"
    echo "  export TALLY_DATA=$TALLY_DATA PATH=$(realpath "$bin"):\$PATH"
    echo "  tally top --range 24h"
    echo "Ctrl-C ends the demo and removes the directory."
    wait "$live" || true
    exit 0
fi
while [ "$SECONDS" -lt "$ends" ]; do sleep 0.2; done
kill "$live" 2>/dev/null || true
wait "$live" 2>/dev/null || true
live=
title "At the end"
"$bin/tally" top --range 24h --limit 5
"$bin/tally" verify >"$TALLY_DATA/verify.txt" && verdict=ok || verdict=failed
cat "$TALLY_DATA/verify.txt"
stats=$("$bin/tally" stats)
echo "demo $verdict: accepted=$(field accepted <<<"$stats") duplicate=$(field duplicate <<<"$stats") verify=$verdict"
[ "$verdict" = ok ]
