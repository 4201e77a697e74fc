//! Words for schemas: what the API's fields have in common.

use serde_json::{Value, json};

use crate::catalog::limits::{CHANNEL_BYTES_MAX, EVENT_TYPE_BYTES_MAX, METADATA_BYTES_MAX, UID_BYTES_MAX};

/// Letters, digits, `-`, `_` and `.`
pub(in crate::api) const IDENTIFIER: &str = "^[a-zA-Z0-9\\-_.]+$";
/// An event type, or all that begin so: `invoice.*`
const EVENT_TYPE_PATTERN: &str = "^[a-zA-Z0-9\\-_.]+(\\.\\*)?$";
/// The longest URL.
const URL_BYTES_MAX: usize = 65_536;

/// A reference to a schema of the document.
pub(in crate::api) fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An object that has these, and must have some of them.
pub(super) fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

/// A schema with one more keyword.
pub(in crate::api) fn with(mut schema: Value, keyword: &str, value: impl Into<Value>) -> Value {
    schema[keyword] = value.into();
    schema
}

pub(in crate::api) fn described(schema: Value, description: &str) -> Value {
    with(schema, "description", description)
}

/// This, or `null`.
pub(in crate::api) fn or_null(schema: Value) -> Value {
    match schema["type"].as_str() {
        Some(kind) if schema.get("enum").is_none() => {
            let kinds = json!([kind, "null"]);
            with(schema, "type", kinds)
        }
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

pub(in crate::api) fn text() -> Value {
    json!({ "type": "string" })
}

pub(in crate::api) fn text_up_to(length_max: usize) -> Value {
    json!({ "type": "string", "maxLength": length_max })
}

pub(in crate::api) fn one_of(names: &[&str]) -> Value {
    json!({ "type": "string", "enum": names })
}

pub(in crate::api) fn flag(default: bool) -> Value {
    json!({ "type": "boolean", "default": default })
}

pub(in crate::api) fn number(min: u64, max: u64) -> Value {
    json!({ "type": "integer", "minimum": min, "maximum": max })
}

pub(in crate::api) fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

pub(in crate::api) fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

pub(in crate::api) fn identifier(length_max: usize, example: &str) -> Value {
    json!({
        "type": "string", "minLength": 1, "maxLength": length_max, "pattern": IDENTIFIER, "example": example,
    })
}

pub(in crate::api) fn uid(example: &str) -> Value {
    identifier(UID_BYTES_MAX, example)
}

pub(in crate::api) fn event_type() -> Value {
    identifier(EVENT_TYPE_BYTES_MAX, "user.signup")
}

pub(in crate::api) fn event_type_pattern() -> Value {
    json!({
        "type": "string", "minLength": 1, "maxLength": EVENT_TYPE_BYTES_MAX + 2, "pattern": EVENT_TYPE_PATTERN,
        "example": "user.signup",
    })
}

pub(in crate::api) fn channel() -> Value {
    identifier(CHANNEL_BYTES_MAX, "project_1337")
}

/// An id of something, as it is given out.
pub(super) fn id(prefix: &str) -> Value {
    let (pattern, example) = match prefix {
        "app_" | "ep_" | "qtask_" | "al_" | "key_" => {
            (format!("^{prefix}[0-9A-Za-z]{{11}}$"), format!("{prefix}08xTVbZb2uD"))
        }
        _ => (format!("^{prefix}[0-9]+-[0-9]+$"), format!("{prefix}1732300000000-0")),
    };
    json!({ "type": "string", "pattern": pattern, "example": example })
}

pub(super) fn url() -> Value {
    json!({
        "type": "string", "format": "uri", "minLength": 1, "maxLength": URL_BYTES_MAX,
        "example": "https://example.com/webhook/",
    })
}

pub(super) fn set_of(item: Value, items_min: usize, items_max: usize) -> Value {
    json!({
        "type": "array", "items": item, "uniqueItems": true, "minItems": items_min, "maxItems": items_max,
    })
}

pub(super) fn map_of(value: Value) -> Value {
    json!({ "type": "object", "additionalProperties": value })
}

pub(super) fn metadata() -> Value {
    let about = format!("Names and texts of your own, up to {METADATA_BYTES_MAX} bytes together");
    described(map_of(text()), &about)
}

pub(super) fn rate() -> Value {
    let rate = number(1, u64::from(u16::MAX));
    described(or_null(rate), "Attempts a second at most; further ones wait, which uses up no attempt")
}
