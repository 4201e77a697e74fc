//! Keys that were made over the API, as those who come in by them meet them.
//!
//! ```text
//!   catalog --changed--> live --revoked, or its time is up--> ended
//! ```
//!
//! A key is found by the id in its token, and believed if the digest of the whole token is the one that is kept. Whoever
//! came in by it holds on to it and asks it at each command whether it still is valid, so that a revocation needs to find
//! nobody.
//!
//! Invariants
//! - There are as many of them as the catalog has; what is kept of each is bounded.
//! - Using a key writes nothing to the log: that is done now and then, for all together (`notes`).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use subtle::ConstantTimeEq as _;
use tokio::sync::{Notify, watch};

use super::pace::Pace;
use super::{Actor, Binding, Caller, RateLimits, Scopes};
use crate::catalog::token::{self, Digest};
use crate::catalog::{ApiKey, CatalogEvent, KeyUse};
use crate::clock::unix_ms;
use crate::core::ids::ApiKeyId;

/// A longer wait is made in parts.
const WAIT_MAX: Duration = Duration::from_secs(86_400);

/// See the head of this file.
#[derive(Debug)]
pub struct MadeKeys {
    /// What tokens of this installation say.
    environment: String,
    limits: RateLimits,
    keys: papaya::HashMap<ApiKeyId, Arc<MadeKey>>,
    /// Told when a key is used for the first time.
    first_use: Arc<Notify>,
}

/// A key that was made.
#[derive(Debug)]
pub(super) struct MadeKey {
    key: ArcSwap<ApiKey>,
    revoked: watch::Sender<bool>,
    pace: Arc<Pace>,
    messages: Arc<Pace>,
    /// When it was last used, unix milliseconds; 0: never.
    used_ms: AtomicU64,
    /// Where it was used from last.
    used_from: Mutex<Option<IpAddr>>,
    first_use: Arc<Notify>,
}

impl MadeKeys {
    /// None yet: they come as the catalog tells of them.
    pub fn new(environment: &str, limits: RateLimits) -> Arc<Self> {
        let (keys, first_use) = (papaya::HashMap::new(), Arc::default());
        Arc::new(Self { environment: environment.into(), limits, keys, first_use })
    }

    /// What tokens of this installation say.
    pub(crate) fn environment(&self) -> &str {
        &self.environment
    }

    /// What changed in the catalog.
    pub fn on_event(&self, event: &CatalogEvent) {
        match event {
            CatalogEvent::ApiKeyChanged(key) => self.put(key),
            CatalogEvent::ApiKeyRemoved(id) => {
                if let Some(key) = self.keys.pin().remove(id) {
                    // Whoever came in by it may have gone.
                    key.revoked.send_replace(true);
                }
            }
            _ => {}
        }
    }

    fn put(&self, key: &Arc<ApiKey>) {
        let keys = self.keys.pin();
        if let Some(present) = keys.get(&key.id) {
            present.key.store(Arc::clone(key));
            // Whoever waits for its end waits anew: it may come sooner.
            present.revoked.send_modify(|_| {});
            return;
        }
        let made = MadeKey {
            key: ArcSwap::from(Arc::clone(key)),
            revoked: watch::Sender::new(false),
            pace: self.limits.requests(),
            messages: self.limits.messages(key.events_per_second),
            used_ms: AtomicU64::new(key.last_used_ms.unwrap_or(0)),
            used_from: Mutex::default(),
            first_use: Arc::clone(&self.first_use),
        };
        keys.insert(key.id, Arc::new(made));
    }

    /// Whose key this is.
    pub(super) fn caller(&self, token: &str, now_ms: u64) -> Option<Caller> {
        let (environment, id) = token::parse(token)?;
        let shown = token::digest_of(token);
        let made = self.keys.pin().get(&id).cloned();
        let kept = made.as_ref().map_or(Digest::default(), |made| made.key.load().sha256);
        let is_known = bool::from(kept.ct_eq(&shown)) && environment == self.environment;
        made.filter(|made| is_known && made.is_valid(now_ms)).map(|made| made.to_caller())
    }

