//! A payload as filters and schemas see it: read as JSON when somebody asks first, and once.
//!
//! Most messages are never asked about, and cost nothing here.

use std::cell::OnceCell;

use serde::Deserialize;
use serde_json::{Deserializer, Value};

/// See the head of this file.
#[derive(Debug)]
pub struct Payload<'a> {
    bytes: &'a [u8],
    is_json: bool,
    value: OnceCell<Value>,
}

impl<'a> Payload<'a> {
    /// `is_json` if its content type says so, and it has been checked to be JSON of a bounded depth.
    pub const fn new(bytes: &'a [u8], is_json: bool) -> Self {
        Self { bytes, is_json, value: OnceCell::new() }
    }

    /// Whether its content type says that it is JSON.
    pub const fn is_json(&self) -> bool {
        self.is_json
    }

    /// What it says: JSON as it is; anything else as a text, or `null` if it is not even UTF-8.
    pub fn value(&self) -> &Value {
        self.value.get_or_init(|| {
            if self.is_json { json(self.bytes).unwrap_or_default() } else { text(self.bytes) }
        })
    }
}

/// The limit of the parser is lower than that of a payload, which has been held against its own.
fn json(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    let mut deserializer = Deserializer::from_slice(bytes);
    deserializer.disable_recursion_limit();
    Value::deserialize(&mut deserializer)
}

fn text(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::publish::JSON_DEPTH_MAX;

    #[test]
    fn json_is_read_and_everything_else_is_a_text() {
        assert_eq!(*Payload::new(b"{\"a\":[1]}", true).value(), json!({"a": [1]}));
        assert_eq!(*Payload::new(b"a=1", false).value(), json!("a=1"));
        assert_eq!(*Payload::new(b"\xff", false).value(), Value::Null);
    }

    #[test]
    fn the_deepest_payload_that_is_accepted_can_be_read() {
        let deep = format!("{}{}", "[".repeat(JSON_DEPTH_MAX), "]".repeat(JSON_DEPTH_MAX));
        assert!(Payload::new(deep.as_bytes(), true).value().is_array());
    }
}
