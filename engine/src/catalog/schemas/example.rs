//! An example of what a schema describes: the author's own, or one made up from its types.
//!
//! Whoever wrote the schema knows best: `examples[0]`, `example` (OpenAPI), `const`, `default` and `enum[0]`
//! are taken as they are, in this order, wherever they stand. What they do not say is made up, always the same:
//! every property, one item, the smallest number that is allowed.
//!
//! Made for people who want to see a request, not for proofs: `pattern`, `not`, `if` and their like are not
//! looked at, so what is made up may be invalid where a schema is more than types and ranges.
//!
//! Invariant: whatever the schema says, the example has at most `VALUES_MAX` values and texts of `TEXT_BYTES_MAX`.

use serde_json::{Map, Number, Value};

use super::target;

/// The most values that are made up for one example.
const VALUES_MAX: usize = 1_000;
/// Deeper than this, only what is required is made up.
const OPTIONAL_DEPTH_MAX: usize = 8;
/// Deeper than this, nothing is; a schema that contains itself ends here.
const DEPTH_MAX: usize = 16;
/// The most items of a made-up list, whatever `minItems` says.
const ITEMS_MAX: u64 = 10;
/// The longest made-up text, whatever `minLength` says.
const TEXT_BYTES_MAX: usize = 1_024;

/// See the head of this file.
pub(super) fn of(schema: &Value) -> Value {
    Maker { root: schema, left: VALUES_MAX }.value(schema, 0)
}

struct Maker<'a> {
    root: &'a Value,
    left: usize,
}

impl Maker<'_> {
    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if depth > DEPTH_MAX || self.left == 0 {
            return Value::Null;
        }
        self.left -= 1;
        if let Some(given) = given(schema) {
            return given.clone();
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|to| target(self.root, to))
        {
            return self.value(target, depth + 1);
        }
        if let Some(choice) = ["oneOf", "anyOf"].iter().find_map(|key| schema.get(key)?.get(0)) {
            let chosen = self.value(choice, depth + 1);
            return self.together(schema, chosen, depth);
        }
        match kind(schema) {
            "object" => self.together(schema, Value::Object(Map::new()), depth),
            "array" => self.list(schema, depth),
            "string" => text(schema).into(),
            "integer" => number(schema, true),
            "number" => number(schema, false),
            "boolean" => true.into(),
            _ => Value::Null,
        }
    }

    /// `value` with what the other parts of the schema add to it, if it is an object.
    fn together(&mut self, schema: &Value, value: Value, depth: usize) -> Value {
        let Value::Object(mut object) = value else { return value };
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            match self.value(part, depth + 1) {
                Value::Object(more) => object.extend(more),
                other if object.is_empty() => return other,
                _ => (),
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
        for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if self.left > 0 && (depth < OPTIONAL_DEPTH_MAX || is_required(name)) {
                let value = self.value(schema, depth + 1);
                object.insert(name.clone(), value);
            }
        }
        Value::Object(object)
    }

    fn list(&mut self, schema: &Value, depth: usize) -> Value {
        let mut items = Vec::new();
        for first in schema.get("prefixItems").and_then(Value::as_array).into_iter().flatten() {
            items.push(self.value(first, depth + 1));
        }
        let bound = |key| schema.get(key).and_then(Value::as_u64);
        let count = bound("minItems").unwrap_or(1).min(ITEMS_MAX).min(bound("maxItems").unwrap_or(ITEMS_MAX));
        if let Some(item) = schema.get("items").filter(|item| item.is_object()) {
            while (items.len() as u64) < count && self.left > 0 {
                items.push(self.value(item, depth + 1));
            }
        }
        items.into()
    }
}

/// What the schema's author gives.
fn given(schema: &Value) -> Option<&Value> {
    let first = |key| schema.get(key)?.get(0);
    let itself = |key| schema.get(key);
    first("examples")
        .or_else(|| itself("example"))
        .or_else(|| itself("const"))
        .or_else(|| itself("default"))
        .or_else(|| first("enum"))
}

/// The first type that is not null, or the one that its keywords are about.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(one)) => one,
        Some(Value::Array(some)) => {
            some.iter().filter_map(Value::as_str).find(|one| *one != "null").unwrap_or("null")
        }
        _ if schema.get("items").is_some() || schema.get("prefixItems").is_some() => "array",
        _ => "object",
    }
}

fn text(schema: &Value) -> String {
    let usual = match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => return "2025-01-31T12:00:00Z".into(),
        Some("date") => return "2025-01-31".into(),
        Some("time") => return "12:00:00Z".into(),
        Some("duration") => return "PT1H".into(),
        Some("email") => return "somebody@example.com".into(),
        Some("uri") => return "https://example.com/".into(),
        Some("hostname") => return "example.com".into(),
        Some("ipv4") => return "192.0.2.1".into(),
        Some("ipv6") => return "2001:db8::1".into(),
        Some("uuid") => return "00000000-0000-4000-8000-000000000000".into(),
        _ => "text",
    };
    let bound = |key| schema.get(key).and_then(Value::as_u64).and_then(|bound| usize::try_from(bound).ok());
    let shortest = bound("minLength").unwrap_or(0).min(TEXT_BYTES_MAX);
    let longest = bound("maxLength").unwrap_or(TEXT_BYTES_MAX);
    usual.chars().cycle().take(usual.len().max(shortest).min(longest)).collect()
}

