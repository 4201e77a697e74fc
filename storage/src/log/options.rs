//! How a log is to behave.

use super::LogError;
use super::limits::{BLOCK_BYTES, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use crate::Position;

/// How a log is to behave.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// A segment of this many bytes or more is closed before the next batch: from
    /// [`SEGMENT_BYTES_MIN`](super::SEGMENT_BYTES_MIN) to [`SEGMENT_BYTES_MAX`](super::SEGMENT_BYTES_MAX).
    pub segment_bytes: u32,
    /// Bytes between two entries of the sparse index. Smaller: searches read less, each segment takes more memory.
    pub block_bytes: u32,
    /// Open although something durable is damaged: skip what is lost, and report it at every read that meets it.
    pub accept_damage: bool,
    /// All before this place was durable once: somebody says so who heard of it only then. A log that ends before it
    /// is damaged, whatever its end looks like. [`Position::START`]: nobody knows.
    pub durable_to: Position,
    /// Write the index files of closed segments in a thread; otherwise the commit that closes a segment does it.
    pub seal_in_background: bool,
    /// The seed of the segments' salts; `None`: a random one. For simulations.
    pub salt_seed: Option<u64>,
}

impl LogOptions {
    /// A log with segments of this size that refuses damage.
    pub fn new(segment_bytes: u32) -> Self {
        Self {
            segment_bytes,
            block_bytes: BLOCK_BYTES,
            accept_damage: false,
            durable_to: Position::START,
            seal_in_background: true,
            salt_seed: None,
        }
    }

    pub(super) fn check(&self) -> Result<(), LogError> {
        let (value, min, max) =
            (self.segment_bytes.into(), SEGMENT_BYTES_MIN.into(), SEGMENT_BYTES_MAX.into());
        if value < min || value > max {
            return Err(LogError::Option { field: "segment_bytes", value, min, max });
        }
        Ok(())
    }
}
