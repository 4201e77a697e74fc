//! The sampler: which messages are traced, and the ids of their spans. Pure, and the same on every thread and after
//! every restart.
//!
//! A message's trace id is a mixture of its id and a salt that belongs to the data folder, because two installations
//! that report to one collector give out the same message ids. Its last 56 bits are as good as random, and decide
//! whether it is sampled, as OpenTelemetry has it ("Tracing SDK: probability sampling", and W3C Trace Context level 2,
//! "random trace id flag"): what is traced at a share of 1% is traced at 10% too.

use std::fmt;

use posthaste_storage::Position;

use crate::core::ids::MessageId;

/// Bits of a trace id that decide.
const RANDOM_BITS: u32 = 56;
const RANDOM_END: u64 = 1 << RANDOM_BITS;

/// See the head of this file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sampler {
    salt: [u64; 2],
    /// Trace ids whose last bits are below this are left out.
    left_out_below: u64,
}

/// Names a trace; never zero (W3C Trace Context level 1, section 3.2.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceId {
    high: u64,
    low: u64,
}

/// Names a span within its trace; never zero (section 3.2.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanId(u64);

/// What a receiver is told, so that its spans continue the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace: TraceId,
    pub(crate) span: SpanId,
}

impl Sampler {
    /// Samples this share of all messages, 0 to 1.
    pub(crate) fn new(share: f64, salt: u128) -> Self {
        // Both are exact: a power of two, and a product that is cut to a whole number.
        let sampled = (share.clamp(0.0, 1.0) * RANDOM_END as f64) as u64;
        Self { salt: [salt as u64, (salt >> 64) as u64], left_out_below: RANDOM_END - sampled }
    }

    /// The trace of a message, if it is sampled.
    pub(crate) fn trace(&self, message: MessageId) -> Option<TraceId> {
        let low = mix(message.0.as_u64() ^ self.salt[0]);
        let is_sampled = low % RANDOM_END >= self.left_out_below;
        // Never all zero, whatever the other half is.
        is_sampled.then(|| TraceId { high: mix(low ^ self.salt[1]) | 1, low })
    }

    /// What the receiver of an attempt is told, if the message is sampled.
    pub(crate) fn parent(&self, message: MessageId) -> Option<TraceParent> {
        self.trace(message).map(|trace| TraceParent { trace, span: SpanId::random() })
    }
}

impl TraceId {
    /// The span of publishing.
    pub(super) fn publish(self) -> SpanId {
        SpanId::new(mix(self.low))
    }

    /// The span of storing.
    pub(super) fn store(self) -> SpanId {
        SpanId::new(mix(self.low.wrapping_add(1)))
    }

    /// The span of an attempt whose record stands there.
    pub(super) fn attempt(self, at: Position) -> SpanId {
        SpanId::new(mix(self.high ^ at.as_u64()))
    }
}

impl SpanId {
    const fn new(number: u64) -> Self {
        Self(if number == 0 { 1 } else { number })
    }

    fn random() -> Self {
        let mut bytes = [0; 8];
        aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
        Self::new(u64::from_ne_bytes(bytes))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.high, self.low)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The value of the header `traceparent` (section 3.2.2): version 00, and the flag of what is sampled.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-01", self.trace, self.span)
    }
}

/// Spreads a number over all bits, no two numbers to the same one (the finalizer of SplitMix64, Steele, Lea and Flood
/// 2014).
const fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use posthaste_storage::EntryId;

    use super::*;

    const SALT: u128 = 0x0123_4567_89AB_CDEF_0011_2233_4455_6677;

    fn messages(count: u64) -> impl Iterator<Item = MessageId> {
        (0..count).map(|n| MessageId(EntryId::new(1_732_300_000_000 + n / 3, (n % 3) as u16)))
    }

    #[test]
    fn the_share_of_messages_is_sampled_and_a_larger_share_has_them_all() {
        let [none, some, more, all] = [0.0, 0.01, 0.1, 1.0].map(|share| Sampler::new(share, SALT));
        let (mut in_some, mut in_more) = (0, 0);
        for message in messages(100_000) {
            assert!(none.trace(message).is_none() && all.trace(message).is_some());
            let (some, more) = (some.trace(message).is_some(), more.trace(message).is_some());
            assert!(more || !some, "{message}");
            (in_some, in_more) = (in_some + u32::from(some), in_more + u32::from(more));
        }
        assert!((850..1_150).contains(&in_some), "{in_some}");
        assert!((9_600..10_400).contains(&in_more), "{in_more}");
    }

    #[test]
    fn ids_follow_from_the_message_and_the_data_folder_and_from_nothing_else() {
        let (one, again, other) = (Sampler::new(1.0, SALT), Sampler::new(0.5, SALT), Sampler::new(1.0, 7));
        for message in messages(1_000) {
            let trace = one.trace(message).unwrap();
            assert!(again.trace(message).is_none_or(|same| same == trace));
            assert_ne!(other.trace(message), Some(trace));
            assert_eq!(trace.to_string().len(), 32);
        }
        let ids: std::collections::HashSet<String> =
            messages(1_000).filter_map(|message| one.trace(message)).map(|trace| trace.to_string()).collect();
        assert_eq!(ids.len(), 1_000);
    }

    #[test]
    fn the_spans_of_a_trace_are_told_apart() {
        let trace = Sampler::new(1.0, SALT).trace(messages(1).next().unwrap()).unwrap();
        let at = |offset| Position { segment: 1, offset };
        let spans = [trace.publish(), trace.store(), trace.attempt(at(1)), trace.attempt(at(2))];
        let texts: std::collections::HashSet<String> = spans.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), spans.len());
        assert!(texts.iter().all(|text| text.len() == 16));
    }

    #[test]
    fn a_traceparent_has_the_form_of_version_00() {
        let parent = TraceParent { trace: TraceId { high: 0x0AF7, low: 1 }, span: SpanId(0xB7AD) };
        assert_eq!(parent.to_string(), "00-0000000000000af70000000000000001-000000000000b7ad-01");
    }
}
