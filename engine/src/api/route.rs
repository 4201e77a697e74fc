//! A route: method, path, handler, the scope it needs, and what the OpenAPI document says of it, in one place.
//!
//! The router and the document are both made from these, so that neither can know a path that the other does not.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodFilter, MethodRouter, on};

use super::arrival::{self, Arrival};
use super::gate::{self, Gate};
use super::openapi::Operation;
use super::{Api, audit, idempotency};
use crate::config::Scope;

/// What all paths begin with.
pub(super) const BASE: &str = "/api/v1";

/// See the head of this file.
pub(super) struct Route {
    pub(super) method: Method,
    /// Below [`BASE`].
    pub(super) path: &'static str,
    /// `None`: no token is asked for.
    pub(super) needs: Option<Scope>,
    pub(super) operation: Operation,
    handler: MethodRouter<Arc<Api>>,
    shared: bool,
    takes_batches: bool,
    is_done_each_time: bool,
}

/// How many bytes a body may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimits {
    pub(super) usual: usize,
    pub(super) batch: usize,
}

macro_rules! by_method {
    ($($name:ident: $method:ident),*) => {
        $(
            pub(super) fn $name<H, T>(path: &'static str, handler: H, operation: Operation) -> Self
            where
                H: Handler<T, Arc<Api>>,
                T: 'static,
            {
                Self::new(Method::$method, path, on(MethodFilter::$method, handler), operation)
            }
        )*
    };
}

impl Route {
    by_method!(get: GET, head: HEAD, post: POST, put: PUT, patch: PATCH, delete: DELETE);

    fn new(
        method: Method,
        path: &'static str,
        handler: MethodRouter<Arc<Api>>,
        operation: Operation,
    ) -> Self {
        let (shared, takes_batches, is_done_each_time) = (false, false, false);
        Self { method, path, needs: None, operation, handler, shared, takes_batches, is_done_each_time }
    }

    /// Needs a token with this scope.
    pub(super) fn needs(self, scope: Scope) -> Self {
        Self { needs: Some(scope), ..self }
    }

    /// Is also for those who are bound to one application, although the path names none.
    pub(super) fn shared(self) -> Self {
        Self { shared: true, ..self }
    }

    /// Takes bodies of many messages.
    pub(super) fn takes_batches(self) -> Self {
        Self { takes_batches: true, ..self }
    }

    /// Is about the token that it shows, so that what was answered to another one is no answer.
    pub(super) fn done_each_time(self) -> Self {
        Self { is_done_each_time: true, ..self }
    }

    /// Whether it may be repeated under an `idempotency-key`.
    pub(super) fn is_repeatable(&self) -> bool {
        self.method == Method::POST && self.needs.is_some() && !self.is_done_each_time
    }

    /// Puts it into the router, behind its gate.
    pub(super) fn mount(
        self,
        router: Router<Arc<Api>>,
        api: &Arc<Api>,
        limits: BodyLimits,
    ) -> Router<Arc<Api>> {
        let is_repeatable = self.is_repeatable();
        // Innermost, since a repeatable request is carried out in a task of its own.
        let mut handler = self.handler.route_layer(from_fn(audit::act));
        if is_repeatable {
            handler = handler.route_layer(from_fn_with_state(Arc::clone(api), idempotency::check));
        }
        let body_bytes_max = if self.takes_batches { limits.batch } else { limits.usual };
        // Behind the gate: strangers get no room.
        let arrival = Arrival { budget: api.budget.clone(), body_bytes_max };
        handler = handler.route_layer(from_fn_with_state(arrival, arrival::check));
        if let Some(needs) = self.needs {
            let gate = Gate { api: Arc::clone(api), needs, shared: self.shared };
            handler = handler.route_layer(from_fn_with_state(gate, gate::check));
        }
        router.route(self.path, handler.route_layer(DefaultBodyLimit::max(body_bytes_max)))
    }
}
