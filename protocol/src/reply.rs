//! Replies: written straight into a connection's output, in RESP2 or RESP3.
//!
//! There is no tree of values: an answer is written as it is known, so that acknowledging a message costs
//! the copying of some thirty bytes. The price is that whoever opens an array of `n` must write `n` values.
//!
//! What differs between the versions is decided here and nowhere else: null, maps, sets, booleans and
//! formatted text. (RESP2 has none of them, and writes `$-1`, flat arrays, integers and bulk strings.)
//!
//! Not here: the fields of stream entries (`entry`), the answers to what clients say before they come to the
//! point (`small_talk`).

mod code;

use std::fmt::{self, Write as _};

use bytes::BytesMut;

pub use code::ErrorCode;

use crate::{StreamId, decimal};

/// The longest error reply, so that an error that quotes its input stays small.
const ERROR_BYTES_MAX: usize = 512;

/// The dialect in which a connection is answered. It starts with RESP2; HELLO changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// RESP2, which every client knows.
    #[default]
    Resp2,
    /// RESP3.
    Resp3,
}

impl Version {
    /// The number that HELLO takes.
    pub const fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// Writes replies to the end of a buffer.
pub struct Encoder<'b> {
    out: &'b mut BytesMut,
    version: Version,
}

impl<'b> Encoder<'b> {
    /// Replies in `version`, appended to `out`.
    pub fn new(out: &'b mut BytesMut, version: Version) -> Self {
        Self { out, version }
    }

    /// The dialect in use.
    pub fn version(&self) -> Version {
        self.version
    }

    /// `OK`.
    pub fn ok(&mut self) {
        self.simple("OK");
    }

    /// A word or two; control characters become spaces.
    pub fn simple(&mut self, text: &str) {
        self.out.extend_from_slice(b"+");
        self.one_line(text);
    }

    /// An error: its code, then a sentence. Control characters become spaces; cut at 512 bytes.
    pub fn error(&mut self, code: ErrorCode, text: impl fmt::Display) {
        self.out.extend_from_slice(b"-");
        self.one_line(format_args!("{code} {text}"));
    }

    fn one_line(&mut self, text: impl fmt::Display) {
        // `OneLine` refuses what is over the limit; what fits has been written.
        let _ = write!(OneLine { out: self.out, left: ERROR_BYTES_MAX }, "{text}");
        self.out.extend_from_slice(b"\r\n");
    }

