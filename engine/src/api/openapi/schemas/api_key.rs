//! Keys of the API.

use serde_json::{Value, json};

use super::super::schema::*;
use super::{Schema, extended, list_of};
use crate::api::api_key::EXPIRY_SECONDS_MAX;
use crate::catalog::EVENTS_PER_SECOND_MAX;
use crate::catalog::limits::{KEY_EVENT_TYPES_MAX, NAME_BYTES_MAX, UID_BYTES_MAX};
use crate::config::Scope;

pub(super) fn schemas() -> Vec<Schema> {
    let expiry = described(number(1, EXPIRY_SECONDS_MAX), "Seconds after which it is no longer accepted");
    let token = described(text(), "What its owner sends. It is not kept, and never shown again");
    vec![
        ("ApiKeyIn", object(&["name", "scopes"], fields(application_in()))),
        ("ApiKeyOut", out()),
        ("ApiKeyMadeOut", made(token)),
        ("ListResponse_ApiKeyOut_", list_of("ApiKeyOut")),
        ("ApiKeyExpireIn", object(&["expiry"], json!({ "expiry": expiry }))),
    ]
}

fn application_in() -> Value {
    let name = identifier(UID_BYTES_MAX, "unique-app-identifier");
    described(or_null(name), "Id or uid of the application that it is for alone")
}

fn fields(application: Value) -> Value {
    let scopes = set_of(one_of(&Scope::ALL.map(Scope::name)), 1, Scope::ALL.len());
    let event_types = json!({
        "type": "array", "items": event_type_pattern(), "minItems": 1, "maxItems": KEY_EVENT_TYPES_MAX,
    });
    let rate = or_null(number(1, EVENTS_PER_SECOND_MAX.into()));
    json!({
        "name": with(with(text_up_to(NAME_BYTES_MAX), "minLength", 1), "example", "The shop"),
        "scopes": described(scopes, "What it may do"),
        "applicationId": application,
        "eventTypes": described(or_null(event_types), "Event types that it may publish, or all that begin so: `call.*`"),
        "eventsPerSecond": described(rate, "Messages a second at most, if fewer than `limits.events_per_second_max`"),
        "expiresAt": described(or_null(time()), "When it ends"),
    })
}

fn out() -> Value {
    let more = json!({
        "id": id("key_"),
        "censoredToken": described(text(), "What its token begins with"),
        "lastUsedAt": described(or_null(time()), "After a crash up to ten minutes behind"),
        "createdAt": time(),
    });
    let application = described(or_null(id("app_")), "The application that it is for alone");
    let required = ["id", "name", "censoredToken", "scopes", "createdAt"];
    extended(object(&required, fields(application)), more)
}

fn made(token: Value) -> Value {
    let mut made = extended(out(), json!({ "token": token }));
    if let Some(required) = made["required"].as_array_mut() {
        required.push("token".into());
    }
    made
}
