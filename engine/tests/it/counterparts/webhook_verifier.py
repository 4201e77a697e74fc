"""A receiver's check of requests that were delivered. Each line of the file that is named is one, as JSON: secret,
id, timestamp, signature, body, and whether it is to be accepted."""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def accepts(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers)
        return True
    except WebhookVerificationError:
        return False


with open(sys.argv[1], encoding="utf-8") as requests:
    for line in requests:
        request = json.loads(line)
        headers = {"webhook-" + part: request[part] for part in ("id", "timestamp", "signature")}
        assert accepts(request["secret"], request["body"], headers) == request["accepted"], request
        assert not accepts(request["secret"], request["body"] + " ", headers), "a body that was changed"
        assert not accepts(request["secret"], request["body"], {**headers, "webhook-id": "msg_1-0"}), "another id"
print("ok")
