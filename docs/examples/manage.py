"""Set a customer up, publish over HTTP, look at the attempts. Needs the Svix SDK: pip install svix

    API_URL=http://127.0.0.1:7481 API_TOKEN=... python manage.py https://receiver.example/hook
"""

import os
import sys
import time

from svix.api import (
    ApplicationIn,
    EndpointIn,
    EndpointPatch,
    EventTypeIn,
    EventTypeUpdate,
    MessageIn,
    Svix,
    SvixOptions,
)

[url] = sys.argv[1:]
api = Svix(os.environ.get("API_TOKEN", ""), SvixOptions(server_url=os.environ["API_URL"]))

# An application is one customer. Under a uid of your own, asking again gives you the one that is there.
api.application.get_or_create(ApplicationIn(name="Acme", uid="acme"))
api.event_type.update("invoice.paid", EventTypeUpdate(description="An invoice was paid"))

endpoint = api.endpoint.create("acme", EndpointIn(url=url, event_types=["invoice.paid"]))
print("endpoint", endpoint.id, "verifies with", api.endpoint.get_secret("acme", endpoint.id).key)

message = api.message.create("acme", MessageIn(event_type="invoice.paid", payload={"n": 1}))
print("published", message.id)

# Attempts are made within milliseconds; a program that needs to know follows the outcome stream instead.
while not (attempts := api.message_attempt.list_by_msg("acme", message.id).data):
    time.sleep(0.1)
print("attempt", attempts[0].response_status_code)

# Nothing more for this endpoint, until it is enabled again.
print("disabled", api.endpoint.patch("acme", endpoint.id, EndpointPatch(disabled=True)).disabled)
