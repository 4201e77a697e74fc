//! Tests of endpoints.

use serde_json::{Value, json};

use super::super::schema::*;
use super::Schema;

pub(super) fn schemas() -> Vec<Schema> {
    vec![
        ("EndpointTestIn", object(&[], what_is_sent())),
        ("EventExampleIn", object(&["eventType"], json!({ "eventType": event_type() }))),
        ("ProbeOut", probe_out()),
        ("AttemptTiming", timing()),
        ("SourceAddressesOut", source_addresses()),
    ]
}

/// What a test may say of the message.
pub(super) fn what_is_sent() -> Value {
    json!({
        "eventType": described(or_null(event_type()), "`endpoint.test` if nothing is said"),
        "payload": described(json!({}), "The example of the event type if nothing is said"),
    })
}

fn timing() -> Value {
    let ms = json!({ "type": "number", "minimum": 0 });
    object(
        &["dnsMs", "connectMs", "tlsMs", "firstByteMs", "totalMs"],
        json!({
            "dnsMs": ms.clone(), "connectMs": ms.clone(), "tlsMs": ms.clone(), "firstByteMs": ms.clone(),
            "totalMs": ms,
        }),
    )
}

fn probe_out() -> Value {
    let outcome = "How it ended, such as `success`, `bad_status`, `timeout_connect`";
    object(
        &["messageId", "eventType", "payload", "outcome", "outcomeText", "timing", "requestHeaders"],
        json!({
            "messageId": described(id("msg_"), "The `webhook-id` it was sent with; nothing is stored under it"),
            "eventType": text(), "payload": {}, "outcome": described(text(), outcome),
            "outcomeText": described(text(), "The same in words"),
            "status": described(or_null(number(0, 999)), "Null when there was no response"),
            "response": or_null(text()),
            "responseEncoding": described(one_of(&["base64"]), "How a response is shown that is not text"),
            "responseHeaders": map_of(text()),
            "responseHidden": described(
                json!({ "type": "boolean" }),
                "Whether the response is left out, because the receiver is not on the public internet",
            ),
            "timing": named("AttemptTiming"),
            "requestHeaders": described(map_of(text()), "As they were sent, but for what is secret in them"),
        }),
    )
}

fn source_addresses() -> Value {
    let network = with(text(), "example", "203.0.113.7/32");
    object(&["addresses"], json!({ "addresses": { "type": "array", "items": network } }))
}
