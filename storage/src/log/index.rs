//! What is known about a segment without reading it: enough to skip what cannot match.
//!
//! Four answers, for questions that would otherwise read a whole segment:
//! - **blocks**: every so many bytes, which ids, applications, endpoints and kinds of facts may be between here and
//!   the next one;
//! - **rows**: where the records about a message may lie, by a hash of its id;
//! - **events**: which event ids were seen;
//! - **facts**: how many records, which ids, how many messages of which application.
//!
//! The segment being written grows its index in memory, one batch at a time. Once closed, its rows and events
//! move to a file beside it and only blocks and facts stay in memory: tens of kilobytes a segment.
//!
//! Invariants
//! - An index may send a reader to a record that does not match; it never hides one that does.
//! - An index file is a copy of what the segment says. Missing or damaged, it is made again from the segment.

mod block;
mod facts;
mod file;
mod growing;
mod marks;
mod note;

use std::sync::Arc;

pub(super) use self::block::Block;
pub(super) use self::facts::Facts;
pub use self::facts::SegmentSummary;
pub(super) use self::file::SealedIndex;
pub(super) use self::growing::GrowingIndex;
pub(super) use self::marks::Marks;
pub use self::marks::Traits;
pub(super) use self::note::{Note, row_hash};

/// The index of one segment.
pub(super) enum SegmentIndex {
    /// In memory: the segment is being written, or its index file is not there yet.
    Growing(Box<GrowingIndex>),
    /// In its file.
    Sealed(Arc<SealedIndex>),
}

impl SegmentIndex {
    pub(super) fn facts(&self) -> &Facts {
        match self {
            Self::Growing(index) => index.facts(),
            Self::Sealed(index) => &index.facts,
        }
    }

    pub(super) fn blocks(&self) -> &[Block] {
        match self {
            Self::Growing(index) => index.blocks(),
            Self::Sealed(index) => &index.blocks,
        }
    }

    /// Messages of each application, by application.
    pub(super) fn messages(&self) -> Arc<[(u64, u32)]> {
        match self {
            Self::Growing(index) => index.messages().into(),
            Self::Sealed(index) => Arc::clone(&index.messages),
        }
    }
}
