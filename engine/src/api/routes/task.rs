//! Delivering much again, in the background.

use super::super::openapi::{Operation, Parameter, query, schema};
use super::super::route::Route;
use super::super::task;
use crate::catalog::{TaskKind, TaskState};
use crate::config::Scope;

const TAG: &str = "Background Task";

pub(super) fn routes() -> Vec<Route> {
    [begin(), watch()].into_iter().flatten().collect()
}

fn begin() -> Vec<Route> {
    let op = |id, summary, schema| {
        Operation::new(id, "Endpoint", summary)
            .about("In the background; `/background-task` says how far it has come.")
            .body("RecoverIn")
            .answers(202, schema)
    };
    vec![
        Route::post(
            "/app/{app_id}/endpoint/{endpoint_id}/recover",
            task::recover,
            op("v1.endpoint.recover", "Deliver again what failed since a time", "RecoverOut"),
        )
        .needs(Scope::Replay),
        Route::post(
            "/app/{app_id}/endpoint/{endpoint_id}/replay-missing",
            task::replay_missing,
            op(
                "v1.endpoint.replay-missing",
                "Deliver what the endpoint missed since a time",
                "BackgroundTaskOut",
            ),
        )
        .needs(Scope::Replay),
        Route::post(
            "/app/{app_id}/endpoint/{endpoint_id}/bulk-replay",
            task::replay,
            op("v1.endpoint.bulk-replay", "Deliver once more everything since a time", "BackgroundTaskOut"),
        )
        .needs(Scope::Replay),
    ]
}

fn watch() -> Vec<Route> {
    let op = |id, summary| Operation::new(id, TAG, summary).about("Ours.");
    let status = schema::one_of(&TaskState::NAMES);
    let kind = schema::one_of(&TaskKind::ALL.map(TaskKind::name));
    vec![
        Route::get(
            "/background-task",
            task::list,
            op("v1.background-task.list", "List background tasks")
                .query(query::page("qtask_08xTVbZb2uD"))
                .query([query::order()])
                .query([Parameter::new("status", "Those that stand so", status)])
                .query([Parameter::new("task", "Those of this kind", kind)])
                .answers(200, "ListResponse_BackgroundTaskOut_"),
        )
        .needs(Scope::Read)
        .shared(),
        Route::get(
            "/background-task/{task_id}",
            task::read,
            op("v1.background-task.get", "Read a background task").answers(200, "BackgroundTaskOut"),
        )
        .needs(Scope::Read)
        .shared(),
        Route::post(
            "/background-task/{task_id}/cancel",
            task::cancel,
            op("v1.background-task.cancel", "Stop a background task")
                .about("Ours. What it has delivered stays delivered.")
                .answers(200, "BackgroundTaskOut"),
        )
        .needs(Scope::Replay)
        .shared(),
    ]
}
