//! Who asks, and what they may do.
//!
//!   token --keys, portal--> Caller (name, scopes, application, pace) --gate--> 401, 429, 403, 404, or the handler
//!
//! A token is one of the configuration's (`api.tokens` may do everything, `api.keys` what they say), or one that
//! was made for the people of one application (`portal`). Which scope a path needs stands with the path, in
//! `routes`.
//!
//! Invariants
//! - Tokens are kept and compared as SHA-256 digests, all of them each time, so that neither memory nor timing
//!   gives one away.
//! - To somebody who is bound to an application, another application's object does not exist: 404, not 403.

mod gate;
mod keys;
mod pace;
mod portal;

use std::fmt;
use std::sync::Arc;

pub(super) use gate::{Gate, bearer, check};
pub use keys::Keys;
pub use portal::{Portal, PortalError};

use crate::catalog::Catalog;
use crate::config::Scope;
use crate::core::ids::ApplicationId;
use pace::Pace;

/// Who asks, as far as is known. Every request that reaches a handler below `/api/v1` carries it as an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `token-<n>` for the n-th of `api.tokens`, the name of one of `api.keys`, `portal:<application id>`, or
    /// `anonymous` where no token is asked for.
    pub name: Arc<str>,
}

/// Who asks, and what they may do. An extension of every request that reaches a handler which needs a scope.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) actor: Actor,
    scopes: Scopes,
    bound_to: Option<Binding>,
    pace: Arc<Pace>,
}

/// The application that somebody is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Binding {
    /// By uid or id, as the configuration says it.
    Name(Arc<str>),
    Id(ApplicationId),
}

impl Caller {
    /// Whether they have this scope, or all of them.
    pub(super) const fn may(&self, scope: Scope) -> bool {
        self.scopes.has(scope) || self.scopes.has(Scope::Admin)
    }

    /// Whether what belongs to this application exists for them.
    pub(super) fn sees(&self, catalog: &Catalog, application: ApplicationId) -> bool {
        match &self.bound_to {
            None => true,
            Some(Binding::Id(bound)) => *bound == application,
            Some(Binding::Name(bound)) => catalog.application(bound).is_some_and(|it| it.id == application),
        }
    }
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Scopes(u8);

impl Scopes {
    fn of(scopes: &[Scope]) -> Self {
        Self(scopes.iter().fold(0, |set, scope| set | 1 << *scope as u8))
    }

    const fn has(self, scope: Scope) -> bool {
        self.0 & 1 << scope as u8 != 0
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(Scope::ALL.into_iter().filter(|scope| self.has(*scope))).finish()
    }
}

/// Those who may use the API.
#[derive(Debug)]
pub struct Access {
    /// The tokens of the configuration.
    pub keys: Keys,
    /// Tokens for the people of one application.
    pub portal: Portal,
}

impl Access {
    /// Who shows this token, if they may come in.
    fn caller(&self, token: Option<&str>, now_secs: u64) -> Option<Caller> {
        match token {
            Some(token) if Portal::made(token) => self.portal.caller(token, now_secs),
            token => self.keys.caller(token),
        }
    }
}
