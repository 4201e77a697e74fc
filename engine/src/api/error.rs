//! Errors as the API says them.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::backend::{AgainError, EraseRefusal, HistoryError};
use crate::catalog::{CatalogError, CommitError, FieldError};
use crate::config::Scope;
use crate::probe::ProbeError;
use crate::publish::PublishError;
use crate::readiness::NotReady;

/// An error with its status and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ApiError {
    /// `{"code", "detail"}`
    Plain { status: StatusCode, code: &'static str, detail: String },
    /// 429: for now. A client that waits so long may ask again.
    Busy { code: &'static str, detail: String, seconds: u32 },
    /// 422: a field that says something it may not.
    Invalid { location: Vec<String>, message: String, kind: &'static str },
}

/// What most invalid fields are.
const VALUE_ERROR: &str = "value_error";

impl ApiError {
    pub(super) fn not_found(what: &str) -> Self {
        Self::Plain {
            status: StatusCode::NOT_FOUND,
            code: "not_found",
            detail: format!("There is no such {what}"),
        }
    }

    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::Plain { status: StatusCode::CONFLICT, code: "conflict", detail: detail.into() }
    }

    pub(super) fn body_too_large() -> Self {
        Self::Plain {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            code: "payload_too_large",
            detail: "The request is larger than a payload may be (limits.payload_bytes_max)".into(),
        }
    }

    pub(super) fn unauthenticated() -> Self {
        Self::Plain {
            status: StatusCode::UNAUTHORIZED,
            code: "authentication_failed",
            detail: "Send 'Authorization: Bearer <token>' with a token that is known and valid".into(),
        }
    }

    pub(super) fn too_many_exports(max: usize) -> Self {
        Self::Plain {
            status: StatusCode::TOO_MANY_REQUESTS,
            code: "too_many_exports",
            detail: format!(
                "{max} exports are running, which is the most there may be at a time; try again later"
            ),
        }
    }

    pub(super) fn too_many_requests() -> Self {
        Self::Plain {
            status: StatusCode::TOO_MANY_REQUESTS,
            code: "rate_limited",
            detail: "Too many requests a second with this token (api.rate_max); the header 'retry-after' says when"
                .into(),
        }
    }

    pub(super) fn overloaded() -> Self {
        let detail = "Too much is arriving at once (ingest.unacknowledged_bytes_max); ask again later";
        Self::Busy { code: "overloaded", detail: detail.into(), seconds: 1 }
    }

    pub(super) fn scope_missing(scope: Scope) -> Self {
        Self::forbidden(format!("This needs a token with the scope '{}'", scope.name()))
    }

    pub(super) fn beyond_application() -> Self {
        Self::forbidden("This token is for one application, and this is about all of them")
    }

    pub(super) fn event_type_forbidden(event_type: &str) -> Self {
        let shown: String = event_type.escape_debug().take(64).collect();
        Self::forbidden(format!("This token may not publish the event type '{shown}'"))
    }

    pub(super) fn no_portal_token() -> Self {
        Self::forbidden("Only tokens from app-portal-access can be logged out")
    }

    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::Plain { status: StatusCode::FORBIDDEN, code: "forbidden", detail: detail.into() }
    }

    pub(super) fn not_json(content_type: &str) -> Self {
        let shown: String = content_type.escape_debug().take(64).collect();
        Self::Plain {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code: "unsupported_media_type",
            detail: format!("The body is said to be '{shown}'; it must be application/json"),
        }
    }

    pub(super) fn broken() -> Self {
        Self::Plain {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "server_error",
            detail: "Something broke while this was carried out; the log of the server says what".into(),
        }
    }

    pub(super) fn under_way() -> Self {
        Self::Plain {
            status: StatusCode::CONFLICT,
            code: "under_way",
            detail: "A request with this idempotency-key is still under way".into(),
        }
    }

    pub(super) fn answer_not_kept() -> Self {
        Self::Plain {
            status: StatusCode::CONFLICT,
            code: "answer_not_kept",
            detail: "A request with this idempotency-key was carried out; its answer was too large to keep, or is \
                     shown only once"
                .into(),
        }
    }

    pub(super) fn idempotency_key(message: impl Into<String>) -> Self {
        Self::Invalid {
            location: vec!["header".into(), "idempotency-key".into()],
            message: message.into(),
            kind: VALUE_ERROR,
        }
    }

    /// A field of the body; dots lead inside.
    pub(super) fn body(field: &str, message: impl Into<String>) -> Self {
        let location = ["body"].into_iter().chain(field.split('.').filter(|part| !part.is_empty()));
        let location = location.map(Into::into).collect();
        Self::Invalid { location, message: message.into(), kind: VALUE_ERROR }
    }

    /// A body, or a field of it, that is not the JSON it should be.
    pub(super) fn json(field: &str, error: &serde_json::Error) -> Self {
        match Self::body(field, error.to_string()) {
            Self::Invalid { location, message, .. } => {
                Self::Invalid { location, message, kind: "value_error.jsondecode" }
            }
            other => other,
        }
    }

    /// A parameter of the query.
    pub(super) fn query(name: &str, message: impl Into<String>) -> Self {
        Self::Invalid {
            location: vec!["query".into(), name.into()],
            message: message.into(),
            kind: VALUE_ERROR,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Plain { status, code, detail } => {
                (status, Json(json!({ "code": code, "detail": detail }))).into_response()
            }
            Self::Busy { code, detail, seconds } => {
                let body = json!({ "code": code, "detail": detail });
                let headers = [(RETRY_AFTER, seconds.to_string())];
                (StatusCode::TOO_MANY_REQUESTS, headers, Json(body)).into_response()
            }
            Self::Invalid { location, message, kind } => {
                let item = json!({ "loc": location, "msg": message, "type": kind });
                (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "detail": [item] }))).into_response()
            }
        }
    }
}

