//! Portal tokens: for the people of one application, made on request, valid for a while.
//!
//! ```text
//! portal_ base64url( version 1 | what it may do 1 | application 8 | expiry, unix seconds 8 | random 12 | HMAC 32 )
//! ```
//!
//! Nothing is kept about them: the HMAC-SHA256 under a key of this data folder says that they are ours. Only those
//! that were logged out are remembered, in memory, until they would have expired; a restart forgets that.
//!
//! Not here: the pages on which those people work (`console`).

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::pace::Pace;
use super::{Actor, Binding, Caller, RateLimits, Scopes};
use crate::catalog::CatalogEvent;
use crate::config::Scope;
use crate::core::ids::ApplicationId;
use crate::keyring::{KeyId, Keyring, OpenError, Owner, SEALED_MORE_BYTES, key_of};

const PREFIX: &str = "portal_";
const VERSION: u8 = 1;
const CLAIM_BYTES: usize = 1 + 1 + 8 + 8 + RANDOM_BYTES;
const RANDOM_BYTES: usize = 12;
const MAC_BYTES: usize = 32;
const KEY_BYTES: usize = 32;
const KEY_FILE: &str = "portal.key";
/// Bytes of the file, in which the key is sealed.
const FILE_BYTES: usize = KEY_BYTES + SEALED_MORE_BYTES;
/// Tokens that are remembered as logged out; beyond it the one that expires first is forgotten.
const LOGGED_OUT_MAX: usize = 100_000;

/// Why the key of the portal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PortalError {
    /// The file system says no.
    #[error("{}: {error}", path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// The file is not what was written.
    #[error("{}: {error}; remove it to begin anew, which ends all portal tokens", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: OpenError,
    },
}

/// See the head of this file.
pub struct Portal {
    key: hmac::Key,
    limits: RateLimits,
    /// Nobody publishes with such a token.
    messages: Arc<Pace>,
    /// When each expires, unix seconds.
    logged_out: Mutex<HashMap<[u8; RANDOM_BYTES], u64>>,
    /// All tokens of an application share one.
    paces: Mutex<HashMap<ApplicationId, Arc<Pace>>>,
}

/// What a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claim {
    read_only: bool,
    application: ApplicationId,
    expires_secs: u64,
    random: [u8; RANDOM_BYTES],
}

impl Portal {
    /// With the key in this folder, which is made if it is not there, and sealed under the newest key if it is not. With
    /// `accept_loss` another is made where the key that it was sealed with is missing.
    pub fn open(
        folder: &Path,
        keyring: &Keyring,
        accept_loss: bool,
        limits: RateLimits,
    ) -> Result<Self, PortalError> {
        let path = folder.join(KEY_FILE);
        let io = |error| PortalError::Io { path: path.clone(), error };
        let stored = read(&path).map_err(io)?;
        let key = match &stored {
            None => random(),
            Some(stored) => match open(stored, keyring) {
                Err(OpenError::NoKey { .. }) if accept_loss => {
                    tracing::error!("the key of portal tokens cannot be read: all of them end");
                    random()
                }
                other => other.map_err(|error| PortalError::Unreadable { path: path.clone(), error })?,
            },
        };
        if stored.and_then(|stored| key_of_file(&stored)) != Some(keyring.newest()) {
            write(&path, &keyring.seal(Owner::Portal, &key[..])).map_err(io)?;
        }
        Ok(Self::with_key(&key, limits))
    }

    /// The key that the one in this folder is sealed with, if it is there and sealed.
    pub(crate) fn sealed_with(folder: &Path) -> Result<Option<KeyId>, PortalError> {
        let path = folder.join(KEY_FILE);
        let stored = read(&path).map_err(|error| PortalError::Io { path, error })?;
        Ok(stored.and_then(|stored| key_of_file(&stored)))
    }

