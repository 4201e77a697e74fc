//! The schemas of an event type: what its payloads look like, by version.
//!
//! ```text
//! {"1": <JSON Schema>, "2": <JSON Schema>}
//! ```
//!
//! Versions are numbers, and the highest is the newest, however they are ordered in the text: `"10"` is newer
//! than `"9"`. The newest one speaks for the event type: payloads are held against it, examples made from it. Older
//! ones are kept for people to read.

mod example;
mod payload_schema;
mod shape;

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::check::{self, FieldError};
use super::limits::{SCHEMA_VERSIONS_MAX, SCHEMAS_BYTES_MAX, SCHEMAS_DEPTH_MAX};
pub use payload_schema::Misfit;
pub(super) use payload_schema::PayloadSchema;

const FIELD: &str = "schemas";

/// Checks what is to be saved: every version must be a schema that payloads can be held against.
pub(super) fn check(schemas: &RawValue) -> Result<(), FieldError> {
    check::size(FIELD, schemas.get().len(), SCHEMAS_BYTES_MAX)?;
    let versions =
        versions(schemas).map_err(|error| FieldError::new(FIELD, format!("cannot be read: {error}")))?;
    check::count(FIELD, versions.len(), 0, SCHEMA_VERSIONS_MAX)?;
    for (text, schema) in versions {
        let shown: String = text.escape_debug().take(32).collect();
        let refused =
            |problem: String| FieldError::new(FIELD, format!("has version '{shown}', which {problem}"));
        let number = version(&text).ok_or_else(|| refused("is no number such as 1, 2 or 3".into()))?;
        if depth(&schema) > SCHEMAS_DEPTH_MAX {
            return Err(refused(format!("is nested deeper than {SCHEMAS_DEPTH_MAX} levels")));
        }
        PayloadSchema::compile(number, &schema).map_err(refused)?;
    }
    Ok(())
}

/// The newest of the schemas, compiled; `None` if there is none, or none that this version of the server accepts.
pub(super) fn compile_newest(event_type: &str, schemas: &RawValue) -> Option<PayloadSchema> {
    let (number, schema) = newest(schemas)?;
    let compiled = PayloadSchema::compile(number, &schema);
    compiled
        .inspect_err(|problem| {
            tracing::warn!(event_type, version = number, problem, "payloads are not held against its schema");
        })
        .ok()
}

/// A payload as the newest of the schemas describes it; `None` if there is none that can be read.
pub(super) fn example(schemas: &RawValue) -> Option<Value> {
    newest(schemas).map(|(_, schema)| example::of(&schema))
}

fn newest(schemas: &RawValue) -> Option<(u32, Value)> {
    let versions = versions(schemas).ok()?;
    let numbered = versions.into_iter().filter_map(|(text, schema)| Some((version(&text)?, schema)));
    numbered.max_by_key(|(number, _)| *number)
}

fn versions(schemas: &RawValue) -> Result<BTreeMap<String, Value>, serde_json::Error> {
    serde_json::from_str(schemas.get())
}

/// The number that a version's text says, in its only spelling.
fn version(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number: &u32| number.to_string() == text)
}

/// What `#` or `#/a/b` leads to within a schema (RFC 6901 section 6, without percent-encoding).
fn target<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#').filter(|pointer| !pointer.contains('%'))?)
}

