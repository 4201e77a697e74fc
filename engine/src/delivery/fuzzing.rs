//! What receivers answer, and what customers want sent.

use std::time::Duration;

use serde_json::Value;
use url::form_urlencoded;

use super::SigningSecret;
use super::form::{Form, FormError};
use super::retry_after::wait_asked_for;
use crate::core::retry::RetryAfterLimits;

pub(crate) use super::http1::fuzzing::responses;

/// The wait is within the limits, whatever is asked for and whenever. Eight bytes are the present time.
pub(crate) fn retry_after(data: &[u8]) {
    let Some((now, value)) = data.split_first_chunk() else { return };
    // Times that the clock can show.
    let unix_secs = u64::from_le_bytes(*now) >> 30;
    let limits = RetryAfterLimits { min: Duration::from_secs(1), max: Duration::from_secs(86_400) };
    if let Some(wait) = wait_asked_for(value, unix_secs, &limits) {
        assert!(wait >= limits.min && wait <= limits.max, "{wait:?}");
    }
}

/// Every object has a form of plain text, which says as much as the object has leaves; nothing else has.
pub(crate) fn forms(data: &[u8]) {
    let (with_secret, payload) = match data.split_first() {
        Some((first, payload)) => (first & 1 != 0, payload),
        None => return,
    };
    let form = Form::new(with_secret.then_some("s e&c=ret"));
    let read = serde_json::from_slice::<Value>(payload);
    match form.encode(payload) {
        Err(FormError::NotJson { .. }) => {
            assert!(read.is_err());
        }
        // The parser of values has limits of its own: depth, and numbers beyond its largest.
        Err(FormError::NotAnObject) => assert!(!read.is_ok_and(|value| value.is_object())),
        Err(FormError::TooDeep | FormError::TooLong) => {}
        Ok(form) => {
            assert!(form.iter().all(|byte| byte.is_ascii_graphic()), "{form:?}");
            let pairs: Vec<_> = form_urlencoded::parse(&form).collect();
            let secrets = pairs.iter().filter(|(name, _)| name == "secret").count();
            if with_secret {
                assert_eq!(secrets, 1);
                assert_eq!(pairs.last().map(|(_, value)| &**value), Some("s e&c=ret"));
            }
            if let Ok(value) = read
                && !has_one_key_twice(payload)
            {
                assert!(pairs.len() <= leaves(&value) + usize::from(with_secret), "{form:?}");
            }
        }
    }
}

fn leaves(value: &Value) -> usize {
    match value {
        Value::Object(members) => members.values().map(leaves).sum(),
        Value::Array(items) => items.iter().map(leaves).sum(),
        Value::Null => 0,
        _ => 1,
    }
}

/// Whether a key is there twice somewhere, perhaps: what the parser drops, the form has.
fn has_one_key_twice(payload: &[u8]) -> bool {
    let colons = payload.iter().filter(|byte| **byte == b':').count();
    fn members(value: &Value) -> usize {
        match value {
            Value::Object(inner) => inner.len() + inner.values().map(members).sum::<usize>(),
            Value::Array(items) => items.iter().map(members).sum(),
            _ => 0,
        }
    }
    serde_json::from_slice(payload).map_or(true, |value| members(&value) != colons)
}

/// A secret that is read is shown so that it reads the same; what receivers get of a key pair is not the private key.
pub(crate) fn secrets(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(secret) = SigningSecret::parse(text) else { return };
    let shown = secret.reveal();
    let again = SigningSecret::parse(&shown).expect("what is shown can be read");
    assert_eq!(again.reveal(), shown);
    assert_eq!(again.for_receivers(), secret.for_receivers());
    assert!(!format!("{secret:?}").contains(&shown[6..]), "a secret in a log");
    if shown.starts_with("whsk_") {
        assert!(secret.for_receivers().starts_with("whpk_"));
    }
}
