//! What handlers take out of a request: its body, and what its path names.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use bytes::Bytes;

use super::Api;
use super::error::ApiError;
use crate::catalog::{Application, Endpoint};

/// The body, within the limit of its path.
#[derive(Debug)]
pub(super) struct Body(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(error) if error.status() == http::StatusCode::PAYLOAD_TOO_LARGE => {
                Err(ApiError::body_too_large())
            }
            Err(error) => Err(ApiError::body("", error.body_text())),
        }
    }
}

/// The parameters of the path, by name.
#[derive(Debug)]
pub(super) struct Named(HashMap<String, String>);

impl Named {
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
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
