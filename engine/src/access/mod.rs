//! Who asks, and what they may do: over HTTP and over TCP alike.
//!
//! ```text
//!   token --keys, made, portal--> Caller (name, scopes, application, paces) --+--> the API's gate: 401, 429, 403, 404
//!                                                                             +--> TCP: WRONGPASS, NOPERM, RATELIMIT
//! ```
//!
//! A token is one of the configuration's (`keys`: `api.tokens` may do everything, `api.keys` what they say), one that
//! was made over the API and can be revoked (`made`), or one for the people of one application (`portal`, HTTP only).
//! Which scope a path needs stands with the path, in `api::routes`; what a command needs, with `ingest`.
//!
//! Invariants
//! - Tokens are kept and compared as SHA-256 digests, in a time that does not depend on what is in them.
//! - A key that was revoked lets nobody in any more when the revocation is answered, and those who are in are put out.
//! - To somebody who is bound to an application, another application's object does not exist: 404, not 403; over TCP
//!   the refusal is the same whether it exists or not.
//!
//! Not here: what a key is when it is stored (`catalog`).

mod keys;
mod made;
mod notes;
mod pace;
mod peers;
mod portal;
mod refusals;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

pub use keys::Keys;
pub use made::MadeKeys;

pub(crate) use notes::keep_notes;
#[cfg(test)]
pub(crate) use notes::write_notes;
pub(crate) use pace::Pace;
pub use portal::{Portal, PortalError};
pub use refusals::Door;

use crate::catalog::{Catalog, CatalogEvent, token};
use crate::config::Scope;
use crate::core::ids::ApplicationId;
use crate::core::tick::Tick;
use crate::routing::Pattern;
use made::MadeKey;
use peers::Peers;
use refusals::Refusals;

/// The user that a password without one is for, in the words of Redis.
pub(crate) const USER_DEFAULT: &str = "default";

/// In whose name those act who signed in to the console with its password.
pub(crate) const USER_CONSOLE: &str = "console";

/// Who asks, as far as is known. Every request that reaches a handler below `/api/v1` carries it as an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `token-<n>` for the n-th of `api.tokens`, the name of one of `api.keys`, the id of a key that was made,
    /// `portal:<application id>`, `console` for whoever has its password, `anonymous` where no token is asked for, or `default` for whoever has
    /// `ingest.password`.
    pub name: Arc<str>,
}

/// An extension of a request that was made in this process, in the name of somebody who was let in already.
#[derive(Debug, Clone)]
pub(crate) struct Known(pub(crate) Caller);

/// Who asks, and what they may do. An extension of every request that reaches a handler which needs a scope.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) actor: Actor,
    scopes: Scopes,
    bound_to: Option<Binding>,
    /// Event types and patterns that may be published; `None`: all.
    event_types: Option<Arc<[String]>>,
    /// Of requests.
    pub(crate) pace: Arc<Pace>,
    /// Of messages.
    pub(crate) messages: Arc<Pace>,
    /// The key, if it is one that can be revoked.
    made: Option<Arc<MadeKey>>,
}

/// The application that somebody is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Binding {
    /// By uid or id, as the configuration says it.
    Name(Arc<str>),
    Id(ApplicationId),
}

impl Caller {
    /// Somebody who may do everything.
    fn unbound(name: &str, pace: Arc<Pace>, messages: Arc<Pace>) -> Self {
        Self {
            actor: Actor { name: name.into() },
            scopes: Scopes::of(&[Scope::Admin]),
            bound_to: None,
            event_types: None,
            pace,
            messages,
            made: None,
        }
    }

    /// Whether they have this scope, or all of them.
    pub(crate) const fn may(&self, scope: Scope) -> bool {
        self.scopes.has(scope) || self.scopes.has(Scope::Admin)
    }

    /// The application that they are bound to.
    pub(crate) const fn bound_to(&self) -> Option<&Binding> {
        self.bound_to.as_ref()
    }

    /// Whether what belongs to this application exists for them.
    pub(crate) fn sees(&self, catalog: &Catalog, application: ApplicationId) -> bool {
        match &self.bound_to {
            None => true,
            Some(Binding::Id(bound)) => *bound == application,
            Some(Binding::Name(bound)) => catalog.resolve(bound).is_some_and(|it| it.id() == application),
        }
    }

