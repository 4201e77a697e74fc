//! Room for the body of a request: taken before it is read, given back when it has been answered.

use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body::Body as _;

use super::error::ApiError;
use crate::budget::Budget;

/// What the bodies of a path may take.
#[derive(Clone)]
pub(super) struct Arrival {
    pub(super) budget: Budget,
    pub(super) body_bytes_max: usize,
}

/// The middleware. A body of unknown length is taken for the largest.
pub(super) async fn check(State(arrival): State<Arrival>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let bytes = length.unwrap_or(usize::MAX).min(arrival.body_bytes_max);
    match arrival.budget.arrive_soon(bytes).await {
        Some(_held) => next.run(request).await,
        None => ApiError::overloaded().into_response(),
    }
}
