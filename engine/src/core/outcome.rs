//! How an attempt ended. Never mixed up with where the delivery stands.
//!
//! Three questions are asked of an outcome, and each has one function here: was it a success, whom does it
//! speak against (the URL, its host, or nobody), and what is it called on disk, in metrics and to a person.

use std::time::Duration;

/// The part of an exchange in which a deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Looking up the name.
    Dns,
    /// Opening the connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Waiting for the first byte of the response.
    FirstByte,
    /// The whole exchange.
    Total,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The receiver answered with a status that counts as success.
    Success {
        /// The HTTP status.
        status: u16,
    },
    /// The receiver answered with a status that does not count as success.
    BadStatus {
        /// The HTTP status.
        status: u16,
    },
    /// The receiver pointed elsewhere (3xx); redirects are never followed.
    Redirect {
        /// The HTTP status.
        status: u16,
    },
    /// The receiver asked for patience (429 or 503 with `Retry-After`, RFC 9110 section 10.2.3).
    RetryAfter {
        /// The HTTP status.
        status: u16,
        /// The wait it asked for, already within the limits of the configuration.
        wait: Duration,
    },
    /// The receiver wants nothing more at this URL (410).
    Gone,
    /// A deadline passed.
    TimedOut(Phase),
    /// The name could not be resolved.
    DnsFailed,
    /// The egress guard forbids the address.
    AddressForbidden,
    /// No connection: refused, unreachable.
    ConnectFailed,
    /// The TLS handshake failed: certificate, version, alert.
    TlsFailed,
    /// The connection broke before the response was complete.
    ConnectionLost,
    /// What came back is not HTTP, or its head is over the limits.
    ProtocolError,
    /// Not sent: the URL is locked out.
    UrlLockedOut,
    /// Not sent: the host is locked out.
    HostLockedOut,
    /// Not sent: the payload could not be read back from the log undamaged.
    PayloadDamaged,
    /// Not sent: the request could not be built from the endpoint's settings.
    RequestInvalid,
    /// Not sent: the message or the endpoint was taken back before.
    Withdrawn,
    /// Not sent: this machine had no socket, port or memory to spare for a connection.
    OutOfSockets,
    /// The proxy that requests leave through (`delivery.proxy`) did not answer, or refused.
    ProxyFailed,
}

/// Whom an outcome speaks against: whose health learns from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Nobody learns: nothing reached the receiver, for reasons of our own.
    Nobody,
    /// The URL answers badly; its host is fine.
    Url,
    /// The host cannot be reached or does not answer.
    Host,
}

