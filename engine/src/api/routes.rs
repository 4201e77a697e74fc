//! The routes, by what they are about. A new one is written here, with its schemas in `openapi::schemas`.

mod application;
mod attempt;
mod authentication;
mod endpoint;
mod event_type;
mod history;
mod message;
mod operator;
mod probe;
mod server;
mod task;

use super::route::Route;

/// All of them.
pub(super) fn all() -> Vec<Route> {
    [
        application::routes(),
        attempt::routes(),
        authentication::routes(),
        endpoint::routes(),
        event_type::routes(),
        history::routes(),
        message::routes(),
        operator::routes(),
        probe::routes(),
        server::routes(),
        task::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
