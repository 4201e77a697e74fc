//! Faults of names: what DNS says about a receiver. The answers are in `dns`, under the same names.

use super::answer::Answer;
use super::kind::{End, Fault, Play, Transport};
use super::on_http1::fine;
use super::step::Step::{Close, Read, Send};

const HTTP: &[Transport] = &[Transport::Http];
const OK: &[End] = &[End::of("success", 204, "")];
const NOBODY: &[End] = &[End::of("dns_failed", 0, "has no address in DNS")];
const FAILED: &[End] = &[End::of("dns_failed", 0, "could not be resolved")];
const SLOW: &[End] = &[End::of("timeout_dns", 0, "the name was not resolved in time")];
const FORBIDDEN: &[End] = &[End::of("address_forbidden", 0, "egress.deny_cidrs")];
const METADATA: &[End] = &[End::of("address_forbidden", 0, "is never allowed")];
/// Which of the two depends on whether another try was made before the time was over.
const FAILED_OR_SLOW: &[End] = &[FAILED[0], SLOW[0], NOBODY[0]];
/// The first attempt of a name, and the ones after it.
const REBOUND: &[End] = &[End::of("bad_status", 503, "503"), FORBIDDEN[0]];

/// The fault that shows at the second lookup.
pub(super) const REBINDING: &str = "dns-rebinding";

macro_rules! faults {
    ($($name:literal, $what:literal, $ends:expr;)*) => {
        &[$(Fault { name: $name, what: $what, by: HTTP, play: Play::Name(fine), ends: $ends },)*
        // A connection that is kept would not be looked up again.
        Fault {
            name: REBINDING, what: "has an allowed address when first asked, and a forbidden one from then on",
            by: HTTP, play: Play::Name(|| vec![Read, Send(Answer::bare(503).with("connection", "close").http1()), Close]),
            ends: REBOUND,
        }]
    };
}

#[rustfmt::skip]
pub(super) const FAULTS: &[Fault] = faults! {
    "dns-fine", "has an address", OK;
    "dns-nxdomain", "does not exist", NOBODY;
    "dns-empty", "exists and has no address", NOBODY;
    "dns-servfail", "makes the server fail", FAILED_OR_SLOW;
    "dns-refused", "is refused by the server", FAILED_OR_SLOW;
    "dns-silent", "is never answered", SLOW;
    "dns-truncated", "is answered in part, and nobody answers by TCP", FAILED_OR_SLOW;
    "dns-mixed", "has an allowed address and a forbidden one", FORBIDDEN;
    "dns-metadata", "is the metadata service of a cloud", METADATA;
    "dns-mapped", "is the metadata service of a cloud, as an IPv6 address with an IPv4 address in it", METADATA;
    "dns-unspecified", "is 0.0.0.0", &[End::of("address_forbidden", 0, "0.0.0.0")];
    "dns-chain", "is another name, and that a third one, with an address", OK;
    "dns-chain-forbidden", "is another name, with a forbidden address", FORBIDDEN;
    "dns-chain-long", "is another name without end, a new one each time", FAILED_OR_SLOW;
    "dns-chain-loop", "is another name, which is this one", FAILED_OR_SLOW;
    "dns-many", "has 200 addresses, of which the first answers", OK;
    "dns-other-name", "is answered with the address of another name", NOBODY;
    "dns-other-question", "is answered as if something else had been asked", SLOW;
    "dns-wrong-id", "is answered under another number", SLOW;
    "dns-garbage", "is answered with bytes that mean nothing", SLOW;
};
