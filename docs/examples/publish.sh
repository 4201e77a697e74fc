#!/bin/sh
# Publish a message and follow it until it is delivered or given up, with redis-cli.
#
#   REDIS_URL=redis://:password@127.0.0.1:7480 sh publish.sh acme invoice.paid '{"n": 1}'
set -eu
application=$1 event_type=$2 payload=$3

posthaste() { redis-cli -e --no-auth-warning -u "${REDIS_URL:-redis://127.0.0.1:7480}" "$@"; }

# The id comes once the message is on disk.
id=$(posthaste XADD "messages:$application" '*' type "$event_type" payload "$payload")
echo "published msg_$id"

# Outcomes come after their message in the same order of ids, so that it is where to begin.
last=$id
while true; do
  # One outcome, or nothing after five seconds: the name of the stream, the entry's id, then fields and values.
  entry=$(posthaste XREAD COUNT 1 BLOCK 5000 STREAMS "outcomes:$application" "$last")
  [ -n "$entry" ] || continue
  last=$(echo "$entry" | sed -n 2p)
  field() { echo "$entry" | sed -n "/^$1\$/{n;p;q;}"; }
  [ "$(field message)" = "msg_$id" ] || continue
  echo "attempt $(field attempt) to $(field endpoint): $(field outcome) $(field status), $(field state)"
  [ "$(field state)" = pending ] || break
done
