"""What a customer's program does with the Svix SDK. Arguments: address of the API, token, URL of a receiver."""

import sys
import time
from datetime import datetime, timezone

from svix.api import (
    ApplicationIn,
    ApplicationListOptions,
    ApplicationPatch,
    AppPortalAccessIn,
    EndpointHeadersIn,
    EndpointHeadersPatchIn,
    EndpointIn,
    EndpointPatch,
    EndpointSecretRotateIn,
    EndpointUpdate,
    EventExampleIn,
    EventTypeIn,
    EventTypeListOptions,
    EventTypePatch,
    EventTypeUpdate,
    MessageAttemptListAttemptedMessagesOptions,
    MessageAttemptListByEndpointOptions,
    MessageAttemptListByMsgOptions,
    MessageCreateOptions,
    MessageIn,
    MessageListOptions,
    Ordering,
    RecoverIn,
    ReplayIn,
    Svix,
    SvixOptions,
)
from svix.exceptions import HttpError, HTTPValidationError
from svix.webhooks import Webhook

address, token, url = sys.argv[1:]
svix = Svix(token, SvixOptions(server_url=address))


def refused(status, call):
    """Calls, and is refused with this status. What the server said."""
    try:
        call()
    except HttpError as error:
        assert error.status_code == status, error
        return error
    raise AssertionError(f"was not refused with {status}")


refused(401, Svix("a wrong token", SvixOptions(server_url=address)).application.list)
app = svix.application.create(ApplicationIn(name="Acme", uid="acme"))
assert svix.application.get("acme").id == app.id
assert svix.application.patch("acme", ApplicationPatch(name="Acme Corporation")).name == "Acme Corporation"
assert [one.uid for one in svix.application.list().data] == ["acme"]
refused(409, lambda: svix.application.create(ApplicationIn(name="Another", uid="acme")))
assert svix.application.get_or_create(ApplicationIn(name="Another", uid="acme")).id == app.id
updated = svix.application.update("acme", ApplicationIn(name="Acme", uid="acme", throttle_rate=500, metadata={"a": "b"}))
assert (updated.throttle_rate, updated.metadata) == (500, {"a": "b"})
for name in ("one", "two", "three"):
    svix.application.update(name, ApplicationIn(name=name, uid=name))
page, names = svix.application.list(ApplicationListOptions(limit=3, order=Ordering.DESCENDING)), []
while True:
    names += [one.uid for one in page.data]
    if page.done:
        break
    page = svix.application.list(
        ApplicationListOptions(limit=3, order=Ordering.DESCENDING, iterator=page.iterator)
    )
assert names == ["three", "two", "one", "acme"], names
for name in ("one", "two", "three"):
    svix.application.delete(name)

example = {"1": {"type": "object", "examples": [{"n": 0}]}}
svix.event_type.create(EventTypeIn(name="invoice.paid", description="An invoice was paid", schemas=example))
assert [one.name for one in svix.event_type.list().data] == ["invoice.paid"]
assert svix.event_type.get("invoice.paid").description == "An invoice was paid"
schemas = {"1": {"type": "object"}}
svix.event_type.update("invoice.old", EventTypeUpdate(description="Old", schemas=schemas))
assert svix.event_type.patch("invoice.old", EventTypePatch(description="Older")).schemas == schemas
svix.event_type.delete("invoice.old")
assert len(svix.event_type.list(EventTypeListOptions(include_archived=True)).data) == 2
assert len(svix.event_type.list().data) == 1

endpoint = svix.endpoint.create("acme", EndpointIn(url=url, uid="billing", event_types=["invoice.paid"]))
assert svix.endpoint.get("acme", "billing").id == endpoint.id
svix.endpoint.update_headers("acme", "billing", EndpointHeadersIn(headers={"X-Shop": "42"}))
assert svix.endpoint.get_headers("acme", "billing").headers == {"x-shop": "42"}
assert svix.endpoint.patch("acme", "billing", EndpointPatch(description="books")).description == "books"
svix.endpoint.patch_headers("acme", "billing", EndpointHeadersPatchIn(headers={"X-Token": "hush"}))
headers = svix.endpoint.get_headers("acme", "billing")
assert (headers.headers, set(headers.sensitive)) == ({"x-shop": "42"}, {"x-token"})
other = svix.endpoint.update("acme", "other", EndpointUpdate(url=url, disabled=True, channels=["c"]))
assert (other.uid, other.disabled, other.channels) == ("other", True, ["c"])
assert [one.uid for one in svix.endpoint.list("acme").data] == ["billing", "other"]
first = svix.endpoint.get_secret("acme", "billing").key
Webhook(first)
svix.endpoint.rotate_secret("acme", "billing", EndpointSecretRotateIn())
assert svix.endpoint.get_secret("acme", "billing").key != first
svix.endpoint.rotate_secret("acme", "billing", EndpointSecretRotateIn(key=first))
assert svix.endpoint.get_secret("acme", "billing").key == first
try:
    svix.endpoint.create("acme", EndpointIn(url="not a URL"))
    raise AssertionError("an endpoint was made without a URL")
