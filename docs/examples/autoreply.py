"""A messaging platform: tells its customer of a message that came in, and sends what the customer answers.

    REDIS_URL=redis://:password@127.0.0.1:7480 python autoreply.py acme sms.incoming 15550100 "opening hours?"

Needs redis-py (pip install redis), and an endpoint with "tellResponse": true, whose receiver answers, as
application/json, for example {"messages": [{"content": "9 to 5"}]}.
"""

import json
import os
import sys
import uuid

import redis

application, event_type, sender, text = sys.argv[1:]
posthaste = redis.Redis.from_url(
    os.environ.get("REDIS_URL", "redis://127.0.0.1:7480"), protocol=2, decode_responses=True
)

# The platform's own name of what happened. It comes back with the outcome, so that nothing has to be remembered.
incoming = f"{sender}.{uuid.uuid4().hex}"
payload = json.dumps({"from": sender, "content": text})
published = posthaste.xadd(f"messages:{application}", {"type": event_type, "payload": payload, "id": incoming})


def act(outcome):
    """Does what the customer wants. Whether it is JSON was looked at already, and its shape is for us to check."""
    to = outcome["event_id"].split(".")[0]
    match outcome.get("response_json"):
        case "valid":
            reply = json.loads(outcome["response_body"])
            messages = reply.get("messages", []) if isinstance(reply, dict) else []
            for message in messages:
                print(f"send to {message.get('to_number', to)}: {message['content']}")
        case "broken":
            print(f"the customer should know: this is not JSON: {outcome['response_body']!r}")
        case None:
            print("nothing to send")


last = published
while True:
    for _, entries in posthaste.xread({f"outcomes:{application}": last}, count=100, block=5000):
        for last, outcome in entries:
            # Others may have come in meanwhile; a real platform acts on all of them and never ends.
            if outcome["message"] != f"msg_{published}" or outcome["state"] == "pending":
                continue
            if outcome["state"] == "delivered":
                act(outcome)
                sys.exit()
            sys.exit("nobody answered")
