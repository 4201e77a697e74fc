//! Is the server there, and does it take messages?

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::Api;
use super::error::ApiError;

pub(super) async fn alive() -> StatusCode {
    StatusCode::NO_CONTENT
}

pub(super) async fn ready(State(api): State<Arc<Api>>) -> Result<StatusCode, ApiError> {
    api.readiness.check()?;
    Ok(StatusCode::NO_CONTENT)
}
