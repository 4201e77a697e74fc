//! The TCP protocol of Posthaste: RESP, spoken as if to a Redis stream.
//!
//! A platform publishes with `XADD messages:<application> * type ... payload ...` and follows what became of it
//! with `XREAD STREAMS outcomes:<application> <last id>`, so that any Redis client in any language will do. The
//! document for producers is docs/protocol.md.
//!
//! ```text
//!   server:  bytes ──frame──> Request ──command──> Command      small_talk, entry ──reply──> bytes
//!   client:  bytes <──────────── client ───────────────────────────────── value <─────────── bytes
//! ```
//!
//! - [`frame`]: bytes become requests, within limits.
//! - [`command`]: requests become commands; the one table of what there is.
//! - [`reply`]: answers, written in RESP2 or RESP3.
//! - [`small_talk`]: what is answered about the connection itself.
//! - [`value`]: replies, read.
//! - [`client`]: for Rust programs that publish or follow outcomes.
//!
//! Invariants, as absences
//! - No module but `client` knows a socket or a clock, and none reads a file.
//! - Nothing here knows whether an application exists or a message is stored.
//! - No buffer grows beyond a limit that has a name.

pub mod client;
pub mod command;
mod decimal;
mod entry;
pub mod frame;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod reply;
pub mod small_talk;
mod stream_id;
pub mod value;

pub use entry::{MessageEntry, OutcomeEntry, OutcomeRecord};
pub use stream_id::{StreamId, StreamIdError, StreamIdText};
