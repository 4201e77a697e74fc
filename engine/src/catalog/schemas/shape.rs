//! The shape of a schema: what is refused so that holding a payload against it takes bounded time and stack.
//!
//! Two things make a schema expensive. A `$ref` stands for a copy of what it refers to, and copies of copies grow
//! like a chain letter: so the schema is counted as it would be with every `$ref` replaced. And a schema may refer to
//! itself, for payloads that are trees: so every way back must lead deeper into the payload, and no two ways back may
//! lead to the same place there, or each level of the payload would double the work.
//!
//! ```text
//! {"properties": {"children": {"items": {"$ref": "#"}}}}                              a tree: good
//! {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}                     two ways, two places: good
//! {"properties": {"a": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}}                    two ways, one place: refused
//! {"allOf": [{"$ref": "#"}]}                                                          goes nowhere: refused
//! ```
//!
//! Stricter than need be where that keeps it simple: of schemas that refer back to two different schemas around
//! them, or that use `unevaluated...` within what refers to itself, none is accepted.

use serde_json::{Map, Value};

use super::target;

/// The most parts of a schema, every `$ref` replaced by what it refers to.
const PARTS_MAX: usize = 5_000;
/// The deepest nesting of parts, every `$ref` replaced.
const DEPTH_MAX: usize = 150;
/// The most parts between a schema and its reference to itself. Times the depth of a payload, it is what the stack
/// must hold.
const WAY_BACK_MAX: usize = 12;
/// How many schemas that refer to themselves may lie within each other.
const LOOPS_MAX: usize = 2;

/// One step into a payload.
#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    /// Any field but these.
    FieldBeside(Option<&'a Map<String, Value>>),
    Item(usize),
    AnyItem,
}

impl Step<'_> {
    fn may_be(self, other: Self) -> bool {
        let beside =
            |names: Option<&Map<String, Value>>, name| names.is_none_or(|names| !names.contains_key(name));
        match (self, other) {
            (Self::Field(one), Self::Field(two)) => one == two,
            (Self::Field(name), Self::FieldBeside(names)) | (Self::FieldBeside(names), Self::Field(name)) => {
                beside(names, name)
            }
            (Self::FieldBeside(_), Self::FieldBeside(_)) => true,
            (Self::Item(one), Self::Item(two)) => one == two,
            (Self::AnyItem, Self::Item(_) | Self::AnyItem) | (Self::Item(_), Self::AnyItem) => true,
            _ => false,
        }
    }
}

/// A schema that is being walked through because something referred to it (or because it is the whole).
struct Frame<'a> {
    reference: &'a str,
    /// Where in `Walk::steps` its own begin.
    steps_before: usize,
    depth: usize,
    /// The steps of each way back to it.
    ways_back: Vec<Vec<Step<'a>>>,
    /// Something in it refers to a schema around it.
    leads_out: bool,
    has_unevaluated: bool,
    /// Schemas that refer to themselves, within each other, in it.
    loops: usize,
}

struct Walk<'a> {
    root: &'a Value,
    parts: usize,
    /// How often the present part is asked for each time its schema is.
    factor: usize,
    depth: usize,
    steps: Vec<Step<'a>>,
    frames: Vec<Frame<'a>>,
}

/// What is wrong with the shape of a schema, in words that continue its name.
pub(super) fn check(root: &Value) -> Result<(), String> {
    let mut walk = Walk { root, parts: 0, factor: 1, depth: 0, steps: Vec::new(), frames: Vec::new() };
    walk.enter("#", root)
}

impl<'a> Walk<'a> {
    fn enter(&mut self, reference: &'a str, schema: &'a Value) -> Result<(), String> {
        self.frames.push(Frame {
            reference,
            steps_before: self.steps.len(),
            depth: self.depth,
            ways_back: Vec::new(),
            leads_out: false,
            has_unevaluated: false,
            loops: 0,
        });
        self.part(schema)?;
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        let loops = frame.close()?;
        if let Some(around) = self.frames.last_mut() {
            around.loops = around.loops.max(loops);
            around.has_unevaluated |= frame.has_unevaluated;
        }
        Ok(())
    }