    /// A whole number.
    pub fn integer(&mut self, number: i64) {
        self.out.extend_from_slice(if number < 0 { b":-" } else { b":" });
        self.out.extend_from_slice(decimal::Digits::of(number.unsigned_abs()).as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    /// Any bytes.
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.head(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// An id, as the bulk string that XADD answers.
    pub fn stream_id(&mut self, id: StreamId) {
        self.bulk(id.to_text().as_bytes());
    }

    /// A number as a bulk string, as the fields of stream entries are.
    pub fn bulk_number(&mut self, number: u64) {
        self.bulk(decimal::Digits::of(number).as_bytes());
    }

    /// Text to be shown as it is (in RESP3 marked as such).
    pub fn verbatim(&mut self, text: &str) {
        match self.version {
            Version::Resp2 => self.bulk(text.as_bytes()),
            Version::Resp3 => {
                self.head(b'=', "txt:".len() + text.len());
                self.out.extend_from_slice(b"txt:");
                self.out.extend_from_slice(text.as_bytes());
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Nothing, where a string could have been.
    pub fn null(&mut self) {
        self.out.extend_from_slice(match self.version {
            Version::Resp2 => b"$-1\r\n",
            Version::Resp3 => b"_\r\n",
        });
    }

    /// Nothing, where an array could have been.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(match self.version {
            Version::Resp2 => b"*-1\r\n",
            Version::Resp3 => b"_\r\n",
        });
    }

    /// Yes or no; 1 or 0 in RESP2.
    pub fn boolean(&mut self, value: bool) {
        match (self.version, value) {
            (Version::Resp2, value) => self.integer(i64::from(value)),
            (Version::Resp3, true) => self.out.extend_from_slice(b"#t\r\n"),
            (Version::Resp3, false) => self.out.extend_from_slice(b"#f\r\n"),
        }
    }

    /// Opens an array: `len` values follow.
    pub fn array(&mut self, len: usize) {
        self.head(b'*', len);
    }

    /// Opens a map: `pairs` keys follow, each with its value.
    pub fn map(&mut self, pairs: usize) {
        match self.version {
            Version::Resp2 => self.head(b'*', 2 * pairs),
            Version::Resp3 => self.head(b'%', pairs),
        }
    }

    /// Opens a set: `len` values follow.
    pub fn set(&mut self, len: usize) {
        match self.version {
            Version::Resp2 => self.head(b'*', len),
            Version::Resp3 => self.head(b'~', len),
        }
    }

    /// Opens the reply to XREAD: `len` streams follow. Without any, the whole reply is null.
    pub fn streams(&mut self, len: usize) {
        match (self.version, len) {
            (_, 0) => self.null_array(),
            (Version::Resp2, len) => self.array(len),
            (Version::Resp3, len) => self.map(len),
        }
    }

    /// Opens one stream of that reply: its key; `entries` entries follow.
    pub fn stream(&mut self, key: &[u8], entries: usize) {
        if self.version == Version::Resp2 {
            self.array(2);
        }
        self.bulk(key);
        self.array(entries);
    }

    /// Opens one stream entry: its id; `fields` fields follow, each with its value.
    pub fn entry(&mut self, id: StreamId, fields: usize) {
        self.array(2);
        self.stream_id(id);
        self.array(2 * fields);
    }

    fn head(&mut self, mark: u8, len: usize) {
        self.out.extend_from_slice(&[mark]);
        self.out.extend_from_slice(decimal::Digits::of(len as u64).as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }
}

/// Text that cannot break out of its line.
struct OneLine<'b> {
    out: &'b mut BytesMut,
    left: usize,
}

impl fmt::Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let character = if character.is_control() { ' ' } else { character };
            let bytes = character.len_utf8();
            self.left = self.left.checked_sub(bytes).ok_or(fmt::Error)?;
            self.out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(version: Version, write: impl FnOnce(&mut Encoder<'_>)) -> String {
        let mut out = BytesMut::new();
        write(&mut Encoder::new(&mut out, version));
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn an_acknowledgement_is_the_id_as_a_bulk_string() {
        let reply = written(Version::Resp2, |reply| reply.stream_id(StreamId::new(1_732_300_000_000, 7)));
        assert_eq!(reply, "$15\r\n1732300000000-7\r\n");
    }

    #[test]
    fn resp2_writes_flat_what_resp3_has_types_for() {
        let all = |reply: &mut Encoder<'_>| {
            reply.null();
            reply.null_array();
            reply.boolean(true);
            reply.map(2);
            reply.set(1);
            reply.verbatim("a");
        };
        assert_eq!(written(Version::Resp2, all), "$-1\r\n*-1\r\n:1\r\n*4\r\n*1\r\n$1\r\na\r\n");
        assert_eq!(written(Version::Resp3, all), "_\r\n_\r\n#t\r\n%2\r\n~1\r\n=5\r\ntxt:a\r\n");
    }

    #[test]
    fn an_error_stays_on_its_line_and_within_its_limit() {
        let reply = written(Version::Resp2, |reply| reply.error(ErrorCode::Err, "a\r\n+OK\u{85}b"));
        assert_eq!(reply, "-ERR a  +OK b\r\n");
        let reply = written(Version::Resp2, |reply| reply.error(ErrorCode::Oom, "ä".repeat(600)));
        assert!(reply.len() <= ERROR_BYTES_MAX + 3 && reply.ends_with("ä\r\n"));
    }

    #[test]
    fn integers_reach_both_ends() {
        let reply = written(Version::Resp2, |reply| {
            reply.integer(i64::MIN);
            reply.integer(i64::MAX);
        });
        assert_eq!(reply, ":-9223372036854775808\r\n:9223372036854775807\r\n");
    }

    #[test]
    fn streams_are_pairs_in_resp2_and_a_map_in_resp3() {
        let all = |reply: &mut Encoder<'_>| {
            reply.streams(1);
            reply.stream(b"k", 1);
            reply.entry(StreamId::new(1, 2), 1);
            reply.bulk(b"f");
            reply.bulk_number(3);
        };
        let entries = "$1\r\nk\r\n*1\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\nf\r\n$1\r\n3\r\n";
        assert_eq!(written(Version::Resp2, all), format!("*1\r\n*2\r\n{entries}"));
        assert_eq!(written(Version::Resp3, all), format!("%1\r\n{entries}"));
        assert_eq!(written(Version::Resp2, |reply| reply.streams(0)), "*-1\r\n");
        assert_eq!(written(Version::Resp3, |reply| reply.streams(0)), "_\r\n");
    }
}
