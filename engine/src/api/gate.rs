//! The gate before every handler that needs a scope.

use std::sync::Arc;

use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Api;
use super::audit::address_of;
use super::error::ApiError;
use super::extract::Named;
use crate::access::{Caller, Known};
use crate::clock::unix_ms;
use crate::config::Scope;
use crate::listener::Place;

/// What a path asks of whoever wants to use it.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    pub(super) api: Arc<Api>,
    pub(super) needs: Scope,
    /// Whether those who are bound to an application may come in although the path names none.
    pub(super) shared: bool,
}

/// The middleware.
pub(super) async fn check(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    match admit(&gate, request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal,
    }
}

async fn admit(gate: &Gate, request: Request) -> Result<Request, Response> {
    let address = address_of(request.extensions());
    let caller = match request.extensions().get::<Known>() {
        Some(known) => Some(known.0.clone()),
        None => gate.api.access.caller(bearer(request.headers()), unix_ms(), address),
    };
    let Some(caller) = caller else {
        let unknown = ApiError::unauthenticated();
        return Err(with_header(unknown, WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
    };
    if let Some(place) = request.extensions().get::<Arc<Place>>() {
        // Too late: then the connection is closed, whatever is answered here.
        let _ = place.keep();
    }
    if let Err(wait) = caller.pace.take(gate.api.clock.now()) {
        let secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        return Err(with_header(ApiError::too_many_requests(), RETRY_AFTER, secs.into()));
    }
    if !caller.may(gate.needs) {
        return Err(ApiError::scope_missing(gate.needs).into_response());
    }
    let (mut parts, body) = request.into_parts();
    if caller.bound_to().is_some() {
        let named = Named::from_request_parts(&mut parts, &gate.api).await;
        check_binding(gate, &caller, &named.map_err(ApiError::into_response)?)
            .map_err(ApiError::into_response)?;
    }
    parts.extensions.insert(caller.actor.clone());
    parts.extensions.insert(caller);
    Ok(Request::from_parts(parts, body))
}

fn check_binding(gate: &Gate, caller: &Caller, named: &Named) -> Result<(), ApiError> {
    let Some(name) = named.find("app_id") else {
        return if gate.shared { Ok(()) } else { Err(ApiError::beyond_application()) };
    };
    let reaches = caller.reaches(gate.api.editor.catalog(), name);
    if reaches { Ok(()) } else { Err(ApiError::not_found("application")) }
}

fn with_header(error: ApiError, name: http::HeaderName, value: HeaderValue) -> Response {
    let mut response = error.into_response();
    response.headers_mut().insert(name, value);
    response
}

/// The token of `Authorization: Bearer <token>`; the scheme in any case (RFC 9110 section 11.1).
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

impl Caller {
    /// An error unless they have this scope too.
    pub(super) fn check_may(&self, scope: Scope) -> Result<(), ApiError> {
        if self.may(scope) { Ok(()) } else { Err(ApiError::scope_missing(scope)) }
    }

    /// An error unless they may publish messages of this event type.
    pub(super) fn check_may_publish(&self, event_type: &str) -> Result<(), ApiError> {
        if Caller::may_publish(self, event_type) {
            return Ok(());
        }
        Err(ApiError::event_type_forbidden(event_type))
    }
}