    /// With this key.
    pub(crate) fn with_key(key: &[u8; KEY_BYTES], limits: RateLimits) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            limits,
            messages: limits.messages(None),
            logged_out: Mutex::default(),
            paces: Mutex::default(),
        }
    }

    /// A number that belongs to the data folder and to this purpose, and tells nothing of the key.
    pub(crate) fn number_for(&self, purpose: &str) -> u128 {
        let mac = hmac::sign(&self.key, purpose.as_bytes());
        mac.as_ref().iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
    }

    /// A token for the people of this application, until then.
    pub(crate) fn issue(&self, application: ApplicationId, read_only: bool, expires_secs: u64) -> String {
        let mut random = [0; RANDOM_BYTES];
        rand::fill(&mut random).expect("the system's random source works");
        let mut token = Claim { read_only, application, expires_secs, random }.encode();
        let mac = hmac::sign(&self.key, &token);
        token.extend_from_slice(mac.as_ref());
        format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(token))
    }

    /// Whether this has the form of one of its tokens.
    pub(super) fn made(token: &str) -> bool {
        token.starts_with(PREFIX)
    }

    /// Who shows this token, unless it is not ours, has expired or was logged out.
    pub(super) fn caller(&self, token: &str, now_secs: u64) -> Option<Caller> {
        let claim = self.claim(token)?;
        if claim.expires_secs <= now_secs || self.logged_out.lock().contains_key(&claim.random) {
            return None;
        }
        let writes: &[Scope] = if claim.read_only { &[] } else { &[Scope::EndpointsWrite, Scope::Replay] };
        Some(Caller {
            actor: Actor { name: format!("portal:{}", claim.application).into() },
            scopes: Scopes::of(&[&[Scope::Read], writes].concat()),
            bound_to: Some(Binding::Id(claim.application)),
            event_types: None,
            pace: self.pace(claim.application),
            messages: Arc::clone(&self.messages),
            made: None,
        })
    }

    /// From now on this token is not accepted. `false` if it is none of ours.
    pub(crate) fn log_out(&self, token: &str, now_secs: u64) -> bool {
        let Some(claim) = self.claim(token) else { return false };
        let mut logged_out = self.logged_out.lock();
        logged_out.insert(claim.random, claim.expires_secs);
        if logged_out.len() > LOGGED_OUT_MAX {
            logged_out.retain(|_, expires_secs| *expires_secs > now_secs);
        }
        if logged_out.len() > LOGGED_OUT_MAX {
            let first = logged_out.iter().min_by_key(|(_, expires_secs)| **expires_secs);
            let first = first.map(|(random, _)| *random);
            first.and_then(|random| logged_out.remove(&random));
        }
        true
    }

    fn claim(&self, token: &str) -> Option<Claim> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
        let (claim, mac) = bytes.split_at_checked(CLAIM_BYTES)?;
        hmac::verify(&self.key, claim, mac).ok()?;
        Claim::decode(claim)
    }

    /// What changed in the catalog.
    pub(super) fn on_event(&self, event: &CatalogEvent) {
        if let CatalogEvent::ApplicationRemoved(application) = event {
            self.paces.lock().remove(application);
        }
    }

    /// About as many as applications: only they have tokens. One of an application that was removed may come back with a
    /// token of it, until that ends.
    fn pace(&self, application: ApplicationId) -> Arc<Pace> {
        let mut paces = self.paces.lock();
        Arc::clone(paces.entry(application).or_insert_with(|| self.limits.requests()))
    }
}

impl fmt::Debug for Portal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Portal(redacted)")
    }
}

impl Claim {
    fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CLAIM_BYTES + MAC_BYTES);
        bytes.extend_from_slice(&[VERSION, u8::from(self.read_only)]);
        bytes.extend_from_slice(&self.application.as_u64().to_be_bytes());
        bytes.extend_from_slice(&self.expires_secs.to_be_bytes());
        bytes.extend_from_slice(&self.random);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[version, read_only], rest) = bytes.split_first_chunk()?;
        let (application, rest) = rest.split_first_chunk()?;
        let (expires_secs, random) = rest.split_first_chunk()?;
        (version == VERSION).then_some(())?;
        Some(Self {
            read_only: read_only != 0,
            application: ApplicationId::from_u64(u64::from_be_bytes(*application)),
            expires_secs: u64::from_be_bytes(*expires_secs),
            random: random.try_into().ok()?,
        })
    }
}

fn random() -> Zeroizing<[u8; KEY_BYTES]> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    rand::fill(&mut key[..]).expect("the system's random source works");
    key
}

/// What is in the file; a little more than there may be, if there is more.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut stored = Vec::new();
    file.take(FILE_BYTES as u64 + 1).read_to_end(&mut stored)?;
    Ok(Some(stored))
}

/// `None` for a key in plain text, as older versions stored it, and for what is no key.
fn key_of_file(stored: &[u8]) -> Option<KeyId> {
    key_of(stored).filter(|_| stored.len() == FILE_BYTES)
}

fn open(stored: &[u8], keyring: &Keyring) -> Result<Zeroizing<[u8; KEY_BYTES]>, OpenError> {
    if let Ok(plain) = stored.try_into() {
        return Ok(Zeroizing::new(plain));
    }
    key_of_file(stored).ok_or(OpenError::Form)?;
    let key = keyring.open(Owner::Portal, stored)?;
    key.as_slice().try_into().map(Zeroizing::new).map_err(|_| OpenError::Form)
}

