//! A chunked body, put together as it comes.
//!
//! ```text
//!   5;extension CRLF hello CRLF   0 CRLF trailers CRLF
//! ```
//!
//! Each byte is looked at once: what has been taken is remembered, and the next call goes on there.

/// Bytes of one line: a size with its extensions, or a trailer.
const LINE_BYTES_MAX: usize = 4096;
/// Bytes that sizes and line ends may take beyond twice the limit of the body: tiny chunks are legal, a gigabyte of
/// them is not.
const OVERHEAD_BYTES_MAX: usize = 64 << 10;
/// Bytes of all trailers together.
const TRAILER_BYTES_MAX: usize = 64 << 10;

/// The body so far.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    body: Vec<u8>,
    /// Bytes after the head that have been taken.
    taken: usize,
    stage: Stage,
    trailer_bytes: usize,
}

#[derive(Debug, Default, Clone, Copy)]
enum Stage {
    /// A line with the size of the next chunk.
    #[default]
    Size,
    /// So many bytes of a chunk are still to come.
    Chunk(usize),
    /// The line end behind a chunk.
    End,
    /// Lines until an empty one.
    Trailers,
}

impl Chunks {
    /// Goes on with `rest`, all that has come after the head. Answers with its length in bytes once it is whole,
    /// or with the status to refuse it with.
    pub(super) fn take(&mut self, rest: &[u8], body_bytes_max: usize) -> Result<Option<usize>, u16> {
        loop {
            let input = &rest[self.taken..];
            match self.stage {
                Stage::Size => {
                    let Some(line) = self.line(input)? else { return Ok(None) };
                    let size = size_of(line).ok_or(400u16)?;
                    let taken_max = 2 * body_bytes_max + OVERHEAD_BYTES_MAX;
                    if size > body_bytes_max - self.body.len() || self.taken > taken_max {
                        return Err(413);
                    }
                    self.stage = if size == 0 { Stage::Trailers } else { Stage::Chunk(size) };
                }
                Stage::Chunk(left) => {
                    let bytes = left.min(input.len());
                    self.body.extend_from_slice(&input[..bytes]);
                    self.taken += bytes;
                    self.stage = if bytes == left { Stage::End } else { Stage::Chunk(left - bytes) };
                    if bytes < left {
                        return Ok(None);
                    }
                }
                Stage::End => {
                    let Some(line) = self.line(input)? else { return Ok(None) };
                    if !line.is_empty() {
                        return Err(400);
                    }
                    self.stage = Stage::Size;
                }
                Stage::Trailers => {
                    let Some(line) = self.line(input)? else { return Ok(None) };
                    if line.is_empty() {
                        return Ok(Some(self.taken));
                    }
                    self.trailer_bytes += line.len();
                    if self.trailer_bytes > TRAILER_BYTES_MAX {
                        return Err(431);
                    }
                }
            }
        }
    }

    /// The body, as far as it has come.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Ready for the next request. The memory of a small body is kept.
    pub(super) fn clear(&mut self) {
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        body.shrink_to(64 << 10);
        *self = Self { body, ..Self::default() };
    }

    /// The next line without its end, if it has come.
    fn line<'a>(&mut self, input: &'a [u8]) -> Result<Option<&'a [u8]>, u16> {
        let window = &input[..input.len().min(LINE_BYTES_MAX)];
        let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
            return if input.len() < LINE_BYTES_MAX { Ok(None) } else { Err(431) };
        };
        self.taken += end + 1;
        input[..end].strip_suffix(b"\r").map(Some).ok_or(400)
    }
}

fn size_of(line: &[u8]) -> Option<usize> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (number, extension) = line.split_at(digits);
    if !matches!(extension.trim_ascii_start().first(), None | Some(b';')) {
        return None;
    }
    usize::from_str_radix(std::str::from_utf8(number).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"5;a=b\r\nhello\r\n1 \r\n!\r\n0\r\nTrailer: x\r\n\r\n";

    #[test]
    fn a_body_is_put_together_whole_or_byte_by_byte() {
        let input = [BODY, b"POST"].concat();
        let mut at_once = Chunks::default();
        assert_eq!(at_once.take(&input, 6), Ok(Some(BODY.len())));
        assert_eq!(at_once.body(), b"hello!");

        let mut slowly = Chunks::default();
        for end in 0..BODY.len() {
            assert_eq!(slowly.take(&input[..end], 6), Ok(None), "{end} bytes");
        }
        assert_eq!(slowly.take(&input[..BODY.len()], 6), Ok(Some(BODY.len())));
        assert_eq!(slowly.body(), b"hello!");
    }

    #[test]
    fn after_one_body_comes_another() {
        let mut chunks = Chunks::default();
        assert_eq!(chunks.take(BODY, 6), Ok(Some(BODY.len())));
        chunks.clear();
        assert_eq!(chunks.take(b"0\r\n\r\n", 6), Ok(Some(5)));
        assert_eq!(chunks.body(), b"");
    }

    #[test]
    fn what_is_not_chunked_is_refused() {
        for input in ["x\r\n", "\r\n", "5\n", "5\r\nhelloX\r\n", "-1\r\n", "5 x\r\n", "fffffffffffffffff\r\n"]
        {
            assert_eq!(Chunks::default().take(input.as_bytes(), 100), Err(400), "{input:?}");
        }
    }

    #[test]
    fn limits_hold_for_the_body_for_a_line_and_for_trailers() {
        assert_eq!(Chunks::default().take(b"4\r\nabcd\r\n3\r\n", 6), Err(413));
        assert_eq!(Chunks::default().take(b"ffffffffffffffff\r\n", 6), Err(413));
        assert_eq!(Chunks::default().take(&[b'0'; LINE_BYTES_MAX], 6), Err(431));
        let tiny = format!("1;{}\r\nx\r\n", "e".repeat(1000)).repeat(70);
        assert_eq!(Chunks::default().take(tiny.as_bytes(), 100), Err(413));
        let trailers = format!("0\r\n{}", format!("a: {}\r\n", "x".repeat(1000)).repeat(66));
        assert_eq!(Chunks::default().take(trailers.as_bytes(), 6), Err(431));
    }
}
