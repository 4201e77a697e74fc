//! The keyring: the keys that everything secret is encrypted with before it reaches the disk.
//!
//! A data folder is copied, backed up, and thrown away with its disk. What opens other people's doors must not lie in
//! it for everybody to read: signing secrets, credentials, private keys. They are sealed under a key that lies in a
//! file of its own (`key_file`), which can be kept somewhere else.
//!
//! ```text
//! sealed: version 1 | id of the key 8 | nonce 24 | ciphertext and tag 16     (XAES-256-GCM, see `xaes`)
//! ```
//!
//! Invariants
//! - The newest key seals, all of them open. A key's id follows from the key, so another key never has its id.
//! - What was sealed opens for its owner alone: version, key, kind of owner and id are authenticated with it. A
//!   ciphertext that is moved to another endpoint or message does not open there.
//! - No nonce is chosen twice: 192 random bits each.
//!
//! Not here: what is secret of an endpoint (`catalog::sealed`), and when everything is sealed anew (`keys`).

mod key_file;
mod xaes;

use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

pub use key_file::{KEYS_MAX, KeyFile, KeyFileError, StoredKey};
use xaes::{KEY_BYTES, NONCE_BYTES, TAG_BYTES, Xaes};

const VERSION: u8 = 1;
const ID_BYTES: usize = 8;
const HEAD_BYTES: usize = 1 + ID_BYTES + NONCE_BYTES;
/// What a sealed value is longer than what is in it.
pub const SEALED_MORE_BYTES: usize = HEAD_BYTES + TAG_BYTES;

/// The id of a key: what HMAC-SHA256 under it makes of a fixed text, cut.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; ID_BYTES]);

impl KeyId {
    fn of(key: &[u8; KEY_BYTES]) -> Self {
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"posthaste key id");
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&mac.as_ref()[..ID_BYTES]);
        Self(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whose secrets they are: they open for nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The endpoint with this id.
    Endpoint(u64),
    /// The message with this id: the secret for the URL that it brought along.
    Message(u64),
    /// The key of portal tokens, of which a data folder has one.
    Portal,
}

impl Owner {
    /// What is authenticated: distinct for any two owners, and for any two keys.
    fn context(self, key: KeyId) -> [u8; 2 + ID_BYTES + 8] {
        let (kind, id) = match self {
            Self::Endpoint(id) => (1, id),
            Self::Message(id) => (2, id),
            Self::Portal => (3, 0),
        };
        let mut context = [0; 2 + ID_BYTES + 8];
        context[..2].copy_from_slice(&[VERSION, kind]);
        context[2..2 + ID_BYTES].copy_from_slice(&key.0);
        context[2 + ID_BYTES..].copy_from_slice(&id.to_le_bytes());
        context
    }
}

/// Why something sealed cannot be opened. Never repeats any of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is none of ours.
    #[error("it is not in the form of something encrypted by Posthaste")]
    Form,
    /// The key is not there.
    #[error("it is encrypted with the key {id}, which is not in {} (secrets.key_file)", file.display())]
    NoKey {
        /// Which.
        id: KeyId,
        /// Where it should be.
        file: PathBuf,
    },
    /// The key is there, and this is not what was sealed with it for this owner.
    #[error("it is not what was encrypted here with the key {id}: damaged, or moved from somewhere else")]
    Damaged {
        /// Which.
        id: KeyId,
    },
}

/// See the head of this file.
pub struct Keyring {
    file: PathBuf,
    /// The newest last.
    keys: Vec<(KeyId, Xaes)>,
}

impl Keyring {
    /// The keys of this file, of which there is at least one.
    pub fn new(file: &KeyFile) -> Self {
        let keys = file.keys().iter().map(|stored| (stored.id(), Xaes::new(stored.key()))).collect();
        Self { file: file.path().into(), keys }
    }

    /// One fresh key that is in no file: for tests and for what keeps nothing.
    pub fn ephemeral() -> Self {
        let key = StoredKey::generate(0);
        Self { file: "(no file)".into(), keys: vec![(key.id(), Xaes::new(key.key()))] }
    }

    /// The key that seals.
    pub fn newest(&self) -> KeyId {
        self.keys.last().expect("a keyring has a key").0
    }

    /// Where the keys are kept.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Whether it can open what was sealed with this key.
    pub fn has(&self, id: KeyId) -> bool {
        self.key(id).is_some()
    }

    /// Seals under the newest key.
    ///
    /// # Panics
    /// If the system has no randomness to give, without which nothing here is safe.
    pub fn seal(&self, owner: Owner, plain: &[u8]) -> Vec<u8> {
        let (id, key) = self.keys.last().expect("a keyring has a key");
        let mut nonce = [0; NONCE_BYTES];
        aws_lc_rs::rand::fill(&mut nonce).expect("the system's random source works");
        let mut sealed = Vec::with_capacity(plain.len() + SEALED_MORE_BYTES);
        sealed.push(VERSION);
        sealed.extend_from_slice(&id.0);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        key.seal(&nonce, &owner.context(*id), HEAD_BYTES, &mut sealed);
        sealed
    }

