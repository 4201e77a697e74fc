//! The OpenAPI document, made from the routes, and a page that shows it.
//!
//! The model is the open Svix server API: its operation ids, tags and names of schemas are kept where it has them,
//! so that generators of SDKs, and people, find what they know. What is ours says so.
//!
//! Not here: which routes there are (`routes`).

mod document;
mod operation;
mod page;
pub(super) mod schema;
mod schemas;

pub(super) use document::Document;
pub(super) use operation::{Operation, Parameter};

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};

/// What the document says of parameters of paths and schemas, for the routes.
pub(super) use document::query;

/// `GET /openapi.json`
pub(super) async fn json(document: axum::Extension<Document>) -> Response {
    with(document.0.json(), [(CONTENT_TYPE, "application/json")])
}

/// `GET /docs`: the same for people. Nothing is fetched from elsewhere, and nothing is executed.
pub(super) async fn html(document: axum::Extension<Document>) -> Response {
    let mut response = with(document.0.html(), [(CONTENT_TYPE, "text/html; charset=utf-8")]);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, document.0.page_policy());
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn with(body: bytes::Bytes, headers: [(HeaderName, &'static str); 1]) -> Response {
    (headers, body).into_response()
}
