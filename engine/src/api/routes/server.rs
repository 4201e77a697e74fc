//! The server itself. No token is asked for.

use super::super::health::{alive, ready};
use super::super::openapi::{self, Operation};
use super::super::route::Route;

const TAG: &str = "Health";

pub(super) fn routes() -> Vec<Route> {
    let op = |id, summary| Operation::new(id, TAG, summary);
    let health = |id| op(id, "Whether the server is there").answers_nothing(204);
    let readiness = |id| {
        let about = "Ours. 503 while the disk is full, after the log stopped, and while the server stops.";
        op(id, "Whether messages are accepted").about(about).answers_nothing(204).fails(503)
    };
    vec![
        Route::get("/health", alive, health("v1.health.get")),
        Route::head("/health", alive, health("v1.health.head")),
        Route::get("/health/ping", alive, health("v1.health.ping")),
        Route::head("/health/ping", alive, health("v1.health.ping-head")),
        Route::get("/health/ready", ready, readiness("v1.health.ready")),
        Route::head("/health/ready", ready, readiness("v1.health.ready-head")),
        Route::get(
            "/openapi.json",
            openapi::json,
            op("v1.openapi.get", "This document").about("Ours.").answers_other(200, "application/json"),
        ),
        Route::get(
            "/docs",
            openapi::html,
            op("v1.docs.get", "This document, for people").about("Ours.").answers_other(200, "text/html"),
        ),
    ]
}
