//! A number that threads share: what the cells ask of an atomic, so that a model checker's can stand in for it.
//!
//! The tests of `health::cell`, `pace` and `shard::unstored` run their cells on the words of loom, which tries every
//! order in which threads can meet.

use std::sync::atomic::{AtomicU64, Ordering};

/// See the head of this file.
pub trait Word: Default {
    /// As [`AtomicU64::load`].
    fn load(&self, order: Ordering) -> u64;
    /// As [`AtomicU64::store`].
    fn store(&self, value: u64, order: Ordering);
    /// As [`AtomicU64::swap`].
    fn swap(&self, value: u64, order: Ordering) -> u64;
    /// As [`AtomicU64::fetch_add`].
    fn fetch_add(&self, more: u64, order: Ordering) -> u64;
    /// As [`AtomicU64::fetch_sub`].
    fn fetch_sub(&self, less: u64, order: Ordering) -> u64;
    /// As [`AtomicU64::compare_exchange_weak`], with one order for both outcomes.
    ///
    /// # Errors
    /// What is there instead of `before`.
    fn exchange(&self, before: u64, after: u64, order: Ordering) -> Result<u64, u64>;
}

macro_rules! word {
    ($atomic:ty) => {
        impl Word for $atomic {
            fn load(&self, order: Ordering) -> u64 {
                self.load(order)
            }

            fn store(&self, value: u64, order: Ordering) {
                self.store(value, order);
            }

            fn swap(&self, value: u64, order: Ordering) -> u64 {
                self.swap(value, order)
            }

            fn fetch_add(&self, more: u64, order: Ordering) -> u64 {
                self.fetch_add(more, order)
            }

            fn fetch_sub(&self, less: u64, order: Ordering) -> u64 {
                self.fetch_sub(less, order)
            }

            fn exchange(&self, before: u64, after: u64, order: Ordering) -> Result<u64, u64> {
                self.compare_exchange_weak(before, after, order, order)
            }
        }
    };
}

word!(AtomicU64);
#[cfg(test)]
word!(loom::sync::atomic::AtomicU64);
