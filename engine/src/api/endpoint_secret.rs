//! `.../secret`: what an endpoint's signatures are made with.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::Api;
use super::error::ApiError;
use super::extract::{Body, TheEndpoint};
use super::fields::Fields;
use crate::catalog::GRACE_SECONDS_DEFAULT;

#[derive(Debug, Serialize)]
pub(super) struct SecretOut {
    key: String,
}

/// The newest one.
pub(super) async fn read(TheEndpoint(endpoint): TheEndpoint) -> Result<Json<SecretOut>, ApiError> {
    let newest = endpoint.secrets.first().ok_or_else(|| ApiError::not_found("secret"))?;
    Ok(Json(SecretOut { key: newest.key.clone() }))
}

/// The old one keeps signing beside the new one for `gracePeriodSeconds`.
pub(super) async fn rotate(
    State(api): State<Arc<Api>>,
    TheEndpoint(endpoint): TheEndpoint,
    Body(body): Body,
) -> Result<StatusCode, ApiError> {
    let fields = Fields::parse_or_none(&body)?;
    let key: Option<String> = fields.value("key")?;
    let grace_seconds = fields.value("gracePeriodSeconds")?.unwrap_or(GRACE_SECONDS_DEFAULT);
    api.editor.rotate_secret(endpoint.id, key.as_deref(), grace_seconds).await?;
    Ok(StatusCode::NO_CONTENT)
}
