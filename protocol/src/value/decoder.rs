//! The reply decoder: takes a value apart as it arrives, on a stack of its own.
//!
//! ```text
//!   *2  ──> open array, 2 left          stack: [array 2]
//!   :1  ──> complete: into the array    stack: [array 1]
//!   *0  ──> complete: into the array    stack: [array 0] ──> complete: the value
//! ```
//!
//! What is understood leaves the input at once, so nothing is read twice.
//!
//! Invariants
//! - The stack is at most `depth_max` deep, and nothing recurses on input.
//! - No memory is reserved for a declared length.

use bytes::{Buf, Bytes, BytesMut};

use super::{Value, pairs};
use crate::decimal;

/// How large a reply may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueLimits {
    /// Levels of nesting; a plain value is at level 0.
    pub depth_max: usize,
    /// Values in one reply, at all levels.
    pub values_max: usize,
    /// Bytes of one string.
    pub bulk_bytes_max: usize,
    /// Bytes of one reply.
    pub reply_bytes_max: usize,
    /// Bytes of one line.
    pub line_bytes_max: usize,
}

impl Default for ValueLimits {
    /// 8 levels, a million values, strings of 32 MiB, 64 MiB in all, lines of 64 KiB.
    fn default() -> Self {
        Self {
            depth_max: 8,
            values_max: 1 << 20,
            bulk_bytes_max: 32 << 20,
            reply_bytes_max: 64 << 20,
            line_bytes_max: 64 << 10,
        }
    }
}

/// Why the bytes cannot be read as replies. The connection cannot be used any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A value begins with something that is no type.
    #[error("a reply begins with byte 0x{got:02x}, which is no RESP type")]
    UnknownType {
        /// The byte found.
        got: u8,
    },
    /// A line does not say what its type needs.
    #[error("a reply of type '{kind}' is malformed")]
    Malformed {
        /// The type.
        kind: char,
    },
    /// Something is larger than accepted.
    #[error("a reply has {what} of {given}; the limit is {max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        given: u64,
        /// The limit.
        max: usize,
    },
}

/// Cuts a client's input into values.
pub struct ValueDecoder {
    limits: ValueLimits,
    open: Vec<Open>,
    /// Values begun since the reply began.
    values: usize,
    /// Bytes consumed since the reply began.
    bytes: usize,
    /// Bytes at the front of the input that hold no line end.
    searched: usize,
    /// A string whose length is known and whose bytes are not all here.
    string: Option<(StringKind, usize)>,
}

/// An aggregate that waits for more values.
struct Open {
    kind: Aggregate,
    left: usize,
    values: Vec<Value>,
}

#[derive(Clone, Copy)]
enum Aggregate {
    Array,
    Map,
    Set,
    Push,
}

#[derive(Clone, Copy)]
enum StringKind {
    Bulk,
    Error,
    Verbatim,
}

enum Step {
    NeedsInput,
    Opened,
    Complete(Value),
}

impl ValueDecoder {
    /// A decoder at the start of a connection.
    pub fn new(limits: ValueLimits) -> Self {
        Self { limits, open: Vec::new(), values: 0, bytes: 0, searched: 0, string: None }
    }

