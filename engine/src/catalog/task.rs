//! A background task: deliveries that are made again, many of them, at a bounded rate.
//!
//!   running --all looked at--> finished
//!      | \--somebody stops it--> cancelled
//!      +--it cannot go on--> failed
//!
//! It is written down each time it has come a bit further, so that it goes on from there after a restart.

use serde::{Deserialize, Serialize};

use super::record::id_text;
use crate::core::ids::{ApplicationId, EndpointId, TaskId};

/// Tasks kept, ended ones included; the oldest that ended go first.
pub const TASKS_KEPT_MAX: usize = 1_000;
/// Tasks that may run at a time, for one endpoint and in all.
pub(super) const TASKS_RUNNING_MAX: (usize, usize) = (4, 200);
/// The most deliveries a second that a task may make.
pub const RATE_MAX: u32 = 100_000;

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Deliveries that were exhausted, or taken back with their endpoint, are made again.
    Recover,
    /// Messages that the endpoint wants and that were never meant for it are delivered: it was not there, or
    /// disabled, or wanted less.
    ReplayMissing,
    /// All messages that the endpoint wants are delivered, those that arrived once more.
    Replay,
}

impl TaskKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Recover, Self::ReplayMissing, Self::Replay];

    /// Its name in the API, the same as the hosted Svix has.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recover => "endpoint.recover",
            Self::ReplayMissing => "endpoint.replay",
            Self::Replay => "endpoint.bulk-replay",
        }
    }
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// It goes on.
    Running,
    /// Everything was looked at.
    Finished,
    /// Somebody stopped it.
    Cancelled,
    /// It could not go on; `detail` says why.
    Failed,
}

impl TaskState {
    /// The names that there are.
    pub const NAMES: [&'static str; 3] = ["running", "finished", "failed"];

    /// Its name in the API, one of those that the SDKs know: a task that was stopped has failed, and its `detail` says
    /// so.
    pub const fn name(self) -> &'static str {
        let [running, finished, failed] = Self::NAMES;
        match self {
            Self::Running => running,
            Self::Finished => finished,
            Self::Cancelled | Self::Failed => failed,
        }
    }
}

/// A background task. Its serde form is the one on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Given at creation.
    #[serde(with = "id_text")]
    pub id: TaskId,
    /// What it does.
    pub kind: TaskKind,
    /// Whose messages.
    #[serde(with = "id_text")]
    pub application: ApplicationId,
    /// Where to.
    #[serde(with = "id_text")]
    pub endpoint: EndpointId,
    /// Messages accepted from here on, unix milliseconds.
    pub since_ms: u64,
    /// And before this.
    pub until_ms: u64,
    /// Deliveries a second at most.
    pub rate: u32,
    /// Where it stands.
    pub state: TaskState,
    /// The id of the last message that was looked at, as a number; 0: none yet.
    pub cursor: u64,
    /// Messages looked at.
    pub looked_at: u64,
    /// Deliveries made.
    pub made: u64,
    /// Why it failed.
    #[serde(default)]
    pub detail: Option<String>,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// Unix milliseconds.
    pub updated_ms: u64,
}

/// A task as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of `Task`")]
pub struct NewTask {
    pub kind: TaskKind,
    pub application: ApplicationId,
    pub endpoint: EndpointId,
    pub since_ms: u64,
    pub until_ms: u64,
    pub rate: u32,
}

impl NewTask {
    pub(super) fn into_task(self, id: TaskId, now_ms: u64) -> Task {
        Task {
            id,
            kind: self.kind,
            application: self.application,
            endpoint: self.endpoint,
            since_ms: self.since_ms,
            until_ms: self.until_ms,
            rate: self.rate,
            state: TaskState::Running,
            cursor: 0,
            looked_at: 0,
            made: 0,
            detail: None,
            created_ms: now_ms,
            updated_ms: now_ms,
        }
    }
}
