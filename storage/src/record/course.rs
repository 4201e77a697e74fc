//! The course of an attempt: how long its parts took, over which connection, who set it off, what was signed.
//!
//! Most attempts go over a connection that is open already and sign the second in which they began. Those take
//! three bytes or four; only what is not so is written out.
//!
//! ```text
//! flags u8 (1 dns, 2 connect, 4 tls, 8 first byte, 16 reused, 32 signed, 64 in another second, 128 trigger),
//! [dns us len], [connect us len], [tls us len], [first byte us len], [signed second u64], [trigger u8]
//! ```
//!
//! Invariant: what was written reads back equal, and in one form only.

use super::DecodeError;
use super::cursor::{Cursor, put_len};

const DNS: u8 = 1;
const CONNECT: u8 = 2;
const TLS: u8 = 4;
const FIRST_BYTE: u8 = 8;
const REUSED: u8 = 16;
const SIGNED: u8 = 32;
const SIGNED_LATER: u8 = 64;
const TRIGGER: u8 = 128;

/// See the head of this file. Zero stands for a part that did not happen; so does all of it for attempts that were
/// refused, and for those of records in version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Course {
    /// Looking up the name, microseconds.
    pub dns_us: u32,
    /// Opening the connection, microseconds.
    pub connect_us: u32,
    /// The TLS handshake, microseconds.
    pub tls_us: u32,
    /// From sending the request to the head of the response, microseconds.
    pub first_byte_us: u32,
    /// Whether it went over a connection that had been used before.
    pub reused: bool,
    /// The unix second that its request was signed for.
    pub signed_secs: Option<u64>,
    /// What set it off, as a number of the engine's.
    pub trigger: u8,
}

impl Course {
    pub(super) fn encode(&self, started_ms: u64, into: &mut Vec<u8>) {
        let flags_at = into.len();
        into.push(0);
        let mut flags = 0;
        let parts = [
            (DNS, self.dns_us),
            (CONNECT, self.connect_us),
            (TLS, self.tls_us),
            (FIRST_BYTE, self.first_byte_us),
        ];
        for (flag, us) in parts {
            if us > 0 {
                flags |= flag;
                put_len(into, us as usize);
            }
        }
        if self.reused {
            flags |= REUSED;
        }
        match self.signed_secs {
            Some(secs) if secs == started_ms / 1_000 => flags |= SIGNED,
            Some(secs) => {
                flags |= SIGNED_LATER;
                into.extend_from_slice(&secs.to_le_bytes());
            }
            None => {}
        }
        if self.trigger > 0 {
            flags |= TRIGGER;
            into.push(self.trigger);
        }
        into[flags_at] = flags;
    }

    pub(super) fn decode(cursor: &mut Cursor<'_>, started_ms: u64) -> Result<Self, DecodeError> {
        let flags = cursor.u8("course")?;
        let has = |flag: u8| flags & flag != 0;
        // In two forms at once it would not be known which second was signed.
        if has(SIGNED) && has(SIGNED_LATER) {
            return Err(DecodeError::UnknownFlags { flags });
        }
        let mut part =
            |flag: u8, field| if has(flag) { cursor.len(field).map(|us| us as u32) } else { Ok(0) };
        Ok(Self {
            dns_us: part(DNS, "dns time")?,
            connect_us: part(CONNECT, "connect time")?,
            tls_us: part(TLS, "tls time")?,
            first_byte_us: part(FIRST_BYTE, "first byte time")?,
            reused: has(REUSED),
            signed_secs: match (has(SIGNED), has(SIGNED_LATER)) {
                (true, _) => Some(started_ms / 1_000),
                (_, true) => Some(cursor.u64("signed second")?),
                _ => None,
            },
            trigger: if has(TRIGGER) { cursor.u8("trigger")? } else { 0 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(course: Course) -> usize {
        let mut bytes = Vec::new();
        course.encode(1_732_300_000_123, &mut bytes);
        let mut cursor = Cursor::new(&bytes);
        assert_eq!(Course::decode(&mut cursor, 1_732_300_000_123), Ok(course));
        assert_eq!(cursor.finish(), Ok(()));
        bytes.len()
    }

    #[test]
    fn what_most_attempts_have_takes_three_bytes() {
        let usual = Course {
            first_byte_us: 1_234,
            reused: true,
            signed_secs: Some(1_732_300_000),
            ..Course::default()
        };
        assert_eq!(bytes(usual), 3);
        assert_eq!(bytes(Course::default()), 1);
        let signed_secs = Some(1_732_300_001);
        assert_eq!(bytes(Course { signed_secs, ..usual }), 11);
        assert_eq!(
            bytes(Course { dns_us: u32::MAX, connect_us: 1, tls_us: 70_000, trigger: 1, ..usual }),
            13
        );
    }
}