    fn part(&mut self, schema: &'a Value) -> Result<(), String> {
        self.parts = self.parts.saturating_add(self.factor);
        if self.parts > PARTS_MAX {
            return Err(format!(
                "has more than {PARTS_MAX} parts when every $ref is replaced by what it refers to"
            ));
        }
        if self.depth > DEPTH_MAX {
            return Err(format!("is nested deeper than {DEPTH_MAX} levels when every $ref is replaced"));
        }
        let Value::Object(fields) = schema else { return Ok(()) };
        self.depth += 1;
        let factor_before = self.factor;
        if ["unevaluatedProperties", "unevaluatedItems"].iter().any(|name| fields.contains_key(*name)) {
            // To know what is left over, the other parts are asked once more.
            self.factor = self.factor.saturating_mul(2);
            self.frames.last_mut().into_iter().for_each(|frame| frame.has_unevaluated = true);
        }
        for (name, value) in fields {
            self.keyword(fields, name, value)?;
        }
        self.factor = factor_before;
        self.depth -= 1;
        Ok(())
    }

    fn keyword(
        &mut self,
        fields: &'a Map<String, Value>,
        name: &str,
        value: &'a Value,
    ) -> Result<(), String> {
        match name {
            "$ref" => self.reference(value),
            "$dynamicRef" | "$recursiveRef" => Err(format!("uses {name}, which is not supported")),
            "$id" | "id" if self.depth > 1 && value.is_string() => {
                Err(format!("has {name} within it; only the whole schema may have one"))
            }
            "not" | "if" | "then" | "else" => self.part(value),
            "allOf" | "anyOf" | "oneOf" => self.each(value),
            "dependentSchemas" | "dependencies" => self.each(value),
            "properties" => {
                let properties = value.as_object().into_iter().flatten();
                properties.into_iter().try_for_each(|(name, schema)| self.inside(Step::Field(name), schema))
            }
            "patternProperties" => {
                let patterns = value.as_object().into_iter().flatten();
                patterns.into_iter().try_for_each(|(_, schema)| self.inside(Step::FieldBeside(None), schema))
            }
            "additionalProperties" | "unevaluatedProperties" => {
                let named = fields.get("properties").and_then(Value::as_object);
                self.inside(Step::FieldBeside(named), value)
            }
            "propertyNames" => self.inside(Step::FieldBeside(None), value),
            "prefixItems" => self.items(value),
            "items" if value.is_array() => self.items(value),
            "items" | "additionalItems" | "unevaluatedItems" | "contains" => {
                self.inside(Step::AnyItem, value)
            }
            _ => Ok(()),
        }
    }

    fn each(&mut self, parts: &'a Value) -> Result<(), String> {
        match parts {
            Value::Array(parts) => parts.iter().try_for_each(|part| self.part(part)),
            Value::Object(parts) => parts.values().try_for_each(|part| self.part(part)),
            _ => Ok(()),
        }
    }

    fn items(&mut self, parts: &'a Value) -> Result<(), String> {
        let parts = parts.as_array().into_iter().flatten().enumerate();
        parts.into_iter().try_for_each(|(index, part)| self.inside(Step::Item(index), part))
    }

    fn inside(&mut self, step: Step<'a>, part: &'a Value) -> Result<(), String> {
        self.steps.push(step);
        self.part(part)?;
        self.steps.pop();
        Ok(())
    }

    fn reference(&mut self, value: &'a Value) -> Result<(), String> {
        let Some(reference) = value.as_str() else { return Ok(()) };
        let Some(schema) = target(self.root, reference) else {
            let shown: String = reference.escape_debug().take(64).collect();
            let problem =
                if reference.starts_with('#') { "leads nowhere" } else { "leads out of the schema" };
            return Err(format!("has a $ref '{shown}', which {problem}; write '#' or '#/$defs/...'"));
        };
        match self.frames.iter().rposition(|frame| frame.reference == reference) {
            None => self.enter(reference, schema),
            Some(around) => self.way_back(around),
        }
    }

    fn way_back(&mut self, around: usize) -> Result<(), String> {
        let shown: String = self.frames[around].reference.escape_debug().take(64).collect();
        let way = self.steps[self.frames[around].steps_before..].to_vec();
        if way.is_empty() {
            return Err(format!("refers to '{shown}' from within it, without a step into the payload"));
        }
        if self.depth - self.frames[around].depth > WAY_BACK_MAX {
            return Err(format!("refers to '{shown}' from more than {WAY_BACK_MAX} parts within it"));
        }
        self.frames[around].ways_back.push(way);
        self.frames[around + 1..].iter_mut().for_each(|frame| frame.leads_out = true);
        Ok(())
    }
}

