#!/bin/bash
# Is what `docker compose up -d` started whole? Scores, fills, reads the cache; then stops, crashes, takes down and
# brings up again, and reads the same. It ends with everything up.
#
#   scripts/compose_smoke.sh          COMPOSE names another compose command, with its -p and -f
set -euo pipefail
cd "$(dirname "$0")/.."
read -r -a compose <<<"${COMPOSE:-docker compose}"
deadline_s=${SMOKE_WAIT_S:-120}
query=$(awk -F'\t' '$1 == "es" {print $2; exit}' examples/candidates.tsv)

fail() {
  echo "smoke: $1" >&2
  exit 1
}

within_deadline() { # WHAT COMMAND...
  local problem=$1 until=$((SECONDS + deadline_s))
  shift
  until "$@" 2>/dev/null; do
    [ "$SECONDS" -lt "$until" ] || fail "$problem after $deadline_s s"
    sleep 1
  done
}

answers() {
  "${compose[@]}" exec -T api python -c \
    "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\") or 8080}/readyz', timeout=4)"
}

scored() {
  "${compose[@]}" exec -T api python - <<'P'
import json, os, urllib.request
pair = {"marketplace": "es", "query": "cafetera blanca", "product": {"id": "p1", "title": "Cafetera de acero blanca"}}
request = urllib.request.Request(f"http://127.0.0.1:{os.environ.get('PORT') or 8080}/score",
                                 json.dumps({"pairs": [pair], "write_cache": False}).encode(),
                                 {"content-type": "application/json"})
score = json.load(urllib.request.urlopen(request, timeout=60))["results"][0]["score"]
assert 0 <= score <= 1, score
print("score", score)
P
}

cached() {
  "${compose[@]}" exec -T api python -m service lookup "$query" --marketplace es
}

reads_the_same() {
  [ "$(cached)" = "$before" ]
}

# Four clients one request after another until nobody listens; each one that was taken must be answered.
clients() {
  "${compose[@]}" run --rm -T --no-deps fill python -u - <<'P'
import json, threading, time, urllib.error, urllib.request
pairs = [{"marketplace": "es", "query": f"cafetera {n}", "product": {"id": str(n), "title": f"Cafetera de acero {n}"}}
         for n in range(64)]
body = json.dumps({"pairs": pairs, "write_cache": False}).encode()
answered, lost, until = [], [], time.monotonic() + 60
def ask():
    while time.monotonic() < until:
        request = urllib.request.Request("http://api:8080/score", body, {"content-type": "application/json"})
        try:
            answered.append(urllib.request.urlopen(request, timeout=30).status)
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503):
                lost.append(error)
        except urllib.error.URLError as error:
            if isinstance(error.reason, ConnectionResetError):
                lost.append(error)
            elif answered:
                return
        except OSError as error:
            lost.append(error)
        else:
            if len(answered) == 1:
                print("asking", flush=True)
threads = [threading.Thread(target=ask) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(f"answered {len(answered)}, lost {len(lost)}: {lost[:3]}")
raise SystemExit(1 if lost or not answered else 0)
P
}

stopped_under_load() {
  local log started
  log=$(mktemp)
  clients >"$log" 2>&1 &
  within_deadline "no client was answered" grep -q asking "$log"
  started=$SECONDS
  "${compose[@]}" stop api
  [ $((SECONDS - started)) -le 10 ] || fail "api took over 10 s to stop"
  wait $! || fail "requests were lost while api stopped: $(tail -n 3 "$log")"
  tail -n 1 "$log"
  rm "$log"
}

crashed() { # SERVICE: its process is killed from outside, as by the kernel; `docker kill` would count as being stopped
  local container
  container=$("${compose[@]}" ps -q "$1")
  kill -9 "$(docker inspect -f '{{.State.Pid}}' "$container")"
  within_deadline "$1 was not started again" restarted "$container"
}

restarted() {
  [ "$(docker inspect -f '{{.State.Running}} {{.RestartCount}}' "$1")" != "true 0" ] &&
    [ "$(docker inspect -f '{{.State.Running}}' "$1")" = true ]
}

within_deadline "api is not ready" answers
scored
"${compose[@]}" run --rm -T fill
before=$(cached)
[ -n "$before" ] && [ "$before" != "never scored" ] || fail "the cache does not know \"$query\""

stopped_under_load
"${compose[@]}" start api
"${compose[@]}" restart redis
within_deadline "api is not ready" answers
scored
reads_the_same || fail "the cache reads otherwise after a restart: $(cached)"

if [ "$(id -u)" = 0 ]; then
  for service in api redis; do crashed "$service"; done
  within_deadline "api is not ready" answers
  scored
  within_deadline "the cache does not read the same after a crash" reads_the_same
else
  echo "smoke: not root, so no container's process was killed"
fi

"${compose[@]}" down -t 10
"${compose[@]}" up -d
within_deadline "api is not ready" answers
scored
reads_the_same || fail "the cache reads otherwise after down and up: $(cached)"
echo "smoke: passed"
