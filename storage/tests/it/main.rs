//! Tests of the storage crate from outside, in one binary: links once, runs in parallel.

mod catalog;
mod ledger;
mod log;
