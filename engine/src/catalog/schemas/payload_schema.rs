//! A schema, compiled: does a payload fit it?
//!
//! Formats (`"format": "email"`) are notes for people, as the drafts since 2019-09 have it, and are not checked.
//! Patterns are matched by an engine that never goes back in a text; what it does not know (look-around,
//! back-references) is refused when the schema is saved. Nothing is ever fetched.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::shape;

/// The most that a pattern may take when it is compiled.
const PATTERN_BYTES_MAX: usize = 128 * 1_024;
/// The longest problem that is told, in characters.
const PROBLEM_CHARS_MAX: usize = 200;

/// See the head of this file.
#[derive(Debug)]
pub(in crate::catalog) struct PayloadSchema {
    version: u32,
    validator: Validator,
}

/// Why a payload does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Of the schema that it was held against.
    pub version: u32,
    /// JSON pointer (RFC 6901) to the part of the payload that is wrong; empty for the whole.
    pub pointer: String,
    /// The keyword of the schema that is not satisfied.
    pub rule: String,
    /// What is wrong, in words. Values are not repeated.
    pub problem: String,
}

impl PayloadSchema {
    /// Compiles a schema; what is wrong with it otherwise, in words that continue its name.
    pub(super) fn compile(version: u32, schema: &Value) -> Result<Self, String> {
        if !schema.is_object() {
            return Err("is no object".into());
        }
        shape::check(schema)?;
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX);
        let options =
            jsonschema::options().offline().should_validate_formats(false).with_pattern_options(patterns);
        // A defect of the library concerns this one schema, not the process.
        let built = catch_unwind(AssertUnwindSafe(|| {
            options.build(schema).map_err(|error| {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() { place } else { format!(" at {}", cut(&place)) };
                format!("is no JSON Schema{place}: {}", cut(&error.to_string()))
            })
        }));
        let validator = built.unwrap_or_else(|_| Err("cannot be compiled".into()))?;
        Ok(Self { version, validator })
    }

    /// Holds a payload against it.
    pub(in crate::catalog) fn check(&self, payload: &Value) -> Result<(), Misfit> {
        let checked = catch_unwind(AssertUnwindSafe(|| {
            self.validator.validate(payload).map_err(|error| Misfit {
                version: self.version,
                pointer: cut(error.instance_path().as_str()),
                rule: cut(error.kind().keyword()),
                problem: cut(&error.masked().to_string()),
            })
        }));
        checked.unwrap_or_else(|_| {
            let (pointer, rule) = (String::new(), String::new());
            Err(Misfit { version: self.version, pointer, rule, problem: "it could not be checked".into() })
        })
    }
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(PROBLEM_CHARS_MAX).collect()
}
