//! Endpoints, their headers and their secrets.

use serde_json::{Value, json};

use super::super::schema::*;
use super::{Schema, extended, list_of};
use crate::catalog::limits::{
    CERTIFICATES_BYTES_MAX, CHAIN_POSITION_MAX, CHANNEL_BYTES_MAX, CONCURRENCY_MAX, CREDENTIAL_BYTES_MAX,
    DESCRIPTION_BYTES_MAX, ENDPOINT_CHANNELS_MAX, ENDPOINT_EVENT_TYPES_MAX, FILTER_BYTES_MAX, TIMEOUT_MS_MAX,
    TIMEOUT_MS_MIN,
};
use crate::catalog::{GRACE_SECONDS_DEFAULT, GRACE_SECONDS_MAX};

pub(super) fn schemas() -> Vec<Schema> {
    let fields = extended(object(&[], shared()), only_in());
    let whole = with(fields.clone(), "required", vec!["url"]);
    vec![
        ("EndpointIn", extended(whole.clone(), json!({ "secret": or_null(secret()), "headers": headers() }))),
        ("EndpointProbeIn", probe_in(&whole)),
        ("EndpointUpdate", extended(whole, json!({ "headers": headers() }))),
        ("EndpointPatch", extended(fields, json!({ "headers": headers() }))),
        ("EndpointOut", out()),
        ("ListResponse_EndpointOut_", list_of("EndpointOut")),
        ("MessageEndpointOut", message_endpoint_out()),
        ("ListResponse_MessageEndpointOut_", list_of("MessageEndpointOut")),
        ("EndpointHeadersIn", object(&["headers"], json!({ "headers": headers() }))),
        ("EndpointHeadersPatchIn", headers_patch()),
        ("EndpointHeadersOut", headers_out()),
        ("EndpointSecretOut", object(&["key"], json!({ "key": shown_secret() }))),
        ("EndpointSecretRotateIn", rotate_in()),
    ]
}

/// What goes in and comes out alike.
fn shared() -> Value {
    let event_types = set_of(event_type_pattern(), 1, ENDPOINT_EVENT_TYPES_MAX);
    let channels = set_of(channel(), 1, ENDPOINT_CHANNELS_MAX);
    let concurrency = number(1, u64::from(CONCURRENCY_MAX));
    let timeout = number(u64::from(TIMEOUT_MS_MIN), u64::from(TIMEOUT_MS_MAX));
    json!({
        "uid": described(or_null(uid("unique-ep-identifier")), "Your own name for it, usable wherever the id is"),
        "url": url(),
        "description": with(text_up_to(DESCRIPTION_BYTES_MAX), "default", ""),
        "disabled": described(flag(false), "Whether nothing is sent to it"),
        "eventTypes": described(
            or_null(event_types),
            "The event types that it wants; ours: `invoice.*` stands for all that begin so. Null for all",
        ),
        "channels": described(or_null(channels), "The channels that it listens to; null for all"),
        "throttleRate": rate(),
        "metadata": metadata(),
        "retryPolicy": described(
            or_null(text()),
            "Ours: waits between attempts (`5s, 30s, 2m`, `exponential first=5s factor=3 max=12h attempts=11`, \
             `none`), or the name of a configured policy. Null for the configured default",
        ),
        "timeoutMs": described(or_null(timeout), "Ours: how long it may take to answer; null for the default"),
        "successRule": described(one_of(&["any_2xx", "only_200"]), "Ours: which statuses are a success"),
        "format": described(
            one_of(&["json", "form"]),
            "Ours: whether the payload is sent as it is, or as an application/x-www-form-urlencoded body",
        ),
        "headerNames": described(
            one_of(&["webhook", "svix", "both"]),
            "Ours: what the headers begin with that say id, time and signature",
        ),
        "concurrency": described(or_null(concurrency), "Ours: attempts in flight at most; null for the default"),
        "filter": described(
            or_null(with(text_up_to(FILTER_BYTES_MAX), "minLength", 1)),
            "Ours: an expression over the message; those for which it is not true are not sent",
        ),
        "chain": described(or_null(chain()), "Ours: its place among endpoints that are tried one after another"),
        "tellResponse": described(flag(false), "Ours: whether the response's body is told with the outcome"),
        "caCertificates": described(
            or_null(text_up_to(CERTIFICATES_BYTES_MAX)),
            "Ours: certificate authorities to trust beside the usual ones, PEM",
        ),
    })
}

/// What is taken in and not shown again.
fn only_in() -> Value {
    let certificate = text_up_to(CERTIFICATES_BYTES_MAX);
    let certificate =
        object(&["certificate", "key"], json!({ "certificate": certificate.clone(), "key": certificate }));
    json!({
        "authorization": described(authorization(), "Ours: the `Authorization` of every request"),
        "bodySecret": described(
            or_null(with(text_up_to(CREDENTIAL_BYTES_MAX), "minLength", 1)),
            "Ours: the parameter `secret` of a form; needs the format `form`",
        ),
        "clientCertificate": described(or_null(certificate), "Ours: what shows the receiver who we are, PEM"),
        "filterTypes": described(json!({}), "What `eventTypes` is called in older SDKs"),
        "rateLimit": described(json!({}), "What `throttleRate` is called in older SDKs"),
    })
}

