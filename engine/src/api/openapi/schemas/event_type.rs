//! Event types.

use serde_json::{Value, json};

use super::super::schema::*;
use super::{Schema, extended, list_of};
use crate::catalog::limits::{DESCRIPTION_BYTES_MAX, EVENT_TYPE_BYTES_MAX};

pub(super) fn schemas() -> Vec<Schema> {
    let named = json!({ "name": event_type() });
    vec![
        ("EventTypeIn", extended(object(&["description", "name"], fields()), named.clone())),
        ("EventTypeUpdate", object(&["description"], fields())),
        ("EventTypePatch", object(&[], fields())),
        ("EventTypeOut", out(named)),
        ("ListResponse_EventTypeOut_", list_of("EventTypeOut")),
        ("EventTypeExampleOut", example_out()),
    ]
}

fn fields() -> Value {
    let description = with(text_up_to(DESCRIPTION_BYTES_MAX), "example", "A user has signed up");
    json!({
        "description": description,
        "archived": described(flag(false), "Whether it is no longer in use"),
        "deprecated": flag(false),
        "schemas": described(
            or_null(map_of(json!({}))),
            "JSON Schemas of its payloads by version; the highest number is the present one",
        ),
        "featureFlag": or_null(identifier(EVENT_TYPE_BYTES_MAX, "cool-new-feature")),
    })
}

fn example_out() -> Value {
    object(
        &["eventType", "payload", "hasSchema"],
        json!({
            "eventType": event_type(), "payload": {},
            "hasSchema": described(json!({ "type": "boolean" }), "Whether it was made from a schema"),
        }),
    )
}

fn out(named: Value) -> Value {
    let required = ["createdAt", "deprecated", "description", "name", "updatedAt"];
    let out = extended(object(&required, fields()), named);
    extended(out, json!({ "createdAt": time(), "updatedAt": time() }))
}