impl Frame<'_> {
    /// How many schemas that refer to themselves lie within each other here.
    fn close(&self) -> Result<usize, String> {
        if self.ways_back.is_empty() {
            return Ok(self.loops);
        }
        let shown: String = self.reference.escape_debug().take(64).collect();
        let refused = |problem: &str| Err(format!("refers to '{shown}' from within it, {problem}"));
        if self.leads_out {
            return refused("and from there to another schema around it");
        }
        if self.has_unevaluated {
            return refused("where there are unevaluatedProperties or unevaluatedItems");
        }
        let same_place =
            |one: &[Step<'_>], two: &[Step<'_>]| one.iter().zip(two).all(|(one, two)| one.may_be(*two));
        for (index, one) in self.ways_back.iter().enumerate() {
            if self.ways_back[index + 1..].iter().any(|two| same_place(one, two)) {
                return refused("twice for the same place in the payload");
            }
        }
        if self.loops + 1 > LOOPS_MAX {
            return refused(&format!("and has {LOOPS_MAX} such schemas within each other already"));
        }
        Ok(self.loops + 1)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn accepted(schema: Value) {
        assert_eq!(check(&schema), Ok(()), "{schema}");
    }

    fn refused(schema: Value, part: &str) {
        let problem = check(&schema).unwrap_err();
        assert!(problem.contains(part), "{schema}: {problem}");
    }

    #[test]
    fn trees_are_accepted_in_every_usual_form() {
        accepted(json!({"properties": {"children": {"type": "array", "items": {"$ref": "#"}}}}));
        accepted(json!({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}));
        accepted(
            json!({"anyOf": [{"type": "string"}, {"items": {"$ref": "#"}}, {"additionalProperties": {"$ref": "#"}}]}),
        );
        accepted(json!({"properties": {"a": {"$ref": "#"}}, "additionalProperties": {"$ref": "#"}}));
        accepted(json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"properties": {"b": {"$ref": "#/$defs/b"}}}, "b": {"properties": {"a": {"$ref": "#/$defs/a"}}}}}));
        accepted(
            json!({"properties": {"one": {"$ref": "#/$defs/a"}, "two": {"$ref": "#/$defs/a"}}, "$defs": {
            "a": {"items": {"$ref": "#/$defs/a"}}}}),
        );
    }

    #[test]
    fn what_would_double_with_each_level_of_the_payload_is_refused() {
        let twice = "twice for the same place";
        refused(json!({"properties": {"a": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}}), twice);
        refused(
            json!({"anyOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]}),
            twice,
        );
        refused(json!({"items": {"$ref": "#"}, "contains": {"$ref": "#"}}), twice);
        refused(
            json!({"properties": {"a": {"$ref": "#"}}, "patternProperties": {"^a": {"$ref": "#"}}}),
            twice,
        );
        refused(
            json!({"properties": {"a": {"properties": {"a": {"$ref": "#"}}, "allOf": [{"$ref": "#"}]}}}),
            twice,
        );
        refused(json!({"properties": {"a": {"$ref": "#"}}, "unevaluatedProperties": false}), "unevaluated");
        refused(
            json!({"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {
                "b": {"properties": {"b": {"$ref": "#/$defs/b"}, "c": {"$ref": "#"}}}}}),
            "to another schema around it",
        );
    }

    #[test]
    fn what_goes_nowhere_or_out_is_refused() {
        for schema in [
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}]}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/$defs/a"}}}}),
        ] {
            refused(schema, "without a step into the payload");
        }
        refused(json!({"$ref": "https://example.com/x.json"}), "leads out of the schema");
        refused(json!({"items": {"$ref": "file:///etc/passwd"}}), "leads out of the schema");
        refused(json!({"$ref": "#/$defs/none"}), "leads nowhere");
        refused(json!({"$dynamicRef": "#x", "$dynamicAnchor": "x"}), "not supported");
        refused(json!({"properties": {"a": {"$id": "https://example.com/"}}}), "has $id within it");
        accepted(
            json!({"$id": "https://example.com/", "properties": {"$id": {"type": "string"}, "id": true}}),
        );
    }

    #[test]
    fn copies_of_copies_are_counted_and_long_ways_back_refused() {
        let mut defs = Map::new();
        for level in 0..20 {
            let next = json!({"$ref": format!("#/$defs/{}", level + 1)});
            defs.insert(level.to_string(), json!({"allOf": [next, next]}));
        }
        defs.insert("20".into(), json!(true));
        refused(json!({"$ref": "#/$defs/0", "$defs": defs}), "more than 5000 parts");
        let mut nested = json!(true);
        (0..14).for_each(|_| nested = json!({"unevaluatedProperties": false, "allOf": [nested]}));
        refused(nested, "more than 5000 parts");
        let mut back = json!({"$ref": "#"});
        (0..13).for_each(|_| back = json!({"items": back}));
        refused(back, "from more than 12 parts within it");
    }
}
