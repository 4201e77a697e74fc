//! How large things in the log may be, and why the numbers fit together.

/// Longest body of a record, in bytes: a payload of 16 MiB and room for the fields around it.
pub const RECORD_BYTES_MAX: u32 = 17 << 20;
/// A batch takes no more records once it holds this many bytes; the last one may reach over.
pub const BATCH_BYTES_MAX: u32 = 8 << 20;
/// Smallest size at which a segment is closed. Useful only in tests.
pub const SEGMENT_BYTES_MIN: u32 = 1 << 10;
/// Largest size at which a segment is closed.
pub const SEGMENT_BYTES_MAX: u32 = 1 << 30;
/// How far apart the entries of the sparse index are, unless a batch is longer: what a search reads at least.
pub const BLOCK_BYTES: u32 = 256 << 10;

/// Bytes that a walk through a segment reads at once.
pub(super) const WALK_BYTES: usize = 1 << 20;
/// Bytes that are read in the hope that a whole record is in them.
pub(super) const GUESS_BYTES: usize = 4 << 10;
/// Files of old segments that stay open. Beyond that, the one unused for longest is closed.
pub(super) const OPEN_FILES_MAX: usize = 64;
/// Closed segments that may wait for their index file before the writer waits too.
pub(super) const UNSEALED_MAX: usize = 16;

/// Bytes of a segment's header.
pub(super) const SEGMENT_HEADER_BYTES: u32 = 64;
/// Bytes of a batch's header.
pub(super) const BATCH_HEADER_BYTES: u32 = 32;
/// Bytes of a record's header.
pub(super) const RECORD_HEADER_BYTES: u32 = 12;
/// Everything in a segment begins at a multiple of this.
pub(super) const ALIGN_BYTES: u32 = 8;

// A batch begins below the segment's limit, so offsets never outgrow 32 bits.
const BATCH_BYTES_WORST: u64 = BATCH_HEADER_BYTES as u64
    + BATCH_BYTES_MAX as u64
    + (RECORD_HEADER_BYTES + RECORD_BYTES_MAX).next_multiple_of(ALIGN_BYTES) as u64;
const _: () = assert!(SEGMENT_BYTES_MAX as u64 + BATCH_BYTES_WORST <= u32::MAX as u64);
// A new segment has room for a batch: it is not already over its limit with its header alone.
const _: () = assert!(SEGMENT_HEADER_BYTES < SEGMENT_BYTES_MIN);
// Headers keep what follows them aligned.
const _: () = assert!(
    SEGMENT_HEADER_BYTES.is_multiple_of(ALIGN_BYTES) && BATCH_HEADER_BYTES.is_multiple_of(ALIGN_BYTES)
);
// The first four bytes tell a batch from a record: no record is as long as the magic number says.
const _: () = assert!(super::layout::BATCH_MAGIC > RECORD_BYTES_MAX);
// A guess holds at least the header that says how much more to read.
const _: () = assert!(GUESS_BYTES >= BATCH_HEADER_BYTES as usize && WALK_BYTES >= GUESS_BYTES);
