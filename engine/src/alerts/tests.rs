//! Alerts in virtual time: days pass in microseconds.

mod speaker;
mod watch;
