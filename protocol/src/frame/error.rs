//! Why a stream of bytes is not a stream of requests.
//!
//! None of these can be survived: the place where the next request begins is lost. The sender is told and
//! the connection closed. The texts are those of Redis wherever Redis refuses the same thing, so that what
//! people know how to search for still helps them.

/// Why the bytes cannot be read as requests. Displayed, it is the text of the reply after `ERR `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The count of arguments is not a number, or beyond 2^31.
    #[error("Protocol error: invalid multibulk length")]
    InvalidMultibulkLength,
    /// More arguments than accepted.
    #[error("Protocol error: invalid multibulk length: {given} arguments; the limit is {max}")]
    TooManyArguments {
        /// Arguments announced (or, in an inline request, counted so far).
        given: u64,
        /// The limit.
        max: usize,
    },
    /// More arguments than accepted before authentication.
    #[error("Protocol error: unauthenticated multibulk length")]
    UnauthenticatedMultibulkLength,
    /// The line that announces the count of arguments does not end.
    #[error("Protocol error: too big mbulk count string")]
    TooBigMultibulkCount,
    /// The length of an argument is not a number, negative, or beyond 512 MiB.
    #[error("Protocol error: invalid bulk length")]
    InvalidBulkLength,
    /// An argument longer than accepted.
    #[error("Protocol error: invalid bulk length: {bytes} bytes; the limit is {max}")]
    BulkTooLong {
        /// Bytes announced.
        bytes: u64,
        /// The limit.
        max: usize,
    },
    /// An argument longer than accepted before authentication.
    #[error("Protocol error: unauthenticated bulk length")]
    UnauthenticatedBulkLength,
    /// The line that announces the length of an argument does not end.
    #[error("Protocol error: too big bulk count string")]
    TooBigBulkCount,
    /// Something else stands where an argument should begin.
    #[error("Protocol error: expected '$', got '{}'", printable(*.got))]
    ExpectedBulk {
        /// The byte found.
        got: u8,
    },
    /// An argument is not followed by CR LF: its length was announced wrongly.
    #[error("Protocol error: expected CRLF after a bulk string of {bytes} bytes")]
    BulkNotTerminated {
        /// The length that was announced.
        bytes: usize,
    },
    /// All arguments together are larger than accepted.
    #[error("Protocol error: request of {bytes} bytes or more; the limit is {max}")]
    RequestTooLong {
        /// Bytes known to be coming.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// An inline request does not end within the limit.
    #[error("Protocol error: too big inline request")]
    TooBigInline,
    /// A quote in an inline request is not closed, or is followed by more than a space.
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// Somebody speaks HTTP to this port: by mistake, or a web page tries to make a browser publish.
    #[error("Protocol error: this port speaks RESP, not HTTP")]
    HttpSpoken,
}

/// The byte, if it can be shown in an error reply.
fn printable(byte: u8) -> char {
    if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '?' }
}
