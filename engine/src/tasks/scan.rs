//! One step of a task: which of the next messages are wanted?

use std::ops::ControlFlow;

use posthaste_storage::log::{LogReader, ReadError};
use posthaste_storage::record::{Message, Record};
use posthaste_storage::{EntryId, Position};

use crate::catalog::{Endpoint, Task, TaskKind};
use crate::core::delivery::DeliveryState;
use crate::core::ids::MessageId;
use crate::filter::FilterCounts;
use crate::history::Standing;
use crate::payload::Payload;
use crate::publish::is_json;
use crate::routing::AppRoutes;

/// Messages looked at in one step.
const LOOKED_AT_MAX: u64 = 2_000;
/// Deliveries made in one step at most.
const WANTED_MAX: usize = 256;

/// What one step found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) wanted: Vec<MessageId>,
    pub(super) looked_at: u64,
    /// The last message that was looked at.
    pub(super) cursor: EntryId,
    /// There is nothing behind it.
    pub(super) done: bool,
}

pub(super) fn scan(reader: &LogReader, task: &Task, endpoint: &Endpoint) -> Result<Found, ReadError> {
    let cursor = EntryId::from_u64(task.cursor);
    let mut found = Found { wanted: Vec::new(), looked_at: 0, cursor, done: true };
    let mut failure = None;
    let per_step = WANTED_MAX.min(task.rate as usize).max(1);
    let mut routes = AppRoutes::default();
    routes.insert(endpoint.id, endpoint.interest());
    let from = reader.seek(EntryId::new(task.since_ms, 0).max(cursor.next()))?;
    reader.replay_application(task.application.as_u64(), from, reader.end(), |at, record| {
        let Record::Message(message) = record else { return ControlFlow::Continue(()) };
        if message.id.ms() >= task.until_ms {
            return ControlFlow::Break(());
        }
        if found.looked_at >= LOOKED_AT_MAX || found.wanted.len() >= per_step {
            found.done = false;
            return ControlFlow::Break(());
        }
        match is_wanted(reader, task, &routes, at, &message) {
            Ok(wanted) => found.wanted.extend(wanted.then_some(MessageId(message.id))),
            Err(error) => {
                failure = Some(error);
                return ControlFlow::Break(());
            }
        }
        found.looked_at += 1;
        found.cursor = message.id;
        ControlFlow::Continue(())
    })?;
    failure.map_or(Ok(found), Err)
}

fn is_wanted(
    reader: &LogReader,
    task: &Task,
    routes: &AppRoutes,
    at: Position,
    message: &Message<'_>,
) -> Result<bool, ReadError> {
    let channels: Vec<&str> = message.channels.iter().collect();
    let extras = message.extras.unpack();
    let would_get_it = || {
        // Its own URL is for another endpoint's settings; and in a chain somebody before kept it.
        if extras.url.is_some() || extras.chains.iter().any(|endpoint| endpoint == task.endpoint.as_u64()) {
            return false;
        }
        let payload = Payload::new(message.payload, message.content_type.is_none_or(is_json));
        // What a filter cannot say here was counted when the message was published.
        let counts = FilterCounts::default();
        !routes.route(message.event_type, &channels, &payload, &counts).endpoints.is_empty()
    };
    let standing = Standing::read(reader, message.id, Some(at), reader.end())?;
    Ok(match (task.kind, standing.state(task.endpoint)) {
        _ if standing.is_taken_back() => false,
        (_, Some(DeliveryState::Pending)) => false,
        (TaskKind::Recover, state) => state.is_some_and(|state| state != DeliveryState::Delivered),
        (TaskKind::ReplayMissing, Some(_)) => false,
        (TaskKind::Replay, Some(_)) => true,
        (TaskKind::ReplayMissing | TaskKind::Replay, None) => would_get_it(),
    })
}
