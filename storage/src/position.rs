//! A place in the log: which segment, how far in. Positions sort in the order of writing.

use std::fmt;

/// A byte in the log. Eight bytes in memory and on disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Number of the segment; the first is 1, and numbers are never used again.
    pub segment: u32,
    /// Bytes from the start of that segment's file.
    pub offset: u32,
}

impl Position {
    /// Before every record.
    pub const START: Self = Self { segment: 0, offset: 0 };

    /// The position stored as this number.
    pub const fn from_u64(raw: u64) -> Self {
        Self { segment: (raw >> 32) as u32, offset: raw as u32 }
    }

    /// The number under which the position is stored; numbers sort as positions do.
    pub const fn as_u64(self) -> u64 {
        (self.segment as u64) << 32 | self.offset as u64
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} byte {}", self.segment, self.offset)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}
