//! What a field may say, and the errors that name it.

use std::collections::BTreeMap;
use std::fmt;

use super::change::CommitError;
use super::limits::METADATA_BYTES_MAX;
use super::request::ClientCertificate;
use crate::config::UnknownEventTypes;
use crate::core::ids::{ApplicationId, EndpointId};

/// A field that says something it may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct FieldError {
    /// The field, as the API names it; dots lead inside.
    pub field: &'static str,
    /// What is wrong with it, in words that continue its name.
    pub problem: String,
}

impl FieldError {
    pub(super) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

/// Why the catalog was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// A field says something it may not.
    #[error(transparent)]
    Invalid(#[from] FieldError),
    /// What was to be changed does not exist.
    #[error("there is no such {what}")]
    NotFound {
        /// Application, endpoint or event type.
        what: &'static str,
    },
    /// The name is taken.
    #[error("there is already an {what} with the {field} '{name}'")]
    Taken {
        /// Application, endpoint or event type.
        what: &'static str,
        /// `uid` or `name`.
        field: &'static str,
        /// The name.
        name: String,
    },
    /// More background tasks would run than may at a time.
    #[error(
        "{own} background tasks run for this endpoint, and {all} in all; the limits are {own_max} and {all_max}"
    )]
    TooManyTasks {
        /// For the endpoint.
        own: usize,
        /// Its limit.
        own_max: usize,
        /// In all.
        all: usize,
        /// Their limit.
        all_max: usize,
    },
    /// There are as many as there may be.
    #[error("there are {count} {what}{where_}; the limit is {max} ({limit})")]
    TooMany {
        /// Of what, in the plural.
        what: &'static str,
        /// Of whom, with a space in front; or empty.
        where_: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
        /// Its name in the configuration.
        limit: &'static str,
    },
    /// The change did not become durable.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

type Judge<In, Out> = Box<dyn Fn(&In) -> Result<Out, String> + Send + Sync>;

type JudgeIdentity =
    Box<dyn Fn(Option<&ClientCertificate>, Option<&str>) -> Result<(), FieldError> + Send + Sync>;

/// The rules for endpoints that others know: delivery and configuration.
pub struct EndpointRules {
    /// The normal form of a URL that may be delivered to, or what is wrong with it.
    pub check_url: Judge<str, String>,
    /// What is wrong with these custom headers, each or together.
    pub check_headers: Judge<[(String, String)], ()>,
    /// What is wrong with this retry policy.
    pub check_retry_policy: Judge<str, ()>,
    /// What is wrong with a client certificate, or with certificates of authorities (PEM).
    pub check_identity: JudgeIdentity,
    /// Whether endpoints may ask for event types that the catalog does not have.
    pub unknown_event_types: UnknownEventTypes,
}

impl fmt::Debug for EndpointRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointRules")
            .field("unknown_event_types", &self.unknown_event_types)
            .finish_non_exhaustive()
    }
}

/// Whether a text is made of letters, digits, `-`, `_` and `.` of ASCII, and has any.
pub fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

pub(super) fn identifier(field: &'static str, text: &str, bytes_max: usize) -> Result<(), FieldError> {
    size(field, text.len(), bytes_max)?;
    if is_identifier(text) {
        return Ok(());
    }
    let shown = text.escape_debug().take(64).collect::<String>();
    Err(FieldError::new(field, format!("is '{shown}'; it must consist of letters, digits, '-', '_' and '.'")))
}

/// A uid that looks like an id could stand for another thing than the one that has it.
pub(super) fn uid(uid: Option<&str>, bytes_max: usize) -> Result<(), FieldError> {
    let Some(uid) = uid else { return Ok(()) };
    identifier("uid", uid, bytes_max)?;
    if uid.parse::<ApplicationId>().is_ok() || uid.parse::<EndpointId>().is_ok() {
        return Err(FieldError::new("uid", "must not have the form of an id"));
    }
    Ok(())
}

pub(super) fn text(field: &'static str, text: &str, bytes_max: usize) -> Result<(), FieldError> {
    size(field, text.len(), bytes_max)?;
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(FieldError::new(field, "must not contain control characters"));
    }
    Ok(())
}

/// What ends up in a header. Errors never repeat it.
pub(super) fn credential(field: &'static str, text: &str, bytes_max: usize) -> Result<(), FieldError> {
    size(field, text.len(), bytes_max)?;
    if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Err(FieldError::new(field, "must consist of visible ASCII characters and spaces"));
    }
    Ok(())
}

pub(super) fn size(field: &'static str, bytes: usize, max: usize) -> Result<(), FieldError> {
    if bytes > max {
        return Err(FieldError::new(field, format!("is {bytes} bytes; the limit is {max}")));
    }
    Ok(())
}

pub(super) fn count(field: &'static str, count: usize, min: usize, max: usize) -> Result<(), FieldError> {
    if !(min..=max).contains(&count) {
        return Err(FieldError::new(field, format!("has {count} items; it must have {min} to {max}")));
    }
    Ok(())
}

pub(super) fn throttle_rate(rate: Option<u16>) -> Result<(), FieldError> {
    if rate == Some(0) {
        return Err(FieldError::new("throttleRate", "is 0; it must be at least 1, or null for none"));
    }
    Ok(())
}

pub(super) fn metadata(metadata: &BTreeMap<String, String>) -> Result<(), FieldError> {
    size("metadata", metadata.iter().map(|(key, value)| key.len() + value.len()).sum(), METADATA_BYTES_MAX)
}
