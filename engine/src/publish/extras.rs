//! What few messages ask for: a later time, an order among each other, a URL of their own; and the chains that
//! routing found for them.

use std::fmt;
use std::sync::Arc;

use super::PublishError;
use super::error::shown;
use crate::catalog::{Application, Catalog, Endpoint, Format, Secret, check_url_for};
use crate::clock::unix_ms;
use crate::core::ids::{EndpointId, MessageId};
use crate::keyring::{Keyring, OpenError, Owner};

/// The longest ordering key, in bytes.
pub const ORDERING_KEY_BYTES_MAX: usize = 256;
/// How far ahead a message may be scheduled: a year.
pub const DELIVER_AT_AHEAD_MS_MAX: u64 = 365 * 86_400_000;
/// The longest URL that a message brings along, in bytes.
const URL_BYTES_MAX: usize = 4_096;
/// The longest secret for such a URL, in bytes.
const URL_SECRET_BYTES_MAX: usize = 4_096;

/// A URL that a message brings along, as a producer hands it over.
#[derive(Clone, Copy)]
pub struct NewUrl<'a> {
    /// Where to.
    pub url: &'a str,
    /// Signs there instead of the endpoint's secrets; for an endpoint whose requests are forms, their `secret`.
    pub secret: Option<&'a str>,
    /// The endpoint whose settings apply there, by id or uid. Without it, the one that the message goes to.
    pub endpoint: Option<&'a str>,
}

impl fmt::Debug for NewUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, endpoint, .. } = self;
        f.debug_struct("NewUrl").field("url", url).field("endpoint", endpoint).finish_non_exhaustive()
    }
}

/// See the head of this file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// Not sent before, unix milliseconds.
    pub due_ms: Option<u64>,
    /// Messages with the same key reach an endpoint one after the other, in the order of their ids.
    pub ordering_key: Option<Box<str>>,
    /// Where it goes instead of the endpoint's URL.
    pub url: Option<OwnUrl>,
    /// Chains of endpoints: each is tried when those before it let the message fall through. Several chains are
    /// separated by 0; the first of each is among the message's endpoints.
    pub chains: Vec<u64>,
}

/// A URL that a message brought along, in normal form.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnUrl {
    /// Where to.
    pub url: Box<str>,
    /// The secret for it.
    pub secret: Option<Box<str>>,
}

impl OwnUrl {
    /// As it was stored with this message.
    ///
    /// # Errors
    /// A secret that cannot be opened.
    pub fn of(
        extras: posthaste_storage::record::Extras<'_>,
        message: MessageId,
        keyring: &Keyring,
    ) -> Result<Option<Self>, OpenError> {
        let Some(url) = extras.url else { return Ok(None) };
        let secret = match extras.sealed_url_secret {
            None => extras.url_secret.map(Into::into),
            Some(sealed) => {
                let plain = keyring.open(Owner::Message(message.0.as_u64()), sealed)?;
                Some(std::str::from_utf8(&plain).map_err(|_| OpenError::Form)?.into())
            }
        };
        Ok(Some(Self { url: url.into(), secret }))
    }

    /// Its secret as it may be stored with this message.
    pub fn sealed_secret(&self, message: MessageId, keyring: &Keyring) -> Option<Vec<u8>> {
        let secret = self.secret.as_ref()?;
        Some(keyring.seal(Owner::Message(message.0.as_u64()), secret.as_bytes()))
    }
}

impl fmt::Debug for OwnUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnUrl").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The normal form of a URL that may be delivered to, or what is wrong with it.
type CheckUrl = dyn Fn(&str) -> Result<String, String> + Send + Sync;

/// Judges URLs that messages bring along. Cheap to clone.
#[derive(Clone)]
pub struct UrlJudge(pub Arc<CheckUrl>);

impl fmt::Debug for UrlJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlJudge")
    }
}

/// `None` for a time that has come already.
pub(super) fn check_due(deliver_at_ms: Option<u64>) -> Result<Option<u64>, PublishError> {
    let Some(deliver_at_ms) = deliver_at_ms else { return Ok(None) };
    let ahead_ms = deliver_at_ms.saturating_sub(unix_ms());
    if ahead_ms > DELIVER_AT_AHEAD_MS_MAX {
        return Err(PublishError::TooFarAhead {
            days: ahead_ms / 86_400_000,
            max: DELIVER_AT_AHEAD_MS_MAX / 86_400_000,
        });
    }
    Ok((ahead_ms > 0).then_some(deliver_at_ms))
}

pub(super) fn check_ordering_key(key: Option<&str>) -> Result<(), PublishError> {
    let Some(key) = key else { return Ok(()) };
    super::check_size("ordering key", key.len(), ORDERING_KEY_BYTES_MAX)?;
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(PublishError::OrderingKeyInvalid { value: shown(key) });
    }
    Ok(())
}

/// The endpoint whose settings apply at the URL, and the URL in normal form.
pub(super) fn check_url(
    catalog: &Catalog,
    judge: &UrlJudge,
    application: &Application,
    new: NewUrl<'_>,
    routed: &[EndpointId],
) -> Result<(EndpointId, OwnUrl), PublishError> {
    let endpoint = match new.endpoint {
        Some(name) => catalog.endpoint(application.id, name).ok_or_else(|| PublishError::OwnUrl {
            problem: format!("names no endpoint: '{}'", shown(name)),
        })?,
        None => the_only_one(catalog, routed)?,
    };
    if endpoint.is_disabled() {
        return Err(PublishError::OwnUrl {
            problem: format!("leads over {}, which is disabled", endpoint.id),
        });
    }
    super::check_size("override url", new.url.len(), URL_BYTES_MAX)?;
    let url = (judge.0)(new.url)
        .and_then(|url| check_url_for(application, &url).map(|()| url))
        .map_err(|problem| PublishError::OwnUrl { problem })?;
    let secret = new.secret.map(|secret| check_secret(&endpoint, secret)).transpose()?;
    Ok((endpoint.id, OwnUrl { url: url.into(), secret }))
}

fn the_only_one(catalog: &Catalog, routed: &[EndpointId]) -> Result<Arc<Endpoint>, PublishError> {
    let found = match routed {
        [one] => catalog.endpoint_by_id(*one),
        _ => None,
    };
    found.ok_or_else(|| PublishError::OwnUrl {
        problem: format!(
            "stands for one endpoint's, and the message goes to {}: name the endpoint whose settings apply",
            routed.len()
        ),
    })
}

/// The secret in normal form. Errors never repeat it.
fn check_secret(endpoint: &Endpoint, secret: &str) -> Result<Box<str>, PublishError> {
    super::check_size("override secret", secret.len(), URL_SECRET_BYTES_MAX)?;
    let checked = match endpoint.format {
        Format::Json => Secret::parse("secret", secret).map(|parsed| parsed.key).map_err(|e| e.to_string()),
        Format::Form if secret.is_empty() => Err("secret is empty".into()),
        Format::Form => Ok(secret.into()),
    };
    checked.map(Into::into).map_err(|problem| PublishError::OwnUrlSecret { problem })
}
