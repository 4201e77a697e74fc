//! The gate before every handler that needs a scope.

use std::sync::Arc;

use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::{Binding, Caller};
use crate::api::Api;
use crate::api::error::ApiError;
use crate::api::extract::Named;
use crate::clock::unix_secs;
use crate::config::Scope;

/// What a path asks of whoever wants to use it.
#[derive(Debug, Clone)]
pub(in crate::api) struct Gate {
    pub(in crate::api) api: Arc<Api>,
    pub(in crate::api) needs: Scope,
    /// Whether those who are bound to an application may come in although the path names none.
    pub(in crate::api) shared: bool,
}

/// The middleware.
pub(in crate::api) async fn check(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    match admit(&gate, request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal,
    }
}

async fn admit(gate: &Gate, request: Request) -> Result<Request, Response> {
    let caller = gate.api.access.caller(bearer(request.headers()), unix_secs());
    let Some(caller) = caller else {
        let unknown = ApiError::unauthenticated();
        return Err(with_header(unknown, WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
    };
    if let Err(wait) = caller.pace.take(gate.api.clock.now()) {
        let secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        return Err(with_header(ApiError::too_many_requests(), RETRY_AFTER, secs.into()));
    }
    if !caller.may(gate.needs) {
        return Err(ApiError::scope_missing(gate.needs).into_response());
    }
    let (mut parts, body) = request.into_parts();
    if let Some(bound_to) = &caller.bound_to {
        let named = Named::from_request_parts(&mut parts, &gate.api).await;
        check_binding(gate, &caller, bound_to, &named.map_err(ApiError::into_response)?)
            .map_err(ApiError::into_response)?;
    }
    parts.extensions.insert(caller.actor.clone());
    parts.extensions.insert(caller);
    Ok(Request::from_parts(parts, body))
}

fn check_binding(gate: &Gate, caller: &Caller, bound_to: &Binding, named: &Named) -> Result<(), ApiError> {
    let Some(name) = named.find("app_id") else {
        return if gate.shared { Ok(()) } else { Err(ApiError::beyond_application()) };
    };
    let catalog = gate.api.editor.catalog();
    // Also before it exists: a message may bring its application along.
    let is_its_name = matches!(bound_to, Binding::Name(bound) if **bound == *name);
    let is_seen = || catalog.application(name).is_some_and(|it| caller.sees(catalog, it.id));
    if is_its_name || is_seen() { Ok(()) } else { Err(ApiError::not_found("application")) }
}

fn with_header(error: ApiError, name: http::HeaderName, value: HeaderValue) -> Response {
    let mut response = error.into_response();
    response.headers_mut().insert(name, value);
    response
}

/// The token of `Authorization: Bearer <token>`; the scheme in any case (RFC 9110 section 11.1).
pub(in crate::api) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

impl Caller {
    /// An error unless they have this scope too.
    pub(in crate::api) fn check_may(&self, scope: Scope) -> Result<(), ApiError> {
        if self.may(scope) { Ok(()) } else { Err(ApiError::scope_missing(scope)) }
    }
}