/// Written beside and renamed, so that a crash leaves either the key of before or a whole one. Only its owner may read
/// it.
fn write(path: &Path, sealed: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("key.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(sealed)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RateLimits = RateLimits { requests: 10, messages: 10 };
    const APPLICATION: ApplicationId = ApplicationId::from_u64(42);

    fn portal() -> Portal {
        Portal::with_key(&[7; KEY_BYTES], LIMITS)
    }

    #[test]
    fn a_token_is_accepted_until_it_expires_for_its_application_and_not_for_publishing() {
        let portal = portal();
        let token = portal.issue(APPLICATION, false, 1_000);
        let caller = portal.caller(&token, 999).expect("valid");
        assert_eq!(caller.bound_to, Some(Binding::Id(APPLICATION)));
        let allowed: Vec<Scope> = Scope::ALL.into_iter().filter(|scope| caller.may(*scope)).collect();
        assert_eq!(allowed, [Scope::Read, Scope::EndpointsWrite, Scope::Replay]);
        assert!(portal.caller(&token, 1_000).is_none());
    }

    #[test]
    fn a_token_that_was_changed_or_made_with_another_key_is_not_accepted() {
        let portal = portal();
        let token = portal.issue(APPLICATION, true, 1_000);
        for place in PREFIX.len()..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert!(portal.caller(&changed, 0).is_none(), "{place}");
        }
        assert!(portal.caller(&token[..token.len() - 1], 0).is_none());
        assert!(portal.caller(PREFIX, 0).is_none());
        assert!(Portal::with_key(&[8; KEY_BYTES], LIMITS).caller(&token, 0).is_none());
    }

    #[test]
    fn one_that_looks_only_has_one_scope() {
        let portal = portal();
        let caller = portal.caller(&portal.issue(APPLICATION, true, 1), 0).expect("valid");
        assert!(caller.may(Scope::Read) && !caller.may(Scope::EndpointsWrite));
    }

    #[test]
    fn a_token_that_was_logged_out_is_not_accepted_and_its_siblings_still_are() {
        let portal = portal();
        let (one, other) = (portal.issue(APPLICATION, false, 9), portal.issue(APPLICATION, false, 9));
        assert!(portal.log_out(&one, 0));
        assert!(portal.caller(&one, 0).is_none() && portal.caller(&other, 0).is_some());
        assert!(!portal.log_out("portal_x", 0));
    }

    #[test]
    fn the_key_is_made_once_sealed_and_only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;

        let (folder, keyring) = (tempfile::tempdir().expect("a temporary folder"), Keyring::ephemeral());
        let open = |keyring| Portal::open(folder.path(), keyring, false, LIMITS);
        let token = open(&keyring).expect("made").issue(APPLICATION, false, 9);
        assert!(open(&keyring).expect("read").caller(&token, 0).is_some());
        assert_eq!(Portal::sealed_with(folder.path()).expect("readable"), Some(keyring.newest()));
        let file = folder.path().join(KEY_FILE);
        assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        std::fs::write(&file, "short").expect("written");
        assert!(matches!(open(&keyring), Err(PortalError::Unreadable { .. })));
    }

    #[test]
    fn a_key_in_plain_text_is_sealed_and_its_tokens_stay_valid() {
        let (folder, keyring) = (tempfile::tempdir().expect("a temporary folder"), Keyring::ephemeral());
        let file = folder.path().join(KEY_FILE);
        std::fs::write(&file, [7; KEY_BYTES]).expect("written");
        let token = portal().issue(APPLICATION, false, 9);
        let opened = Portal::open(folder.path(), &keyring, false, LIMITS).expect("read");
        assert!(opened.caller(&token, 0).is_some());
        let stored = std::fs::read(&file).expect("there");
        assert!(stored.len() == FILE_BYTES && !stored.windows(KEY_BYTES).any(|part| part == [7; KEY_BYTES]));
    }

    #[test]
    fn a_key_that_was_sealed_with_a_missing_one_is_refused_unless_its_loss_is_accepted() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (one, other) = (Keyring::ephemeral(), Keyring::ephemeral());
        let token =
            Portal::open(folder.path(), &one, false, LIMITS).expect("made").issue(APPLICATION, false, 9);
        let refusal = Portal::open(folder.path(), &other, false, LIMITS).unwrap_err().to_string();
        assert!(refusal.contains(&one.newest().to_string()), "{refusal}");
        let anew = Portal::open(folder.path(), &other, true, LIMITS).expect("made anew");
        assert!(anew.caller(&token, 0).is_none());
        assert!(Portal::open(folder.path(), &other, false, LIMITS).is_ok());
    }
}
