//! Attempts, and how they stand.

use serde_json::{Value, json};

use super::super::schema::*;
use super::{Schema, list_of};
use crate::api::MessageStatus;
use crate::core::delivery::DeliveryState;

pub(super) fn schemas() -> Vec<Schema> {
    let states = [
        DeliveryState::Pending,
        DeliveryState::Delivered,
        DeliveryState::Exhausted,
        DeliveryState::Cancelled,
    ];
    vec![
        ("MessageAttemptOut", out()),
        ("ListResponse_MessageAttemptOut_", list_of("MessageAttemptOut")),
        ("EmptyResponse", object(&[], json!({}))),
        ("MessageStatus", numbers(&MessageStatus::ALL.map(|status| (status as u16, status.name())))),
        ("MessageStatusText", one_of(&MessageStatus::ALL.map(MessageStatus::name))),
        ("MessageAttemptTriggerType", numbers(&[(0, "scheduled"), (1, "manual")])),
        (
            "StatusCodeClass",
            numbers(&[
                (0, "no answer"),
                (100, "1xx"),
                (200, "2xx"),
                (300, "3xx"),
                (400, "4xx"),
                (500, "5xx"),
            ]),
        ),
        ("DeliveryState", one_of(&states.map(DeliveryState::name))),
    ]
}

/// Numbers that stand for something.
fn numbers(meanings: &[(u16, &str)]) -> Value {
    let about: Vec<String> = meanings.iter().map(|(number, name)| format!("{number} {name}")).collect();
    let numbers: Vec<u16> = meanings.iter().map(|(number, _)| *number).collect();
    json!({ "type": "integer", "enum": numbers, "description": about.join(", ") })
}

fn out() -> Value {
    let required = [
        "endpointId",
        "id",
        "msgId",
        "response",
        "responseDurationMs",
        "responseStatusCode",
        "status",
        "statusText",
        "timestamp",
        "triggerType",
        "url",
    ];
    let explanation =
        object(&["class", "text", "hint"], json!({ "class": text(), "text": text(), "hint": text() }));
    object(
        &required,
        json!({
            "id": id("atmpt_"), "msgId": id("msg_"), "endpointId": id("ep_"),
            "url": described(text(), "The endpoint's present URL; empty when the endpoint is gone"),
            "response": described(text(), "The body that came back, as far as it is kept"),
            "responseStatusCode": described(number(0, 999), "0 when there was no response"),
            "responseDurationMs": count(),
            "status": named("MessageStatus"), "statusText": named("MessageStatusText"),
            "timestamp": time(), "triggerType": named("MessageAttemptTriggerType"),
            "outcome": described(text(), "Ours: how it ended, such as `success`, `bad_status`, `timeout_connect`"),
            "detail": described(text(), "Ours: the same in words, where the outcome does not say it all"),
            "attemptNumber": described(number(1, u64::from(u16::MAX)), "Ours: the first attempt is 1"),
            "state": described(named("DeliveryState"), "Ours: where the delivery stood afterwards"),
            "nextAttempt": described(or_null(time()), "Ours: when the next one was due"),
            "responseHeaders": described(text(), "Ours: as far as they are kept, one a line"),
            "timing": described(named("AttemptTiming"), "Ours: how long its parts took; 0 for those that did not happen"),
            "reused": described(json!({ "type": "boolean" }), "Ours: whether the connection was used before"),
            "trigger": described(one_of(&["scheduled", "manual"]), "Ours: what set it off"),
            "error": described(or_null(explanation), "Ours: what went wrong, for people"),
            "requestHeaders":
                described(or_null(map_of(text())), "Ours: what was sent, but for what is secret in it"),
            "requestHeadersMissing": described(or_null(text()), "Ours: why those cannot be told"),
            "responseErased": described(json!({ "type": "boolean" }), "Ours: there if the response was erased"),
            "endpointVersion": described(count(), "Ours: the endpoint's version that it was made with"),
        }),
    )
}
