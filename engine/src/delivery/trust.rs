//! Whose certificates are believed, and what a failed handshake means in words.
//!
//! Certificates are always verified: against the roots of the operating system, those of an extra file where an
//! operator runs receivers with a private authority, and, for the connections of an endpoint that has some, its own
//! authorities. TLS 1.2 is the oldest version spoken.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;

use super::identity::Identity;

/// How many hosts a shard remembers TLS sessions of, to resume them with one round trip less.
const SESSIONS_MAX: usize = 4_096;
/// The same for an endpoint whose sessions are its own: its host, and those of URLs that messages bring along.
const SESSIONS_OF_ONE_MAX: usize = 8;

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
    pub(crate) fn client_config(&self, http2: bool) -> Result<Option<ClientConfig>, rustls::Error> {
        let Some(verifier) = &self.verifier else { return Ok(None) };
        self.config(Arc::clone(verifier), None, http2, SESSIONS_MAX).map(Some)
    }

    /// The TLS settings of one endpoint's connections; `None` where no receiver could be believed. Sessions are its
    /// own too: resumed by another endpoint, one would carry this one's client certificate.
    pub(super) fn client_config_of(
        &self,
        identity: &Identity,
        http2: bool,
    ) -> Result<Option<ClientConfig>, rustls::Error> {
        let verifier = match (&identity.authorities, &self.verifier) {
            (Some(own), platform) => Arc::new(Either { own: own.clone(), platform: platform.clone() })
                as Arc<dyn ServerCertVerifier>,
            (None, Some(platform)) => platform.clone(),
            (None, None) => return Ok(None),
        };
        self.config(verifier, identity.certificate.clone(), http2, SESSIONS_OF_ONE_MAX).map(Some)
    }

    fn config(
        &self,
        verifier: Arc<dyn ServerCertVerifier>,
        certificate: Option<Arc<CertifiedKey>>,
        http2: bool,
        sessions_max: usize,
    ) -> Result<ClientConfig, rustls::Error> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            // Not dangerous: it is the verifier of the platform or of given authorities, and always set.
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match certificate {
            Some(certificate) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)))
            }
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(sessions_max);
        config.alpn_protocols =
            if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
        Ok(config)
    }
}

/// Believes the authorities of an endpoint, and the platform's beside them.
#[derive(Debug)]
struct Either {
    own: Arc<WebPkiServerVerifier>,
    platform: Option<Arc<dyn ServerCertVerifier>>,
}

impl ServerCertVerifier for Either {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let judge = |verifier: &dyn ServerCertVerifier| {
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        match (judge(&*self.own), &self.platform) {
            // Only who does not know it leaves it to the other: what its own authority has signed and has run out
            // is refused for that.
            (Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)), Some(platform)) => {
                judge(&**platform)
            }
            (judged, _) => judged,
        }
    }

    // Signatures are checked by the same algorithms whoever vouches for the key.

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.own.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.own.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.own.supported_verify_schemes()
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

/// What a failed handshake means to the owner of the receiver, with a word in brackets to search for:
///
/// | word | means |
/// |---|---|
/// | `cert_expired` | the receiver's certificate is not valid at this time |
/// | `cert_name` | it is for another name |
/// | `cert_untrusted` | nobody who is believed has signed it, or it is broken |
/// | `tls_unsupported` | no TLS from 1.2 on there, or no cipher in common |
/// | `cert_refused` | the receiver does not accept the client certificate, or misses one |
pub(super) fn handshake_failure(error: &io::Error) -> String {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return format!("the connection broke during the TLS handshake: {error}");
    };
    match error {
        rustls::Error::InvalidCertificate(reason) => certificate_failure(reason),
        rustls::Error::AlertReceived(alert) => alert_failure(&format!("{alert:?}")),
        rustls::Error::PeerIncompatible(reason) => {
            format!("no common TLS version or cipher: {reason:?} (tls_unsupported)")
        }
        rustls::Error::InvalidMessage(_) => {
            "the receiver does not speak TLS on this port (tls_unsupported)".to_owned()
        }
        other => format!("the TLS handshake failed: {other}"),
    }
}

/// What it means that the receiver broke TLS off with this alert (RFC 8446 section 6.2), during the handshake or, as
/// TLS 1.3 has it for client certificates, soon after.
pub(super) fn alert_failure(alert: &str) -> String {
    let word = match alert {
        "ProtocolVersion" | "HandshakeFailure" | "InsufficientSecurity" | "NoApplicationProtocol" => {
            " (tls_unsupported)"
        }
        "CertificateRequired"
        | "NoCertificate"
        | "BadCertificate"
        | "UnsupportedCertificate"
        | "CertificateRevoked"
        | "CertificateExpired"
        | "CertificateUnknown"
        | "UnknownCA"
        | "AccessDenied" => " (cert_refused)",
        _ => "",
    };
    format!("the receiver refused TLS: {alert}{word}")
}

fn certificate_failure(reason: &CertificateError) -> String {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired (cert_expired)".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet (cert_expired)".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for another name (cert_name)".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "the certificate is from an unknown authority (cert_untrusted)".to_owned()
        }
        CertificateError::Revoked => "the certificate was revoked (cert_untrusted)".to_owned(),
        other => format!("the certificate is not valid: {other} (cert_untrusted)"),
    }
}
