//! `.../headers`: the custom headers of an endpoint.
//!
//! Values of headers that open doors are taken in and never shown again: only their names are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::Api;
use super::error::ApiError;
use super::extract::{Body, TheEndpoint};
use super::fields::Fields;
use super::sensitive::is_sensitive;

#[derive(Debug, Serialize)]
pub(super) struct HeadersOut {
    headers: BTreeMap<String, String>,
    sensitive: BTreeSet<String>,
}

pub(super) async fn read(TheEndpoint(endpoint): TheEndpoint) -> Json<HeadersOut> {
    let (sensitive, headers): (BTreeMap<_, _>, _) =
        endpoint.headers.clone().into_iter().partition(|(name, _)| is_sensitive(name));
    Json(HeadersOut { headers, sensitive: sensitive.into_keys().collect() })
}

pub(super) async fn put(
    State(api): State<Arc<Api>>,
    TheEndpoint(endpoint): TheEndpoint,
    Body(body): Body,
) -> Result<StatusCode, ApiError> {
    let headers: BTreeMap<String, String> = Fields::parse(&body)?.required("headers")?;
    api.editor.edit_endpoint(endpoint.id, |draft| draft.headers = headers).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `null` takes a header out.
pub(super) async fn patch(
    State(api): State<Arc<Api>>,
    TheEndpoint(endpoint): TheEndpoint,
    Body(body): Body,
) -> Result<StatusCode, ApiError> {
    let changes: BTreeMap<String, Option<String>> = Fields::parse(&body)?.required("headers")?;
    api.editor
        .edit_endpoint(endpoint.id, |draft| {
            for (name, value) in changes {
                let name = name.to_ascii_lowercase();
                match value {
                    Some(value) => drop(draft.headers.insert(name, value)),
                    None => drop(draft.headers.remove(&name)),
                }
            }
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
