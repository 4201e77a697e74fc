//! What one endpoint's connections show and believe beyond what all do: a client certificate (mutual TLS), and
//! certificate authorities of its receiver's own.
//!
//! Both are for connections of that endpoint alone. Two endpoints share connections and TLS sessions exactly if
//! their fingerprints are the same: otherwise a request would arrive under the name of another customer.
//!
//! Not here: how certificates are verified (`trust`). They always are.

use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsConnector;

/// The most certificates of a chain, and the most authorities of an endpoint.
const CERTIFICATES_MAX: usize = 32;
const ENCRYPTED_KEY: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// A part of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityPart {
    /// The client certificate, and those that lead to its authority.
    Certificate,
    /// The private key of the client certificate.
    Key,
    /// The authorities of the receiver.
    Authorities,
}

impl fmt::Display for IdentityPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "client certificate",
            Self::Key => "key of the client certificate",
            Self::Authorities => "CA certificates",
        })
    }
}

/// What is wrong with a part of an identity. Never repeats a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {problem}")]
pub struct IdentityError {
    /// Which.
    pub part: IdentityPart,
    /// In words that continue its name.
    pub problem: String,
}

/// Certificate and private key, PEM.
#[derive(Clone, Copy)]
pub struct ClientCertificatePem<'a> {
    /// The certificate and those that lead to its authority.
    pub certificate: &'a str,
    /// Its private key: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key: &'a str,
}

/// Says which identity a connection was opened with.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Fingerprint(u128);

impl Fingerprint {
    /// Of connections that show nothing and believe what all do.
    pub(super) const NONE: Self = Self(0);
}

/// See the head of this file.
pub struct Identity {
    pub(super) certificate: Option<Arc<CertifiedKey>>,
    /// Says whether the receiver's certificate comes from one of its own authorities.
    pub(super) authorities: Option<Arc<WebPkiServerVerifier>>,
    fingerprint: Fingerprint,
    /// Made for the first connection.
    connector: OnceLock<Result<TlsConnector, String>>,
}

impl Identity {
    /// Reads and checks an identity; `None` where there is nothing to it.
    ///
    /// # Errors
    /// The first part that cannot be used, and why.
    pub fn read(
        client: Option<ClientCertificatePem<'_>>,
        authorities: Option<&str>,
    ) -> Result<Option<Arc<Self>>, IdentityError> {
        if client.is_none() && authorities.is_none() {
            return Ok(None);
        }
        let provider = Arc::new(provider::default_provider());
        Ok(Some(Arc::new(Self {
            certificate: client.map(|client| certified_key(client, &provider)).transpose()?,
            authorities: authorities.map(|pem| verifier(pem, provider)).transpose()?,
            fingerprint: fingerprint(client, authorities),
            connector: OnceLock::new(),
        })))
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// What opens its connections, made once.
    pub(super) fn connector(
        &self,
        make: impl FnOnce() -> Result<TlsConnector, String>,
    ) -> Result<&TlsConnector, &str> {
        self.connector.get_or_init(make).as_ref().map_err(String::as_str)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(redacted)")
    }
}

fn certified_key(
    client: ClientCertificatePem<'_>,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, IdentityError> {
    let chain = certificates(IdentityPart::Certificate, client.certificate)?;
    let wrong = |part, problem: String| IdentityError { part, problem };
    let key_is = |problem: &str| wrong(IdentityPart::Key, problem.to_owned());
    if client.key.contains(ENCRYPTED_KEY) {
        return Err(key_is("is encrypted; it must be a private key without a passphrase"));
    }
    let key = PrivateKeyDer::from_pem_slice(client.key.as_bytes()).map_err(|error| match error {
        pem::Error::NoItemsFound => key_is("has no private key in it (PEM)"),
        other => key_is(pem_problem(&other)),
    })?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|_| key_is("is of no kind that can be used: RSA (from 2048 bits), ECDSA or Ed25519"))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(Arc::new(certified))
        }
        Err(rustls::Error::InconsistentKeys(_)) => Err(key_is("does not belong to the certificate")),
        Err(error) => Err(wrong(IdentityPart::Certificate, format!("cannot be used: {error}"))),
    }
}

fn verifier(pem: &str, provider: Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, IdentityError> {
    let wrong = |problem: String| IdentityError { part: IdentityPart::Authorities, problem };
    let mut roots = RootCertStore::empty();
    for (number, certificate) in certificates(IdentityPart::Authorities, pem)?.into_iter().enumerate() {
        let added = roots.add(certificate);
        added.map_err(|error| {
            wrong(format!("the certificate number {} cannot be used: {error}", number + 1))
        })?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| wrong(format!("cannot be used: {error}")))
}

fn certificates(part: IdentityPart, pem: &str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let read = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let problem = match read {
        Err(error) => pem_problem(&error).to_owned(),
        Ok(certificates) if certificates.is_empty() => "has no certificate in it (PEM)".to_owned(),
        Ok(certificates) if certificates.len() > CERTIFICATES_MAX => {
            format!("has {} certificates; the limit is {CERTIFICATES_MAX}", certificates.len())
        }
        Ok(certificates) => return Ok(certificates),
    };
    Err(IdentityError { part, problem })
}

/// What is wrong with a PEM text, in words that repeat nothing of it: it may be a key whose line breaks were lost.
fn pem_problem(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "cannot be read: it has no END line",
        pem::Error::IllegalSectionStart { .. } => {
            "cannot be read: its BEGIN line is not one (are line breaks missing?)"
        }
        pem::Error::Base64Decode(_) => "cannot be read: it is not base64",
        _ => "cannot be read: it is not PEM",
    }
}

