//! The style sheet, the script, and the brand's colour and logo: compiled in, or read at the start.
//!
//! Their paths carry a digest of what is in them, so that a browser may keep them for ever.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;

use super::Console;
use super::settings::Settings;

const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");
const ICON: &str = include_str!("assets/icon.svg");

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Assets {
    pub(super) version: String,
    style: Bytes,
}

impl Assets {
    /// With the brand's colour.
    pub(super) fn new(settings: &Settings) -> Self {
        let style = [&settings.brand.style, STYLE].concat();
        let digest = digest(&SHA256, [&style, SCRIPT].concat().as_bytes());
        let version = digest.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self { version, style: style.into() }
    }
}

/// Nobody needs to sign in for them.
pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/console/assets/{version}/console.css", get(style))
        .route("/console/assets/{version}/console.js", get(script))
        .route("/console/assets/{version}/logo", get(logo))
        .route("/console/icon.svg", get(icon))
        .route("/favicon.ico", get(icon))
        .route("/", get(async || Redirect::to("/console")))
}

async fn style(State(console): State<Arc<Console>>) -> Response {
    kept("text/css; charset=utf-8", console.assets.style.clone())
}

async fn script() -> Response {
    kept("text/javascript; charset=utf-8", Bytes::from_static(SCRIPT.as_bytes()))
}

async fn icon() -> Response {
    kept("image/svg+xml", Bytes::from_static(ICON.as_bytes()))
}

async fn logo(State(console): State<Arc<Console>>) -> Response {
    match &console.settings.brand.logo {
        Some(logo) => kept(logo.kind, logo.bytes.clone()),
        None => axum::http::StatusCode::NOT_FOUND.into_response(),
    }
}

fn kept(kind: &'static str, bytes: Bytes) -> Response {
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Opened by itself, a picture runs nothing either.
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    response
}
