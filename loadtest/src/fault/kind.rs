//! A fault: its name, what it does over which versions of HTTP, and what an engine has to make of it.

use super::answer::Answer;
use super::certificates::Certified;
use super::http2::Script;
use super::step::Step;

/// What an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Transport {
    /// HTTP/1.1 in the clear.
    Http,
    /// HTTP/1.1 in TLS.
    Https,
    /// HTTP/2 in TLS.
    Http2,
}

impl Transport {
    /// As reports have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Http2 => "h2",
        }
    }

    /// The scheme of its URLs.
    pub(crate) fn scheme(self) -> &'static str {
        if self == Self::Http { "http" } else { "https" }
    }
}

/// What is done to whoever connects.
#[derive(Clone, Copy)]
pub(super) enum Play {
    /// Nobody listens.
    Refused,
    /// Connections are not let in, and not refused.
    Blackhole,
    /// Steps on the connection itself, whatever was to be spoken over it.
    Raw(fn() -> Vec<Step>),
    /// TLS with such a certificate.
    Certificate(Certified),
    /// Steps on HTTP/1.1, in TLS or not.
    Http1(fn() -> Vec<Step>),
    /// HTTP/2 by hand.
    Http2(fn() -> Script),
    /// A well-formed answer, over any version of HTTP.
    Answer(fn() -> Answer),
    /// The steps of a receiver whose name is the matter: what DNS says about it.
    Name(fn() -> Vec<Step>),
}

/// How an attempt may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// Its outcome.
    pub(crate) outcome: &'static str,
    /// The status, where there is one.
    pub(crate) status: u16,
    /// What its words have in them.
    pub(crate) detail: &'static str,
}

impl End {
    pub(super) const fn of(outcome: &'static str, status: u16, detail: &'static str) -> Self {
        Self { outcome, status, detail }
    }

    /// Whether an attempt ended so.
    pub(crate) fn is(&self, outcome: &str, status: u16, detail: &str) -> bool {
        self.outcome == outcome && self.status == status && detail.contains(self.detail)
    }
}

/// See the head of this file.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// What the receiver does, for people.
    pub(crate) what: &'static str,
    pub(crate) by: &'static [Transport],
    pub(super) play: Play,
    /// An attempt ends in one of these ways.
    pub(crate) ends: &'static [End],
}

impl Fault {
    /// Whether what matters comes when its name is looked up once more.
    pub(crate) fn needs_another_lookup(&self) -> bool {
        self.name == super::on_names::REBINDING
    }

    /// Whether a name is the matter; it is asked of the name server of the faults.
    pub(crate) fn is_about_a_name(&self) -> bool {
        matches!(self.play, Play::Name(_))
    }
}
