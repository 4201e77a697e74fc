//! A response, taken in as its bytes come: nothing here knows a socket.
//!
//!   Head --(interim responses are skipped)--> Body --> Complete
//!                                              +-----> Cut: longer than we read
//!
//! Invariants
//! - However the bytes are cut, what comes out is the same.
//! - Not more is held than a head's limit and what is to be kept of the body.

use bytes::Bytes;
use memchr::memchr;

use super::super::response::{Head, ResponseLimits};
use super::head::{self, Framing};
use super::{HEAD_BYTES_MAX, Malformed};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Body(Framing),
    Complete,
    Cut,
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct ResponseReader {
    limits: ResponseLimits,
    stage: Stage,
    /// A head that is not there as a whole.
    partial: Vec<u8>,
    head: Option<Head>,
    keeps_alive: bool,
    kept: Vec<u8>,
    /// Bytes of the body seen.
    body_bytes: usize,
}

impl ResponseReader {
    /// Waits for a response of which so much is to be kept.
    pub(super) fn new(limits: ResponseLimits) -> Self {
        Self {
            limits,
            stage: Stage::Head,
            partial: Vec::new(),
            head: None,
            keeps_alive: false,
            kept: Vec::new(),
            body_bytes: 0,
        }
    }

    /// Takes the next bytes.
    pub(super) fn feed(&mut self, mut input: &[u8]) -> Result<(), Malformed> {
        while !input.is_empty() {
            match &mut self.stage {
                Stage::Head => input = self.feed_head(input)?,
                Stage::Body(_) => self.feed_body(&mut input)?,
                // Nobody asked for more; who says it all the same is not trusted with another request.
                Stage::Complete | Stage::Cut => {
                    self.keeps_alive = false;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The receiver has closed the connection. `false` when the response was not complete.
    pub(super) fn close(&mut self) -> bool {
        if self.stage == Stage::Body(Framing::UntilClose) {
            self.stage = Stage::Complete;
        }
        self.keeps_alive = false;
        self.is_done()
    }

    /// The head, once it is there; only once.
    pub(super) fn take_head(&mut self) -> Option<Head> {
        self.head.take()
    }

    /// Whether nothing more is to be read.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Complete | Stage::Cut)
    }

    /// What is kept of the body.
    pub(super) fn take_body(&mut self) -> Bytes {
        if self.kept.is_empty() { Bytes::new() } else { std::mem::take(&mut self.kept).into() }
    }

    /// Whether the connection may carry another exchange.
    pub(super) fn keeps_alive(&self) -> bool {
        self.keeps_alive && self.stage == Stage::Complete
    }

    /// Reads a head, from `input` alone if it is there as a whole. Returns what is behind it.
    fn feed_head<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], Malformed> {
        if self.partial.is_empty() {
            return match head::parse(input, self.limits.headers_bytes_kept_max)? {
                Some(parsed) if parsed.bytes > HEAD_BYTES_MAX => Err(Malformed::HeadTooLong),
                Some(parsed) => {
                    let rest = &input[parsed.bytes..];
                    self.take_in(parsed);
                    Ok(rest)
                }
                None => self.wait_for_more(input),
            };
        }
        let before = self.partial.len();
        // A head ends with a line; without one there is nothing new to find. Parsed anew with each byte of a slow
        // receiver, a long head would cost a second.
        if memchr(b'\n', input).is_none() {
            return self.wait_for_more(input);
        }
        let room = HEAD_BYTES_MAX.saturating_sub(before).min(input.len());
        self.partial.extend_from_slice(&input[..room]);
        match head::parse(&self.partial, self.limits.headers_bytes_kept_max)? {
            Some(parsed) => {
                let rest = &input[parsed.bytes - before..];
                self.partial = Vec::new();
                self.take_in(parsed);
                Ok(rest)
            }
            None if self.partial.len() >= HEAD_BYTES_MAX => Err(Malformed::HeadTooLong),
            None => Ok(&[]),
        }
    }

    fn wait_for_more(&mut self, input: &[u8]) -> Result<&'static [u8], Malformed> {
        if self.partial.len() + input.len() >= HEAD_BYTES_MAX {
            return Err(Malformed::HeadTooLong);
        }
        self.partial.extend_from_slice(input);
        Ok(&[])
    }

    fn take_in(&mut self, parsed: head::ParsedHead) {
        // Interim responses say nothing that we could use (RFC 9110 section 15.2); 101 is final for who never asked.
        if (100..200).contains(&parsed.head.status) && parsed.head.status != 101 {
            return;
        }
        self.keeps_alive = parsed.keeps_alive;
        self.stage = match parsed.framing {
            Framing::Length(0) => Stage::Complete,
            framing => Stage::Body(framing),
        };
        self.head = Some(parsed.head);
    }

    fn feed_body(&mut self, input: &mut &[u8]) -> Result<(), Malformed> {
        let Stage::Body(framing) = &mut self.stage else { return Ok(()) };
        let (data, is_over) = match framing {
            Framing::UntilClose => (std::mem::take(input), false),
            Framing::Length(left) => {
                let bytes = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                let (data, rest) = input.split_at(bytes);
                *input = rest;
                *left -= bytes as u64;
                (data, *left == 0)
            }
            Framing::Chunked(chunked) => {
                let data = chunked.next(input)?;
                (data, *chunked == super::chunked::Chunked::Done)
            }
        };
        self.body_bytes = self.body_bytes.saturating_add(data.len());
        let fits = data.len().min(self.limits.body_bytes_kept_max.saturating_sub(self.kept.len()));
        self.kept.extend_from_slice(&data[..fits]);
        if self.body_bytes > self.limits.body_bytes_read_max {
            self.stage = Stage::Cut;
        } else if is_over {
            self.stage = Stage::Complete;
        }
        Ok(())
    }
}
