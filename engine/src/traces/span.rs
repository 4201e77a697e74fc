//! A span: what happened, from when to when.

use crate::core::delivery::DeliveryState;
use crate::core::ids::{ApplicationId, EndpointId, MessageId};
use crate::core::outcome::Outcome;
use crate::delivery::Timing;

use super::sampler::{SpanId, TraceId};

/// See the head of this file. Times are unix microseconds.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) begin_us: u64,
    pub(super) end_us: u64,
    pub(super) message: MessageId,
    pub(super) what: What,
}

/// What happened.
#[derive(Debug)]
pub(super) enum What {
    Publish(Publish),
    /// A group commit with so many records in it, of which the message is one.
    Store {
        records: usize,
    },
    Attempt(Box<Attempt>),
}

/// A message was accepted.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) application: ApplicationId,
    pub(super) event_type: Box<str>,
    pub(super) payload_bytes: usize,
    /// Deliveries that it makes.
    pub(super) deliveries: usize,
}

/// An attempt ended, or was refused.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) application: ApplicationId,
    pub(super) endpoint: EndpointId,
    pub(super) number: u16,
    pub(super) outcome: Outcome,
    pub(super) state: DeliveryState,
    pub(super) timing: Timing,
    pub(super) reused: bool,
    /// What happened, in words; empty on success.
    pub(super) detail: Box<str>,
}