    /// Takes the next complete value off the front of `input`; `None` when more bytes are needed.
    ///
    /// Between calls `input` may only grow at its end.
    ///
    /// # Errors
    /// When what arrived is no value or is over a limit. Nothing useful can follow: close.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Value>, ValueError> {
        loop {
            let value = match self.step(input)? {
                Step::NeedsInput => return Ok(None),
                Step::Opened => continue,
                Step::Complete(value) => value,
            };
            if let Some(value) = self.close(value) {
                (self.values, self.bytes) = (0, 0);
                return Ok(Some(value));
            }
        }
    }

    /// Puts a complete value where it belongs: `Some` when it is the whole reply.
    fn close(&mut self, mut value: Value) -> Option<Value> {
        while let Some(mut open) = self.open.pop() {
            open.values.push(value);
            open.left -= 1;
            if open.left > 0 {
                self.open.push(open);
                return None;
            }
            value = open.kind.complete(open.values);
        }
        Some(value)
    }

    fn step(&mut self, input: &mut BytesMut) -> Result<Step, ValueError> {
        if let Some((kind, bytes)) = self.string {
            return self.string_bytes(input, kind, bytes);
        }
        let Some(line) = self.line(input)? else {
            return Ok(Step::NeedsInput);
        };
        self.values += 1;
        limit("values", self.values, self.limits.values_max)?;
        let (&mark, rest) = line.split_first().ok_or(ValueError::UnknownType { got: b'\r' })?;
        match mark {
            b'*' => self.aggregate(mark, Aggregate::Array, rest),
            b'%' => self.aggregate(mark, Aggregate::Map, rest),
            b'~' => self.aggregate(mark, Aggregate::Set, rest),
            b'>' => self.aggregate(mark, Aggregate::Push, rest),
            b'$' => self.string_length(mark, StringKind::Bulk, rest),
            b'!' => self.string_length(mark, StringKind::Error, rest),
            b'=' => self.string_length(mark, StringKind::Verbatim, rest),
            _ => scalar(mark, line.slice(1..)).map(Step::Complete),
        }
    }

    /// The next line without its end.
    fn line(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, ValueError> {
        let Some(end) = memchr::memchr(b'\n', &input[self.searched..]) else {
            self.searched = input.len();
            limit("a line", input.len(), self.limits.line_bytes_max)?;
            return Ok(None);
        };
        let line = input.split_to(self.searched + end + 1).freeze();
        self.searched = 0;
        limit("a line", line.len(), self.limits.line_bytes_max)?;
        self.consume(line.len())?;
        match line.strip_suffix(b"\r\n") {
            Some(text) => Ok(Some(line.slice(..text.len()))),
            None => Err(malformed(line[0])),
        }
    }

    fn consume(&mut self, bytes: usize) -> Result<(), ValueError> {
        self.bytes += bytes;
        limit("a size in bytes", self.bytes, self.limits.reply_bytes_max)
    }

    fn aggregate(&mut self, mark: u8, kind: Aggregate, len: &[u8]) -> Result<Step, ValueError> {
        let len = decimal::parse_signed(len).ok_or_else(|| malformed(mark))?;
        if len == -1 && mark == b'*' {
            return Ok(Step::Complete(Value::Null));
        }
        let len = usize::try_from(len).map_err(|_| malformed(mark))?;
        limit("a length", len, self.limits.values_max)?;
        if len == 0 {
            return Ok(Step::Complete(kind.complete(Vec::new())));
        }
        limit("a depth", self.open.len() + 1, self.limits.depth_max)?;
        let left = if matches!(kind, Aggregate::Map) { 2 * len } else { len };
        self.open.push(Open { kind, left, values: Vec::new() });
        Ok(Step::Opened)
    }

    fn string_length(&mut self, mark: u8, kind: StringKind, len: &[u8]) -> Result<Step, ValueError> {
        let len = decimal::parse_signed(len).ok_or_else(|| malformed(mark))?;
        if len == -1 && mark == b'$' {
            return Ok(Step::Complete(Value::Null));
        }
        let len = usize::try_from(len).map_err(|_| malformed(mark))?;
        limit("a string", len, self.limits.bulk_bytes_max)?;
        self.consume(len + 2)?;
        self.string = Some((kind, len));
        Ok(Step::Opened)
    }

    fn string_bytes(
        &mut self,
        input: &mut BytesMut,
        kind: StringKind,
        bytes: usize,
    ) -> Result<Step, ValueError> {
        match input.get(bytes..bytes + 2) {
            None => return Ok(Step::NeedsInput),
            Some(b"\r\n") => {}
            Some(_) => return Err(malformed(b'$')),
        }
        self.string = None;
        let mut string = input.split_to(bytes).freeze();
        input.advance(2);
        Ok(Step::Complete(match kind {
            StringKind::Bulk => Value::Bulk(string),
            StringKind::Error => Value::Error(string),
            StringKind::Verbatim => {
                let &[a, b, c, b':', ..] = &string[..] else { return Err(malformed(b'=')) };
                string.advance(4);
                Value::Verbatim { format: [a, b, c], text: string }
            }
        }))
    }
}

impl Aggregate {
    fn complete(self, values: Vec<Value>) -> Value {
        match self {
            Self::Array => Value::Array(values),
            Self::Map => Value::Map(pairs(values)),
            Self::Set => Value::Set(values),
            Self::Push => Value::Push(values),
        }
    }
}

/// A value that is all on its line.
fn scalar(mark: u8, text: Bytes) -> Result<Value, ValueError> {
    let value = match mark {
        b'+' => Some(Value::Simple(text)),
        b'-' => Some(Value::Error(text)),
        b':' => decimal::parse_signed(&text).map(Value::Integer),
        b'_' => text.is_empty().then_some(Value::Null),
        b'#' => boolean(&text).map(Value::Boolean),
        b',' => double(&text).map(Value::Double),
        b'(' => is_big_number(&text).then_some(Value::BigNumber(text)),
        got => return Err(ValueError::UnknownType { got }),
    };
    value.ok_or_else(|| malformed(mark))
}

fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"t" => Some(true),
        b"f" => Some(false),
        _ => None,
    }
}

fn double(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn is_big_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

fn limit(what: &'static str, given: usize, max: usize) -> Result<(), ValueError> {
    if given > max { Err(ValueError::TooLarge { what, given: given as u64, max }) } else { Ok(()) }
}

fn malformed(mark: u8) -> ValueError {
    ValueError::Malformed { kind: if mark.is_ascii_graphic() { char::from(mark) } else { '?' } }
}

#[cfg(test)]
mod tests;
