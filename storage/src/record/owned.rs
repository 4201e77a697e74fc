//! A record with its own bytes, for readers that pick single records.

use std::ops::Range;

use super::{DecodeError, Record};

/// A record that was read and checked, and owns its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnedRecord {
    kind: u8,
    version: u8,
    body: Vec<u8>,
}

impl OwnedRecord {
    pub(crate) fn new(kind: u8, version: u8, body: Vec<u8>) -> Result<Self, DecodeError> {
        Record::decode(kind, version, &body)?;
        Ok(Self { kind, version, body })
    }

    /// The record, borrowed.
    pub fn record(&self) -> Record<'_> {
        Record::decode(self.kind, self.version, &self.body).expect("the body was decoded when it was read")
    }

    /// The bytes of the whole body and, within them, the payload of the message or carried message in it: so that
    /// the payload can be kept without copying it. `None` for other kinds.
    pub fn into_payload(self) -> Option<(Vec<u8>, Range<usize>)> {
        // The payload is the last field of both kinds.
        let bytes = self.record().message()?.payload.len();
        let end = self.body.len();
        Some((self.body, end - bytes..end))
    }
}

impl std::fmt::Debug for OwnedRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.record().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EntryId;
    use crate::record::{Channels, Endpoints, Message, PackedExtras};

    #[test]
    fn a_payload_is_handed_over_without_a_copy() {
        let message = Message {
            id: EntryId::new(1, 1),
            application: 1,
            event_type: "a.b",
            event_id: None,
            content_type: None,
            extras: PackedExtras::NONE,
            channels: Channels::NONE,
            digest: [0; 16],
            endpoints: Endpoints::NONE,
            payload: b"the payload",
            erased: false,
        };
        let mut body = Vec::new();
        Record::Message(message).encode(&mut body);
        let owned = OwnedRecord::new(1, 1, body).unwrap();
        assert_eq!(owned.record(), Record::Message(message));
        let (bytes, range) = owned.into_payload().unwrap();
        assert_eq!(&bytes[range], b"the payload");
    }
}
