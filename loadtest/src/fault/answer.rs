//! An answer that is well formed, whatever it says: so that it can be given over every version of HTTP.

use super::frames;

/// See the head of this file.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// A status and nothing else.
    pub(super) fn bare(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// With this header.
    pub(super) fn with(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name, value.as_ref().to_vec()));
        self
    }

    /// With this body.
    pub(super) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// As HTTP/1.1 has it.
    pub(super) fn http1(&self) -> Vec<u8> {
        let mut out = format!("HTTP/1.1 {} \r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
        if self.status >= 200 && self.status != 204 && self.status != 304 {
            out.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }

    /// As HTTP/2 has it, on this stream. Bodies are within the window that every client grants.
    pub(super) fn http2(&self, stream: u32) -> Vec<u8> {
        let headers = self.headers.iter().map(|(name, value)| (*name, &value[..]));
        let block = frames::header_block(self.status, headers);
        let mut out = frames::headers(stream, &block, self.body.is_empty());
        let mut pieces = self.body.chunks(frames::PAYLOAD_BYTES_MAX).peekable();
        while let Some(piece) = pieces.next() {
            out.extend(frames::data(stream, piece, pieces.peek().is_none()));
        }
        out
    }
}
