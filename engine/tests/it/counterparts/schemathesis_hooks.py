"""Keeps deliveries on this machine: every URL of a receiver becomes the one in $RECEIVER_URL."""

import os

import schemathesis


def at_home(value):
    """The same value, where everything called `url` that could be delivered to is the receiver's."""
    if isinstance(value, dict):
        return {
            name: os.environ["RECEIVER_URL"]
            if name == "url" and isinstance(part, str) and part.lower().startswith("http")
            else at_home(part)
            for name, part in value.items()
        }
    if isinstance(value, list):
        return [at_home(part) for part in value]
    return value


@schemathesis.hook
def before_call(context, case, kwargs):
    case.body = at_home(case.body)
