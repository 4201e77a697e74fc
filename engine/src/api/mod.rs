//! The management API: HTTP in the shapes of the open Svix server API, so that its SDKs work unchanged.
//!
//! A handler reads its fields (`fields`, `query`), asks the catalog's editor or the backend, and writes one
//! of the shapes. Nothing is decided here that is not about HTTP: rules for fields live with the catalog,
//! rules for messages with `publish`.
//!
//! | path below `/api/v1` | |
//! |---|---|
//! | `/app`, `/app/{app}` | list, create, read, put, patch, delete |
//! | `/app/{app}/endpoint`, `.../{endpoint}` | the same |
//! | `/app/{app}/endpoint/{endpoint}/headers` | read, put, patch |
//! | `/app/{app}/endpoint/{endpoint}/secret`, `.../rotate` | read, rotate |
//! | `/app/{app}/endpoint/{endpoint}/recover`, `.../replay-missing`, `.../replay` | deliver again what failed, what was missed, everything (the last two are ours) |
//! | `/background-task`, `.../{task}`, `.../{task}/cancel` | how far that has come, and an end to it (ours) |
//! | `/app/{app}/filter-test` | what a filter says of a message, before it is saved (ours) |
//! | `/app/{app}/endpoint/probe` | try what is not saved yet, at once (ours) |
//! | `.../{endpoint}/test`, `.../{endpoint}/send-example` | try it at once (ours); send it an example message |
//! | `/event-type`, `/event-type/{name}` | list, create, read, put, patch, delete |
//! | `/app/{app}/msg`, `.../{msg}` | list, publish, read; delete cancels what is pending (ours) |
//! | `/app/{app}/msg/batch` | publish many at once (ours) |
//! | `/app/{app}/msg/{msg}/endpoint` | where its deliveries stand |
//! | `/app/{app}/msg/{msg}/endpoint/{endpoint}/resend` | deliver it again, now |
//! | `/app/{app}/msg/{msg}/attempt/{attempt}` | read |
//! | `/app/{app}/attempt/msg/{msg}`, `/app/{app}/attempt/endpoint/{endpoint}` | list |
//! | `/app/{app}/endpoint/{endpoint}/msg` | the messages that go there, and how their deliveries stand |
//! | `/app/{app}/endpoint/{endpoint}/stats` | how many deliveries stand how, and how it has been doing lately |
//! | `/app/{app}/delivery` | deliveries by where they stand (ours) |
//! | `/app/{app}/export` | messages and attempts as JSON lines (ours) |
//! | `/source-addresses` | where requests to receivers come from (ours) |
//! | `/alert`, `/app/{app}/alert` | list (ours) |
//! | `/alert/{alert}`, `.../acknowledge` | read, acknowledge (ours) |
//! | `/audit`, `/audit/export` | list, all of it as JSON lines (ours) |
//! | `/health`, `/health/ping` | 204; no token needed |
//!
//! Invariants
//! - Every error has a JSON body: `{"code", "detail"}`, or `{"detail": [{"loc", "msg", "type"}]}` with 422.
//! - A request body is bounded before it is read.
//! - Without a valid token nothing is read or changed, if there are tokens at all.
//!
//! Not there yet: `idempotency-key` (publish with an `eventId` instead), statistics.

mod alert;
mod application;
mod attempt;
mod audit;
mod auth;
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
mod error;
mod event_type;
mod example;
mod explain;
mod export;
mod extract;
mod fields;
mod filter_test;
mod health;
mod message;
mod paging;
mod payload;
mod query;
mod sent;
mod source_addresses;
mod task;
mod time;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};

pub use auth::Tokens;
pub use backend::{
    Again, AgainError, AttemptQuery, DeliveryCounts, DeliveryCursor, DeliveryPage, DeliveryQuery,
    EndpointHealth, ExportPart, ExportPlace, Exported, Health, History, HistoryError, HistoryPage,
    HistoryResult, LastAttempt, ListedDelivery, MessageQuery, MessageStatus, Messages, StoredAttempt,
    StoredDelivery, StoredMessage, Tasks,
};
pub use batch::BATCH_MESSAGES_MAX;