except HTTPValidationError as error:
    assert error.detail[0].loc == ["body", "url"], error

message = svix.message.create("acme", MessageIn(event_type="invoice.paid", event_id="paid-1", payload={"n": 1}))
repeated = [
    svix.message.create(
        "acme",
        MessageIn(event_type="invoice.paid", payload={"n": 2}),
        MessageCreateOptions(idempotency_key="paid-2"),
    )
    for _ in range(2)
]
assert repeated[0].id == repeated[1].id, "a message was published twice under one key"
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

options = MessageAttemptListByEndpointOptions(limit=1, event_types=["invoice.paid"], status=0)
assert len(svix.message_attempt.list_by_endpoint("acme", "billing", options).data) == 1
[destination] = svix.message_attempt.list_attempted_destinations("acme", message.id).data
assert (destination.id, destination.status) == (endpoint.id, 0)

[listed] = svix.message_attempt.list_attempted_messages(
    "acme", "billing", MessageAttemptListAttemptedMessagesOptions(limit=1)
).data
assert (listed.payload, listed.status) == ({"n": 2}, 0), listed

svix.message_attempt.resend("acme", message.id, "billing")
example = svix.endpoint.send_example("acme", "billing", EventExampleIn(event_type="invoice.paid"))
assert example.event_type == "invoice.paid"
while svix.endpoint.get_stats("acme", "billing").success < 3:
    assert time.monotonic() < deadline, "statistics do not count what arrived within 30 s"
    time.sleep(0.01)
while len(svix.message_attempt.list_by_msg("acme", message.id).data) < 2:
    assert time.monotonic() < deadline, "the message was not sent again within 30 s"
    time.sleep(0.01)
long_ago = datetime(2020, 1, 1, tzinfo=timezone.utc)
recovery = svix.endpoint.recover("acme", "billing", RecoverIn(since=long_ago))
assert (recovery.status, recovery.task) == ("running", "endpoint.recover")
replay = svix.endpoint.replay_missing("acme", "billing", ReplayIn(since=long_ago))
for task in (recovery, replay):
    while svix.background_task.get(task.id).status != "finished":
        assert time.monotonic() < deadline, "a background task did not end within 30 s"
        time.sleep(0.01)
assert len(svix.background_task.list().data) == 2

[newest, *_] = svix.message_attempt.list_by_msg("acme", message.id).data
svix.message_attempt.expunge_content("acme", message.id, newest.id)
assert svix.message_attempt.get("acme", message.id, newest.id).response == ""
svix.message.expunge_content("acme", message.id)
assert svix.message.get("acme", message.id).payload != {"n": 1}

access = svix.authentication.app_portal_access("acme", AppPortalAccessIn(expiry=3600))
assert access.url.endswith("/portal#key=" + access.token), access.url
portal = Svix(access.token, SvixOptions(server_url=address))
assert portal.endpoint.get("acme", "billing").id == endpoint.id
assert portal.message_attempt.list_by_endpoint("acme", "billing").data
refused(403, lambda: portal.message.create("acme", MessageIn(event_type="invoice.paid", payload={})))
refused(403, portal.application.list)
svix.application.create(ApplicationIn(name="Other", uid="other"))
refused(404, lambda: portal.application.get("other"))
portal.authentication.logout()
refused(401, lambda: portal.endpoint.get("acme", "billing"))
refused(403, svix.authentication.logout)

svix.endpoint.delete("acme", "billing")
svix.endpoint.delete("acme", "other")
assert svix.endpoint.list("acme").data == []
svix.application.delete("acme")
refused(404, lambda: svix.application.get("acme"))
print("ok")
