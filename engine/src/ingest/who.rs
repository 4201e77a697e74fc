//! Who a connection is, and what it may say.
//!
//! ```text
//!   stranger --AUTH or HELLO with a password or key--> somebody --the key is revoked, or ends--> put out
//! ```
//!
//! | command | needs | and |
//! |---|---|---|
//! | XADD | `ingest` | the application, and the event type, that the key is for |
//! | XREAD, XRANGE, XREVRANGE, XLEN | `read` | the application that the key is for |
//! | INFO | | what is about all applications only with `read`, and for somebody who is bound to none |
//!
//! Whoever has the password is `default` and may do everything, as is everybody where nobody has to authenticate. To
//! somebody who is bound to an application the answer about another one is the same whether it exists or not.

use std::time::Duration;

use posthaste_protocol::command::{Command, Credentials, Xadd};
use subtle::ConstantTimeEq as _;

use super::Ingest;
use crate::access::{Caller, USER_DEFAULT};
use crate::config::Scope;
use crate::core::tick::Tick;
use crate::publish::PublishError;

/// Messages that a connection takes from its pace at once: this part of a second's worth, and no more than so many.
const AHEAD_SHARE: u64 = 1_000;
const AHEAD_MAX: u64 = 64;

/// Messages that a connection may send before it has to ask again.
#[derive(Debug, Default)]
pub(super) struct Allowance(u32);

impl Allowance {
    /// Takes one.
    pub(super) fn take(&mut self, caller: &Caller, now: Tick) -> Result<(), PublishError> {
        if self.0 == 0 {
            let rate = caller.messages.rate();
            let wanted = u32::try_from((rate / AHEAD_SHARE).clamp(1, AHEAD_MAX)).unwrap_or(1);
            let taken = caller.messages.take_up_to(wanted, now);
            self.0 = taken.map_err(|wait: Duration| PublishError::too_fast(wait, rate))?;
        }
        self.0 -= 1;
        Ok(())
    }
}

/// Why somebody may not say a command, in the words of Redis where it has them.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Forbidden {
    #[error("User {user} has no permissions to run the '{command}' command (it needs the scope '{scope}')")]
    Command { user: Box<str>, command: &'static str, scope: &'static str },
    #[error("No permissions to access a key")]
    Key,
    #[error("No permissions to publish this event type")]
    EventType,
}

impl Ingest {
    /// Who somebody is that has not said so; `None` if they have to.
    pub(super) fn anybody(&self, peer: std::net::IpAddr) -> Option<Caller> {
        let is_open = self.password.is_empty() && !self.require_key;
        is_open.then(|| self.access.publisher(peer, self.clock.now()))
    }

    /// Who has these credentials.
    pub(super) fn known(
        &self,
        credentials: &Credentials<'_>,
        peer: std::net::IpAddr,
        now_ms: u64,
    ) -> Option<Caller> {
        let (user, password) = (credentials.user, self.password.as_bytes());
        let is_password = bool::from(password.ct_eq(credentials.password)) && !password.is_empty();
        if is_password && user == USER_DEFAULT.as_bytes() {
            return Some(self.access.publisher(peer, self.clock.now()));
        }
        let key = std::str::from_utf8(credentials.password).ok()?;
        let caller = self.access.by_key(key, now_ms).filter(|caller| caller.is_called(user))?;
        caller.note_use(now_ms, Some(peer));
        Some(caller)
    }

    /// Whether somebody may say this.
    pub(super) fn check_may(&self, caller: &Caller, command: &Command<'_>) -> Result<(), Forbidden> {
        let scope = |scope: Scope, command| {
            let (user, name) = (caller.actor.name.as_ref().into(), scope.name());
            if caller.may(scope) { Ok(()) } else { Err(Forbidden::Command { user, command, scope: name }) }
        };
        let application = |name: &str| {
            if caller.reaches(&self.catalog, name) { Ok(()) } else { Err(Forbidden::Key) }
        };
        match command {
            Command::Xadd(Xadd { application: name, event_type, .. }) => {
                scope(Scope::Ingest, "xadd")?;
                application(name)?;
                if caller.may_publish(event_type) { Ok(()) } else { Err(Forbidden::EventType) }
            }
            Command::Xread(xread) => {
                scope(Scope::Read, "xread")?;
                xread.streams.iter().try_for_each(|(name, _)| application(name))
            }
            Command::Xrange(xrange) => {
                scope(Scope::Read, if xrange.newest_first { "xrevrange" } else { "xrange" })?;
                application(xrange.application)
            }
            Command::Xlen { application: name } => {
                scope(Scope::Read, "xlen")?;
                application(name)
            }
            _ => Ok(()),
        }
    }
}

/// Whether somebody may see what is about all applications.
pub(super) fn sees_all(caller: &Caller) -> bool {
    caller.may(Scope::Read) && caller.bound_to().is_none()
}
