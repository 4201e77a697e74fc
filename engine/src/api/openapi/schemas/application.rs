//! Applications.

use serde_json::{Value, json};

use super::super::schema::*;
use super::{Schema, extended, list_of};
use crate::catalog::limits::{ALLOWED_PORTS_MAX, NAME_BYTES_MAX};

pub(super) fn schemas() -> Vec<Schema> {
    vec![
        ("ApplicationIn", object(&["name"], fields())),
        ("ApplicationPatch", object(&[], fields())),
        ("ApplicationOut", out()),
        ("ListResponse_ApplicationOut_", list_of("ApplicationOut")),
    ]
}

fn fields() -> Value {
    let name = with(text_up_to(NAME_BYTES_MAX), "minLength", 1);
    json!({
        "uid": described(or_null(uid("unique-app-identifier")), "Your own name for it, usable wherever the id is"),
        "name": with(name, "example", "My first application"),
        "throttleRate": rate(),
        "metadata": metadata(),
        "requireHttps": described(flag(false), "Ours: whether its endpoints must have https URLs"),
        "allowedPorts": allowed_ports(),
        "validatePayloads":
            described(flag(false), "Ours: whether payloads must fit the schema of their event type"),
    })
}

fn allowed_ports() -> Value {
    let ports = json!({
        "type": "array", "items": number(1, u64::from(u16::MAX)), "minItems": 1, "maxItems": ALLOWED_PORTS_MAX,
    });
    described(
        or_null(ports),
        "Ours: the ports that its endpoints may have; null for those of the configuration",
    )
}

fn out() -> Value {
    let required = ["createdAt", "id", "metadata", "name", "updatedAt"];
    let more = json!({
        "id": id("app_"), "createdAt": time(), "updatedAt": time(),
        "rateLimit": described(rate(), "What `throttleRate` is called in older SDKs"),
    });
    extended(object(&required, fields()), more)
}
