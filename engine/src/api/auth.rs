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
use subtle::{Choice, ConstantTimeEq};

use super::Api;
use super::error::ApiError;

const DIGEST_BYTES: usize = 32;

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

    /// Whether whoever shows this may come in.
    pub fn permit(&self, token: Option<&str>) -> bool {
        if self.digests.is_empty() {
            return true;
        }
        let shown = digest_of(token.unwrap_or_default());
        let found = self.digests.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&shown));
        token.is_some() && bool::from(found)
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
pub(super) async fn check(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    if api.tokens.permit(bearer(request.headers())) {
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

    #[test]
    fn only_a_known_token_is_let_in() {
        let tokens = Tokens::new(["one", "two"]);
        assert!(tokens.permit(Some("one")) && tokens.permit(Some("two")));
        for token in [None, Some(""), Some("on"), Some("onee"), Some("ONE")] {
            assert!(!tokens.permit(token), "{token:?}");
        }
    }

    #[test]
    fn an_empty_configured_token_is_not_met_by_showing_none() {
        assert!(!Tokens::new([""]).permit(None));
    }

    #[test]
    fn without_tokens_nobody_is_asked() {
        assert!(Tokens::default().permit(None));
    }
}
