//! Whose certificates are believed, and what a failed handshake means in words.
//!
//! Certificates are always verified: against the roots of the operating system, and those of an extra file
//! where an operator runs receivers with a private authority. TLS 1.2 is the oldest version spoken.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{CertificateError, ClientConfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;

/// How many hosts a shard remembers TLS sessions of, to resume them with one round trip less.
const SESSIONS_MAX: usize = 4_096;

/// The authorities that are believed. Cheap to clone, so that all shards share one copy of the roots.
#[derive(Clone)]
pub struct Trust {
    provider: Arc<CryptoProvider>,
    /// `None` on a machine without any root: then no receiver can be believed, and `https` fails.
    verifier: Option<Arc<dyn ServerCertVerifier>>,
}

/// Why the extra authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read, or is not PEM.
    #[error("CA file {path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reader's words.
        reason: String,
    },
    /// The file has no certificate in it.
    #[error("CA file {path} contains no certificate")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A certificate that cannot be a root.
    #[error("an extra CA certificate cannot be used: {reason}")]
    Unusable {
        /// The verifier's words.
        reason: String,
    },
}

impl Trust {
    /// The roots of the operating system, and those of a PEM file where one is given.
    pub fn load(extra_ca_file: Option<&Path>) -> Result<Self, TrustError> {
        extra_ca_file.map_or(Ok(Vec::new()), read_certificates).and_then(Self::with_extra)
    }

    /// The roots of the operating system, and these.
    pub fn with_extra(extra: Vec<CertificateDer<'static>>) -> Result<Self, TrustError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let has_extra = !extra.is_empty();
        let verifier = match Verifier::new_with_extra_roots(extra, Arc::clone(&provider)) {
            Ok(verifier) => Some(Arc::new(verifier) as Arc<dyn ServerCertVerifier>),
            Err(error) if has_extra => return Err(TrustError::Unusable { reason: error.to_string() }),
            Err(error) => {
                tracing::warn!(%error, "no CA certificates: deliveries to https endpoints will fail");
                None
            }
        };
        Ok(Self { provider, verifier })
    }

    /// The TLS settings of one shard; `None` where no receiver could be believed.
    pub(super) fn client_config(&self, http2: bool) -> Result<Option<ClientConfig>, rustls::Error> {
        let Some(verifier) = &self.verifier else { return Ok(None) };
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            // Not dangerous: it is the verifier of the platform, and always set.
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(verifier))
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        config.alpn_protocols =
            if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
        Ok(Some(config))
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").field("has_roots", &self.verifier.is_some()).finish()
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let unreadable = |error: rustls_pki_types::pem::Error| TrustError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(TrustError::Empty { path: path.to_owned() });
    }
    Ok(certificates)
}

/// What a failed handshake means to the owner of the receiver.
pub(super) fn handshake_failure(error: &io::Error) -> String {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return format!("the connection broke during the TLS handshake: {error}");
    };
    match error {
        rustls::Error::InvalidCertificate(reason) => certificate_failure(reason),
        rustls::Error::AlertReceived(alert) => format!("the receiver refused TLS: {alert:?}"),
        rustls::Error::PeerIncompatible(reason) => format!("no common TLS version or cipher: {reason:?}"),
        rustls::Error::InvalidMessage(_) => "the receiver does not speak TLS on this port".to_owned(),
        other => format!("the TLS handshake failed: {other}"),
    }
}

fn certificate_failure(reason: &CertificateError) -> String {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for another name".to_owned()
        }
        CertificateError::UnknownIssuer => "the certificate is from an unknown authority".to_owned(),
        CertificateError::Revoked => "the certificate was revoked".to_owned(),
        other => format!("the certificate is not valid: {other}"),
    }
}
