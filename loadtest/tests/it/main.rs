//! What the tool promises as a whole, shown with the real binary and real sockets.
//!
//! | about | files |
//! |---|---|
//! | how a receiver answers | `behaviours`, `tls` |
//! | what it can read | `http1` |
//! | what it says about what came | `stats`, `signatures` |
//! | the process | `start`, `bad_input` |
//! | plain clients | `client` |
//! | loads against an engine | `loads`, `bad_frames`, `impossible` |
//! | what survives | `torture` |
//!
//! `harness` is what they stand on.

mod bad_frames;
mod bad_input;
mod behaviours;
mod client;
mod harness;
mod http1;
mod impossible;
mod loads;
mod signatures;
mod start;
mod stats;
mod tls;
mod torture;
