//! The request decoder: remembers how far it has understood, so that waiting costs nothing.
//!
//! ```text
//!             '*'                          '$'                    bytes CR LF
//!   Request ───────> BulkLength{left} ───────────> Bulk{left} ──────────────────> BulkLength{left - 1}
//!      │  ^                                                    └── last one: the request is complete
//!      │  └── complete, or nothing to do (`*0`, an empty line)
//!      └──any other byte──> Line, until '\n'
//! ```
//!
//! The input keeps a request until it is complete, then gives it away whole; `understood` says how many of
//! its first bytes need not be looked at again.

use bytes::{Buf, Bytes, BytesMut};

use super::limits::{BULK_BYTES_MAX, COUNT_LINE_BYTES_MAX};
use super::request::Span;
use super::{Limits, ProtocolError, Request, inline};
use crate::decimal;

const LINE_END: &[u8] = b"\r\n";

/// Capacity for arguments that is kept between requests.
const SPANS_KEPT_MAX: usize = 64;

/// Cuts a connection's input into requests.
///
/// After an error the place of the next request is unknown: tell the sender, and close.
pub struct Decoder {
    limits: Limits,
    /// The complete arguments of the request under way. Reused, so that a request allocates nothing.
    spans: Vec<Span>,
    /// Bytes at the front of the input that need not be looked at again.
    understood: usize,
    expecting: Expecting,
    #[cfg(test)]
    bytes_examined: usize,
}

#[derive(Clone, Copy)]
enum Expecting {
    Request,
    Line,
    BulkLength { left: usize },
    Bulk { left: usize, bytes: usize },
}

enum Step {
    NeedsInput,
    Understood,
    Complete(Bytes),
}

