//! Alerts: what somebody should hear of, as it happens.
//!
//! ```text
//!   writer --attempts that ended--> ear --> watch (pure: decides) --> notes in the catalog: listed by the API
//!   shards --lockouts------------->                    |
//!   catalog --endpoints----------->                    +--> messages to the operator's own application
//!                                                      +--> mails, many alerts in one
//!                                                      +--> endpoints that failed for days are disabled
//! ```
//!
//! Invariants
//! - Nobody waits for an alert: what cannot be heard, kept or sent is counted and let go.
//! - An alert is kept before it is told.
//! - Alerts about endpoints of the operator's own application make no messages: none ever causes another.

mod ear;
mod mail;
mod rules;
mod shown;
mod speaker;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use ear::{Ear, Heard, ear};
pub(crate) use mail::{MailSettings, Postman};
pub(crate) use rules::AlertRules;
pub(crate) use shown::AlertShown;
pub(crate) use speaker::{Speaker, SpeakerParts};
pub(crate) use watch::Ended;
