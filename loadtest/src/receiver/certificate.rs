//! A certificate authority for one run, and a certificate for the addresses that are listened on.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

/// Different addresses that one certificate can name: each is sent with every handshake.
pub(super) const NAMES_MAX: usize = 256;
/// Names that lead to this machine, whatever is listened on.
const NAMES: [&str; 2] = ["localhost", "*.localhost"];
const LOOPBACK: [&str; 2] = ["127.0.0.1", "::1"];

/// What TLS is served with.
pub(super) struct Certificate {
    pub(super) acceptor: TlsAcceptor,
    pub(super) ca_pem: String,
}

impl Certificate {
    /// Makes a new authority and, from it, a certificate for `addresses`.
    pub(super) fn new(addresses: &[SocketAddr]) -> anyhow::Result<Self> {
        let ca = authority().context("cannot make a test certificate authority")?;
        let key = KeyPair::generate()?;
        let certificate = leaf(addresses)?.signed_by(&key, &ca)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), ca_pem: ca.pem() })
    }
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "Posthaste load test CA");
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

fn leaf(addresses: &[SocketAddr]) -> anyhow::Result<CertificateParams> {
    let loopback = LOOPBACK.iter().filter_map(|address| address.parse().ok());
    let mut hosts: Vec<IpAddr> = addresses.iter().map(SocketAddr::ip).chain(loopback).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let count = hosts.len();
    ensure!(count <= NAMES_MAX, "TLS at {count} different addresses; the limit is {NAMES_MAX}");
    let mut params = CertificateParams::new(NAMES.map(str::to_owned))?;
    params.subject_alt_names.extend(hosts.into_iter().map(SanType::IpAddress));
    params.distinguished_name.push(DnType::CommonName, "Posthaste load test receiver");
    Ok(params)
}
