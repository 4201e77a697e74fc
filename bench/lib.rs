//! Benches of the hot paths: `cargo bench -p posthaste-bench`. What is common to them is here.

use posthaste_storage::EntryId;
use posthaste_storage::record::{Channels, Endpoints, Message, Record};

/// A message record with this payload, as ingest makes them by the hundred thousand.
pub fn message<'a>(id: EntryId, payload: &'a [u8], endpoints: &'a [u64]) -> Record<'a> {
    Record::Message(Message {
        id,
        application: 1,
        event_type: "invoice.paid",
        event_id: None,
        content_type: None,
        channels: Channels::NONE,
        digest: [0; 16],
        endpoints: Endpoints::from(endpoints),
        payload,
    })
}
