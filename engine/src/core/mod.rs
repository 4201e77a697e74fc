//! The core: every decision of the engine, and nothing else.
//!
//! Pure: no async, no sockets, no files, no clock, no randomness, no logging. `now` is an argument. So a
//! retry schedule of more than a day is tested in microseconds, and a whole world runs from one seed.

pub mod delivery;
pub mod digits;
pub mod duration;
pub mod health;
pub mod ids;
pub mod outcome;
pub mod pace;
pub mod retry;
pub mod shard;
pub mod tick;
pub mod wheel;
pub mod word;
