//! The chunked transfer coding (RFC 9112 section 7.1), undone as the bytes come.
//!
//! ```text
//!   Size -> (Extension) -> SizeEnd -> Data -> DataCr -> DataLf -> Size ...
//!                             | size 0
//!                             +--> Trailer -> ... -> Done
//! ```
//!
//! Strict: lines end in CR LF, sizes are hexadecimal digits and nothing else. What a lenient reader takes for an end
//! of line, another does not, and between the two a response can be hidden in another.

use super::Malformed;

/// The most digits of a chunk's size: more would not fit 64 bits.
const SIZE_DIGITS_MAX: u8 = 16;

/// Where in a chunked body we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunked {
    /// In a chunk's size.
    Size { value: u64, digits: u8 },
    /// Behind the size: an extension, which means nothing to us.
    Extension { size: u64 },
    /// At the LF behind a chunk's size.
    SizeEnd { size: u64 },
    /// In a chunk, with so many bytes left.
    Data { left: u64 },
    /// At the CR behind a chunk.
    DataCr,
    /// At the LF behind a chunk.
    DataLf,
    /// In the trailer section, which is of no interest; whether the line has anything in it yet.
    Trailer { is_empty: bool },
    /// At the LF of a line of the trailer section.
    TrailerLf { is_empty: bool },
    /// Behind the body.
    Done,
}

impl Chunked {
    pub(super) const START: Self = Self::Size { value: 0, digits: 0 };

    /// Takes bytes from the front of `input` up to the end of a stretch of data, which it returns, or all of them.
    pub(super) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
        while let Some((&byte, rest)) = input.split_first() {
            match *self {
                Self::Done => break,
                Self::Data { left } => {
                    let bytes = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let (data, rest) = input.split_at(bytes);
                    let left = left - bytes as u64;
                    *self = if left == 0 { Self::DataCr } else { Self::Data { left } };
                    *input = rest;
                    return Ok(data);
                }
                _ => *self = self.after(byte)?,
            }
            *input = rest;
        }
        Ok(&[])
    }

    fn after(self, byte: u8) -> Result<Self, Malformed> {
        Ok(match (self, byte) {
            (Self::Size { value, digits }, _) => return after_size(value, digits, byte),
            (Self::Extension { size }, b'\r') => Self::SizeEnd { size },
            (Self::Extension { size }, other) if other != b'\n' => Self::Extension { size },
            (Self::SizeEnd { size: 0 }, b'\n') => Self::Trailer { is_empty: true },
            (Self::SizeEnd { size }, b'\n') => Self::Data { left: size },
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::START,
            (Self::Trailer { is_empty }, b'\r') => Self::TrailerLf { is_empty },
            (Self::Trailer { .. }, other) if other != b'\n' => Self::Trailer { is_empty: false },
            (Self::TrailerLf { is_empty: true }, b'\n') => Self::Done,
            (Self::TrailerLf { is_empty: false }, b'\n') => Self::Trailer { is_empty: true },
            _ => return Err(Malformed::Chunk),
        })
    }
}

fn after_size(value: u64, digits: u8, byte: u8) -> Result<Chunked, Malformed> {
    let digit = match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        _ if digits == 0 => return Err(Malformed::Chunk),
        b'\r' => return Ok(Chunked::SizeEnd { size: value }),
        b';' | b' ' | b'\t' => return Ok(Chunked::Extension { size: value }),
        _ => return Err(Malformed::Chunk),
    };
    if digits >= SIZE_DIGITS_MAX {
        return Err(Malformed::Chunk);
    }
    Ok(Chunked::Size { value: value << 4 | u64::from(digit), digits: digits + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a body says, and what is behind it.
    fn decode(mut input: &[u8]) -> Result<(Vec<u8>, Chunked, &[u8]), Malformed> {
        let (mut at, mut body) = (Chunked::START, Vec::new());
        loop {
            let data = at.next(&mut input)?;
            if data.is_empty() {
                return Ok((body, at, input));
            }
            body.extend_from_slice(data);
        }
    }

    #[test]
    fn chunks_are_joined_and_what_is_behind_them_is_left() {
        let (body, at, rest) = decode(b"3\r\nabc\r\n00A;x=\"y\"\r\n0123456789\r\n0\r\n\r\nHTTP").unwrap();
        assert_eq!((body.as_slice(), at, rest), (&b"abc0123456789"[..], Chunked::Done, &b"HTTP"[..]));
    }

    #[test]
    fn trailers_are_skipped() {
        let (body, at, rest) = decode(b"1\r\na\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n").unwrap();
        assert_eq!((body.as_slice(), at, rest), (&b"a"[..], Chunked::Done, &b""[..]));
    }

    #[test]
    fn a_body_that_breaks_off_is_not_done() {
        for part in ["", "3", "3\r\n", "3\r\nab", "3\r\nabc\r", "0\r\n", "0\r\nX: y\r\n"] {
            assert_ne!(decode(part.as_bytes()).unwrap().1, Chunked::Done, "{part:?}");
        }
    }

    #[test]
    fn what_another_reader_might_read_otherwise_is_refused() {
        let long = "0".repeat(17);
        for body in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "0x3\r\n",
            "3\nabc",
            "3\r\nabcd",
            "3\r\nabc\n",
            "3;a\nabc",
            "0\r\nX\n",
            &long,
        ] {
            assert_eq!(decode(body.as_bytes()).err(), Some(Malformed::Chunk), "{body:?}");
        }
    }

    #[test]
    fn the_largest_size_is_a_size() {
        let (_, at, _) = decode(b"ffffffffffffffff\r\n").unwrap();
        assert_eq!(at, Chunked::Data { left: u64::MAX });
    }
}
