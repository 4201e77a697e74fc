//! Background tasks.

use serde_json::{Value, json};

use super::super::schema::*;
use super::{Schema, list_of};
use crate::catalog::{RATE_MAX, TaskKind, TaskState};

pub(super) fn schemas() -> Vec<Schema> {
    let since = json!({
        "since": described(time(), "Of messages accepted from here on"),
        "until": described(or_null(time()), "And before this; now if nothing is said"),
        "rate": described(or_null(number(1, u64::from(RATE_MAX))), "Ours: deliveries a second at most"),
    });
    vec![
        ("RecoverIn", object(&["since"], since)),
        ("RecoverOut", out()),
        ("BackgroundTaskOut", out()),
        ("ListResponse_BackgroundTaskOut_", list_of("BackgroundTaskOut")),
        ("BackgroundTaskStatus", one_of(&TaskState::NAMES)),
        ("BackgroundTaskType", one_of(&TaskKind::ALL.map(TaskKind::name))),
    ]
}

fn out() -> Value {
    let progress = object(
        &["appId", "endpointId"],
        json!({
            "appId": id("app_"), "endpointId": id("ep_"), "since": time(), "until": time(), "rate": count(),
            "lookedAt": described(count(), "Messages looked at"),
            "made": described(count(), "Deliveries made"),
            "detail": described(or_null(text()), "Why it failed"),
        }),
    );
    object(
        &["id", "status", "task", "updatedAt"],
        json!({
            "id": id("qtask_"), "status": named("BackgroundTaskStatus"), "task": named("BackgroundTaskType"),
            "data": described(progress, "Ours: how far it has come"),
            "createdAt": time(), "updatedAt": time(),
        }),
    )
}