use crate::catalog::Editor;
use crate::probe::Probes;
use crate::publish::PublishLimits;

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
    pub tokens: Tokens,
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
    let body_max = api.limits.payload_bytes_max + BODY_SLACK_BYTES;
    let checked = Router::new()
        .merge(catalog_paths())
        .merge(message_paths())
        .merge(operator_paths())
        .layer(DefaultBodyLimit::max(usize::try_from(body_max).unwrap_or(usize::MAX)))
        .merge(batch_path(body_max.max(BATCH_BYTES_MIN)))
        .layer(middleware::from_fn(audit::act))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), auth::check));
    let open = Router::new().route("/health", get(health::alive)).route("/health/ping", get(health::alive));
    Router::new()
        .nest("/api/v1", checked.merge(open))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .with_state(api)
}

fn catalog_paths() -> Router<Arc<Api>> {
    let application =
        get(application::read).put(application::put).patch(application::patch).delete(application::delete);
    let endpoint = get(endpoint::read).put(endpoint::put).patch(endpoint::patch).delete(endpoint::delete);
    let headers = get(endpoint_headers::read).put(endpoint_headers::put).patch(endpoint_headers::patch);
    let event_type =
        get(event_type::read).put(event_type::put).patch(event_type::patch).delete(event_type::delete);
    Router::new()
        .route("/app", get(application::list).post(application::create))
        .route("/app/{app_id}", application)
        .route("/app/{app_id}/endpoint", get(endpoint::list).post(endpoint::create))
        .route("/app/{app_id}/endpoint/{endpoint_id}", endpoint)
        .route("/app/{app_id}/endpoint/{endpoint_id}/headers", headers)
        .route("/app/{app_id}/endpoint/{endpoint_id}/secret", get(endpoint_secret::read))
        .route("/app/{app_id}/endpoint/{endpoint_id}/secret/rotate", post(endpoint_secret::rotate))
        .route("/app/{app_id}/endpoint/{endpoint_id}/recover", post(task::recover))
        .route("/app/{app_id}/endpoint/{endpoint_id}/replay-missing", post(task::replay_missing))
        .route("/app/{app_id}/endpoint/{endpoint_id}/replay", post(task::replay))
        .route("/background-task", get(task::list))
        .route("/background-task/{task_id}", get(task::read))
        .route("/background-task/{task_id}/cancel", post(task::cancel))
        .route("/app/{app_id}/filter-test", post(filter_test::ask))
        .route("/app/{app_id}/endpoint/probe", post(endpoint_test::probe))
        .route("/app/{app_id}/endpoint/{endpoint_id}/test", post(endpoint_test::test))
        .route("/app/{app_id}/endpoint/{endpoint_id}/send-example", post(endpoint_test::send_example))
        .route("/event-type", get(event_type::list).post(event_type::create))
        .route("/event-type/{event_type_name}", event_type)
        .route("/source-addresses", get(source_addresses::list))
}

fn message_paths() -> Router<Arc<Api>> {
    Router::new()
        .route("/app/{app_id}/msg", get(message::list).post(message::create))
        .route("/app/{app_id}/msg/{msg_id}", get(message::read).delete(message::cancel))
        .route("/app/{app_id}/msg/{msg_id}/endpoint", get(message::deliveries))
        .route("/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend", post(message::resend))
        .route("/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}", get(attempt::read))
        .route("/app/{app_id}/attempt/msg/{msg_id}", get(attempt::list_by_message))
        .route("/app/{app_id}/attempt/endpoint/{endpoint_id}", get(attempt::list_by_endpoint))
        .route("/app/{app_id}/endpoint/{endpoint_id}/msg", get(endpoint_messages::list))
        .route("/app/{app_id}/endpoint/{endpoint_id}/stats", get(endpoint_stats::read))
        .route("/app/{app_id}/delivery", get(delivery::list))
        .route("/app/{app_id}/export", get(export::export))
}

fn operator_paths() -> Router<Arc<Api>> {
    Router::new()
        .route("/alert", get(alert::list))
        .route("/alert/{alert_id}", get(alert::read))
        .route("/alert/{alert_id}/acknowledge", post(alert::acknowledge))
        .route("/app/{app_id}/alert", get(alert::list_by_application))
        .route("/audit", get(audit::list))
        .route("/audit/export", get(audit::export))
}

fn batch_path(body_max: u64) -> Router<Arc<Api>> {
    Router::new()
        .route("/app/{app_id}/msg/batch", post(batch::create))
        .layer(DefaultBodyLimit::max(usize::try_from(body_max).unwrap_or(usize::MAX)))
}
