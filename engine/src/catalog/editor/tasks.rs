//! Background tasks: begun, come further, ended.

use std::sync::Arc;

use super::super::check::CatalogError;
use super::super::record::{Key, Record};
use super::super::task::{TASKS_KEPT_MAX, TASKS_RUNNING_MAX};
use super::super::{NewTask, Task, TaskState};
use super::{Editor, random};
use crate::clock::unix_ms;
use crate::core::ids::{EndpointId, TaskId};

const WHAT: &str = "background task";

/// Tasks at a time: each looks through the log, and many would be felt by everybody.
fn check_running(tasks: &[Arc<Task>], endpoint: EndpointId) -> Result<(), CatalogError> {
    let running = || tasks.iter().filter(|task| task.state == TaskState::Running);
    let (own, all) = (running().filter(|task| task.endpoint == endpoint).count(), running().count());
    let (own_max, all_max) = TASKS_RUNNING_MAX;
    match own < own_max && all < all_max {
        true => Ok(()),
        false => Err(CatalogError::TooManyTasks { own, own_max, all, all_max }),
    }
}

impl Editor {
    /// A new task, running. The oldest that ended goes if there are too many.
    ///
    /// # Errors
    /// A change that did not become durable.
    pub async fn create_task(&self, new: NewTask) -> Result<Arc<Task>, CatalogError> {
        let turn = self.turn().await;
        let now_ms = unix_ms();
        let id = loop {
            let id = TaskId::new(now_ms, random());
            if self.catalog.task(id).is_none() {
                break id;
            }
        };
        let task = Arc::new(new.into_task(id, now_ms));
        let mut changes = vec![Record::Task(Arc::clone(&task)).change()];
        let kept = self.catalog.books.read().tasks_all();
        check_running(&kept, new.endpoint)?;
        let surplus = (kept.len() + 1).saturating_sub(TASKS_KEPT_MAX);
        let ended = kept.iter().filter(|task| task.state != TaskState::Running);
        changes.extend(ended.take(surplus).map(|task| Key::Task(task.id).removal()));
        self.commit(turn, changes).await?;
        Ok(task)
    }

    /// A task has come further, or has ended. One that has ended stays as it is.
    ///
    /// # Errors
    /// When there is none; a change that did not become durable.
    pub async fn edit_task(
        &self,
        id: TaskId,
        edit: impl FnOnce(&mut Task),
    ) -> Result<Arc<Task>, CatalogError> {
        let turn = self.turn().await;
        let present = self.catalog.task(id).ok_or(CatalogError::NotFound { what: WHAT })?;
        if present.state != TaskState::Running {
            return Ok(present);
        }
        let mut task = Task::clone(&present);
        edit(&mut task);
        task.updated_ms = unix_ms();
        let task = Arc::new(task);
        self.put(turn, Record::Task(Arc::clone(&task))).await?;
        Ok(task)
    }

    /// The tasks that run.
    pub fn running_tasks(&self) -> Vec<Arc<Task>> {
        let mut tasks = self.catalog.books.read().tasks_all();
        tasks.retain(|task| task.state == TaskState::Running);
        tasks
    }
}