    /// When a key was last used, if it was since it was written down.
    pub(crate) fn used_ms(&self, id: ApiKeyId) -> Option<u64> {
        let used_ms = self.keys.pin().get(&id)?.used_ms.load(Ordering::Relaxed);
        (used_ms > 0).then_some(used_ms)
    }

    /// Waits until a key is used for the first time.
    pub(super) async fn first_used(&self) {
        self.first_use.notified().await;
    }

    /// What is not written down yet: first uses alone, or all.
    pub(super) fn uses(&self, first_alone: bool) -> Vec<KeyUse> {
        let keys = self.keys.pin();
        let uses = keys.values().filter_map(|made| made.unwritten());
        uses.filter(|used| used.is_first || !first_alone).collect()
    }
}

impl MadeKey {
    pub(super) fn name(&self) -> String {
        self.key.load().name.clone()
    }

    pub(super) fn is_valid(&self, now_ms: u64) -> bool {
        !*self.revoked.borrow() && self.key.load().expires_ms.is_none_or(|expires_ms| now_ms < expires_ms)
    }

    /// Waits until it is revoked or its time is up.
    pub(super) async fn ended(&self) {
        let mut revoked = self.revoked.subscribe();
        while self.is_valid(unix_ms()) {
            let left_ms = self.key.load().expires_ms.map(|expires_ms| expires_ms.saturating_sub(unix_ms()));
            let wait = left_ms.map_or(WAIT_MAX, |ms| Duration::from_millis(ms + 1).min(WAIT_MAX));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // The key holds the other end.
                _ = revoked.changed() => {}
            }
        }
    }

    pub(super) fn note_use(&self, now_ms: u64, address: Option<IpAddr>) {
        let before = self.used_ms.swap(now_ms, Ordering::Relaxed);
        if address.is_some() && before != now_ms {
            *self.used_from.lock() = address;
        }
        if before == 0 {
            self.first_use.notify_one();
        }
    }

    fn unwritten(&self) -> Option<KeyUse> {
        let (key, at_ms) = (self.key.load(), self.used_ms.load(Ordering::Relaxed));
        let is_first = key.last_used_ms.is_none();
        let is_new = at_ms > key.last_used_ms.unwrap_or(0);
        let from = *self.used_from.lock();
        is_new.then_some(KeyUse { id: key.id, at_ms, from, is_first })
    }

    fn to_caller(self: &Arc<Self>) -> Caller {
        let key = self.key.load();
        Caller {
            actor: Actor { name: key.id.to_string().into() },
            scopes: Scopes::of(&key.scopes),
            bound_to: key.application.map(Binding::Id),
            event_types: key.event_types.as_deref().map(Into::into),
            pace: Arc::clone(&self.pace),
            messages: Arc::clone(&self.messages),
            made: Some(Arc::clone(self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::NewToken;
    use crate::config::Scope;
    use crate::core::ids::ApplicationId;

    const ID: ApiKeyId = ApiKeyId::from_u64(7);
    const LIMITS: RateLimits = RateLimits { requests: 10, messages: 10 };

    fn key(token: &NewToken) -> ApiKey {
        ApiKey {
            id: ID,
            name: "shop".into(),
            sha256: token.sha256,
            scopes: vec![Scope::Ingest],
            application: Some(ApplicationId::from_u64(1)),
            event_types: None,
            events_per_second: None,
            expires_ms: Some(2_000),
            last_used_ms: None,
            created_ms: 1_000,
        }
    }

    fn made() -> (Arc<MadeKeys>, NewToken) {
        let (keys, token) = (MadeKeys::new("test", LIMITS), NewToken::generate("test", ID));
        keys.on_event(&CatalogEvent::ApiKeyChanged(Arc::new(key(&token))));
        (keys, token)
    }

    #[test]
    fn a_key_is_believed_if_all_of_it_is_right_until_its_time_is_up() {
        let (keys, token) = made();
        let caller = keys.caller(&token.text, 1_999).expect("known");
        assert_eq!(&*caller.actor.name, "key_00000000007");
        assert!(caller.may(Scope::Ingest) && !caller.may(Scope::Read));
        assert!(caller.is_called(b"shop") && caller.is_called(b"default") && !caller.is_called(b"else"));
        assert!(keys.caller(&token.text, 2_000).is_none());
        assert!(!caller.is_valid(2_000));
        // Of the right form, and wrong.
        for place in 0..token.text.len() {
            let mut text = token.text.clone().into_bytes();
            text[place] = if text[place] == b'0' { b'1' } else { b'0' };
            let text = String::from_utf8(text).expect("ASCII");
            assert!(keys.caller(&text, 1_000).is_none(), "{place}");
        }
    }

    #[test]
    fn a_key_of_another_environment_is_not_believed_although_it_is_kept() {
        let (keys, token) = (MadeKeys::new("live", LIMITS), NewToken::generate("test", ID));
        keys.on_event(&CatalogEvent::ApiKeyChanged(Arc::new(key(&token))));
        assert!(keys.caller(&token.text, 1_000).is_none());
    }

    #[tokio::test]
    async fn whoever_came_in_hears_of_the_revocation() {
        let (keys, token) = made();
        let caller = keys.caller(&token.text, 1_000).expect("known");
        assert!(caller.is_valid(1_000));
        keys.on_event(&CatalogEvent::ApiKeyRemoved(ID));
        assert!(!caller.is_valid(1_000) && keys.caller(&token.text, 1_000).is_none());
        caller.ended().await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_the_end_of_a_key_ends_with_its_revocation() {
        let token = NewToken::generate("test", ID);
        let keys = MadeKeys::new("test", LIMITS);
        let key = ApiKey { expires_ms: Some(unix_ms() + 3_600_000), ..key(&token) };
        keys.on_event(&CatalogEvent::ApiKeyChanged(Arc::new(key)));
        let caller = keys.caller(&token.text, unix_ms()).expect("known");
        let waiting = tokio::spawn(async move { caller.ended().await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        keys.on_event(&CatalogEvent::ApiKeyRemoved(ID));
        waiting.await.expect("it ends");
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_the_end_of_a_key_ends_when_it_is_given_one() {
        let (keys, token) = (MadeKeys::new("test", LIMITS), NewToken::generate("test", ID));
        keys.on_event(&CatalogEvent::ApiKeyChanged(Arc::new(ApiKey { expires_ms: None, ..key(&token) })));
        let caller = keys.caller(&token.text, unix_ms()).expect("known");
        let waiting = tokio::spawn(async move { caller.ended().await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        let ended = ApiKey { expires_ms: Some(unix_ms()), ..key(&token) };
        keys.on_event(&CatalogEvent::ApiKeyChanged(Arc::new(ended)));
        let soon = tokio::time::timeout(Duration::from_secs(60), waiting).await;
        soon.expect("long before it would have looked again").expect("it ends");
    }

    #[tokio::test]
    async fn the_first_use_is_told_at_once_and_later_ones_when_all_are_asked_for() {
        let (keys, token) = made();
        assert_eq!(keys.uses(false), []);
        let from = Some([127, 0, 0, 1].into());
        keys.caller(&token.text, 1_000).expect("known").note_use(1_000, from);
        keys.first_used().await;
        let first = KeyUse { id: ID, at_ms: 1_000, from, is_first: true };
        assert_eq!((keys.uses(true), keys.uses(false)), (vec![first], vec![first]));
        // It is written down.
        let written = ApiKey { last_used_ms: Some(1_000), ..key(&token) };
        keys.on_event(&CatalogEvent::ApiKeyChanged(Arc::new(written)));
        assert_eq!(keys.uses(false), []);
        keys.caller(&token.text, 1_500).expect("known").note_use(1_500, None);
        let later = KeyUse { id: ID, at_ms: 1_500, from, is_first: false };
        assert_eq!((keys.uses(true), keys.uses(false)), (vec![], vec![later]));
        assert_eq!(keys.used_ms(ID), Some(1_500));
    }
}
