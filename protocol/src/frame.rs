//! Frames: bytes from a producer become requests.
//!
//! A request is an array of bulk strings, `*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n`, or, typed by hand, a line of
//! words. The sender declares every length before it sends the bytes, so the decoder can refuse what is too
//! large before it arrives, and never has to guess.
//!
//! ```text
//!   read ──> BytesMut ──Decoder──> Request (slices of the read buffer) ──command──> Command
//! ```
//!
//! Invariants
//! - Nothing is allocated from a declared length; memory grows with what arrived.
//! - What waits for more bytes is at most [`Limits::held_bytes_max`].
//! - Each byte is looked at a bounded number of times, however small the pieces in which it arrives.
//! - No input makes the decoder recurse or panic.
//!
//! Not here: what a request means (`command`), how replies are read (`value`).

mod decoder;
mod error;
mod inline;
mod limits;
mod request;

pub use decoder::Decoder;
pub use error::ProtocolError;
pub use limits::Limits;
pub use request::Request;
