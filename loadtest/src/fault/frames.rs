//! Frames of HTTP/2 (RFC 9113 section 4.1), written by hand, right ones and wrong ones.
//!
//! ```text
//!   length (24 bits)  type (8)  flags (8)  stream (32)  payload
//! ```
//!
//! Header blocks are the plainest that HPACK has (RFC 7541 section 6.2.2): literals, nothing indexed, no Huffman.

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// The identifiers of two settings (RFC 9113 section 6.5.2).
pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;

/// What a client says first (RFC 9113 section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes in front of a payload.
pub(super) const HEAD_BYTES: usize = 9;
/// The longest payload that everybody takes.
pub(super) const PAYLOAD_BYTES_MAX: usize = 16_384;

/// Any frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut out = vec![length[1], length[2], length[3], kind, flags];
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

pub(super) fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (identifier, value) in settings {
        payload.extend_from_slice(&identifier.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

pub(super) fn headers(stream: u32, block: &[u8], is_last: bool) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | if is_last { END_STREAM } else { 0 }, stream, block)
}

pub(super) fn data(stream: u32, payload: &[u8], is_last: bool) -> Vec<u8> {
    frame(DATA, if is_last { END_STREAM } else { 0 }, stream, payload)
}

pub(super) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

pub(super) fn goaway(last: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}

pub(super) fn window_update(stream: u32, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

/// A status and headers as HPACK.
pub(super) fn header_block<'a>(status: u16, headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut out = Vec::new();
    literal(&mut out, b":status", status.to_string().as_bytes());
    for (name, value) in headers {
        literal(&mut out, name.as_bytes(), value);
    }
    out
}

pub(super) fn literal(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.push(0);
    for text in [name, value] {
        integer(out, text.len());
        out.extend_from_slice(text);
    }
}

/// An integer behind one bit (RFC 7541 section 5.1).
fn integer(out: &mut Vec<u8>, value: usize) {
    if value < 127 {
        out.push(value as u8);
        return;
    }
    out.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// A frame that has come.
#[derive(Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// Bytes that it took, its head included.
    pub(super) bytes: usize,
}

/// The frame at the beginning of `input`, if it is there as a whole.
pub(super) fn first(input: &[u8]) -> Option<Frame> {
    let head = input.get(..HEAD_BYTES)?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
    let bytes = HEAD_BYTES + length;
    (input.len() >= bytes).then_some(Frame { kind: head[3], flags: head[4], stream, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back_once_it_is_whole() {
        let written = headers(5, &[1, 2, 3], true);
        for bytes in 0..written.len() {
            assert_eq!(first(&written[..bytes]), None);
        }
        let flags = END_HEADERS | END_STREAM;
        assert_eq!(first(&written), Some(Frame { kind: HEADERS, flags, stream: 5, bytes: 12 }));
    }

    #[test]
    fn integers_are_those_of_the_rfc() {
        // RFC 7541 appendix C.1.2 has 1337 behind three bits; behind one it is this.
        let written = |value| {
            let mut out = Vec::new();
            integer(&mut out, value);
            out
        };
        assert_eq!((written(10), written(126), written(127)), (vec![10], vec![126], vec![127, 0]));
        assert_eq!(written(1_337), [127, 0xba, 9]);
    }
}