/// An endpoint, and what is sent to it.
fn probe_in(whole: &Value) -> Value {
    let with_secret = extended(whole.clone(), json!({ "secret": or_null(secret()), "headers": headers() }));
    extended(with_secret, super::probe::what_is_sent())
}

fn chain() -> Value {
    object(
        &["name", "position"],
        json!({
            "name": identifier(CHANNEL_BYTES_MAX, "sms"), "position": number(0, u64::from(CHAIN_POSITION_MAX)),
        }),
    )
}

fn authorization() -> Value {
    let credential = || text_up_to(CREDENTIAL_BYTES_MAX);
    let bearer = json!({ "type": { "const": "bearer" }, "token": with(credential(), "minLength", 1) });
    let basic = json!({ "type": { "const": "basic" }, "username": credential(), "password": credential() });
    json!({ "anyOf": [
        object(&["type", "token"], bearer),
        object(&["type", "username", "password"], basic),
        { "type": "null" },
    ] })
}

fn out() -> Value {
    let required = ["createdAt", "description", "id", "metadata", "updatedAt", "url", "version"];
    let kind = object(&["type"], json!({ "type": one_of(&["bearer", "basic"]) }));
    let health = object(
        &["state"],
        json!({ "state": one_of(&["healthy", "locked_out", "probing"]), "until": or_null(time()) }),
    );
    let reasons = one_of(&["by_hand", "gone", "failing"]);
    let event_types = or_null(json!({ "type": "array", "items": event_type_pattern() }));
    let more = json!({
        "id": id("ep_"), "createdAt": time(), "updatedAt": time(),
        "version": described(count(), "Goes up with every change"),
        "filterTypes": described(event_types, "What `eventTypes` is called in older SDKs"),
        "rateLimit": described(rate(), "What `throttleRate` is called in older SDKs"),
        "disabledReason": described(or_null(reasons), "Ours: why it is disabled"),
        "authorization": described(or_null(kind), "Ours: its kind; the rest is not shown again"),
        "hasBodySecret": described(json!({ "type": "boolean" }), "Ours"),
        "hasClientCertificate": described(json!({ "type": "boolean" }), "Ours"),
        "warnings": described(
            json!({ "type": "array", "items": text() }),
            "Ours: what is allowed, and should be known",
        ),
        "health": described(or_null(health), "Ours: how it is doing, and until when it is locked out"),
    });
    extended(object(&required, shared()), more)
}

fn message_endpoint_out() -> Value {
    let more = json!({
        "status": named("MessageStatus"), "statusText": named("MessageStatusText"),
        "nextAttempt": or_null(time()),
        "state": described(named("DeliveryState"), "Ours: where the delivery stands"),
        "attempts": described(count(), "Ours: attempts made"),
    });
    let mut out = extended(out(), more);
    if let Some(required) = out["required"].as_array_mut() {
        required.extend(["status".into(), "statusText".into()]);
    }
    out
}

fn headers() -> Value {
    let headers = with(map_of(header_value()), "propertyNames", header_name());
    described(with(headers, "example", json!({ "X-Example": "123" })), "Sent with every request")
}

/// RFC 9110 section 5.6.2.
fn header_name() -> Value {
    json!({ "type": "string", "pattern": "^[!#$%&'*+\\-.^_`|~0-9A-Za-z]+$" })
}

fn header_value() -> Value {
    json!({ "type": "string", "pattern": "^[\\t -~]*$" })
}

fn headers_patch() -> Value {
    let headers = with(map_of(or_null(header_value())), "propertyNames", header_name());
    let headers = described(headers, "Null takes a header out");
    object(&["headers"], json!({ "headers": headers }))
}

fn headers_out() -> Value {
    let sensitive = json!({
        "type": "array", "items": text(), "uniqueItems": true,
        "description": "Names of headers whose values are not shown",
    });
    object(&["headers", "sensitive"], json!({ "headers": map_of(text()), "sensitive": sensitive }))
}

fn secret() -> Value {
    json!({
        "type": "string", "pattern": "^(whsec_|whsk_)?[a-zA-Z0-9+/=]{32,100}$",
        "description": "24 to 64 bytes in base64, after an optional `whsec_`; ours: an ed25519 key after `whsk_`",
        "example": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    })
}

/// What a receiver checks with.
fn shown_secret() -> Value {
    json!({
        "type": "string", "pattern": "^(whsec_|whpk_)[a-zA-Z0-9+/=]{32,100}$",
        "description": "What receivers check signatures with: the secret; of a private key, the public one",
        "example": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    })
}

fn rotate_in() -> Value {
    let grace = number(0, u64::from(GRACE_SECONDS_MAX));
    let about = "How long the old secret keeps signing beside the new one";
    object(
        &[],
        json!({
            "key": described(or_null(secret()), "The new secret; one is made if there is none"),
            "signature": described(
                or_null(one_of(&["v1", "v1a"])),
                "Ours: what the new secret signs with; as the old one if nothing is said",
            ),
            "gracePeriodSeconds": with(described(or_null(grace), about), "default", GRACE_SECONDS_DEFAULT),
        }),
    )
}
