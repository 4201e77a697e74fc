//! Any bytes where values of the catalog are expected, with the checksum that they need to be believed.

use super::stored::{self, BOOKMARK_KEY, Bookmark};

/// What is read is written the same. The first byte is the length of the key.
pub(crate) fn values(data: &[u8]) {
    let Some((&length, rest)) = data.split_first() else { return };
    let (key, value) = rest.split_at(usize::from(length).min(rest.len()));
    let _ = (stored::decode(key, value), Bookmark::decode(value));
    let sealed = stored::sealed(key, value.to_vec());
    if let Ok((at, read)) = stored::decode(key, &sealed) {
        assert_eq!(stored::encode(key, read, at), sealed);
    }
    let sealed = stored::sealed(&BOOKMARK_KEY, value.to_vec());
    if let Ok(bookmark) = Bookmark::decode(&sealed) {
        assert_eq!(bookmark.encode(), sealed);
    }
    let named = stored::key_of(key);
    assert!(stored::is_entry(&named) && stored::after(&named) > named);
}
