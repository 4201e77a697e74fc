//! Any bytes where a response is expected.

use bytes::Bytes;

use super::super::response::ResponseLimits;
use super::{HEAD_BYTES_MAX, Malformed, ResponseReader};
use crate::fuzzing::pieces;

pub(super) const LIMITS: ResponseLimits =
    ResponseLimits { body_bytes_read_max: 64, body_bytes_kept_max: 16, headers_bytes_kept_max: 256 };

/// What came of a response: its status, text and body, and whether the connection lives on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    Whole { status: u16, text: Bytes, body: Bytes, keeps_alive: bool },
    Waiting,
    Malformed(Malformed),
}

/// The same comes out however the bytes are cut, and no more is kept than the limits say. Two bytes choose the pieces,
/// and whether the receiver closes the connection behind them.
pub(crate) fn responses(data: &[u8]) {
    let Some((&[seed, how], bytes)) = data.split_first_chunk() else { return };
    let closes = how & 1 != 0;
    // A head over the limit is refused as soon as the limit is passed: what is wrong behind it is not seen then.
    if bytes.len() >= HEAD_BYTES_MAX {
        return;
    }
    let whole = read([bytes], closes);
    let pieced = read(pieces(bytes, seed), closes);
    if matches!(whole, Read::Malformed(_)) {
        // A head that comes in pieces is looked at line by line: it may not be known yet.
        return assert!(matches!(pieced, Read::Malformed(_) | Read::Waiting), "{pieced:?}, whole {whole:?}");
    }
    assert_eq!(pieced, whole, "in pieces, and whole");
    let Read::Whole { status, text, body, keeps_alive } = whole else { return };
    assert!((100..1_000).contains(&status));
    assert!(text.len() <= LIMITS.headers_bytes_kept_max && body.len() <= LIMITS.body_bytes_kept_max);
    assert!(!(keeps_alive && closes), "a closed connection is not used again");
}

pub(super) fn read<'b>(pieces: impl IntoIterator<Item = &'b [u8]>, closes: bool) -> Read {
    let mut reader = ResponseReader::new(LIMITS);
    for piece in pieces {
        if let Err(malformed) = reader.feed(piece) {
            return Read::Malformed(malformed);
        }
    }
    if closes {
        reader.close();
    }
    if !reader.is_done() {
        return Read::Waiting;
    }
    let head = reader.take_head().expect("a body comes behind a head");
    let keeps_alive = reader.keeps_alive();
    Read::Whole { status: head.status, text: head.text, body: reader.take_body(), keeps_alive }
}
