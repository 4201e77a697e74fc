//! A bit for each number, set by many threads, growing as numbers grow.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const WORD_BITS: u64 = u64::BITS as u64;
/// Words that are allocated at a time: 128 KiB, a million bits.
const CHUNK_WORDS: u64 = 1 << 14;
const CHUNK_BITS: u64 = CHUNK_WORDS * WORD_BITS;
/// Chunks there can be: 17 thousand million bits.
const CHUNKS_MAX: u64 = 1 << 14;

type Chunk = Box<[AtomicU64]>;

/// See the head of this file.
pub(crate) struct Bitmap {
    chunks: Vec<OnceLock<Chunk>>,
}

impl Bitmap {
    /// The most bits that a bitmap can have.
    pub(crate) const BITS_MAX: u64 = CHUNKS_MAX * CHUNK_BITS;

    pub(crate) fn new() -> Self {
        Self { chunks: (0..CHUNKS_MAX).map(|_| OnceLock::new()).collect() }
    }

    /// Sets a bit below [`BITS_MAX`](Self::BITS_MAX). Whether it was not set before.
    pub(crate) fn set(&self, bit: u64) -> bool {
        let chunk = self.chunks[(bit / CHUNK_BITS) as usize]
            .get_or_init(|| (0..CHUNK_WORDS).map(|_| AtomicU64::new(0)).collect());
        let mask = 1 << (bit % WORD_BITS);
        chunk[(bit % CHUNK_BITS / WORD_BITS) as usize].fetch_or(mask, Ordering::Relaxed) & mask == 0
    }

    /// Whether a bit is set.
    pub(crate) fn has(&self, bit: u64) -> bool {
        let Some(chunk) = self.chunks.get((bit / CHUNK_BITS) as usize).and_then(OnceLock::get) else {
            return false;
        };
        let word = chunk[(bit % CHUNK_BITS / WORD_BITS) as usize].load(Ordering::Relaxed);
        word & 1 << (bit % WORD_BITS) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_is_new_once() {
        let bitmap = Bitmap::new();
        for bit in [0, 63, 64, CHUNK_BITS - 1, CHUNK_BITS, Bitmap::BITS_MAX - 1] {
            assert!(!bitmap.has(bit));
            assert!(bitmap.set(bit), "{bit}");
            assert!(!bitmap.set(bit), "{bit}");
            assert!(bitmap.has(bit));
        }
        assert!(!bitmap.has(1) && !bitmap.has(CHUNK_BITS + 1));
    }

    #[test]
    fn threads_that_set_the_same_bits_count_each_of_them_once() {
        let bitmap = Bitmap::new();
        let count = || (0..10_000).filter(|bit| bitmap.set(*bit)).count();
        let counts =
            std::thread::scope(|scope| [(); 3].map(|()| scope.spawn(count)).map(|t| t.join().unwrap()));
        assert_eq!(counts.iter().sum::<usize>(), 10_000);
    }
}
