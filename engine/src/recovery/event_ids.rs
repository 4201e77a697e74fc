//! The event ids that were published lately, read back from the indexes of the log's segments.

use std::ops::ControlFlow;

use posthaste_storage::EntryId;
use posthaste_storage::log::{LogReader, ReadError};
use posthaste_storage::record::EventSeen;

use crate::writer::{EventIds, Known};

/// The newest event ids. Segments are asked from the newest on, each time twice as many, until they have enough.
pub(super) fn recall_event_ids(reader: &LogReader, max: usize) -> Result<EventIds, ReadError> {
    let firsts: Vec<EntryId> = reader.segments().iter().filter_map(|segment| segment.first_id).collect();
    let mut newest = Vec::new();
    let mut segments = 1;
    while newest.len() < max {
        let since = firsts.len().checked_sub(segments).map_or(EntryId::MIN, |first| firsts[first]);
        newest = newest_event_ids(reader, since, max)?;
        if since == EntryId::MIN {
            break;
        }
        segments *= 2;
    }
    let mut ids = EventIds::new(max);
    for event in newest {
        ids.remember(event.hash, Known { message: event.message, digest: event.digest });
    }
    Ok(ids)
}

/// The newest `max` event ids of messages from `since` on, oldest first.
fn newest_event_ids(reader: &LogReader, since: EntryId, max: usize) -> Result<Vec<EventSeen>, ReadError> {
    let mut found: Vec<EventSeen> = Vec::new();
    let keep_newest = |found: &mut Vec<EventSeen>| {
        found.sort_unstable_by_key(|event| event.message);
        // A message that was carried forward is seen twice.
        found.dedup_by_key(|event| event.message);
        found.drain(..found.len().saturating_sub(max));
    };
    reader.events_since(since, |event| {
        found.push(event);
        if found.len() >= max.saturating_mul(2) {
            keep_newest(&mut found);
        }
        ControlFlow::Continue(())
    })?;
    keep_newest(&mut found);
    Ok(found)
}
