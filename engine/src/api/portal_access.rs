//! `/auth`: access for the people of one application.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Api;
use super::application::create_if_described;
use super::error::ApiError;
use super::extract::{Body, Named};
use super::fields::Fields;
use super::gate::bearer;
use crate::clock::unix_secs;

/// The shortest that access may be given for: an hour.
pub(super) const EXPIRY_SECONDS_MIN: u64 = 3_600;
/// The longest, and what is given when nothing is said: a week.
pub(super) const EXPIRY_SECONDS_MAX: u64 = 604_800;

#[derive(Debug, Serialize)]
pub(super) struct PortalAccessOut {
    url: String,
    token: String,
}

/// A token for one application, and a link that carries it. The fragment is never sent to a server.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    named: Named,
    Body(body): Body,
) -> Result<Json<PortalAccessOut>, ApiError> {
    let fields = Fields::parse_or_none(&body)?;
    let expiry_seconds = expiry_seconds(&fields)?;
    let read_only = fields.value("readOnly")?.unwrap_or(false);
    let name = named.text("app_id");
    create_if_described(&api, name, fields.value::<&RawValue>("application")?).await?;
    let application = api.editor.catalog().application(name);
    let application = application.ok_or_else(|| ApiError::not_found("application"))?;
    let id = application.id.to_string();
    api.editor.record_deed("application.portal_access", id.clone(), Some(id)).await?;
    let token = api.access.portal.issue(application.id, read_only, unix_secs() + expiry_seconds);
    Ok(Json(PortalAccessOut { url: format!("{}/portal#key={token}", api.public_url), token }))
}

fn expiry_seconds(fields: &Fields<'_>) -> Result<u64, ApiError> {
    let seconds = fields.value("expiry")?.unwrap_or(EXPIRY_SECONDS_MAX);
    if (EXPIRY_SECONDS_MIN..=EXPIRY_SECONDS_MAX).contains(&seconds) {
        return Ok(seconds);
    }
    let rule = format!("it must be {EXPIRY_SECONDS_MIN} to {EXPIRY_SECONDS_MAX}");
    Err(ApiError::body("expiry", format!("expiry is {seconds} seconds; {rule}")))
}

/// Ends the portal token that the request shows.
pub(super) async fn log_out(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<StatusCode, ApiError> {
    if bearer(&headers).is_some_and(|token| api.access.portal.log_out(token, unix_secs())) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ApiError::no_portal_token())
}