/// The parser has bounded it.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;
    use serde_json::value::to_raw_value;

    use super::*;

    fn raw(schemas: &Value) -> Box<RawValue> {
        to_raw_value(schemas).unwrap()
    }

    fn problem(schemas: &Value) -> String {
        check(&raw(schemas)).map_or_else(|error| error.to_string(), |()| String::new())
    }

    fn misfit(schema: Value, payload: &Value) -> Option<(String, String, String)> {
        let schema = compile_newest("x", &raw(&json!({ "1": schema }))).unwrap();
        schema.check(payload).err().map(|misfit| (misfit.pointer, misfit.rule, misfit.problem))
    }

    #[test]
    fn the_highest_number_is_the_newest_version() {
        let schemas = json!({"9": {"const": 9}, "10": {"const": 10}, "1": {"const": 1}});
        assert_eq!(newest(&raw(&schemas)), Some((10, json!({"const": 10}))));
        assert_eq!(newest(&raw(&json!({}))), None);
        assert_eq!(newest(&raw(&json!({"v1": {}, "01": {}, "-1": {}, "+1": {}}))), None);
    }

    #[test]
    fn schemas_of_all_drafts_are_accepted() {
        for draft in [
            "http://json-schema.org/draft-04/schema#",
            "http://json-schema.org/draft-06/schema#",
            "http://json-schema.org/draft-07/schema#",
            "https://json-schema.org/draft/2019-09/schema",
            "https://json-schema.org/draft/2020-12/schema",
        ] {
            assert_eq!(problem(&json!({"1": {"$schema": draft, "type": "object"}})), "", "{draft}");
        }
    }

    #[test]
    fn what_is_no_schema_is_refused_by_version_and_place() {
        let mut deep = json!({});
        (0..70).for_each(|_| deep = json!({"not": deep}));
        for (schemas, expect) in [
            (
                json!({"2": {"properties": {"a": {"type": "strin"}}}}),
                "schemas has version '2', which is no JSON Schema at /properties/a/type: ",
            ),
            (
                json!({"2": {"pattern": "(a)\\1"}}),
                "schemas has version '2', which is no JSON Schema at /pattern: ",
            ),
            (
                json!({"2": {"pattern": "\\pL{500}"}}),
                "schemas has version '2', which is no JSON Schema at /pattern: ",
            ),
            (
                json!({"2": {"$schema": "https://example.com/own"}}),
                "schemas has version '2', which is no JSON Schema: ",
            ),
            (json!({"2": {"$ref": "https://example.com/own"}}), "schemas has version '2', which has a $ref"),
            (
                json!({"2": {"$defs": {"a": {"$ref": "https://example.com/own"}}}}),
                "schemas has version '2', which is no JSON Schema: ",
            ),
            (json!({"1": {}, "v2": {}}), "schemas has version 'v2', which is no number such as 1, 2 or 3"),
            (json!({"1": true}), "schemas has version '1', which is no object"),
            (json!({"1": deep}), "schemas has version '1', which is nested deeper than 64 levels"),
        ] {
            let problem = problem(&schemas);
            assert!(problem.starts_with(expect), "{schemas}: {problem}");
        }
    }

    #[test]
    fn a_payload_that_does_not_fit_is_told_where_and_by_which_rule() {
        let schema = json!({"type": "object", "required": ["id"], "properties": {
            "id": {"type": "string", "pattern": "^c-"}, "items": {"items": {"properties": {"count": {"minimum": 1}}}}}});
        let told = |pointer: &str, rule: &str| Some((pointer.to_owned(), rule.to_owned()));
        let misfit = |payload| misfit(schema.clone(), &payload).map(|(pointer, rule, _)| (pointer, rule));
        assert_eq!(misfit(json!({"id": "c-1", "more": null})), None);
        assert_eq!(misfit(json!([])), told("", "type"));
        assert_eq!(misfit(json!({})), told("", "required"));
        assert_eq!(misfit(json!({"id": "x"})), told("/id", "pattern"));
        assert_eq!(
            misfit(json!({"id": "c-1", "items": [{}, {"count": 0}]})),
            told("/items/1/count", "minimum")
        );
    }

    #[test]
    fn a_problem_does_not_repeat_the_value_and_formats_are_not_checked() {
        let schema = json!({"properties": {"card": {"type": "integer"}, "mail": {"format": "email"}}});
        let (_, _, problem) = misfit(schema.clone(), &json!({"card": "4111 1111"})).unwrap();
        assert_eq!(problem, "value is not of type \"integer\"");
        assert_eq!(misfit(schema, &json!({"mail": "not one"})), None);
    }

    #[test]
    fn the_deepest_payload_is_held_against_a_schema_that_refers_to_itself_without_end_of_stack_or_time() {
        let mut way = json!({"$ref": "#"});
        // As many parts between the schema and its reference to itself as there may be.
        (0..10).for_each(|_| way = json!({"anyOf": [{"type": "null"}, way]}));
        let schema = json!({"type": ["object", "null"], "properties": {"a": way}});
        let mut payload = json!(7);
        (0..crate::publish::JSON_DEPTH_MAX).for_each(|_| payload = json!({ "a": payload }));
        // The stack of the threads that this runs on.
        let check = move || {
            let began = Instant::now();
            assert!(misfit(schema, &payload).is_some());
            assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        };
        std::thread::Builder::new().stack_size(2 << 20).spawn(check).unwrap().join().unwrap();
    }
}
