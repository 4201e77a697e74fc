//! A walk along the arguments of one request, after the command's name.

use bytes::Bytes;

use super::CommandError;
use crate::decimal;
use crate::frame::Request;

/// The arguments not read yet.
#[derive(Clone)]
pub(super) struct Arguments<'r> {
    request: &'r Request<'r>,
    next: usize,
}

impl<'r> Arguments<'r> {
    /// All arguments after the command's name.
    pub(super) fn of(request: &'r Request<'r>) -> Self {
        Self { request, next: 1 }
    }

    /// How many are left.
    pub(super) fn len(&self) -> usize {
        self.request.len().saturating_sub(self.next)
    }

    pub(super) fn peek(&self) -> Option<&'r [u8]> {
        self.request.argument(self.next)
    }

    pub(super) fn take(&mut self) -> Option<&'r [u8]> {
        let argument = self.peek()?;
        self.next += 1;
        Some(argument)
    }

    /// The next argument, sharing the read buffer.
    pub(super) fn take_bytes(&mut self) -> Option<Bytes> {
        let argument = self.request.argument_bytes(self.next)?;
        self.next += 1;
        Some(argument)
    }

    /// Passes over `count` arguments.
    pub(super) fn skip(&mut self, count: usize) {
        self.next += count;
    }

    /// The next argument; [`CommandError::Syntax`] when there is none.
    pub(super) fn expect(&mut self) -> Result<&'r [u8], CommandError> {
        self.take().ok_or(CommandError::Syntax)
    }

    /// Takes the next argument if it is this word, in any case.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|argument| is_word(argument, word));
        self.next += usize::from(found);
        found
    }

    /// The next argument as a whole number.
    pub(super) fn expect_integer(&mut self) -> Result<i64, CommandError> {
        decimal::parse_signed(self.expect()?).ok_or(CommandError::NotAnInteger)
    }

    /// `COUNT <n>` after its name: as in Redis, nothing below 1 limits.
    pub(super) fn expect_count(&mut self) -> Result<Option<u32>, CommandError> {
        let count = self.expect_integer()?.min(i64::from(u32::MAX));
        Ok(u32::try_from(count).ok().filter(|&count| count > 0))
    }

    /// No argument may be left.
    pub(super) fn expect_end(&self) -> Result<(), CommandError> {
        if self.len() == 0 { Ok(()) } else { Err(CommandError::Syntax) }
    }
}

/// Whether an argument is this word, in any case.
pub(super) fn is_word(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}
