//! Background tasks: much that is sent again, and how far that has come.

use askama::Template;
use axum::extract::Path;
use axum::http::Method;

use super::super::frame::Frame;
use super::super::html;
use super::super::inside::encoded;
use super::super::live::Part;
use super::super::shapes::{List, Task};
use super::super::trouble::Trouble;
use super::super::visit::{Sent, Visit};
use super::{Answer, Page, answer, off, part};

#[derive(Template)]
#[template(path = "tasks.html", blocks = ["rows"])]
struct TasksPage {
    f: Frame,
    tasks: List<Task>,
}

impl Page for TasksPage {
    fn parts(&self) -> Vec<Part> {
        vec![part("rows", self.as_rows())]
    }
}

impl TasksPage {
    fn what(kind: &str) -> &str {
        what(kind)
    }
}

#[derive(Template)]
#[template(path = "task.html", blocks = ["progress"])]
struct TaskPage {
    f: Frame,
    app_path: String,
    path: String,
    task: Task,
}

impl Page for TaskPage {
    fn parts(&self) -> Vec<Part> {
        vec![part("progress", self.as_progress())]
    }
}

/// What a task does, in words.
fn what(kind: &str) -> &str {
    match kind {
        "endpoint.recover" => "Send what failed",
        "endpoint.replay" => "Send what it never got",
        "endpoint.bulk-replay" => "Send everything again",
        other => other,
    }
}

pub(super) async fn page(visit: Visit) -> Answer {
    answer(visit, async |visit: Visit| {
        let iterator = encoded(visit.query().text("iterator"));
        let tasks = visit
            .inside()
            .get(&format!("/background-task?order=descending&limit=50&iterator={iterator}"))
            .await?;
        Ok(TasksPage { f: visit.frame("Tasks", "tasks", None).await.live(&visit), tasks })
    })
    .await
}

pub(super) async fn one(visit: Visit, Path((app, id)): Path<(String, String)>) -> Answer {
    answer(visit, move |visit| make(visit, app.clone(), id.clone())).await
}

async fn make(visit: Visit, app: String, id: String) -> Result<TaskPage, Trouble> {
    let app_path = format!("{}/app/{}", visit.base(), encoded(&app));
    let task: Task = visit.inside().get(&format!("/background-task/{}", encoded(&id))).await?;
    Ok(TaskPage {
        f: visit.frame(what(&task.task), "endpoints", Some(&app)).await.live(&visit),
        path: format!("{app_path}/task/{}", encoded(&id)),
        app_path,
        task,
    })
}

pub(super) async fn cancel(visit: Visit, Path((app, id)): Path<(String, String)>, Sent(_): Sent) -> Answer {
    let task = format!("/background-task/{}/cancel", encoded(&id));
    visit.inside().send(Method::POST, &task, None).await?;
    Ok(off(&format!("{}/app/{}/task/{}", visit.base(), encoded(&app), encoded(&id)), "task-cancelled"))
}
