//! Background tasks: recover, replay, and how far they have come.
//!
//! ```text
//! POST .../endpoint/{endpoint}/recover          {"since", "until"?, "rate"?}
//! POST .../endpoint/{endpoint}/replay-missing   the same
//! POST .../endpoint/{endpoint}/bulk-replay      the same
//! GET  /background-task, /background-task/{id};  POST /background-task/{id}/cancel
//! ```

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Serialize;

use super::Api;
use super::error::ApiError;
use super::extract::{Body, Named, TheEndpoint};
use super::fields::Fields;
use super::paging::{ListOut, Paging};
use super::query::Query;
use super::time::{parse_rfc3339, rfc3339};
use crate::access::Caller;
use crate::catalog::{Endpoint, NewTask, RATE_MAX, Task, TaskKind, TaskState};
use crate::clock::unix_ms;
use crate::core::ids::TaskId;

/// Deliveries a second of a task that does not say.
const RATE_DEFAULT: u32 = 1_000;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskOut {
    id: String,
    status: &'static str,
    task: &'static str,
    data: ProgressOut,
    created_at: String,
    updated_at: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProgressOut {
    app_id: String,
    endpoint_id: String,
    since: String,
    until: String,
    rate: u32,
    /// Messages looked at.
    looked_at: u64,
    /// Deliveries made.
    made: u64,
    /// Why it failed.
    detail: Option<String>,
}

impl From<&Task> for TaskOut {
    fn from(task: &Task) -> Self {
        Self {
            id: task.id.to_string(),
            status: task.state.name(),
            task: task.kind.name(),
            data: ProgressOut {
                app_id: task.application.to_string(),
                endpoint_id: task.endpoint.to_string(),
                since: rfc3339(task.since_ms),
                until: rfc3339(task.until_ms),
                rate: task.rate,
                looked_at: task.looked_at,
                made: task.made,
                detail: task.detail.clone(),
            },
            created_at: rfc3339(task.created_ms),
            updated_at: rfc3339(task.updated_ms),
        }
    }
}

type Begun = Result<(StatusCode, Json<TaskOut>), ApiError>;

/// Failed deliveries are made again.
pub(super) async fn recover(State(api): State<Arc<Api>>, endpoint: TheEndpoint, body: Body) -> Begun {
    begin(&api, TaskKind::Recover, &endpoint.0, &body).await
}

/// What the endpoint missed is delivered.
pub(super) async fn replay_missing(State(api): State<Arc<Api>>, endpoint: TheEndpoint, body: Body) -> Begun {
    begin(&api, TaskKind::ReplayMissing, &endpoint.0, &body).await
}

/// Everything that the endpoint wants is delivered once more.
pub(super) async fn replay(State(api): State<Arc<Api>>, endpoint: TheEndpoint, body: Body) -> Begun {
    begin(&api, TaskKind::Replay, &endpoint.0, &body).await
}

async fn begin(api: &Api, kind: TaskKind, endpoint: &Endpoint, Body(body): &Body) -> Begun {
    let fields = Fields::parse(body)?;
    let since_ms = time_ms(&fields, "since")?.ok_or_else(|| ApiError::body("since", "since is missing"))?;
    let now_ms = unix_ms();
    let until_ms = time_ms(&fields, "until")?.unwrap_or(now_ms).min(now_ms);
    if since_ms >= until_ms {
        return Err(ApiError::body("since", "since must be before until, and in the past"));
    }
    let rate = fields.value("rate")?.unwrap_or(RATE_DEFAULT);
    if !(1..=RATE_MAX).contains(&rate) {
        return Err(ApiError::body("rate", format!("rate is {rate}; it must be 1 to {RATE_MAX}")));
    }
    if endpoint.is_disabled() {
        return Err(ApiError::conflict("The endpoint is disabled; enable it first"));
    }
    let (application, endpoint) = (endpoint.application, endpoint.id);
    let task = api.tasks.start(NewTask { kind, application, endpoint, since_ms, until_ms, rate }).await?;
    Ok((StatusCode::ACCEPTED, Json(TaskOut::from(&*task))))
}

fn time_ms(fields: &Fields<'_>, name: &'static str) -> Result<Option<u64>, ApiError> {
    let Some(text) = fields.value::<String>(name)? else { return Ok(None) };
    let time = parse_rfc3339(&text).map(Some);
    time.ok_or_else(|| ApiError::body(name, format!("{name} must be a time such as 2025-01-31T12:00:00Z")))
}

/// To somebody who is bound to an application, the tasks of others do not exist.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Json<ListOut<TaskOut>>, ApiError> {
    let paging = Paging::read(&query)?;
    let status = query.text("status").map(check_status).transpose()?;
    let wanted = |task: &Task| {
        status.is_none_or(|status| status == task.state.name())
            && caller.sees(api.editor.catalog(), task.application)
            && query.text("task").is_none_or(|kind| kind == task.kind.name())
    };
    let page = api.editor.catalog().tasks_page(&paging.window::<TaskId>()?, wanted);
    let data = page.items.iter().map(|task| TaskOut::from(&**task)).collect();
    Ok(Json(paging.list(data, page.done, |task| task.id.clone())))
}

fn check_status(name: &str) -> Result<&str, ApiError> {
    let known = TaskState::NAMES.contains(&name).then_some(name);
    known.ok_or_else(|| ApiError::query("status", "status must be running, finished or failed"))
}

pub(super) async fn read(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    named: Named,
) -> Result<Json<TaskOut>, ApiError> {
    Ok(Json(TaskOut::from(&*named_task(&api, &caller, &named)?)))
}

/// Stops a task; what it has delivered stays delivered. One that has ended stays as it is.
pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    named: Named,
) -> Result<Json<TaskOut>, ApiError> {
    let task = named_task(&api, &caller, &named)?;
    let task = api
        .editor
        .edit_task(task.id, |task| {
            task.state = TaskState::Cancelled;
            task.detail = Some("it was cancelled".into());
        })
        .await?;
    Ok(Json(TaskOut::from(&*task)))
}

fn named_task(api: &Api, caller: &Caller, named: &Named) -> Result<Arc<Task>, ApiError> {
    let catalog = api.editor.catalog();
    let task = named.text("task_id").parse().ok().and_then(|id| catalog.task(id));
    task.filter(|task| caller.sees(catalog, task.application))
        .ok_or_else(|| ApiError::not_found("background task"))
}
