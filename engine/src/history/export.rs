//! Handing out an application's history, oldest first, a part at a time: between two parts nothing is held.

use std::ops::ControlFlow;

use posthaste_storage::log::{LogReader, ReadError, Search, Traits};
use posthaste_storage::record::{Record, RecordKind};
use posthaste_storage::{EntryId, Position};

use super::stored::{stored_attempt, stored_message};
use crate::api::{ExportPart, ExportPlace, Exported};
use crate::core::ids::ApplicationId;

/// Bytes of the log that are read for one part.
const READ_BYTES_MAX: u64 = 8 << 20;
/// Bytes of payloads and responses after which a part takes no more.
const PART_BYTES: usize = 1 << 20;

/// Where an export from after `after_ms` to before `before_ms` begins and ends.
pub(super) fn place(
    reader: &LogReader,
    after_ms: Option<u64>,
    before_ms: Option<u64>,
) -> Result<ExportPlace, ReadError> {
    let end = reader.end();
    let from = match after_ms {
        Some(ms) => reader.seek(EntryId::new(ms, u16::MAX).next())?,
        None => Position::START,
    };
    let to = match before_ms {
        Some(ms) => reader.seek(EntryId::new(ms, 0))?.min(end),
        None => end,
    };
    Ok(ExportPlace { from: from.as_u64(), to: to.as_u64() })
}

/// The next part.
pub(super) fn part(
    reader: &LogReader,
    application: ApplicationId,
    place: ExportPlace,
) -> Result<ExportPart, ReadError> {
    let kinds = Traits::kind(RecordKind::Message).or(Traits::kind(RecordKind::Attempt));
    let search = Search { application: application.as_u64(), endpoint: None, traits: [kinds, Traits::ANY] };
    let (mut items, mut bytes) = (Vec::new(), 0);
    let range = (Position::from_u64(place.from), Position::from_u64(place.to));
    let found = reader.search(&search, range, READ_BYTES_MAX, |_, record| {
        match record {
            Record::Message(message) => {
                bytes += message.payload.len();
                items.push(Exported::Message(stored_message(&message, true)));
            }
            Record::Attempt(attempt) => {
                bytes += attempt.response_headers.len() + attempt.response_body.len();
                items.extend(stored_attempt(&attempt, true).map(Exported::Attempt));
            }
            _ => {}
        }
        if bytes >= PART_BYTES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let next = (!found.whole).then_some(ExportPlace { from: found.to.as_u64(), ..place });
    Ok(ExportPart { items, next })
}
