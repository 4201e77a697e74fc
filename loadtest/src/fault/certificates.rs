//! Certificates, right and wrong, and the authority that is to be trusted.

use std::sync::Arc;

use anyhow::Context as _;
use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certified {
    /// Nothing.
    Well,
    /// It has run out.
    Expired,
    /// Its time has not come.
    NotYet,
    /// It is for another name.
    WrongName,
    /// Nobody but itself vouches for it.
    SelfSigned,
    /// Somebody vouches for it whom nobody knows.
    UnknownAuthority,
    /// Nothing, but the client is to show one too.
    ClientAsked,
}

/// An authority for one run.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.distinguished_name.push(DnType::CommonName, "Posthaste fault test CA");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?);
        issuer.map(Self).context("a test certificate authority")
    }

    /// Its certificate, in PEM.
    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// TLS with such a certificate, offering these protocols.
    pub(super) fn acceptor(&self, certified: Certified, alpn: &[&str]) -> anyhow::Result<TlsAcceptor> {
        let key = KeyPair::generate()?;
        let certificate = self.certificate(certified, &key)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = if certified == Certified::ClientAsked {
            let mut roots = RootCertStore::empty();
            roots.add(self.0.der().clone())?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn certificate(&self, certified: Certified, key: &KeyPair) -> anyhow::Result<Certificate> {
        let name = if certified == Certified::WrongName { "other.example" } else { "127.0.0.1" };
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        match certified {
            Certified::Expired => params.not_after = rcgen::date_time_ymd(2020, 1, 1),
            Certified::NotYet => params.not_before = rcgen::date_time_ymd(3000, 1, 1),
            _ => {}
        }
        Ok(match certified {
            Certified::SelfSigned => params.self_signed(key)?,
            Certified::UnknownAuthority => params.signed_by(key, &Self::new()?.0)?,
            _ => params.signed_by(key, &self.0)?,
        })
    }
}
