//! The fields of a JSON body, each read when it is asked for, so that an error can name it.
//!
//! What is not asked for is ignored, as clients newer than this server send it. `null` for a field that
//! cannot be empty counts as absent.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::ApiError;

/// Former names of fields, which older SDKs still send.
const FORMER_NAMES: [(&str, &str); 2] = [("eventTypes", "filterTypes"), ("throttleRate", "rateLimit")];

/// A JSON object whose values are not read yet.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    values: BTreeMap<String, &'a RawValue>,
}

impl<'a> Fields<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, ApiError> {
        let values = serde_json::from_slice(body).map_err(|error| ApiError::json("", &error))?;
        Ok(Self { values })
    }

    /// As [`Self::parse`], and an empty body has no fields.
    pub(super) fn parse_or_none(body: &'a [u8]) -> Result<Self, ApiError> {
        if body.is_empty() { Ok(Self { values: BTreeMap::new() }) } else { Self::parse(body) }
    }

    /// A field that must be there.
    pub(super) fn required<T: Deserialize<'a>>(&self, name: &'static str) -> Result<T, ApiError> {
        self.value(name)?.ok_or_else(|| ApiError::body(name, format!("{name} is missing")))
    }

    /// A field that may be left out.
    pub(super) fn value<T: Deserialize<'a>>(&self, name: &'static str) -> Result<Option<T>, ApiError> {
        Ok(self.nullable(name)?.flatten())
    }

    /// A field that may be left out, or be `null`: `None`, or `Some(None)`.
    pub(super) fn nullable<T: Deserialize<'a>>(
        &self,
        name: &'static str,
    ) -> Result<Option<Option<T>>, ApiError> {
        let Some(value) = self.find(name) else { return Ok(None) };
        serde_json::from_str(value.get()).map(Some).map_err(|error| ApiError::json(name, &error))
    }

    /// Whether the field is there, be it `null`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &str) -> Option<&'a RawValue> {
        let former = || FORMER_NAMES.iter().find(|(now, _)| *now == name).map(|(_, before)| *before);
        self.values.get(name).or_else(|| self.values.get(former()?)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_null_and_given_fields_are_told_apart() {
        let fields = Fields::parse(br#"{"a": null, "b": 1, "unknown": [{}]}"#).unwrap();
        assert_eq!(fields.nullable::<u8>("a"), Ok(Some(None)));
        assert_eq!(fields.nullable::<u8>("b"), Ok(Some(Some(1))));
        assert_eq!(fields.nullable::<u8>("c"), Ok(None));
        assert_eq!(fields.value::<u8>("a"), Ok(None));
        let missing = fields.required::<u8>("c").unwrap_err();
        assert_eq!(missing, ApiError::body("c", "c is missing"));
    }

    #[test]
    fn a_field_of_the_wrong_type_is_named() {
        let fields = Fields::parse(br#"{"throttleRate": "fast"}"#).unwrap();
        let Err(ApiError::Invalid { location, .. }) = fields.value::<u16>("throttleRate") else { panic!() };
        assert_eq!(location, ["body", "throttleRate"]);
    }

    #[test]
    fn former_names_are_understood_unless_the_present_one_is_there() {
        let fields = Fields::parse(br#"{"rateLimit": 5}"#).unwrap();
        assert_eq!(fields.value::<u16>("throttleRate"), Ok(Some(5)));
        let fields = Fields::parse(br#"{"rateLimit": 5, "throttleRate": 6}"#).unwrap();
        assert_eq!(fields.value::<u16>("throttleRate"), Ok(Some(6)));
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        for body in ["", "[]", "1", "{", "{}x"] {
            assert!(Fields::parse(body.as_bytes()).is_err(), "{body}");
        }
        assert!(Fields::parse_or_none(b"").is_ok());
    }
}