/// The number nearest to zero that the range allows, and a multiple if that is asked for.
fn number(schema: &Value, whole: bool) -> Value {
    let bound = |key| schema.get(key).and_then(Value::as_f64);
    let step = bound("multipleOf").filter(|step| *step > 0.0).unwrap_or(1.0);
    let up = |from: f64| (from / step).ceil() * step;
    let down = |from: f64| (from / step).floor() * step;
    let above = |limit: f64| if up(limit) > limit { up(limit) } else { up(limit) + step };
    let below = |limit: f64| if down(limit) < limit { down(limit) } else { down(limit) - step };
    let lowest = bound("minimum").map(up).into_iter().chain(bound("exclusiveMinimum").map(above));
    let highest = bound("maximum").map(down).into_iter().chain(bound("exclusiveMaximum").map(below));
    let number = highest.fold(lowest.fold(0.0, f64::max), f64::min);
    // A cast of a float ends at the range of its integer.
    let number = if whole || number.fract() == 0.0 {
        Some(Number::from(number as i64))
    } else {
        Number::from_f64(number)
    };
    number.map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_authors_own_example_is_taken_wherever_it_stands() {
        let whole = json!({"type": "object", "examples": [{"a": 1}, {"a": 2}], "properties": {"b": {}}});
        assert_eq!(of(&whole), json!({"a": 1}));
        let parts = json!({"properties": {
            "a": {"type": "string", "examples": ["x"]}, "b": {"example": 2}, "c": {"const": 3},
            "d": {"default": 4}, "e": {"enum": [5, 6]},
        }});
        assert_eq!(of(&parts), json!({"a": "x", "b": 2, "c": 3, "d": 4, "e": 5}));
    }

    #[test]
    fn what_is_not_given_is_made_up_from_types_and_ranges() {
        let cases = [
            (json!({"type": "object"}), json!({})),
            (json!(true), json!({})),
            (json!({"type": ["null", "string"]}), json!("text")),
            (json!({"type": "string", "minLength": 6}), json!("textte")),
            (json!({"type": "string", "maxLength": 2}), json!("te")),
            (json!({"type": "string", "format": "date-time"}), json!("2025-01-31T12:00:00Z")),
            (json!({"type": "integer"}), json!(0)),
            (json!({"type": "integer", "minimum": 7, "multipleOf": 5}), json!(10)),
            (json!({"type": "integer", "exclusiveMinimum": 7}), json!(8)),
            (json!({"type": "number", "maximum": -1.5, "multipleOf": 0.5}), json!(-1.5)),
            (json!({"type": "boolean"}), json!(true)),
            (json!({"items": {"type": "integer"}, "minItems": 2}), json!([0, 0])),
            (json!({"prefixItems": [{"const": 1}, {"const": "b"}]}), json!([1, "b"])),
            (json!({"anyOf": [{"type": "null"}, {"type": "string"}]}), json!(null)),
            (
                json!({"allOf": [{"properties": {"a": {"const": 1}}}, {"$ref": "#/$defs/b"}],
                       "properties": {"c": {"const": 3}}, "$defs": {"b": {"properties": {"b": {"const": 2}}}}}),
                json!({"a": 1, "b": 2, "c": 3}),
            ),
        ];
        for (schema, expect) in cases {
            assert_eq!(of(&schema), expect, "{schema}");
        }
    }

    #[test]
    fn a_schema_that_contains_itself_ends() {
        let tree = json!({"type": "object", "required": ["a"],
            "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}, "c": {"type": "array", "items": {"$ref": "#"}}}});
        assert!(of(&tree).to_string().len() < 100_000);
        assert_eq!(of(&json!({"$ref": "#"})), Value::Null);
        assert_eq!(of(&json!({"type": "string", "minLength": u64::MAX})).as_str().unwrap().len(), 1_024);
    }

    fn schemas() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!({"type": "string", "minLength": 3, "maxLength": 9})),
            Just(json!({"type": "number", "minimum": 0.5, "maximum": 8.25, "multipleOf": 0.25})),
            Just(json!({"type": "integer", "exclusiveMinimum": -3, "exclusiveMaximum": 5})),
            Just(json!({"type": "boolean"})),
            Just(json!({"enum": ["a", 1]})),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::btree_map("[a-d]", inner.clone(), 0..4).prop_map(|properties| {
                    let required: Vec<_> = properties.keys().cloned().collect();
                    json!({"type": "object", "properties": properties, "required": required})
                }),
                inner.clone().prop_map(|item| json!({"type": "array", "items": item, "minItems": 2})),
                inner.prop_map(|one| json!({"anyOf": [one, {"type": "null"}]})),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_example_of_a_schema_of_types_and_ranges_is_valid(schema in schemas()) {
            let validator = jsonschema::validator_for(&schema).unwrap();
            prop_assert!(validator.is_valid(&of(&schema)), "{schema}: {}", of(&schema));
        }
    }
}
