//! Benches of the hot paths: `cargo bench -p posthaste-bench`. What is common to them is here.

use posthaste_storage::EntryId;
use posthaste_storage::Position;
use posthaste_storage::record::{Attempt, Channels, Course, Endpoints, Message, PackedExtras, Record};

/// The payload that is measured everywhere, in bytes: that of a usual webhook.
pub const PAYLOAD_BYTES: usize = 1_024;
/// The payload itself. No hot path looks into it, so one byte is as good as another.
pub const PAYLOAD: [u8; PAYLOAD_BYTES] = [b'x'; PAYLOAD_BYTES];
/// The moment at which everything happens, unix milliseconds.
pub const NOW_MS: u64 = 1_732_300_000_000;

/// A message record with one delivery, as ingest makes them by the hundred thousand.
pub fn message(id: EntryId) -> Record<'static> {
    Record::Message(Message {
        id,
        application: 1,
        event_type: "invoice.paid",
        event_id: None,
        content_type: None,
        extras: PackedExtras::NONE,
        channels: Channels::NONE,
        digest: [0; 16],
        endpoints: Endpoints::from(&[1u64][..]),
        payload: &PAYLOAD,
        erased: false,
    })
}

/// The record of an attempt that succeeded, with the headers of a short answer.
pub fn attempt(id: EntryId) -> Record<'static> {
    Record::Attempt(Attempt {
        id,
        message: EntryId::new(NOW_MS, 0),
        application: 1,
        endpoint: 1,
        number: 1,
        progress: 1,
        started_ms: NOW_MS,
        duration_us: 850,
        outcome: 1,
        status: 204,
        state: 1,
        next_attempt_ms: 0,
        endpoint_revision: 1,
        message_at: Position::START,
        response_headers:
            b"server: nginx\r\ndate: Fri, 22 Nov 2024 18:26:40 GMT\r\nconnection: keep-alive\r\n",
        response_body: b"",
        detail: "",
        course: Course {
            first_byte_us: 800,
            reused: true,
            signed_secs: Some(NOW_MS / 1_000),
            ..Course::default()
        },
        erased: false,
    })
}

/// Numbers below `end`, in an order that looks like none; the same in every run.
pub fn scattered(number: u64, end: u64) -> u64 {
    // The finalizer of splitmix64.
    let x = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (x ^ (x >> 31)) % end
}
