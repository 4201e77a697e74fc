//! XAES-256-GCM: AES-256-GCM whose nonces may be random (C2SP, `XAES-256-GCM.md`).
//!
//! GCM's own nonces of 96 bits may be random for about 2^32 values only before two of them are expected to meet, and
//! a nonce that is used twice gives the key of its authentication away. Here a nonce has 192 bits: the first half
//! makes a key of its own (NIST SP 800-108r1, a KDF in counter mode on CMAC), the second is the nonce under it. Both
//! parts are those of aws-lc, which is there for TLS anyway.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cmac;
use zeroize::Zeroizing;

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
/// Bytes of a nonce.
pub(super) const NONCE_BYTES: usize = 24;
/// Bytes by which a ciphertext is longer.
pub(super) const TAG_BYTES: usize = 16;

/// Half of a nonce: what GCM takes.
const HALF: usize = NONCE_BYTES / 2;

/// A key, prepared. aws-lc wipes its memory when it is freed.
pub(super) struct Xaes(cmac::Key);

impl Xaes {
    pub(super) fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(cmac::Key::new(cmac::AES_256, key).expect("32 bytes are a key of AES-256"))
    }

    /// Encrypts what stands in `buffer` from `from` on, and appends the tag.
    pub(super) fn seal(&self, nonce: &[u8; NONCE_BYTES], context: &[u8], from: usize, buffer: &mut Vec<u8>) {
        let (key, nonce) = self.derive(nonce);
        // It may only fail for a text of 64 GiB.
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(context), &mut buffer[from..])
            .expect("a secret is short");
        buffer.extend_from_slice(tag.as_ref());
    }

    /// `None` when ciphertext, context or nonce are not those of the sealing.
    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        context: &[u8],
        ciphertext: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (key, nonce) = self.derive(nonce);
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let bytes = key.open_in_place(nonce, Aad::from(context), &mut buffer).ok()?.len();
        buffer.truncate(bytes);
        Some(buffer)
    }

    /// The key of this nonce, and the nonce under it.
    fn derive(&self, nonce: &[u8; NONCE_BYTES]) -> (LessSafeKey, Nonce) {
        let (salt, rest) = nonce.split_at(HALF);
        let mut derived = Zeroizing::new([0; KEY_BYTES]);
        for (counter, half) in (1..=2).zip(derived.chunks_mut(KEY_BYTES / 2)) {
            // Counter (16 bits), label 'X', a zero, and the context: one block of AES.
            let mut block = [0, counter, b'X', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            block[4..].copy_from_slice(salt);
            let tag = cmac::sign(&self.0, &block).expect("CMAC takes any message");
            half.copy_from_slice(tag.as_ref());
        }
        let key = UnboundKey::new(&AES_256_GCM, &derived[..]).expect("32 bytes are a key of AES-256");
        let nonce = Nonce::try_assume_unique_for_key(rest).expect("12 bytes are a nonce of GCM");
        (LessSafeKey::new(key), nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The test vectors of the specification.
    #[test]
    fn the_vectors_of_the_specification_are_met() {
        for (key, context, expected) in [
            (1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
            (3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
        ] {
            let (key, nonce) = (Xaes::new(&[key; KEY_BYTES]), b"ABCDEFGHIJKLMNOPQRSTUVWX");
            let mut buffer = b"XAES-256-GCM".to_vec();
            key.seal(nonce, context.as_bytes(), 0, &mut buffer);
            assert_eq!(hex(&buffer), expected);
            let opened = key.open(nonce, context.as_bytes(), &buffer).expect("what was sealed");
            assert_eq!(opened.as_slice(), b"XAES-256-GCM");
            assert!(key.open(nonce, b"other", &buffer).is_none());
        }
    }
}