impl From<FieldError> for ApiError {
    fn from(error: FieldError) -> Self {
        Self::body(error.field, error.to_string())
    }
}

impl From<CommitError> for ApiError {
    fn from(error: CommitError) -> Self {
        let (status, code) = match error {
            CommitError::Full => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
            CommitError::Poisoned => (StatusCode::SERVICE_UNAVAILABLE, "log_stopped"),
            CommitError::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"),
        };
        Self::Plain { status, code, detail: error.to_string() }
    }
}

/// 503 whatever the cause: those who ask for readiness look at nothing else.
impl From<NotReady> for ApiError {
    fn from(why: NotReady) -> Self {
        let code = match why {
            NotReady::Stopping => "shutting_down",
            NotReady::LogPoisoned => "log_stopped",
            NotReady::DiskFull => "disk_full",
        };
        Self::Plain { status: StatusCode::SERVICE_UNAVAILABLE, code, detail: why.to_string() }
    }
}

impl From<CatalogError> for ApiError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Invalid(field) => field.into(),
            CatalogError::NotFound { what } => Self::not_found(what),
            CatalogError::Taken { .. } | CatalogError::TooManyTasks { .. } | CatalogError::TooMany { .. } => {
                Self::Plain { status: StatusCode::CONFLICT, code: "conflict", detail: error.to_string() }
            }
            CatalogError::Commit(commit) => commit.into(),
        }
    }
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        let answer = error.answer();
        if let PublishError::TooFast { retry_ms, .. } = error {
            let seconds = u32::try_from(retry_ms.div_ceil(1_000)).unwrap_or(u32::MAX);
            return Self::Busy { code: answer.code, detail: error.to_string(), seconds };
        }
        if error == PublishError::Overloaded {
            return Self::Busy { code: answer.code, detail: error.to_string(), seconds: 1 };
        }
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status == StatusCode::UNPROCESSABLE_ENTITY {
            return Self::body(answer.field, error.to_string());
        }
        Self::Plain { status, code: answer.code, detail: error.to_string() }
    }
}

impl From<AgainError> for ApiError {
    fn from(error: AgainError) -> Self {
        match error {
            AgainError::History(error) => error.into(),
            AgainError::Commit(error) => error.into(),
        }
    }
}

impl From<ProbeError> for ApiError {
    fn from(error: ProbeError) -> Self {
        let detail = error.to_string();
        match error {
            ProbeError::Busy { .. } | ProbeError::ApplicationBusy { .. } => {
                Self::Busy { code: "too_many_requests", detail, seconds: 1 }
            }
            ProbeError::ShuttingDown => {
                Self::Plain { status: StatusCode::SERVICE_UNAVAILABLE, code: "shutting_down", detail }
            }
        }
    }
}

impl From<EraseRefusal> for ApiError {
    fn from(refusal: EraseRefusal) -> Self {
        match refusal {
            EraseRefusal::Commit(error) => error.into(),
            EraseRefusal::TooOld => Self::conflict(refusal.to_string()),
            EraseRefusal::Read(reason) => HistoryError::Failed { reason }.into(),
        }
    }
}

impl From<HistoryError> for ApiError {
    fn from(error: HistoryError) -> Self {
        let (status, code) = match error {
            HistoryError::Failed { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
            HistoryError::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"),
        };
        tracing::warn!(%error, "history query failed");
        Self::Plain { status, code, detail: error.to_string() }
    }
}

pub(super) async fn no_such_path() -> ApiError {
    ApiError::not_found("path")
}

pub(super) async fn no_such_method() -> ApiError {
    ApiError::Plain {
        status: StatusCode::METHOD_NOT_ALLOWED,
        code: "method_not_allowed",
        detail: "This path does not know this method; the header 'allow' says which it knows".into(),
    }
}