impl Decoder {
    /// A decoder at the start of a connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            spans: Vec::new(),
            understood: 0,
            expecting: Expecting::Request,
            #[cfg(test)]
            bytes_examined: 0,
        }
    }

    /// Changes the limits from the next request on: to be called between requests, after authentication.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes the next complete request off the front of `input`; `None` when more bytes are needed.
    ///
    /// Between calls `input` may only grow at its end.
    ///
    /// # Errors
    /// When what arrived is not a request or is over a limit. Nothing useful can follow: close.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Request<'_>>, ProtocolError> {
        loop {
            match self.step(input)? {
                Step::NeedsInput => return Ok(None),
                Step::Understood => {}
                Step::Complete(frame) => {
                    self.understood = 0;
                    self.expecting = Expecting::Request;
                    return Ok(Some(Request { frame, spans: &self.spans }));
                }
            }
        }
    }

    fn step(&mut self, input: &mut BytesMut) -> Result<Step, ProtocolError> {
        match self.expecting {
            Expecting::Request => self.begin(input),
            Expecting::Line => self.line(input),
            Expecting::BulkLength { left } => self.bulk_length(input, left),
            Expecting::Bulk { left, bytes } => self.bulk(input, left, bytes),
        }
    }

    fn begin(&mut self, input: &mut BytesMut) -> Result<Step, ProtocolError> {
        self.spans.clear();
        self.spans.shrink_to(SPANS_KEPT_MAX);
        match input.first() {
            None => Ok(Step::NeedsInput),
            Some(b'*') => self.argument_count(input),
            Some(_) => {
                self.expecting = Expecting::Line;
                Ok(Step::Understood)
            }
        }
    }

    /// `*<arguments>\r\n`
    fn argument_count(&mut self, input: &mut BytesMut) -> Result<Step, ProtocolError> {
        let (count, line_bytes) = match self.count_line(input) {
            CountLine::Incomplete => return Ok(Step::NeedsInput),
            CountLine::TooLong => return Err(ProtocolError::TooBigMultibulkCount),
            CountLine::Invalid => return Err(ProtocolError::InvalidMultibulkLength),
            CountLine::Complete { count, line_bytes } => (count, line_bytes),
        };
        if count > i64::from(i32::MAX) {
            return Err(ProtocolError::InvalidMultibulkLength);
        }
        // As in Redis, an empty or null array is no request and gets no reply.
        let Some(left) = usize::try_from(count).ok().filter(|&count| count > 0) else {
            input.advance(line_bytes);
            return Ok(Step::Understood);
        };
        if left > self.limits.arguments_max {
            return Err(self.too_many_arguments(left));
        }
        self.understood = line_bytes;
        self.expecting = Expecting::BulkLength { left };
        Ok(Step::Understood)
    }

    fn too_many_arguments(&self, given: usize) -> ProtocolError {
        match self.limits.authenticated {
            true => ProtocolError::TooManyArguments { given: given as u64, max: self.limits.arguments_max },
            false => ProtocolError::UnauthenticatedMultibulkLength,
        }
    }

    /// `$<bytes>\r\n`
    fn bulk_length(&mut self, input: &BytesMut, left: usize) -> Result<Step, ProtocolError> {
        let rest = &input[self.understood..];
        match rest.first() {
            None => return Ok(Step::NeedsInput),
            Some(b'$') => {}
            Some(&got) => return Err(ProtocolError::ExpectedBulk { got }),
        }
        let (count, line_bytes) = match self.count_line(rest) {
            CountLine::Incomplete => return Ok(Step::NeedsInput),
            CountLine::TooLong => return Err(ProtocolError::TooBigBulkCount),
            CountLine::Invalid => return Err(ProtocolError::InvalidBulkLength),
            CountLine::Complete { count, line_bytes } => (count, line_bytes),
        };
        let bytes = self.accept_bulk_length(count)?;
        self.understood += line_bytes;
        self.accept_request_length(self.understood + bytes + LINE_END.len())?;
        self.expecting = Expecting::Bulk { left, bytes };
        Ok(Step::Understood)
    }

    fn accept_bulk_length(&self, count: i64) -> Result<usize, ProtocolError> {
        let bytes = usize::try_from(count).map_err(|_| ProtocolError::InvalidBulkLength)?;
        if bytes > BULK_BYTES_MAX {
            return Err(ProtocolError::InvalidBulkLength);
        }
        if bytes <= self.limits.bulk_bytes_max {
            return Ok(bytes);
        }
        Err(match self.limits.authenticated {
            true => ProtocolError::BulkTooLong { bytes: bytes as u64, max: self.limits.bulk_bytes_max },
            false => ProtocolError::UnauthenticatedBulkLength,
        })
    }

    fn accept_request_length(&self, bytes: usize) -> Result<(), ProtocolError> {
        let max = self.limits.request_bytes_max;
        if bytes > max { Err(ProtocolError::RequestTooLong { bytes, max }) } else { Ok(()) }
    }

    /// `<bytes>\r\n`
    fn bulk(&mut self, input: &mut BytesMut, left: usize, bytes: usize) -> Result<Step, ProtocolError> {
        let start = self.understood;
        let end = start + bytes;
        let Some(line_end) = input.get(end..end + LINE_END.len()) else {
            return Ok(Step::NeedsInput);
        };
        if line_end != LINE_END {
            return Err(ProtocolError::BulkNotTerminated { bytes });
        }
        self.spans.push(Span::new(start, end));
        self.understood = end + LINE_END.len();
        if left == 1 {
            return Ok(Step::Complete(input.split_to(self.understood).freeze()));
        }
        self.expecting = Expecting::BulkLength { left: left - 1 };
        Ok(Step::Understood)
    }

    /// A request typed by hand: words up to a line end.
    fn line(&mut self, input: &mut BytesMut) -> Result<Step, ProtocolError> {
        let searched = self.understood;
        self.examined(input.len() - searched);
        let Some(line_end) = memchr::memchr(b'\n', &input[searched..]) else {
            self.understood = input.len();
            // Its line end may have come by half.
            let line = input.strip_suffix(b"\r").unwrap_or(input);
            return self.accept_line_length(line).map(|()| Step::NeedsInput);
        };
        let line = input.split_to(searched + line_end + 1);
        self.understood = 0;
        self.expecting = Expecting::Request;
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.accept_line_length(line)?;
        inline::refuse_http(line)?;
        let words = inline::split(line, &mut self.spans)?;
        match self.spans.len() {
            0 => Ok(Step::Understood),
            count if count > self.limits.arguments_max => Err(self.too_many_arguments(count)),
            _ => Ok(Step::Complete(Bytes::from(words))),
        }
    }

    fn accept_line_length(&self, line: &[u8]) -> Result<(), ProtocolError> {
        if line.len() <= self.limits.line_bytes_max {
            return Ok(());
        }
        inline::refuse_http(line)?;
        Err(ProtocolError::TooBigInline)
    }

    /// Reads the number after the first byte of `rest`. A line cannot be longer than
    /// [`COUNT_LINE_BYTES_MAX`], so starting over when the rest of it arrives costs next to nothing.
    fn count_line(&mut self, rest: &[u8]) -> CountLine {
        let line = &rest[..rest.len().min(COUNT_LINE_BYTES_MAX)];
        self.examined(line.len());
        let Some(end) = line.iter().position(|&byte| byte == b'\r') else {
            return if line.len() < COUNT_LINE_BYTES_MAX {
                CountLine::Incomplete
            } else {
                CountLine::TooLong
            };
        };
        match rest.get(end + 1) {
            None => return CountLine::Incomplete,
            Some(b'\n') => {}
            Some(_) => return CountLine::Invalid,
        }
        match decimal::parse_signed(&line[1..end]) {
            Some(count) => CountLine::Complete { count, line_bytes: end + LINE_END.len() },
            None => CountLine::Invalid,
        }
    }

    /// Counts the work, for the test that it does not grow with the square of the input.
    #[cfg(test)]
    fn examined(&mut self, bytes: usize) {
        self.bytes_examined += bytes;
    }

    #[cfg(not(test))]
    fn examined(&mut self, _bytes: usize) {}
}

enum CountLine {
    Incomplete,
    TooLong,
    Invalid,
    Complete { count: i64, line_bytes: usize },
}

#[cfg(test)]
mod tests;
