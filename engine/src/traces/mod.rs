//! Traces: the life of a message as spans, for a collector that speaks OTLP (OpenTelemetry protocol 1.x over HTTP).
//!
//! ```text
//!   publish  |== accepted ... answered ==|                                    the root
//!   store       |= write and sync =|
//!   attempt                          |=== one request ===|   |=== again ===|  one for each attempt
//!
//!   writer --spans of sampled messages--> queue --batches--> exporter --POST /v1/traces--> collector
//!   shards --traceparent, where it is wanted--> receivers
//! ```
//!
//! Which messages are traced, and under which ids, follows from the message's id alone: nothing is carried along
//! with a message, and an attempt that is made days and restarts later finds the trace that its message began.
//!
//! Invariants
//! - Where it is off, it costs a look at an `Option`.
//! - Nobody waits for it: spans that find no room, and spans that no collector took, are counted and let go.
//! - What is told has happened durably: spans are made from what the log has just stored.
//!
//! Not here: what is counted (`metrics`), what is kept of each attempt (`history`).

mod address;
mod collector;
mod exporter;
mod otlp;
mod sampler;
mod span;
#[cfg(test)]
mod tests;
mod tracer;

pub(crate) use address::{parse_endpoint, parse_headers};
pub(crate) use collector::Collector;
pub(crate) use exporter::Exporter;
pub use sampler::TraceParent;
pub(crate) use sampler::{Sampler, SpanId};
pub(crate) use tracer::{Accepted, Tracer, tracer};
