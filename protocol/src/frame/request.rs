//! One request: its arguments, as slices of the buffer they were read into.

use std::fmt;

use bytes::Bytes;

/// Where an argument lies within its frame.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    /// Offsets fit: a frame is at most `Limits::request_bytes_max`, far below 4 GiB.
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }
}

/// One request; there is at least one argument, the command's name.
///
/// Arguments taken as [`Bytes`] share the read buffer and keep all of it in memory. Whoever keeps one for
/// longer than the request lasts should copy it.
pub struct Request<'d> {
    pub(super) frame: Bytes,
    pub(super) spans: &'d [Span],
}

impl Request<'_> {
    /// How many arguments there are, the command's name included.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Never true for a request that a decoder handed out.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The argument at `index`; the command's name is at 0.
    pub fn argument(&self, index: usize) -> Option<&[u8]> {
        let span = self.spans.get(index)?;
        Some(&self.frame[span.start as usize..span.end as usize])
    }

    /// The same, sharing the read buffer.
    pub fn argument_bytes(&self, index: usize) -> Option<Bytes> {
        let span = self.spans.get(index)?;
        Some(self.frame.slice(span.start as usize..span.end as usize))
    }

    /// All arguments in order.
    pub fn arguments(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|index| self.argument(index))
    }
}

/// Sizes only: an argument may be a password.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("arguments", &self.len()).field("bytes", &self.frame.len()).finish()
    }
}
