//! Event ids as repetitions are recognised by: a hash, so that a day of them fits in memory.

use crate::EntryId;
use crate::checksum::mix;

/// An event id that was seen, and the message that brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventSeen {
    /// [`event_hash`] of application and event id.
    pub hash: u64,
    /// The message that was accepted with it.
    pub message: EntryId,
    /// Digest of that message's payload and fields.
    pub digest: [u8; 16],
}

/// The hash under which the event id of an application is remembered. Stored on disk: it never changes.
///
/// Good against accident (two of ten million ids collide with a chance of 3 in a million), not against
/// intent: where a false repetition matters, compare the event id in the message's record.
pub fn event_hash(application: u64, event_id: &str) -> u64 {
    let (words, rest) = event_id.as_bytes().as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let hash = words.iter().fold(mix(application), |hash, word| mix(hash ^ u64::from_le_bytes(*word)));
    mix(mix(hash ^ u64::from_le_bytes(last)) ^ event_id.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_on_disk_never_changes() {
        assert_eq!(event_hash(1, "order-17"), 2_696_237_225_933_217_149);
    }

    #[test]
    fn neighbouring_event_ids_and_applications_differ() {
        let mut seen = std::collections::HashSet::new();
        for application in 0..50 {
            for event in 0..50 {
                assert!(seen.insert(event_hash(application, &format!("order-{event}"))));
            }
            assert!(seen.insert(event_hash(application, "")));
            assert!(seen.insert(event_hash(application, "\0")));
        }
    }
}