    /// Whether the application that is called so, by id or uid, exists for them. It need not exist at all. Takes no
    /// lock.
    pub(crate) fn reaches(&self, catalog: &Catalog, name: &str) -> bool {
        match &self.bound_to {
            None => true,
            // Also before it exists: a message may bring its application along.
            Some(Binding::Name(bound)) if **bound == *name => true,
            Some(_) => catalog.resolve(name).is_some_and(|it| self.sees(catalog, it.id())),
        }
    }

    /// Whether they may publish messages of this event type.
    pub(crate) fn may_publish(&self, event_type: &str) -> bool {
        let matches = |text: &String| match Pattern::of(text) {
            Pattern::Exact(name) => name == event_type,
            Pattern::Prefix(prefix) => {
                event_type.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
            }
        };
        self.event_types.as_ref().is_none_or(|patterns| patterns.iter().any(matches))
    }

    /// Whether their key is still valid.
    pub(crate) fn is_valid(&self, now_ms: u64) -> bool {
        self.made.as_ref().is_none_or(|key| key.is_valid(now_ms))
    }

    /// Waits until their key is no longer valid: for ever, if it is not one that can be revoked.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + use<> {
        let made = self.made.clone();
        async move {
            match made {
                Some(key) => key.ended().await,
                None => std::future::pending().await,
            }
        }
    }

    /// Notes that their key was used.
    pub(crate) fn note_use(&self, now_ms: u64, address: Option<IpAddr>) {
        if let Some(key) = &self.made {
            key.note_use(now_ms, address);
        }
    }

    /// Whether they may call themselves so: by the name in records, by the name that people gave the key, or not at all.
    pub(crate) fn is_called(&self, user: &[u8]) -> bool {
        let has_name = |name: &str| name.as_bytes() == user;
        has_name(USER_DEFAULT)
            || has_name(&self.actor.name)
            || self.made.as_ref().is_some_and(|key| has_name(&key.name()))
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

/// How fast one caller may be.
#[derive(Debug, Clone, Copy)]
pub struct RateLimits {
    /// Requests a second to the API: `api.rate_max`.
    pub requests: u32,
    /// Messages a second, over both doors: `limits.events_per_second_max`.
    pub messages: u32,
}

impl RateLimits {
    fn requests(self) -> Arc<Pace> {
        Arc::new(Pace::new(self.requests))
    }

    /// A key may be given less than everybody has, and not more.
    fn messages(self, own: Option<u32>) -> Arc<Pace> {
        Arc::new(Pace::new(own.map_or(self.messages, |own| own.min(self.messages))))
    }
}

/// Those who may come in.
#[derive(Debug)]
pub struct Access {
    /// The tokens of the configuration.
    keys: Keys,
    /// Those that were made over the API.
    made: Arc<MadeKeys>,
    /// Tokens for the people of one application.
    pub(crate) portal: Portal,
    /// Whoever has the password of the console.
    operator: Caller,
    /// Addresses of publishers who need no key.
    peers: Peers,
    refusals: Refusals,
}

impl Access {
    /// By these keys and tokens.
    pub fn new(keys: Keys, made: Arc<MadeKeys>, portal: Portal, limits: RateLimits) -> Self {
        let operator = Caller::unbound(USER_CONSOLE, limits.requests(), limits.messages(None));
        Self { keys, made, portal, operator, peers: Peers::new(limits), refusals: Refusals::default() }
    }

    /// What changed in the catalog.
    pub fn on_event(&self, event: &CatalogEvent) {
        self.made.on_event(event);
        self.portal.on_event(event);
    }

    /// The keys that were made.
    pub(crate) const fn made(&self) -> &Arc<MadeKeys> {
        &self.made
    }

    /// Who shows this token to the API, if they may come in.
    pub(crate) fn caller(&self, token: Option<&str>, now_ms: u64, address: Option<IpAddr>) -> Option<Caller> {
        let caller = match token {
            Some(token) if Portal::made(token) => self.portal.caller(token, now_ms / 1_000),
            Some(token) => {
                self.by_key(token, now_ms).inspect(|caller| caller.note_use(now_ms, address)).or_else(|| {
                    // Clients that cannot but show something do so where nobody is asked; a key that was revoked, or is for
                    // another environment, stays one that is not valid.
                    let is_no_key = token::parse(token).is_none();
                    if is_no_key { self.keys.anybody() } else { None }
                })
            }
            None => self.keys.anybody(),
        };
        if caller.is_none() && token.is_some() {
            self.refusals.note(Door::Api, address);
        }
        caller
    }

    /// Who has this key, if it is one: nobody comes in by it because nobody is asked.
    pub(crate) fn holder(&self, token: &str, now_ms: u64, address: Option<IpAddr>) -> Option<Caller> {
        self.by_key(token, now_ms).inspect(|caller| caller.note_use(now_ms, address))
    }

    /// Who has this link of an application.
    pub(crate) fn portal_holder(&self, token: &str, now_ms: u64) -> Option<Caller> {
        self.portal.caller(token, now_ms / 1_000)
    }

    /// Whoever has the password of the console.
    pub(crate) fn operator(&self) -> Caller {
        self.operator.clone()
    }

    /// Whether nobody needs a key.
    pub(crate) fn asks_nobody(&self) -> bool {
        self.keys.anybody().is_some()
    }

    /// Whose key this is: one that was made, or one of the configuration.
    pub(crate) fn by_key(&self, token: &str, now_ms: u64) -> Option<Caller> {
        self.made.caller(token, now_ms).or_else(|| self.keys.caller(token))
    }

    /// A publisher who needs no key, or has the password: all of one address share a pace.
    pub(crate) fn publisher(&self, address: IpAddr, now: Tick) -> Caller {
        Caller::unbound(USER_DEFAULT, self.peers.requests(), self.peers.messages(address, now))
    }

    /// Notes that somebody was turned away.
    pub(crate) fn note_refusal(&self, door: Door, address: Option<IpAddr>) {
        self.refusals.note(door, address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::ApplicationDraft;
    use crate::catalog::fakes::editor;
    use crate::config::UnknownEventTypes;

    const LIMITS: RateLimits = RateLimits { requests: 10, messages: 10 };

    fn caller() -> Caller {
        Caller::unbound("ann", LIMITS.requests(), LIMITS.messages(None))
    }

    #[tokio::test]
    async fn somebody_bound_to_an_application_reaches_it_by_uid_and_id_and_no_other() {
        let (editor, _) = editor(UnknownEventTypes::Accept);
        let make = async |uid: &str| {
            let draft =
                ApplicationDraft { uid: Some(uid.into()), name: uid.into(), ..ApplicationDraft::default() };
            editor.create_application(draft).await.expect("made").id
        };
        let (own, other) = (make("own").await, make("other").await);
        let catalog = editor.catalog();
        for bound_to in [Binding::Id(own), Binding::Name("own".into()), Binding::Name(own.to_string().into())]
        {
            let caller = Caller { bound_to: Some(bound_to), ..caller() };
            assert!(caller.reaches(catalog, "own") && caller.reaches(catalog, &own.to_string()));
            for name in ["other", "nobody", &other.to_string()] {
                assert!(!caller.reaches(catalog, name), "{name}");
            }
            assert!(caller.sees(catalog, own) && !caller.sees(catalog, other));
        }
        assert!(caller().reaches(catalog, "nobody"), "that it does not exist is said elsewhere");
    }

    #[test]
    fn event_types_are_allowed_by_name_or_by_what_they_begin_with() {
        assert!(caller().may_publish("anything"));
        let patterns: Arc<[String]> = ["invoice.paid".to_owned(), "call.*".to_owned()].into();
        let caller = Caller { event_types: Some(patterns), ..caller() };
        for (event_type, allowed) in [
            ("invoice.paid", true),
            ("invoice.paid.twice", false),
            ("invoice", false),
            ("call.began", true),
            ("call.began.again", true),
            ("call", false),
            ("caller.x", false),
        ] {
            assert_eq!(caller.may_publish(event_type), allowed, "{event_type}");
        }
    }
}
