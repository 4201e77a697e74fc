//! Error codes: the first word of an error reply, made for programs; the rest is made for people.
//!
//! A code answers one question: what should the producer do now? docs/protocol.md has the table.

use std::fmt;

/// The first word of an error reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request is wrong; the same request will be refused again.
    Err,
    /// The event id was used for another message; the first one stands.
    Conflict,
    /// Disk or memory is full; later the same request may be accepted.
    Oom,
    /// The log stopped after a failed write; nothing is accepted until a restart.
    Misconf,
    /// Not now: the server is starting, stopping or at a limit. Later the same request may be accepted.
    Busy,
    /// Authentication is needed first.
    NoAuth,
    /// The name or password is wrong.
    WrongPass,
    /// Whoever this is may not do that.
    NoPerm,
    /// Too many messages a second; the text says how long to wait.
    RateLimit,
    /// HELLO asked for a protocol version that is not spoken.
    NoProto,
    /// A word that this version of the library does not know.
    Other,
}

impl ErrorCode {
    const KNOWN: [Self; 10] = [
        Self::Err,
        Self::Conflict,
        Self::Oom,
        Self::Misconf,
        Self::Busy,
        Self::NoAuth,
        Self::WrongPass,
        Self::NoPerm,
        Self::RateLimit,
        Self::NoProto,
    ];

    /// The word on the wire. [`Self::Other`] is written `ERR`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Err | Self::Other => "ERR",
            Self::Conflict => "CONFLICT",
            Self::Oom => "OOM",
            Self::Misconf => "MISCONF",
            Self::Busy => "BUSY",
            Self::NoAuth => "NOAUTH",
            Self::WrongPass => "WRONGPASS",
            Self::NoPerm => "NOPERM",
            Self::RateLimit => "RATELIMIT",
            Self::NoProto => "NOPROTO",
        }
    }

    /// The code that this word stands for.
    pub fn from_word(word: &str) -> Self {
        Self::KNOWN.into_iter().find(|code| code.word() == word).unwrap_or(Self::Other)
    }

    /// Whether the same request may succeed later without anybody changing it.
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::Oom | Self::Misconf | Self::Busy | Self::RateLimit)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_from_its_word() {
        for code in ErrorCode::KNOWN {
            assert_eq!(ErrorCode::from_word(code.word()), code);
        }
        assert_eq!(ErrorCode::from_word("MOVED"), ErrorCode::Other);
    }
}
