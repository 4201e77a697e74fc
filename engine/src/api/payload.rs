//! Payloads inside JSON: as they are where they are JSON themselves, otherwise as text.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::value::{RawValue, to_raw_value};

use crate::publish::is_json;

/// A payload as it is shown, and how it was made fit for JSON if it is neither JSON nor text.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) value: Box<RawValue>,
    pub(super) encoding: Option<&'static str>,
}

/// Shows a payload. JSON keeps its bytes: order of keys, spaces within and spelling of numbers.
pub(super) fn show(content_type: Option<&str>, payload: &[u8]) -> Shown {
    let text = std::str::from_utf8(payload);
    if content_type.is_none_or(is_json)
        && let Ok(value) =
            text.map_err(drop).and_then(|text| RawValue::from_string(text.into()).map_err(drop))
    {
        return Shown { value, encoding: None };
    }
    match text {
        Ok(text) => Shown { value: json_text(text), encoding: None },
        Err(_) => Shown { value: json_text(&BASE64_STANDARD.encode(payload)), encoding: Some("base64") },
    }
}

/// What stands for a payload that was not asked for.
pub(super) fn hidden() -> Shown {
    Shown { value: RawValue::from_string("{}".into()).expect("an empty object is JSON"), encoding: None }
}

fn json_text(text: &str) -> Box<RawValue> {
    to_raw_value(text).expect("a text can always be written as JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_bytes_and_everything_else_becomes_text() {
        let shown = |content_type, payload: &[u8]| {
            let shown = show(content_type, payload);
            (shown.value.get().to_owned(), shown.encoding)
        };
        assert_eq!(shown(None, b"{ \"b\":1.0,\"a\" : 1e2}"), ("{ \"b\":1.0,\"a\" : 1e2}".into(), None));
        assert_eq!(shown(Some("application/x+json"), b"[1]"), ("[1]".into(), None));
        assert_eq!(shown(Some("text/plain"), b"a\"b"), ("\"a\\\"b\"".into(), None));
        assert_eq!(shown(Some("text/plain"), b"\xff"), ("\"/w==\"".into(), Some("base64")));
    }
}
