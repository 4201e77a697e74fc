//! Trouble: what the API refused, on its way to a page that says so.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

/// See the head of this file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The whole is refused.
    Refused { status: StatusCode, detail: String },
    /// A field of a form, or a parameter, says something it may not. Dots lead inside.
    Field { field: String, message: String },
}

/// A body of an error: `detail` is a text, or a list of fields.
#[derive(Deserialize)]
struct ErrorIn {
    detail: DetailIn,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum DetailIn {
    Text(String),
    Fields(Vec<FieldIn>),
}

#[derive(Deserialize)]
struct FieldIn {
    loc: Vec<String>,
    msg: String,
}

impl Trouble {
    pub(super) fn refused(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::Refused { status, detail: detail.into() }
    }

    pub(super) fn not_found() -> Self {
        Self::refused(StatusCode::NOT_FOUND, "There is no such page")
    }

    /// A field of a form that was refused before the API saw it.
    pub(super) fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Field { field: field.into(), message: message.into() }
    }

    /// An answer of the API.
    pub(super) fn read(status: StatusCode, body: &[u8]) -> Self {
        match serde_json::from_slice::<ErrorIn>(body).map(|error| error.detail) {
            Ok(DetailIn::Text(detail)) => Self::Refused { status, detail },
            Ok(DetailIn::Fields(fields)) => match fields.into_iter().next() {
                Some(FieldIn { loc, msg }) => {
                    Self::Field { field: loc.into_iter().skip(1).collect::<Vec<_>>().join("."), message: msg }
                }
                None => Self::refused(status, "It was refused"),
            },
            Err(_) => Self::refused(status, format!("It was answered {status}")),
        }
    }

    /// What is said of it.
    pub(super) fn detail(&self) -> &str {
        match self {
            Self::Refused { detail, .. } => detail,
            Self::Field { message, .. } => message,
        }
    }

    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Refused { status, .. } => *status,
            Self::Field { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

/// Goes along with the answer until it is made a page (`visit`), which knows how the page around it looks.
impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// What went wrong with a form: beside the field where it has one, above all of them otherwise.
#[derive(Debug, Clone, Default)]
pub(super) struct Problems(Option<Trouble>);

impl Problems {
    /// What is wrong with this field of the form, which may go by several names in the API.
    pub(super) fn of<'n>(&self, names: impl AsRef<[&'n str]>) -> Option<&str> {
        match &self.0 {
            Some(Trouble::Field { field, message }) => {
                let is_meant = |name: &&str| {
                    field.strip_prefix(*name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                };
                names.as_ref().iter().any(is_meant).then_some(message)
            }
            _ => None,
        }
    }

    /// What is wrong, as far as none of these fields shows it.
    pub(super) fn beyond<'n>(&self, names: impl AsRef<[&'n str]>) -> Option<&str> {
        self.0.as_ref().filter(|_| self.of(names).is_none()).map(Trouble::detail)
    }

    /// The status of a page that shows them.
    pub(super) fn status(&self) -> StatusCode {
        self.0.as_ref().map_or(StatusCode::OK, Trouble::status)
    }
}

impl From<Trouble> for Problems {
    fn from(trouble: Trouble) -> Self {
        Self(Some(trouble))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_api_are_told_beside_their_field_or_above_all() {
        let body =
            br#"{"detail": [{"loc": ["body", "clientCertificate", "key"], "msg": "no", "type": "x"}]}"#;
        let problems = Problems::from(Trouble::read(StatusCode::UNPROCESSABLE_ENTITY, body));
        assert_eq!(problems.of(["clientCertificate"]), Some("no"));
        assert_eq!(problems.of(["client"]), None);
        assert_eq!(
            (problems.beyond(["url"]), problems.beyond(["clientCertificate.key"])),
            (Some("no"), None)
        );
        let plain = Trouble::read(StatusCode::CONFLICT, br#"{"code": "conflict", "detail": "taken"}"#);
        assert_eq!(Problems::from(plain.clone()).beyond(["url"]), Some("taken"));
        assert_eq!(plain.status(), StatusCode::CONFLICT);
        assert_eq!(
            Trouble::read(StatusCode::BAD_GATEWAY, b"<html>").detail(),
            "It was answered 502 Bad Gateway"
        );
    }
}
