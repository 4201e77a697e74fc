//! Faults of the connection itself, whatever was to be spoken over it.

use super::kind::Play::{Blackhole, Raw, Refused};
use super::kind::Transport::{Http, Https};
use super::kind::{End, Fault};
use super::step::Step::{Close, Deaf, Reset};

const REFUSED: &[End] = &[End::of("connect_failed", 0, "connection refused")];
const UNREACHED: &[End] = &[End::of("timeout_connect", 0, "no connection was established in time")];
/// By how much of the request was written before the end was noticed.
const HUNG_UP: &[End] = &[
    End::of("connection_lost", 0, "the connection broke before the response was complete"),
    End::of("connection_lost", 0, "the receiver closed the connection at once"),
];
const HUNG_UP_ON_TLS: &[End] = &[End::of("tls_failed", 0, "the connection broke during the TLS handshake")];
const SILENT: &[End] = &[End::of("timeout_first_byte", 0, "no response began in time")];
const SILENT_ON_TLS: &[End] = &[End::of("timeout_tls", 0, "the TLS handshake did not finish in time")];

#[rustfmt::skip]
pub(super) const FAULTS: &[Fault] = &[
    Fault { name: "refused", what: "does not listen", by: &[Http, Https], play: Refused, ends: REFUSED },
    Fault { name: "blackhole", what: "lets no connection in", by: &[Http, Https], play: Blackhole, ends: UNREACHED },
    Fault {
        name: "reset-at-once", what: "resets a connection as soon as it is there",
        by: &[Http], play: Raw(|| vec![Reset]), ends: HUNG_UP,
    },
    Fault {
        name: "tls-reset-at-once", what: "resets a connection as soon as it is there, before TLS",
        by: &[Https], play: Raw(|| vec![Reset]), ends: HUNG_UP_ON_TLS,
    },
    Fault {
        name: "close-at-once", what: "closes a connection as soon as it is there",
        by: &[Http], play: Raw(|| vec![Close]), ends: HUNG_UP,
    },
    Fault {
        name: "tls-close-at-once", what: "closes a connection as soon as it is there, before TLS",
        by: &[Https], play: Raw(|| vec![Close]), ends: HUNG_UP_ON_TLS,
    },
    Fault {
        name: "deaf", what: "takes a connection and never reads",
        by: &[Http], play: Raw(|| vec![Deaf(Vec::new())]), ends: SILENT,
    },
    Fault {
        name: "tls-deaf", what: "takes a connection and never reads, not even the ClientHello",
        by: &[Https], play: Raw(|| vec![Deaf(Vec::new())]), ends: SILENT_ON_TLS,
    },
];
