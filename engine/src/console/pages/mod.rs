//! The pages, one kind a file: what each asks of the API, and what it does with what is sent from it.
//!
//! The operator's door has all of them. The portal has those that are about one application, and the API sees to it that
//! it is the one of the link.

mod activity;
mod alerts;
mod applications;
mod audit;
mod endpoint;
mod endpoint_form;
mod endpoints;
mod event_types;
mod keys;
pub(super) mod login;
mod message;
pub(super) mod notice;
mod overview;
mod settings;
mod tasks;
mod test_bench;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};

use super::Console;
use super::live::{self, Part};
use super::trouble::Trouble;
use super::visit::Visit;

/// How often the parts of a live page are looked at.
const EVERY: Duration = Duration::from_secs(2);

/// A page.
pub(super) trait Page: Template {
    /// What of it changes by itself, by the ids of the elements.
    fn parts(&self) -> Vec<Part> {
        Vec::new()
    }
}

/// A page as it goes out.
pub(super) fn show(page: &impl Template, status: StatusCode) -> Response {
    match page.render() {
        Ok(html) => {
            let kind = HeaderValue::from_static("text/html; charset=utf-8");
            (status, [(CONTENT_TYPE, kind)], html).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            Trouble::refused(StatusCode::INTERNAL_SERVER_ERROR, "This page could not be written")
                .into_response()
        }
    }
}

/// A part of a page.
fn part(id: &'static str, html: impl Template) -> Part {
    let html = html.render().unwrap_or_else(|error| {
        tracing::error!(%error, id, "a part of a page could not be written");
        String::new()
    });
    (id, html)
}

type Answer = Result<Response, Trouble>;

/// The page that `make` makes; or, where that is asked for, the stream of its parts.
async fn answer<P, F>(visit: Visit, make: impl Fn(Visit) -> F + Send + Sync + 'static) -> Answer
where
    P: Page + Send,
    F: Future<Output = Result<P, Trouble>> + Send + 'static,
{
    if !visit.wants_stream {
        return Ok(show(&make(visit).await?, StatusCode::OK));
    }
    let again = visit.clone();
    Ok(live::stream(&visit, EVERY, move || {
        let made = make(again.clone());
        async move { made.await.ok().map(|page| page.parts()) }
    }))
}

/// Off to another page, which says that it was done (`frame::said`).
fn off(path: &str, said: &str) -> Response {
    let mark = if path.contains('?') { '&' } else { '?' };
    Redirect::to(&format!("{path}{mark}said={said}")).into_response()
}

/// What both doors have: all that is about one application.
fn of_an_application() -> Router<Arc<Console>> {
    Router::new()
        .route("/app/{app_id}", get(endpoints::page))
        .route("/app/{app_id}/endpoint/new", get(endpoint_form::page).post(endpoint_form::create))
        .route("/app/{app_id}/endpoint/{endpoint_id}", get(endpoint::page))
        .route(
            "/app/{app_id}/endpoint/{endpoint_id}/edit",
            get(endpoint_form::edit).post(endpoint_form::save),
        )
        .route("/app/{app_id}/endpoint/{endpoint_id}/do", post(endpoint::act))
        .route("/app/{app_id}/activity", get(activity::page))
        .route("/app/{app_id}/retry", post(activity::retry))
        .route("/app/{app_id}/msg/{msg_id}", get(message::page))
        .route("/app/{app_id}/msg/{msg_id}/do", post(message::act))
        .route("/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}", get(message::attempt))
        .route("/app/{app_id}/test", get(test_bench::page).post(test_bench::act))
        .route("/app/{app_id}/alert", get(alerts::of_application))
        .route("/app/{app_id}/event-type", get(event_types::of_application))
        .route("/app/{app_id}/event-type/{name}", get(event_types::one_of_application))
        .route("/app/{app_id}/verify", get(verify::of_application))
        .route("/app/{app_id}/task/{task_id}", get(tasks::one))
        .route("/app/{app_id}/task/{task_id}/cancel", post(tasks::cancel))
        .route("/sign-out", post(super::door::sign_out))
        .route("/{*rest}", get(nowhere).post(nowhere))
}

/// Behind `/console`.
pub(super) fn operator() -> Router<Arc<Console>> {
    let pages = of_an_application()
        .route("/app", get(applications::page).post(applications::create))
        .route("/app/{app_id}/settings", get(applications::settings).post(applications::save))
        .route("/app/{app_id}/link", post(applications::link))
        .route("/app/{app_id}/delete", post(applications::delete))
        .route("/event-type", get(event_types::page))
        .route("/event-type/new", get(event_types::new).post(event_types::create))
        .route("/event-type/one/{name}", get(event_types::one))
        .route("/event-type/one/{name}/edit", get(event_types::edit).post(event_types::save))
        .route("/event-type/one/{name}/do", post(event_types::act))
        .route("/alert", get(alerts::page))
        .route("/alert/{alert_id}/acknowledge", post(alerts::acknowledge))
        .route("/task", get(tasks::page))
        .route("/audit", get(audit::page))
        .route("/key", get(keys::page).post(keys::create))
        .route("/key/{key_id}/do", post(keys::act))
        .route("/settings", get(settings::page))
        .route("/verify", get(verify::page));
    let pages = pages.method_not_allowed_fallback(forms_only);
    Router::new().route("/console", get(overview::page)).nest("/console", pages)
}

/// Behind `/portal`.
pub(super) fn portal() -> Router<Arc<Console>> {
    Router::new().nest("/portal", of_an_application().method_not_allowed_fallback(forms_only))
}

async fn forms_only() -> Trouble {
    Trouble::refused(StatusCode::METHOD_NOT_ALLOWED, "This address takes what a form sends, and has no page")
}

async fn nowhere() -> Trouble {
    Trouble::not_found()
}
