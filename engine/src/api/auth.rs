//! Who may use the API: whoever shows one of the configured tokens.
//!
//! Tokens are kept and compared as SHA-256 digests, all of them each time, so that neither memory nor timing
//! gives one away.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use super::Api;
use super::error::ApiError;

const DIGEST_BYTES: usize = 32;

/// Who asks, as far as is known. Every request that reaches a handler below `/api/v1` carries it as an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `anonymous` where no token is asked for.
    pub name: Arc<str>,
}

/// The tokens that are accepted. None at all means that none is asked for.
#[derive(Clone, Default)]
pub struct Tokens {
    digests: Vec<[u8; DIGEST_BYTES]>,
}

impl Tokens {
    /// Accepts these.
    pub fn new<T: AsRef<str>>(tokens: impl IntoIterator<Item = T>) -> Self {
        Self { digests: tokens.into_iter().map(|token| digest_of(token.as_ref())).collect() }
    }

    /// Who shows this, if they may come in. Whoever shows the second token is `token-2`.
    pub fn actor(&self, token: Option<&str>) -> Option<Actor> {
        if self.digests.is_empty() {
            return Some(Actor { name: "anonymous".into() });
        }
        let shown = digest_of(token?);
        let places = (1_u32..).zip(&self.digests);
        let place = places.fold(0, |found, (place, known)| {
            u32::conditional_select(&found, &place, known.ct_eq(&shown))
        });
        (place > 0).then(|| Actor { name: format!("token-{place}").into() })
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({}, redacted)", self.digests.len())
    }
}

fn digest_of(token: &str) -> [u8; DIGEST_BYTES] {
    let mut bytes = [0; DIGEST_BYTES];
    bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    bytes
}

/// The middleware.
pub(super) async fn check(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    if let Some(actor) = api.tokens.actor(bearer(request.headers())) {
        request.extensions_mut().insert(actor);
        return next.run(request).await;
    }
    let mut refusal = ApiError::unauthenticated().into_response();
    refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    refusal
}

/// The token of `Authorization: Bearer <token>`; the scheme in any case (RFC 9110 section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(tokens: &Tokens, token: Option<&str>) -> Option<String> {
        tokens.actor(token).map(|actor| actor.name.to_string())
    }

    #[test]
    fn only_a_known_token_is_let_in_under_its_name() {
        let tokens = Tokens::new(["one", "two"]);
        assert_eq!(name(&tokens, Some("one")).as_deref(), Some("token-1"));
        assert_eq!(name(&tokens, Some("two")).as_deref(), Some("token-2"));
        for token in [None, Some(""), Some("on"), Some("onee"), Some("ONE")] {
            assert_eq!(name(&tokens, token), None, "{token:?}");
        }
    }

    #[test]
    fn an_empty_configured_token_is_not_met_by_showing_none() {
        assert_eq!(name(&Tokens::new([""]), None), None);
    }

    #[test]
    fn without_tokens_nobody_is_asked() {
        assert_eq!(name(&Tokens::default(), None).as_deref(), Some("anonymous"));
    }
}
