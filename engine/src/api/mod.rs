//! The management API: HTTP in the shapes of the open Svix server API, so that its SDKs work unchanged.
//!
//! A handler reads its fields (`fields`, `query`), asks the catalog's editor or the backend, and writes one
//! of the shapes. Nothing is decided here that is not about HTTP: rules for fields live with the catalog,
//! rules for messages with `publish`.
//!
//!   routes --router--> gate (crate::access) --> idempotency --> handler
//!      \--document--> /api/v1/openapi.json, /api/v1/docs
//!
//! Every path stands once, in `routes`, with its handler, the scope that it needs and what is said of it. The
//! router and the OpenAPI document are both made from there.
//!
//! Invariants
//! - Every error has a JSON body: `{"code", "detail"}`, or `{"detail": [{"loc", "msg", "type"}]}` with 422.
//! - A request body is bounded before it is read, and so are all together (`arrival`).
//! - A body that is said to be something else than JSON is refused before it is looked at.
//! - Without a valid token that has the scope nothing is read or changed, if there are tokens at all.

mod alert;
mod api_key;
mod application;
mod arrival;
mod attempt;
mod audit;
mod backend;
mod batch;
mod delivery;
mod endpoint;
mod endpoint_fields;
mod endpoint_headers;
mod endpoint_messages;
mod endpoint_secret;
mod endpoint_stats;
mod endpoint_test;
mod endpoint_vitals;
mod error;
mod event_type;
mod example;
mod explain;
mod export;
mod extract;
mod fields;
mod filter_test;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod gate;
mod health;
mod idempotency;
mod message;
mod openapi;
mod overview;
mod paging;
mod payload;
mod phase;
mod portal_access;
mod query;
mod retry_policy;
mod route;
mod routes;
mod sensitive;
mod sent;
pub(crate) mod serve;
mod source_addresses;
mod task;
mod time;
mod timing;
mod watched;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::sync::Arc;

use axum::Extension;
use axum::Router;
use tokio::sync::Semaphore;

pub use backend::{
    Again, AgainError, AttemptQuery, DeliveryCounts, DeliveryCursor, DeliveryPage, DeliveryQuery,
    EndpointHealth, EraseRefusal, ExportPart, ExportPlace, Exported, Health, History, HistoryError,
    HistoryPage, HistoryResult, LastAttempt, ListedDelivery, MessageQuery, MessageStatus, Messages,
    StoredAttempt, StoredDelivery, StoredMessage, Tasks,
};
pub use batch::BATCH_MESSAGES_MAX;
pub(crate) use export::{EXPORTS_MAX, Lines};
pub use idempotency::Answers;
pub use retry_policy::RetryPolicies;

use crate::access::Access;
use crate::budget::Budget;
use crate::catalog::Editor;
use crate::clock::Clock;
use crate::probe::Probes;
use crate::publish::PublishLimits;
use crate::pulse::Pulse;
use crate::readiness::Readiness;
use openapi::Document;
use route::BodyLimits;

/// What a request body may have beyond the payload: the other fields, and escapes.
const BODY_SLACK_BYTES: u64 = 256 * 1_024;
/// The least that a batch may be, however small the limit for one payload.
const BATCH_BYTES_MIN: u64 = 16 * 1_024 * 1_024;

/// What the API stands on.
pub struct Api {
    /// The catalog and the way to change it.
    pub editor: Editor,
    /// Takes messages.
    pub messages: Arc<dyn Messages>,
    /// Makes many of them again.
    pub tasks: Arc<dyn Tasks>,
    /// Knows what became of them.
    pub history: Arc<dyn History>,
    /// Knows how endpoints are doing; without it, nothing is said about that.
    pub health: Option<Arc<dyn Health>>,
    /// Makes single attempts for people who set endpoints up.
    pub probes: Arc<dyn Probes>,
    /// What the configuration says about messages.
    pub limits: PublishLimits,
    /// Who may use the API.
    pub access: Arc<Access>,
    /// Answers to requests that may be repeated.
    pub answers: Answers,
    /// How much may arrive at a time.
    pub(crate) budget: Budget,
    /// How many more exports may run.
    pub(crate) exports: Arc<Semaphore>,
    /// Where people reach this server, without a slash at the end.
    pub public_url: String,
    /// What is counted, and how it went lately.
    pub(crate) pulse: Arc<Pulse>,
    /// Whether messages are accepted.
    pub(crate) readiness: Arc<Readiness>,
    /// What time it is.
    pub clock: Clock,
    /// What the configuration says about retries.
    pub retry_policies: RetryPolicies,
    /// Networks that requests to receivers come from.
    pub source_addresses: Vec<String>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// All paths, ready to be served.
pub fn router(api: Api) -> Router {
    let api = Arc::new(api);
    let body_bytes_max = api.limits.payload_bytes_max + BODY_SLACK_BYTES;
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let limits =
        BodyLimits { usual: bytes(body_bytes_max), batch: bytes(body_bytes_max.max(BATCH_BYTES_MIN)) };
    let routes = routes::all();
    let document = Document::of(&routes);
    let paths = routes.into_iter().fold(Router::new(), |router, route| route.mount(router, &api, limits));
    Router::new()
        .nest(route::BASE, paths)
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(Extension(document))
        .with_state(api)
}
