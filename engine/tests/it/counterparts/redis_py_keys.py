"""Authenticates with redis-py by a key for the application acme. Arguments: the port, the user, the key."""

import sys

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

port, user, key = int(sys.argv[1]), sys.argv[2], sys.argv[3]

for protocol in (2, 3):
    client = redis.Redis(port=port, username=user, password=key, protocol=protocol)
    assert client.acl_whoami() in (user, user.encode())
    client.xadd("messages:acme", {"type": "invoice.paid", "payload": b"{}"})
    try:
        client.xadd("messages:other", {"type": "invoice.paid", "payload": b"{}"})
        raise AssertionError("a message for another application was accepted")
    except redis.exceptions.NoPermissionError:
        pass
    client.close()

for name, password in ((user, "guessed"), ("somebody", key)):
    try:
        # Once: who guesses again and again is not served at all for a while.
        redis.Redis(port=port, username=name, password=password, retry=Retry(NoBackoff(), 0)).ping()
        raise AssertionError("a stranger was let in")
    except redis.exceptions.AuthenticationError:
        pass
print("ok")
