//! Any bytes where values of the ledger are expected, with the checksum that they need to be believed.

use super::bookmark::Bookmark;
use super::chunk::{self, ChunkKey};
use crate::fuzzing::Choices;

/// What is read is written the same; a delivery falls due in the minute of its chunk.
pub(crate) fn values(data: &[u8]) {
    let mut choices = Choices(data);
    let key = ChunkKey { minute: choices.u64(), number: choices.u64() };
    assert_eq!(ChunkKey::from_bytes(&key.to_bytes()), Some(key));
    let value = choices.0;
    // As it is, which a checksum will nearly always refuse.
    let _ = (chunk::decode(key, value), Bookmark::decode(value), ChunkKey::from_bytes(value));
    if let Ok(entries) = chunk::decode(key, &chunk::sealed(key, value.to_vec())) {
        assert!(entries.iter().all(|entry| entry.minute() == key.minute), "due in another minute");
        assert_eq!(chunk::decode(key, &chunk::encode(key, &entries)), Ok(entries));
    }
    if let Ok(bookmark) = Bookmark::decode(&sealed(value)) {
        assert_eq!(bookmark.encode(), sealed(value));
    }
}

fn sealed(content: &[u8]) -> Vec<u8> {
    [content, &crc32c::crc32c(content).to_le_bytes()].concat()
}
