//! Messages.

use serde_json::{Value, json};

use super::super::schema::*;
use super::{Schema, extended, list_of};
use crate::api::BATCH_MESSAGES_MAX;
use crate::publish::{
    CHANNELS_MAX, CONTENT_TYPE_BYTES_MAX, DELIVER_AT_AHEAD_MS_MAX, EVENT_ID_BYTES_MAX, ORDERING_KEY_BYTES_MAX,
};

pub(super) fn schemas() -> Vec<Schema> {
    vec![
        ("MessageIn", message_in()),
        ("MessageOut", message_out()),
        ("ListResponse_MessageOut_", list_of("MessageOut")),
        ("MessageBatchIn", batch_in()),
        ("MessageBatchOut", batch_out()),
        ("FilterTestIn", filter_test_in()),
        ("FilterTestOut", filter_test_out()),
    ]
}

/// What goes in and comes out alike.
fn shared() -> Value {
    let channels = set_of(channel(), 0, CHANNELS_MAX);
    json!({
        "eventType": event_type(),
        "eventId": described(
            or_null(identifier(EVENT_ID_BYTES_MAX, "unique-msg-identifier")),
            "Your own id: publishing the same again under it is harmless, something else under it is a conflict",
        ),
        "channels": described(or_null(channels), "Narrow the endpoints down to those that listen to one of them"),
        "payload": { "description": "What is delivered: JSON, byte for byte; or, if `contentType` says \
                     something else, a text that holds it", "example": { "email": "test@example.com" } },
        "contentType": described(
            or_null(text_up_to(CONTENT_TYPE_BYTES_MAX)),
            "Ours: the media type of the payload; null for JSON",
        ),
        "deliverAt": described(or_null(time()), "Ours: not sent before"),
        "orderingKey": described(
            or_null(with(text_up_to(ORDERING_KEY_BYTES_MAX), "minLength", 1)),
            "Ours: messages with the same key reach an endpoint one after the other, in their order",
        ),
    })
}

fn message_in() -> Value {
    let more = json!({
        "application": described(
            or_null(named("ApplicationIn")),
            "Makes the application that the path names, if it is not there. Needs the scope `admin` then",
        ),
        "delayMs": described(or_null(number(0, DELIVER_AT_AHEAD_MS_MAX)), "Ours: not sent before it is over"),
        "override": described(or_null(own_url()), "Ours: a URL for this message alone"),
        "payloadRetentionPeriod":
            described(json!({}), "Taken for the SDKs' sake, without effect: the configuration says it for all"),
    });
    extended(object(&["eventType", "payload"], shared()), more)
}

fn own_url() -> Value {
    object(
        &["url"],
        json!({
            "url": url(), "secret": described(or_null(text()), "Signs instead of the endpoint's secrets"),
            "endpoint": described(or_null(text()), "The endpoint whose settings apply, by id or uid"),
        }),
    )
}

pub(super) fn message_out() -> Value {
    let more = json!({
        "id": id("msg_"), "timestamp": time(),
        "overrideUrl": described(text(), "Ours: the URL that the message brought along"),
        "payloadErased": described(
            json!({ "type": "boolean" }),
            "Ours: there if the payload was erased, and `{}` stands for it",
        ),
        "payloadEncoding":
            described(one_of(&["base64"]), "Ours: how a payload is shown that is neither JSON nor text"),
    });
    extended(object(&["eventType", "id", "payload", "timestamp"], shared()), more)
}

fn filter_test_in() -> Value {
    let channels = json!({ "type": "array", "items": text() });
    object(
        &["filter", "payload"],
        json!({
            "filter": described(with(text(), "minLength", 1), "The expression, as an endpoint would have it"),
            "payload": {}, "eventType": or_null(text()), "channels": or_null(channels),
        }),
    )
}

fn filter_test_out() -> Value {
    let matches = json!({ "type": "boolean", "description": "Whether the endpoint would get it" });
    let error = described(or_null(text()), "Why it has no answer for this message");
    object(&["matches", "error"], json!({ "matches": matches, "error": error }))
}

fn batch_in() -> Value {
    let messages = json!({ "type": "array", "items": named("MessageIn"), "maxItems": BATCH_MESSAGES_MAX });
    object(&["messages"], json!({ "messages": messages }))
}

fn batch_out() -> Value {
    let entry = json!({ "anyOf": [named("MessageOut"), named("HttpErrorOut")] });
    let about = "What became of each message, in their order";
    object(&["data"], json!({ "data": { "type": "array", "items": entry, "description": about } }))
}
