"""Publishes with redis-py and follows the outcomes, in RESP2 and RESP3. Arguments: the port, and for TLS a CA file."""

import sys

import redis

KEY = "messages:acme"


def follow(client, wanted):
    """Reads outcomes until every wanted message was told as delivered."""
    last, told = "0", set()
    while not wanted <= told:
        answer = client.xread({"outcomes:acme": last}, count=30, block=5000)
        assert answer, f"no outcome within 5 s; {len(wanted - told)} are missing"
        streams = answer.items() if isinstance(answer, dict) else answer
        for _, entries in streams:
            # redis-py wraps the entries of a RESP3 stream in one more list.
            if entries and isinstance(entries[0], list):
                entries = entries[0]
            for last, outcome in entries:
                assert outcome[b"state"] == b"delivered", outcome
                told.add(outcome[b"message"].removeprefix(b"msg_"))


tls = {"ssl": True, "ssl_ca_certs": sys.argv[2]} if len(sys.argv) > 2 else {}
for protocol in (2, 3):
    client = redis.Redis(port=int(sys.argv[1]), protocol=protocol, **tls)
    assert client.ping()
    first = client.xadd(KEY, {"type": "invoice.paid", "payload": b'{"n":0}', "id": f"py-{protocol}"})
    again = client.xadd(KEY, {"type": "invoice.paid", "payload": b'{"n":0}', "id": f"py-{protocol}"})
    assert first == again, (first, again)
    with client.pipeline(transaction=False) as batch:
        for number in range(100):
            batch.xadd(KEY, {"type": "invoice.paid", "payload": b"%d" % number})
        ids = batch.execute()
    assert ids == sorted(ids, key=lambda id: tuple(map(int, id.split(b"-"))))
    try:
        client.xadd(KEY, {"type": "no.such", "payload": b"{}"})
        raise AssertionError("an unknown event type was accepted")
    except redis.ResponseError as error:
        assert "no.such" in str(error), error
    follow(client, {first, *ids})
    assert client.xlen(KEY) == 101 * (protocol - 1)
    assert len(client.xrange(KEY, count=5)) == 5
    assert client.info()["posthaste_version"]
    client.close()
print("ok")
