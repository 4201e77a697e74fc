//! The schemas of an event type: what its payloads look like, by version.
//!
//! ```text
//! {"1": <JSON Schema>, "2": <JSON Schema>}
//! ```
//!
//! Versions are numbers, and the highest is the newest, however they are ordered in the text: `"10"` is newer
//! than `"9"`. The newest one speaks for the event type. Older ones are kept for people to read.

mod example;

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// The newest schema of `{"<version>": <schema>, ...}`; `None` if there is none, or if it cannot be read.
fn newest(schemas: &RawValue) -> Option<Value> {
    let versions: BTreeMap<&str, &RawValue> = serde_json::from_str(schemas.get()).ok()?;
    let numbered = versions.iter().filter_map(|(text, schema)| Some((version(text)?, *schema)));
    let (_, schema) = numbered.max_by_key(|(number, _)| *number)?;
    serde_json::from_str(schema.get()).ok()
}

/// The number that a version's text says, in its only spelling.
fn version(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number: &u32| number.to_string() == text)
}

/// A payload as the newest of the schemas describes it; `None` if there is none that can be read.
pub(super) fn example(schemas: &RawValue) -> Option<Value> {
    newest(schemas).map(|schema| example::of(&schema))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serde_json::value::to_raw_value;

    use super::*;

    #[test]
    fn the_highest_number_is_the_newest_version() {
        let schemas = json!({"9": {"const": 9}, "10": {"const": 10}, "1": {"const": 1}});
        assert_eq!(newest(&to_raw_value(&schemas).unwrap()), Some(json!({"const": 10})));
        assert_eq!(newest(&to_raw_value(&json!({})).unwrap()), None);
        assert_eq!(newest(&to_raw_value(&json!({"v1": {}, "01": {}, "-1": {}, "+1": {}})).unwrap()), None);
    }
}
