//! The operator's password: kept as its Argon2id hash, and judged one at a time.
//!
//! The hash is a PHC string (`$argon2id$v=19$m=19456,t=2,p=1$...`), as `posthaste console password` prints it. Judging a
//! guess takes about 20 ms of a core and 19 MiB on purpose, so only one is judged at a time: whoever guesses waits.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// The shortest password that a hash is made of, in bytes.
pub const PASSWORD_BYTES_MIN: usize = 12;
/// The longest.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
const SALT_BYTES: usize = 16;
/// The first of the parameters that OWASP recommends for Argon2id: 19 MiB, two passes, one lane.
const PARAMS: (u32, u32, u32) = (19 * 1_024, 2, 1);

/// See the head of this file.
pub(super) struct Password {
    hash: String,
    judging: Semaphore,
}

impl Password {
    /// With this hash, which was checked with the configuration.
    pub(super) fn new(hash: &str) -> Self {
        Self { hash: hash.into(), judging: Semaphore::new(1) }
    }

    /// Whether this is it.
    pub(super) async fn is(&self, given: Zeroizing<String>) -> bool {
        if given.len() > PASSWORD_BYTES_MAX {
            return false;
        }
        let Ok(_turn) = self.judging.acquire().await else { return false };
        let hash = self.hash.clone();
        let judged = tokio::task::spawn_blocking(move || matches(&hash, given.as_bytes())).await;
        judged.unwrap_or(false)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Password(redacted)")
    }
}

fn matches(hash: &str, given: &[u8]) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(given, &hash).is_ok())
}

/// Whether this is a hash that passwords can be judged by: Argon2id, with parameters that can be computed.
pub fn is_hash(text: &str) -> bool {
    let parsed = PasswordHash::new(text);
    parsed.is_ok_and(|hash| hash.algorithm.as_str() == "argon2id" && Params::try_from(&hash).is_ok())
}

/// The hash of a password, for the configuration.
///
/// # Errors
/// In words, when it is too short or too long.
pub fn hash_of(password: &str) -> Result<String, String> {
    let bytes = password.len();
    if !(PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX).contains(&bytes) {
        return Err(format!(
            "the password is {bytes} bytes; it must be {PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX}"
        ));
    }
    let mut salt = [0; SALT_BYTES];
    aws_lc_rs::rand::fill(&mut salt).expect("the system's random source works");
    let (memory, passes, lanes) = PARAMS;
    let params = Params::new(memory, passes, lanes, None).expect("these are allowed");
    let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password.as_bytes(), &salt);
    Ok(hash.expect("a password of this length and a salt can be hashed").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_right_password_is_told_from_wrong_ones_and_its_hash_from_anything_else() {
        let hash = hash_of("correct horse battery").expect("long enough");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, hash_of("correct horse battery").expect("long enough"), "it is salted");
        assert!(is_hash(&hash));
        let password = Password::new(&hash);
        assert!(password.is(Zeroizing::new("correct horse battery".into())).await);
        for wrong in ["", "correct horse batterY", &"x".repeat(PASSWORD_BYTES_MAX + 1)] {
            assert!(!password.is(Zeroizing::new(wrong.into())).await);
        }
        for other in ["", "secret", "$2b$10$abcdefghijklmnopqrstuv", "$argon2id$v=19$m=1,t=0,p=1$AAAA$AAAA"] {
            assert!(!is_hash(other), "{other}");
        }
        assert!(hash_of("short").unwrap_err().contains("it must be 12 to 1024"));
    }
}
