//! The parameters of a query string.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use url::form_urlencoded;

use super::error::ApiError;
use super::time::parse_rfc3339;
use crate::catalog::is_identifier;

const IDENTIFIER_WORDS: &str = "letters, digits, '-', '_' and '.'";

/// The parameters in the order given. What is not asked for is ignored.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// A parameter; an empty one counts as absent.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// A name of letters, digits, `-`, `_` and `.`
    pub(super) fn identifier(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if is_identifier(text) { Ok(Some(text)) } else { Err(unreadable(name, text, IDENTIFIER_WORDS)) }
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        match self.text(name) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(unreadable(name, other, "true or false")),
        }
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let parse = |text: &str| text.parse().map_err(|_| unreadable(name, text, "a whole number"));
        self.text(name).map(parse).transpose()
    }

    /// A time, as unix milliseconds.
    pub(super) fn time_ms(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let parse = |text: &str| {
            parse_rfc3339(text).ok_or_else(|| unreadable(name, text, "a time such as 2025-01-31T12:00:00Z"))
        };
        self.text(name).map(parse).transpose()
    }

    /// A list: the parameter several times, or once with commas.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(key, _)| key == name).flat_map(|(_, value)| value.split(','));
        values.filter(|value| !value.is_empty()).map(Into::into).collect()
    }

    /// A list of such names: the parameter several times, or once with commas.
    pub(super) fn identifiers(&self, name: &str) -> Result<Vec<String>, ApiError> {
        let checked = self.list(name).into_iter().map(|value| match is_identifier(&value) {
            true => Ok(value),
            false => Err(unreadable(name, &value, IDENTIFIER_WORDS)),
        });
        checked.collect()
    }
}

fn unreadable(name: &str, given: &str, wanted: &str) -> ApiError {
    let given: String = given.escape_debug().take(64).collect();
    ApiError::query(name, format!("{name} is '{given}'; it must be {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_may_be_repeated_or_separated_by_commas() {
        let query = Query::parse("event_types=a.b&event_types=c,d&x=1");
        assert_eq!(query.identifiers("event_types"), Ok(vec!["a.b".into(), "c".into(), "d".into()]));
        assert_eq!(query.identifiers("y"), Ok(vec![]));
    }

    #[test]
    fn parameters_of_another_form_are_named() {
        let query =
            Query::parse("limit=many&with_content=maybe&before=noon&empty=&channel=a+b&event_types=a,b%2Fc");
        assert!(query.number("limit").is_err());
        assert!(query.flag("with_content", true).is_err());
        assert!(query.time_ms("before").is_err());
        assert!(query.identifier("channel").is_err());
        assert!(query.identifiers("event_types").is_err());
        assert_eq!(query.number("empty"), Ok(None));
    }
}
