//! `/auth/api-key`: keys that are made, listed and revoked while the server runs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::Api;
use super::error::ApiError;
use super::extract::{Body, Named};
use super::fields::Fields;
use super::idempotency::ShownOnce;
use super::paging::{ListOut, Paging};
use super::query::Query;
use super::time::{parse_rfc3339, rfc3339};
use crate::catalog::token::shown_part;
use crate::catalog::{ApiKey, ApiKeyDraft};
use crate::clock::unix_ms;
use crate::config::Scope;
use crate::core::ids::ApiKeyId;

/// The longest that a key may be given to run out, as for secrets: a week.
pub(super) const EXPIRY_SECONDS_MAX: u64 = 604_800;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiKeyOut {
    id: String,
    name: String,
    /// What its token begins with.
    censored_token: String,
    scopes: Vec<Scope>,
    application_id: Option<String>,
    event_types: Option<Vec<String>>,
    events_per_second: Option<u32>,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    created_at: String,
}

/// A new key, with what is never shown again.
#[derive(Serialize)]
pub(super) struct ApiKeyMadeOut {
    #[serde(flatten)]
    key: ApiKeyOut,
    token: String,
}

impl ApiKeyOut {
    fn new(api: &Api, key: &ApiKey) -> Self {
        let made = api.access.made();
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            censored_token: format!("{}...", shown_part(made.environment(), key.id)),
            scopes: key.scopes.clone(),
            application_id: key.application.map(|id| id.to_string()),
            event_types: key.event_types.clone(),
            events_per_second: key.events_per_second,
            expires_at: key.expires_ms.map(rfc3339),
            last_used_at: made.used_ms(key.id).or(key.last_used_ms).map(rfc3339),
            created_at: rfc3339(key.created_ms),
        }
    }
}

pub(super) async fn create(State(api): State<Arc<Api>>, Body(body): Body) -> Result<Response, ApiError> {
    let draft = draft(&api, &Fields::parse(&body)?)?;
    let environment = api.access.made().environment();
    let (key, token) = api.editor.create_api_key(draft, environment).await?;
    let made = ApiKeyMadeOut { key: ApiKeyOut::new(&api, &key), token: token.text };
    let mut response = (StatusCode::CREATED, Json(made)).into_response();
    response.extensions_mut().insert(ShownOnce);
    Ok(response)
}

fn draft(api: &Api, fields: &Fields<'_>) -> Result<ApiKeyDraft, ApiError> {
    let scopes: Vec<String> = fields.required("scopes")?;
    let scope = |name: &String| {
        Scope::from_name(name).ok_or_else(|| {
            let names = Scope::ALL.map(Scope::name).join(", ");
            ApiError::body("scopes", format!("scopes names '{}'; there are {names}", name.escape_debug()))
        })
    };
    let application = fields.value::<String>("applicationId")?.map(|name| {
        let found = api.editor.catalog().resolve(&name).map(|application| application.id());
        found.ok_or_else(|| ApiError::body("applicationId", "applicationId names no application"))
    });
    let expires_at = fields.value::<String>("expiresAt")?.map(|text| {
        let wrong = "expiresAt must be a time such as 2025-01-31T12:00:00Z";
        parse_rfc3339(&text).ok_or_else(|| ApiError::body("expiresAt", wrong))
    });
    Ok(ApiKeyDraft {
        name: fields.required("name")?,
        scopes: scopes.iter().map(scope).collect::<Result<_, _>>()?,
        application: application.transpose()?,
        event_types: fields.value("eventTypes")?,
        events_per_second: fields.value("eventsPerSecond")?,
        expires_ms: expires_at.transpose()?,
    })
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    query: Query,
) -> Result<Json<ListOut<ApiKeyOut>>, ApiError> {
    let paging = Paging::read(&query)?;
    let page = api.editor.catalog().api_keys_page(&paging.window::<ApiKeyId>()?);
    let data = page.items.iter().map(|key| ApiKeyOut::new(&api, key)).collect();
    Ok(Json(paging.list(data, page.done, |key| key.id.clone())))
}

pub(super) async fn read(State(api): State<Arc<Api>>, named: Named) -> Result<Json<ApiKeyOut>, ApiError> {
    Ok(Json(ApiKeyOut::new(&api, &*present(&api, &named)?)))
}

/// Ends it now.
pub(super) async fn revoke(State(api): State<Arc<Api>>, named: Named) -> Result<StatusCode, ApiError> {
    let id = present(&api, &named)?.id;
    api.editor.revoke_api_key(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends it in a while, so that whoever has it can change over to another.
pub(super) async fn expire(
    State(api): State<Arc<Api>>,
    named: Named,
    Body(body): Body,
) -> Result<Json<ApiKeyOut>, ApiError> {
    let seconds = Fields::parse(&body)?.required("expiry")?;
    if !(1..=EXPIRY_SECONDS_MAX).contains(&seconds) {
        let rule = format!("it must be 1 to {EXPIRY_SECONDS_MAX}");
        return Err(ApiError::body("expiry", format!("expiry is {seconds} seconds; {rule}")));
    }
    let id = present(&api, &named)?.id;
    let key = api.editor.expire_api_key(id, unix_ms() + seconds * 1_000).await?;
    Ok(Json(ApiKeyOut::new(&api, &key)))
}

fn present(api: &Api, named: &Named) -> Result<Arc<ApiKey>, ApiError> {
    let id = named.text("key_id").parse().ok();
    let key = id.and_then(|id| api.editor.catalog().api_key(id));
    key.ok_or_else(|| ApiError::not_found("API key"))
}
