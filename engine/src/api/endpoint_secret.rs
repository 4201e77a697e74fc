//! `.../secret`: what a receiver checks an endpoint's signatures with. A private key is never shown.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::Api;
use super::error::ApiError;
use super::extract::{Body, TheEndpoint};
use super::fields::Fields;
use crate::catalog::{GRACE_SECONDS_DEFAULT, NewSecret, Secret, SignatureKind};

#[derive(Debug, Serialize)]
pub(super) struct SecretOut {
    key: String,
}

/// The newest one; of a private key, the public one.
pub(super) async fn read(TheEndpoint(endpoint): TheEndpoint) -> Result<Json<SecretOut>, ApiError> {
    let newest = endpoint.secrets.first().and_then(Secret::for_receivers);
    Ok(Json(SecretOut { key: newest.ok_or_else(|| ApiError::not_found("secret"))? }))
}

/// The old one keeps signing beside the new one for `gracePeriodSeconds`. The new one is `key`, or a random one for
/// the kind of `signature`, which is that of the old one unless the body says otherwise.
pub(super) async fn rotate(
    State(api): State<Arc<Api>>,
    TheEndpoint(endpoint): TheEndpoint,
    Body(body): Body,
) -> Result<StatusCode, ApiError> {
    let fields = Fields::parse_or_none(&body)?;
    let key: Option<String> = fields.value("key")?;
    let kind = signature_kind(&fields)?;
    let grace_seconds = fields.value("gracePeriodSeconds")?.unwrap_or(GRACE_SECONDS_DEFAULT);
    let new = NewSecret { key: key.as_deref(), kind };
    api.editor.rotate_secret(endpoint.id, new, grace_seconds).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn signature_kind(fields: &Fields<'_>) -> Result<Option<SignatureKind>, ApiError> {
    let Some(name) = fields.nullable::<String>("signature")?.flatten() else { return Ok(None) };
    let kind = SignatureKind::from_name(&name);
    kind.map(Some).ok_or_else(|| ApiError::body("signature", "signature must be v1 or v1a"))
}
