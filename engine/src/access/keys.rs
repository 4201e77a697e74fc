//! The tokens of the configuration.

use std::fmt;

use subtle::{ConditionallySelectable, ConstantTimeEq};

use super::{Actor, Binding, Caller, RateLimits, Scopes};
use crate::catalog::token::{Digest, digest_of};
use crate::config::{ApiKey, sha256_of_hex};

/// The tokens that are accepted. None at all means that none is asked for, unless the configuration says otherwise.
pub struct Keys {
    keys: Vec<Key>,
    /// Who asks where none is asked for a token.
    anybody: Caller,
    is_required: bool,
}

struct Key {
    digest: Digest,
    caller: Caller,
}

impl Keys {
    /// Tokens that may do everything.
    pub fn new<T: AsRef<str>>(tokens: impl IntoIterator<Item = T>, limits: RateLimits) -> Self {
        let key = |(place, token): (u32, T)| Key {
            digest: digest_of(token.as_ref()),
            caller: unbound(&format!("token-{place}"), limits),
        };
        Self {
            keys: (1..).zip(tokens).map(key).collect(),
            anybody: unbound("anonymous", limits),
            is_required: false,
        }
    }

    /// The same, and these. Whose digest cannot be read is not let in; the configuration was checked before.
    pub fn with<'k>(
        mut self,
        keys: impl IntoIterator<Item = (&'k String, &'k ApiKey)>,
        limits: RateLimits,
    ) -> Self {
        self.keys.extend(keys.into_iter().filter_map(|(name, key)| {
            let digest = match (&key.token, &key.sha256) {
                (Some(token), _) => digest_of(token),
                (None, hex) => sha256_of_hex(hex.as_deref()?)?,
            };
            let caller = Caller {
                actor: Actor { name: name.as_str().into() },
                scopes: Scopes::of(&key.scopes),
                bound_to: key.application.as_deref().map(|name| Binding::Name(name.into())),
                event_types: key.event_types.as_deref().map(Into::into),
                pace: limits.requests(),
                messages: limits.messages(key.events_per_second),
                made: None,
            };
            Some(Key { digest, caller })
        }));
        self
    }

    /// The same; and a token is asked for although there may be none here, if `is_required`.
    #[must_use]
    pub fn required(self, is_required: bool) -> Self {
        Self { is_required, ..self }
    }

    /// Whoever shows nothing, if nobody is asked.
    pub(super) fn anybody(&self) -> Option<Caller> {
        (self.keys.is_empty() && !self.is_required).then(|| self.anybody.clone())
    }

    /// Who shows this, if they may come in.
    pub(super) fn caller(&self, token: &str) -> Option<Caller> {
        let shown = digest_of(token);
        let places = (1_u32..).zip(&self.keys);
        let place = places
            .fold(0, |found, (place, key)| u32::conditional_select(&found, &place, key.digest.ct_eq(&shown)));
        let place = usize::try_from(place).ok()?.checked_sub(1)?;
        self.keys.get(place).map(|key| key.caller.clone())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({}, redacted)", self.keys.len())
    }
}

fn unbound(name: &str, limits: RateLimits) -> Caller {
    Caller::unbound(name, limits.requests(), limits.messages(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::config::Scope;

    const LIMITS: RateLimits = RateLimits { requests: 1, messages: 1 };

    fn name(keys: &Keys, token: Option<&str>) -> Option<String> {
        token
            .map_or_else(|| keys.anybody(), |token| keys.caller(token))
            .map(|caller| caller.actor.name.to_string())
    }

    #[test]
    fn only_a_known_token_is_let_in_under_its_name() {
        let keys = Keys::new(["one", "two"], LIMITS);
        assert_eq!(name(&keys, Some("one")).as_deref(), Some("token-1"));
        assert_eq!(name(&keys, Some("two")).as_deref(), Some("token-2"));
        for token in [None, Some(""), Some("on"), Some("onee"), Some("ONE")] {
            assert_eq!(name(&keys, token), None, "{token:?}");
        }
    }

    #[test]
    fn an_empty_configured_token_is_not_met_by_showing_none() {
        assert_eq!(name(&Keys::new([""], LIMITS), None), None);
    }

    #[test]
    fn without_tokens_nobody_is_asked() {
        assert_eq!(name(&Keys::new([""; 0], LIMITS), None).as_deref(), Some("anonymous"));
        assert_eq!(name(&Keys::new([""; 0], LIMITS).required(true), None), None);
    }

    #[test]
    fn a_key_is_known_by_its_token_or_by_the_digest_of_it_and_may_do_what_it_says() {
        let key = |token: Option<&str>, sha256: Option<&str>| ApiKey {
            token: token.map(Into::into),
            sha256: sha256.map(Into::into),
            scopes: vec![Scope::Read, Scope::Replay],
            application: None,
            event_types: None,
            events_per_second: None,
        };
        // SHA-256 of "test".
        let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let configured =
            [("a".to_owned(), key(Some("plain"), None)), ("b".to_owned(), key(None, Some(hex)))].into();
        let configured: std::collections::BTreeMap<String, ApiKey> = configured;
        let keys = Keys::new([""; 0], LIMITS).with(&configured, LIMITS);
        assert_eq!(name(&keys, Some("plain")).as_deref(), Some("a"));
        assert_eq!(name(&keys, Some("test")).as_deref(), Some("b"));
        assert_eq!(name(&keys, Some(hex)), None);
        let caller = keys.caller("test").expect("known");
        let allowed: Vec<Scope> = Scope::ALL.into_iter().filter(|scope| caller.may(*scope)).collect();
        assert_eq!(allowed, [Scope::Read, Scope::Replay]);
    }
}