    /// What was sealed for this owner.
    ///
    /// # Errors
    /// A key that is not there; anything else than what was sealed.
    pub fn open(&self, owner: Owner, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let id = key_of(sealed).ok_or(OpenError::Form)?;
        let key = self.key(id).ok_or_else(|| OpenError::NoKey { id, file: self.file.clone() })?;
        let (head, body) = sealed.split_at(HEAD_BYTES);
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&head[1 + ID_BYTES..]);
        key.open(&nonce, &owner.context(id), body).ok_or(OpenError::Damaged { id })
    }

    fn key(&self, id: KeyId) -> Option<&Xaes> {
        self.keys.iter().rev().find(|(other, _)| *other == id).map(|(_, key)| key)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<KeyId> = self.keys.iter().map(|(id, _)| *id).collect();
        f.debug_struct("Keyring").field("file", &self.file).field("keys", &ids).finish()
    }
}

/// The key that this was sealed with; `None` for what has another form.
pub fn key_of(sealed: &[u8]) -> Option<KeyId> {
    let (&version, rest) = sealed.split_first()?;
    let (id, rest) = rest.split_first_chunk::<ID_BYTES>()?;
    (version == VERSION && rest.len() >= NONCE_BYTES + TAG_BYTES).then_some(KeyId(*id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const OWNERS: [Owner; 5] =
        [Owner::Endpoint(7), Owner::Endpoint(8), Owner::Message(7), Owner::Message(0), Owner::Portal];

    fn ring(keys: &[u8]) -> Keyring {
        let keys = keys.iter().map(|byte| {
            let key = [*byte; KEY_BYTES];
            (KeyId::of(&key), Xaes::new(&key))
        });
        Keyring { file: "/etc/posthaste.key".into(), keys: keys.collect() }
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_for_its_owner_and_for_nobody_else(plain in vec(any::<u8>(), 0..300)) {
            let ring = ring(&[1]);
            for owner in OWNERS {
                let sealed = ring.seal(owner, &plain);
                prop_assert_eq!(sealed.len(), plain.len() + SEALED_MORE_BYTES);
                prop_assert_eq!(key_of(&sealed), Some(ring.newest()));
                for other in OWNERS {
                    let opened = ring.open(other, &sealed).map(|plain| plain.to_vec());
                    let expected = match other == owner {
                        true => Ok(plain.clone()),
                        false => Err(OpenError::Damaged { id: ring.newest() }),
                    };
                    prop_assert_eq!(opened, expected, "sealed for {:?}, opened for {:?}", owner, other);
                }
            }
        }

        #[test]
        fn any_change_is_noticed_and_arbitrary_bytes_never_panic(
            plain in vec(any::<u8>(), 0..60), at: proptest::sample::Index, flip in 1u8..=255, noise in vec(any::<u8>(), 0..120),
        ) {
            let ring = ring(&[1]);
            let mut sealed = ring.seal(Owner::Portal, &plain);
            let at = at.index(sealed.len());
            sealed[at] ^= flip;
            prop_assert!(ring.open(Owner::Portal, &sealed).is_err(), "byte {}", at);
            sealed[at] ^= flip;
            for bytes in 0..sealed.len() {
                prop_assert!(ring.open(Owner::Portal, &sealed[..bytes]).is_err(), "the first {} bytes", bytes);
            }
            prop_assert!(ring.open(Owner::Portal, &noise).is_err());
        }
    }

    #[test]
    fn the_same_is_never_sealed_to_the_same_twice() {
        let ring = ring(&[1]);
        assert_ne!(ring.seal(Owner::Portal, b"x"), ring.seal(Owner::Portal, b"x"));
    }

    #[test]
    fn after_a_rotation_the_new_key_seals_and_both_open() {
        let before = ring(&[1]);
        let old = before.seal(Owner::Portal, b"old");
        let after = ring(&[1, 2]);
        let new = after.seal(Owner::Portal, b"new");
        assert_eq!(after.open(Owner::Portal, &old).as_deref().map(Vec::as_slice), Ok(&b"old"[..]));
        assert_eq!(after.open(Owner::Portal, &new).as_deref().map(Vec::as_slice), Ok(&b"new"[..]));
        assert_eq!((key_of(&old), key_of(&new)), (Some(before.newest()), Some(after.newest())));
        let error = before.open(Owner::Portal, &new).unwrap_err().to_string();
        let id = after.newest();
        assert_eq!(
            error,
            format!(
                "it is encrypted with the key {id}, which is not in /etc/posthaste.key (secrets.key_file)"
            )
        );
    }

    #[test]
    fn another_key_is_another_id_and_opens_nothing() {
        let (one, other) = (ring(&[1]), ring(&[2]));
        assert!(one.newest() != other.newest() && !other.has(one.newest()));
        let sealed = one.seal(Owner::Endpoint(1), b"secret");
        assert!(matches!(other.open(Owner::Endpoint(1), &sealed), Err(OpenError::NoKey { .. })));
        // Even one that claims the id of another.
        let liar = Keyring { keys: vec![(one.newest(), Xaes::new(&[2; KEY_BYTES]))], ..ring(&[2]) };
        assert!(matches!(liar.open(Owner::Endpoint(1), &sealed), Err(OpenError::Damaged { .. })));
    }

    #[test]
    fn a_keyring_shows_ids_and_never_keys() {
        let shown = format!("{:?}", ring(&[0xab]));
        assert!(shown.contains(&ring(&[0xab]).newest().to_string()), "{shown}");
        assert!(!shown.contains("abab") && !shown.contains("171, 171"), "{shown}");
    }
}
