//! Tasks: what runs in the background because it takes long. Messages of a stretch of time are looked at, and those
//! that an endpoint is to get again, or for the first time, are delivered at a bounded rate.
//!
//! ```text
//!   look at some messages (log) -> deliver those that are wanted -> write down how far it has come -> wait -> again
//! ```
//!
//! A task that was running when the process ended goes on from where it was written down; what was delivered after
//! that is delivered once more, unless it is pending.
//!
//! Not here: what is written down of a task (`catalog::task`), how a delivery is made again (`writer::extra`).

mod scan;

use std::sync::Arc;
use std::time::Duration;

use posthaste_storage::log::LogReader;
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::api::{Again, AgainError, Messages, Tasks};
use crate::catalog::{BoxFuture, CatalogError, CommitError, Editor, NewTask, Task, TaskState};
use crate::core::ids::TaskId;
use crate::seam;

/// How often a task waits for a disk that has no room.
const RETRY: Duration = Duration::from_secs(5);

/// Runs tasks. Cheap to clone.
#[derive(Clone)]
pub(crate) struct TaskRunner {
    pub(crate) editor: Editor,
    pub(crate) reader: LogReader,
    pub(crate) messages: Arc<dyn Messages>,
    pub(crate) runtime: Handle,
}

impl TaskRunner {
    /// Goes on with the tasks that were running when the process ended.
    pub(crate) fn resume(&self) {
        self.editor.running_tasks().into_iter().for_each(|task| self.spawn(task));
    }

    fn spawn(&self, task: Arc<Task>) {
        let runner = self.clone();
        self.runtime.spawn(async move { runner.run(task).await });
    }

    async fn run(self, mut task: Arc<Task>) {
        while task.state == TaskState::Running {
            task = match self.step(&task).await {
                Ok(task) => task,
                Err(CatalogError::Commit(CommitError::Full)) => {
                    sleep(RETRY).await;
                    continue;
                }
                // The log stopped, the process ends, or the task is gone: after a restart it goes on.
                Err(_) => return,
            };
        }
        tracing::info!(task = %task.id, state = task.state.name(), made = task.made, "a background task has ended");
    }

    /// Looks at some messages, and delivers those that are wanted.
    async fn step(&self, task: &Arc<Task>) -> Result<Arc<Task>, CatalogError> {
        let Some(endpoint) = self.editor.catalog().endpoint_by_id(task.endpoint) else {
            return self.fail(task.id, "the endpoint is gone".into()).await;
        };
        if endpoint.is_disabled() {
            return self.fail(task.id, "the endpoint is disabled".into()).await;
        }
        let (reader, asked) = (self.reader.clone(), Arc::clone(task));
        let scan = move || scan::scan(&reader, &asked, &endpoint);
        let found = match seam::blocking(scan).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return self.fail(task.id, format!("the log could not be read: {error}")).await,
            Err(_) => return Err(CommitError::ShuttingDown.into()),
        };
        let again = |message| Again { application: task.application, message, endpoint: task.endpoint };
        let wanted: Vec<Again> = found.wanted.iter().copied().map(again).collect();
        let count = wanted.len();
        let made = match self.messages.deliver_again(wanted).await {
            Ok(made) => made,
            Err(AgainError::Commit(error)) => return Err(error.into()),
            Err(AgainError::History(error)) => return self.fail(task.id, error.to_string()).await,
        };
        let task = self
            .editor
            .edit_task(task.id, |task| {
                task.cursor = found.cursor.as_u64();
                task.looked_at += found.looked_at;
                task.made += made as u64;
                if found.done {
                    task.state = TaskState::Finished;
                }
            })
            .await?;
        if !found.done {
            sleep(Duration::from_secs_f64(count as f64 / f64::from(task.rate))).await;
        }
        Ok(task)
    }

    async fn fail(&self, id: TaskId, why: String) -> Result<Arc<Task>, CatalogError> {
        self.editor
            .edit_task(id, |task| {
                task.state = TaskState::Failed;
                task.detail = Some(why);
            })
            .await
    }
}

impl Tasks for TaskRunner {
    fn start(&self, new: NewTask) -> BoxFuture<'_, Result<Arc<Task>, CatalogError>> {
        Box::pin(async move {
            let task = self.editor.create_task(new).await?;
            self.spawn(Arc::clone(&task));
            Ok(task)
        })
    }
}
