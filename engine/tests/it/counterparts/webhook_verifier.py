"""Verifies a request that was delivered. Arguments: secret, id, timestamp, signature, body."""

import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

secret, message, timestamp, signature, body = sys.argv[1:]
headers = {"webhook-id": message, "webhook-timestamp": timestamp, "webhook-signature": signature}
assert Webhook(secret).verify(body, headers) == {"n": 0}
try:
    Webhook(secret).verify(body + " ", headers)
    raise AssertionError("a body that was changed is still verified")
except WebhookVerificationError:
    pass
print("ok")
