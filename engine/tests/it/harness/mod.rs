//! What the tests stand on: the binary in a folder of its own, receivers on loopback, and the ways to talk to
//! the binary that a customer has.
//!
//!   Site (folder, configuration) --start--> Posthaste (process) --kill, stop--> Site, to be started again
//!
//! Rules
//! - Nothing waits by the clock: what is waited for is looked for, again and again, up to a deadline.
//! - Only processes that a test started are ended, each by its own handle.
//! - What is acknowledged and what arrives is noted here, outside of the process that may be killed.

mod api;
mod authority;
mod follower;
mod ledger;
mod process;
mod random;
mod receiver;
mod resp;
mod site;
mod tool;
mod wait;
mod world;

pub(crate) use api::Api;
pub(crate) use authority::{Authority, Pair};
pub(crate) use follower::Follower;
pub(crate) use ledger::Ledger;
pub(crate) use process::{Posthaste, binary};
pub(crate) use random::Random;
pub(crate) use receiver::{Answer, Received, Receiver};
pub(crate) use resp::{Resp, bulk, error_text};
pub(crate) use site::Site;
pub(crate) use tool::{Killed, Tool, node_with, python_with, skip};
pub(crate) use wait::{PATIENCE, wait_for, wait_for_async, wait_until};
pub(crate) use world::{APPLICATION, EVENT_TYPE, NO_LOCKOUT, World, steady};
