"""Publish messages and follow them until each is delivered or given up. Needs redis-py: pip install redis

    REDIS_URL=redis://:password@127.0.0.1:7480 python publish.py acme invoice.paid
"""

import json
import os
import sys
import uuid

import redis

application, event_type = sys.argv[1:]
posthaste = redis.Redis.from_url(
    os.environ.get("REDIS_URL", "redis://127.0.0.1:7480"), protocol=2, decode_responses=True
)

# One pipeline is one round trip. Each answer is an id, and comes once its message is on disk. The field "id" is a
# name of your own: published again under it (after a lost connection, say), a message is not delivered twice.
run = uuid.uuid4().hex
with posthaste.pipeline(transaction=False) as batch:
    for n in range(1, 4):
        message = {"type": event_type, "payload": json.dumps({"n": n}), "id": f"{run}-{n}"}
        batch.xadd(f"messages:{application}", message)
    ids = batch.execute()
print("published", *ids)

# Outcomes come after their message in the same order of ids, so that the first message is where to begin. A program
# that follows for ever keeps `last` somewhere, and goes on from there after a restart.
under_way, last = {f"msg_{id}" for id in ids}, ids[0]
while under_way:
    for _, entries in posthaste.xread({f"outcomes:{application}": last}, count=1000, block=5000):
        for last, outcome in entries:
            print(outcome["message"], "attempt", outcome["attempt"], outcome["outcome"], outcome["state"])
            if outcome["state"] != "pending":
                under_way.discard(outcome["message"])