impl Outcome {
    /// Whether the delivery is done.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Success { .. })
    }

    /// Whether anything may have left this machine for the receiver, even if it only came as far as a proxy.
    pub const fn is_sent(self) -> bool {
        !matches!(
            self,
            Self::UrlLockedOut
                | Self::HostLockedOut
                | Self::PayloadDamaged
                | Self::RequestInvalid
                | Self::Withdrawn
                | Self::OutOfSockets
                | Self::AddressForbidden
        )
    }

    /// Whether the attempt was refused by a lockout.
    pub const fn is_lockout(self) -> bool {
        matches!(self, Self::UrlLockedOut | Self::HostLockedOut)
    }

    /// Whose health learns from a failure. (A success speaks for URL and host alike.)
    pub const fn blame(self) -> Blame {
        match self {
            Self::Success { .. }
            | Self::UrlLockedOut
            | Self::HostLockedOut
            | Self::PayloadDamaged
            | Self::RequestInvalid
            | Self::Withdrawn
            | Self::OutOfSockets
            | Self::ProxyFailed
            | Self::AddressForbidden => Blame::Nobody,
            Self::BadStatus { .. } | Self::Redirect { .. } | Self::RetryAfter { .. } | Self::Gone => {
                Blame::Url
            }
            // The receiver accepted the request and then was silent or broke off: one slow handler behind a
            // shared host must not lock out its neighbours.
            Self::TimedOut(Phase::FirstByte | Phase::Total) | Self::ConnectionLost | Self::ProtocolError => {
                Blame::Url
            }
            Self::TimedOut(Phase::Dns | Phase::Connect | Phase::Tls)
            | Self::DnsFailed
            | Self::ConnectFailed
            | Self::TlsFailed => Blame::Host,
        }
    }

    /// The HTTP status, where one was received.
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::Success { status }
            | Self::BadStatus { status }
            | Self::Redirect { status }
            | Self::RetryAfter { status, .. } => Some(status),
            Self::Gone => Some(410),
            _ => None,
        }
    }

    /// Its number on disk. Numbers are never used again.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success { .. } => 1,
            Self::BadStatus { .. } => 2,
            Self::Redirect { .. } => 3,
            Self::RetryAfter { .. } => 4,
            Self::Gone => 5,
            Self::TimedOut(Phase::Dns) => 10,
            Self::TimedOut(Phase::Connect) => 11,
            Self::TimedOut(Phase::Tls) => 12,
            Self::TimedOut(Phase::FirstByte) => 13,
            Self::TimedOut(Phase::Total) => 14,
            Self::DnsFailed => 20,
            Self::AddressForbidden => 21,
            Self::ConnectFailed => 22,
            Self::TlsFailed => 23,
            Self::ConnectionLost => 24,
            Self::ProtocolError => 25,
            Self::UrlLockedOut => 30,
            Self::HostLockedOut => 31,
            Self::PayloadDamaged => 32,
            Self::RequestInvalid => 33,
            Self::Withdrawn => 34,
            Self::OutOfSockets => 35,
            Self::ProxyFailed => 36,
        }
    }

    /// The outcome stored as this number with this status; `None` for a number this version does not know.
    /// The wait of a `RetryAfter` is not kept here: the attempt's next time says it.
    pub const fn from_code(code: u8, status: u16) -> Option<Self> {
        Some(match code {
            1 => Self::Success { status },
            2 => Self::BadStatus { status },
            3 => Self::Redirect { status },
            4 => Self::RetryAfter { status, wait: Duration::ZERO },
            5 => Self::Gone,
            10 => Self::TimedOut(Phase::Dns),
            11 => Self::TimedOut(Phase::Connect),
            12 => Self::TimedOut(Phase::Tls),
            13 => Self::TimedOut(Phase::FirstByte),
            14 => Self::TimedOut(Phase::Total),
            20 => Self::DnsFailed,
            21 => Self::AddressForbidden,
            22 => Self::ConnectFailed,
            23 => Self::TlsFailed,
            24 => Self::ConnectionLost,
            25 => Self::ProtocolError,
            30 => Self::UrlLockedOut,
            31 => Self::HostLockedOut,
            32 => Self::PayloadDamaged,
            33 => Self::RequestInvalid,
            34 => Self::Withdrawn,
            35 => Self::OutOfSockets,
            36 => Self::ProxyFailed,
            _ => return None,
        })
    }

    /// Its name in metrics, in the outcome stream and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success { .. } => "success",
            Self::BadStatus { .. } => "bad_status",
            Self::Redirect { .. } => "redirect",
            Self::RetryAfter { .. } => "retry_after",
            Self::Gone => "gone",
            Self::TimedOut(Phase::Dns) => "timeout_dns",
            Self::TimedOut(Phase::Connect) => "timeout_connect",
            Self::TimedOut(Phase::Tls) => "timeout_tls",
            Self::TimedOut(Phase::FirstByte) => "timeout_first_byte",
            Self::TimedOut(Phase::Total) => "timeout_total",
            Self::DnsFailed => "dns_failed",
            Self::AddressForbidden => "address_forbidden",
            Self::ConnectFailed => "connect_failed",
            Self::TlsFailed => "tls_failed",
            Self::ConnectionLost => "connection_lost",
            Self::ProtocolError => "protocol_error",
            Self::UrlLockedOut => "url_locked_out",
            Self::HostLockedOut => "host_locked_out",
            Self::PayloadDamaged => "payload_damaged",
            Self::RequestInvalid => "request_invalid",
            Self::Withdrawn => "withdrawn",
            Self::OutOfSockets => "out_of_sockets",
            Self::ProxyFailed => "proxy_failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_reads_back_from_its_code() {
        let mut names = std::collections::HashSet::new();
        for code in 0..=u8::MAX {
            if let Some(outcome) = Outcome::from_code(code, 410) {
                assert_eq!(outcome.code(), code);
                assert!(names.insert(outcome.name()), "{} stands for two codes", outcome.name());
            }
        }
        assert_eq!(names.len(), 23);
    }

    #[test]
    fn what_was_not_sent_speaks_against_nobody() {
        for code in 0..=u8::MAX {
            if let Some(outcome) = Outcome::from_code(code, 500)
                && !outcome.is_sent()
            {
                assert_eq!(outcome.blame(), Blame::Nobody);
            }
        }
    }
}