/// Half of a SHA-256 over all parts: to find another identity with the same one, a customer would have to try
/// 2^128 of them. Never that of no identity.
fn fingerprint(client: Option<ClientCertificatePem<'_>>, authorities: Option<&str>) -> Fingerprint {
    let mut run = digest::Context::new(&digest::SHA256);
    let parts = [client.map(|client| client.certificate), client.map(|client| client.key), authorities];
    for part in parts {
        // The length tells "ab" and "c" from "a" and "bc", and nothing from an empty text.
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        run.update(&length.to_le_bytes());
        run.update(part.unwrap_or_default().as_bytes());
    }
    let half = run.finish().as_ref().first_chunk().copied().unwrap_or_default();
    Fingerprint(u128::from_le_bytes(half).max(1))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["sender.example".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[track_caller]
    fn refused(certificate: &str, key: &str, part: IdentityPart, words: &str) {
        let error = Identity::read(Some(ClientCertificatePem { certificate, key }), None).unwrap_err();
        assert_eq!(error.part, part, "{error}");
        assert!(error.problem.contains(words), "{error}");
        assert!(key.len() < 100 || !error.to_string().contains(&key[60..80]), "{error}");
    }

    #[test]
    fn what_is_wrong_with_a_client_certificate_is_said_and_its_key_is_not_repeated() {
        let ((certificate, key), (other, _)) = (pair(), pair());
        assert!(
            Identity::read(Some(ClientCertificatePem { certificate: &certificate, key: &key }), None).is_ok()
        );
        refused("", &key, IdentityPart::Certificate, "has no certificate in it");
        refused("no PEM", &key, IdentityPart::Certificate, "has no certificate in it");
        refused(
            "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n",
            &key,
            IdentityPart::Certificate,
            "cannot be read",
        );
        refused(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            &key,
            IdentityPart::Certificate,
            "cannot be used",
        );
        refused(&certificate, "", IdentityPart::Key, "has no private key in it");
        refused(&certificate, &certificate, IdentityPart::Key, "has no private key in it");
        refused(&other, &key, IdentityPart::Key, "does not belong to the certificate");
        let encrypted = format!("{ENCRYPTED_KEY}\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
        refused(&certificate, &encrypted, IdentityPart::Key, "is encrypted");
        let one_line = key.replace('\n', "");
        refused(&certificate, &one_line, IdentityPart::Key, "cannot be read");
        let nonsense = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        refused(&certificate, nonsense, IdentityPart::Key, "is of no kind that can be used");
        refused(
            &certificate.repeat(CERTIFICATES_MAX + 1),
            &key,
            IdentityPart::Certificate,
            "the limit is 32",
        );
    }

    #[test]
    fn what_is_wrong_with_authorities_is_said() {
        let (certificate, key) = pair();
        assert!(Identity::read(None, Some(&certificate)).unwrap().is_some());
        for (pem, words) in [
            ("", "has no certificate in it"),
            (&key, "has no certificate in it"),
            (
                &format!("{certificate}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
                "the certificate number 2 cannot be used",
            ),
        ] {
            let error = Identity::read(None, Some(pem)).unwrap_err();
            assert_eq!(error.part, IdentityPart::Authorities);
            assert!(error.problem.contains(words), "{error}");
        }
    }

    #[test]
    fn identities_are_the_same_only_if_every_part_is() {
        assert!(Identity::read(None, None).unwrap().is_none());
        let client = |certificate, key| Some(ClientCertificatePem { certificate, key });
        let all = [
            fingerprint(client("ab", "c"), None),
            fingerprint(client("a", "bc"), None),
            fingerprint(client("ab", "c"), Some("")),
            fingerprint(client("ab", ""), Some("c")),
            fingerprint(None, Some("abc")),
            fingerprint(None, None),
            Fingerprint::NONE,
        ];
        for (number, one) in all.iter().enumerate() {
            assert!(!all[..number].contains(one), "{number}");
        }
        assert_eq!(fingerprint(client("ab", "c"), None), all[0]);
    }

    #[test]
    fn an_identity_never_appears_in_debug_output() {
        let (certificate, key) = pair();
        let identity =
            Identity::read(Some(ClientCertificatePem { certificate: &certificate, key: &key }), None);
        assert_eq!(format!("{identity:?}"), "Ok(Some(Identity(redacted)))");
    }
}
