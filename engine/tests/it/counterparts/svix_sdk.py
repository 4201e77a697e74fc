"""What a customer's program does with the Svix SDK. Arguments: address of the API, token, URL of a receiver."""

import sys
import time

from svix.api import (
    ApplicationIn,
    ApplicationPatch,
    EndpointHeadersIn,
    EndpointIn,
    EndpointPatch,
    EventTypeIn,
    MessageAttemptListByMsgOptions,
    MessageIn,
    MessageListOptions,
    Svix,
    SvixOptions,
)
from svix.exceptions import HttpError
from svix.webhooks import Webhook

address, token, url = sys.argv[1:]
svix = Svix(token, SvixOptions(server_url=address))

app = svix.application.create(ApplicationIn(name="Acme", uid="acme"))
assert svix.application.get("acme").id == app.id
assert svix.application.patch("acme", ApplicationPatch(name="Acme Corporation")).name == "Acme Corporation"
assert [one.uid for one in svix.application.list().data] == ["acme"]
try:
    svix.application.create(ApplicationIn(name="Another", uid="acme"))
    raise AssertionError("a uid was given to two applications")
except HttpError as error:
    assert error.status_code == 409, error

svix.event_type.create(EventTypeIn(name="invoice.paid", description="An invoice was paid"))
assert [one.name for one in svix.event_type.list().data] == ["invoice.paid"]

endpoint = svix.endpoint.create("acme", EndpointIn(url=url, uid="billing", event_types=["invoice.paid"]))
assert svix.endpoint.get("acme", "billing").id == endpoint.id
svix.endpoint.update_headers("acme", "billing", EndpointHeadersIn(headers={"X-Shop": "42"}))
assert svix.endpoint.get_headers("acme", "billing").headers == {"x-shop": "42"}
assert svix.endpoint.patch("acme", "billing", EndpointPatch(description="books")).description == "books"
Webhook(svix.endpoint.get_secret("acme", "billing").key)

message = svix.message.create("acme", MessageIn(event_type="invoice.paid", event_id="paid-1", payload={"n": 1}))
svix.message.create("acme", MessageIn(event_type="invoice.paid", payload={"n": 2}))
assert svix.message.get("acme", message.id).payload == {"n": 1}
assert len(svix.message.list("acme", MessageListOptions(limit=10)).data) == 2

deadline = time.monotonic() + 30
while True:
    attempts = svix.message_attempt.list_by_msg("acme", message.id, MessageAttemptListByMsgOptions(limit=10)).data
    if attempts:
        break
    assert time.monotonic() < deadline, "no attempt within 30 s"
    time.sleep(0.01)
[attempt] = attempts
assert (attempt.response_status_code, attempt.response) == (200, "thank you"), attempt
assert attempt.status == 0 and attempt.endpoint_id == endpoint.id
assert svix.message_attempt.get("acme", message.id, attempt.id).id == attempt.id
while len(svix.message_attempt.list_by_endpoint("acme", "billing").data) < 2:
    assert time.monotonic() < deadline, "the second message was not attempted within 30 s"
    time.sleep(0.01)

svix.endpoint.delete("acme", "billing")
assert svix.endpoint.list("acme").data == []
svix.application.delete("acme")
try:
    svix.application.get("acme")
    raise AssertionError("a deleted application is still there")
except HttpError as error:
    assert error.status_code == 404, error
print("ok")
