#!/bin/bash
# Is what `docker compose up -d` started whole? Scores, fills, reads the cache, restarts, reads again.
#
#   scripts/compose_smoke.sh          COMPOSE names another compose command, with its -p and -f
set -euo pipefail
cd "$(dirname "$0")/.."
read -r -a compose <<<"${COMPOSE:-docker compose}"
deadline_s=${SMOKE_WAIT_S:-120}
query=$(awk -F'\t' '$1 == "es" {print $2; exit}' examples/candidates.tsv)

ready() {
  local until=$((SECONDS + deadline_s))
  until "${compose[@]}" exec -T api python -c \
    "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/readyz', timeout=4)" 2>/dev/null; do
    [ "$SECONDS" -lt "$until" ] || { echo "smoke: api is not ready after $deadline_s s" >&2; exit 1; }
    sleep 1
  done
}

scored() {
  "${compose[@]}" exec -T api python - <<'P'
import json, os, urllib.request
pair = {"marketplace": "es", "query": "cafetera blanca", "product": {"id": "p1", "title": "Cafetera de acero blanca"}}
request = urllib.request.Request(f"http://127.0.0.1:{os.environ['PORT']}/score",
                                 json.dumps({"pairs": [pair]}).encode(), {"content-type": "application/json"})
score = json.load(urllib.request.urlopen(request, timeout=60))["results"][0]["score"]
assert 0 <= score <= 1, score
print("score", score)
P
}

cached() {
  "${compose[@]}" exec -T api python -m service lookup "$query" --marketplace es
}

known() {
  [ -n "$1" ] && [ "$1" != "never scored" ] || { echo "smoke: the cache does not know \"$query\"" >&2; exit 1; }
}

ready
scored
"${compose[@]}" run --rm -T fill
before=$(cached)
known "$before"
started=$SECONDS
"${compose[@]}" stop api
[ $((SECONDS - started)) -le 10 ] || { echo "smoke: api took over 10 s to stop" >&2; exit 1; }
"${compose[@]}" start api
"${compose[@]}" restart redis
ready
scored
after=$(cached)
[ "$before" = "$after" ] || { echo "smoke: the cache reads otherwise after the restart: $after" >&2; exit 1; }
echo "smoke: passed"
