//! What handlers take out of a request: its body, and what its path names.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use bytes::Bytes;

use super::Api;
use super::error::ApiError;
use crate::access::Caller;
use crate::catalog::{Application, Endpoint};
use crate::clock::unix_ms;
use crate::publish::is_json;

/// The body, within the limit of its path.
#[derive(Debug)]
pub(super) struct Body(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let content_type = request.headers().get(CONTENT_TYPE).cloned();
        let body = Self::read(request, state).await?;
        match content_type {
            Some(content_type) if !body.0.is_empty() => check_is_json(&content_type).map(|()| body),
            _ => Ok(body),
        }
    }
}

impl Body {
    /// The bytes, whatever they are said to be. Whose key ended while they were arriving is not let in any more.
    pub(super) async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Self, ApiError> {
        let caller = request.extensions().get::<Caller>().cloned();
        match Bytes::from_request(request, state).await {
            Ok(_) if caller.is_some_and(|caller| !caller.is_valid(unix_ms())) => {
                Err(ApiError::unauthenticated())
            }
            Ok(bytes) => Ok(Self(bytes)),
            Err(error) if error.status() == http::StatusCode::PAYLOAD_TOO_LARGE => {
                Err(ApiError::body_too_large())
            }
            Err(error) => Err(ApiError::body("", error.body_text())),
        }
    }
}

/// A content type may be left out; if it is there, it must say JSON.
fn check_is_json(content_type: &HeaderValue) -> Result<(), ApiError> {
    let text = content_type.to_str().unwrap_or("something unreadable");
    if is_json(text) { Ok(()) } else { Err(ApiError::not_json(text)) }
}

/// The parameters of the path, by name.
#[derive(Debug)]
pub(super) struct Named(HashMap<String, String>);

impl Named {
    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.find(name).unwrap_or_default()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // A name that is not text names nothing.
        let named = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
        named.map(|Path(named)| Self(named)).map_err(|_| ApiError::not_found("path"))
    }
}

/// The application that the path names by id or uid.
#[derive(Debug)]
pub(super) struct TheApplication(pub(super) Arc<Application>);

impl FromRequestParts<Arc<Api>> for TheApplication {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let named = Named::from_request_parts(parts, api).await?;
        let application = api.editor.catalog().application(named.text("app_id"));
        application.map(Self).ok_or_else(|| ApiError::not_found("application"))
    }
}

/// The endpoint that the path names by id or uid.
#[derive(Debug)]
pub(super) struct TheEndpoint(pub(super) Arc<Endpoint>);

impl FromRequestParts<Arc<Api>> for TheEndpoint {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let TheApplication(application) = TheApplication::from_request_parts(parts, api).await?;
        let named = Named::from_request_parts(parts, api).await?;
        let endpoint = api.editor.catalog().endpoint(application.id, named.text("endpoint_id"));
        endpoint.map(Self).ok_or_else(|| ApiError::not_found("endpoint"))
    }
}
