//! Is this payload JSON? (RFC 8259.) Asked without building anything.

use serde::de::IgnoredAny;

use super::JSON_DEPTH_MAX;
use super::error::PublishError;

/// Checks syntax, encoding and depth.
pub(crate) fn check(payload: &[u8]) -> Result<(), PublishError> {
    let text = std::str::from_utf8(payload).map_err(|error| PublishError::PayloadNotJson {
        reason: format!("invalid UTF-8 at byte {}", error.valid_up_to()),
    })?;
    // Skipping over a value needs no stack, however deep it is; but receivers' parsers do.
    serde_json::from_str::<IgnoredAny>(text)
        .map_err(|error| PublishError::PayloadNotJson { reason: error.to_string() })?;
    if opens_more_than(JSON_DEPTH_MAX, payload) && depth(payload) > JSON_DEPTH_MAX {
        return Err(PublishError::PayloadTooDeep { max: JSON_DEPTH_MAX });
    }
    Ok(())
}

/// A payload with few brackets cannot be deep; counting them is much cheaper than following them.
fn opens_more_than(max: usize, payload: &[u8]) -> bool {
    memchr::memchr2_iter(b'[', b'{', payload).nth(max).is_some()
}

/// The nesting of valid JSON.
fn depth(payload: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in payload {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => (),
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_json_value_is_accepted() {
        for payload in
            ["{}", " [1, 2.5e3, \"a\\\"b\", null] ", "\"text\"", "true", "{\"a\":{\"b\":[{}]}}", "\"ä\""]
        {
            assert_eq!(check(payload.as_bytes()), Ok(()), "{payload}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        for payload in ["", "{", "{} {}", "{'a':1}", "[1,]", "nul", "{\"a\"}", "\"\u{1}\""] {
            assert!(
                matches!(check(payload.as_bytes()), Err(PublishError::PayloadNotJson { .. })),
                "{payload}"
            );
        }
        let refusal = check(b"[1,\n 2,]").unwrap_err().to_string();
        assert_eq!(refusal, "payload is not JSON: expected value at line 2 column 4");
        let refusal = check(b"\"\xff\"").unwrap_err().to_string();
        assert_eq!(refusal, "payload is not JSON: invalid UTF-8 at byte 1");
    }

    #[test]
    fn nesting_is_allowed_up_to_the_limit_and_brackets_in_text_do_not_count() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check(nested(JSON_DEPTH_MAX).as_bytes()), Ok(()));
        let refusal = check(nested(JSON_DEPTH_MAX + 1).as_bytes());
        assert_eq!(refusal, Err(PublishError::PayloadTooDeep { max: JSON_DEPTH_MAX }));
        assert_eq!(check(format!("\"\\\"{}\"", "[".repeat(1_000)).as_bytes()), Ok(()));
        assert_eq!(check(format!("[{}[]]", "[],".repeat(1_000)).as_bytes()), Ok(()));
    }

    #[test]
    fn a_million_brackets_do_not_overflow_the_stack() {
        assert!(check("[".repeat(1_000_000).as_bytes()).is_err());
        let deep = format!("{}{}", "[".repeat(400_000), "]".repeat(400_000));
        assert_eq!(check(deep.as_bytes()), Err(PublishError::PayloadTooDeep { max: JSON_DEPTH_MAX }));
    }
}
