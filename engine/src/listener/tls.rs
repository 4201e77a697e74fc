//! TLS of a listener: certificate and key from files, read again when they change.
//!
//! Whoever renews certificates writes files, and not all at once: what cannot be read, or does not fit together, is
//! reported, and the old pair is used until the next look. Connections keep what they began with. A new pair begins
//! without TLS sessions, so that nobody whom the new authorities do not know resumes an old one.
//!
//! Not here: whose certificates are believed when requests are sent (`delivery::trust`).

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// How often it is looked whether files have changed, beside each SIGHUP.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Where certificate and key lie, PEM.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    /// Section of the configuration that names them.
    pub(crate) section: &'static str,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Authorities of clients: who shows no certificate of theirs is not let in.
    pub(crate) client_ca: Option<PathBuf>,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{section}.{key} = {path}: {problem}", path = path.display())]
pub(crate) struct TlsError {
    section: &'static str,
    key: &'static str,
    path: PathBuf,
    problem: String,
}

/// See the head of this file.
pub(crate) struct Tls {
    files: TlsFiles,
    protocols: &'static [&'static [u8]],
    config: ArcSwap<ServerConfig>,
    /// What the files were like when they were last looked at.
    seen: Mutex<Vec<Stamp>>,
}

/// What changes with a file, also where a name is made to lead to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Tls {
    /// Reads the files. `protocols` are offered (ALPN); none are where there is only one.
    pub(crate) fn load(files: TlsFiles, protocols: &'static [&'static [u8]]) -> Result<Arc<Self>, TlsError> {
        // First: a change while they are read is seen at the next look.
        let seen = Mutex::new(files.stamps());
        let config = ArcSwap::new(files.config(protocols)?);
        Ok(Arc::new(Self { files, protocols, config, seen }))
    }

    /// Shakes hands with what was read last.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }

    /// Reads the files again if they are others than at the last look.
    fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let stamps = self.files.stamps();
        if *self.seen.lock() == stamps {
            return Ok(false);
        }
        self.config.store(self.files.config(self.protocols)?);
        *self.seen.lock() = stamps;
        Ok(true)
    }

    fn look(&self) {
        let section = self.files.section;
        match self.reload_if_changed() {
            Ok(true) => tracing::info!(section, "new connections get the new certificate"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the old certificate stays in use"),
        }
    }
}

/// Looks after the files, until told to stop: once a minute.
pub(crate) async fn reload_when_changed(all: Vec<Arc<Tls>>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        all.iter().for_each(|tls| tls.look());
    }
}

/// Looks at the files at each of these signals, also one that came before this began; until told to stop.
pub(crate) async fn reload_on(all: Vec<Arc<Tls>>, mut hangup: Signal, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            received = hangup.recv() => if received.is_none() { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
        all.iter().for_each(|tls| tls.look());
    }
}

impl TlsFiles {
    fn stamps(&self) -> Vec<Stamp> {
        let paths = [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()];
        paths.into_iter().flatten().map(|path| Stamp::of(path)).collect()
    }

    fn config(&self, protocols: &[&[u8]]) -> Result<Arc<ServerConfig>, TlsError> {
        let wrong = |key, path: &Path, problem: String| TlsError {
            section: self.section,
            key,
            path: path.to_owned(),
            problem,
        };
        let certificates = read_certificates(&self.certificate)
            .map_err(|problem| wrong("certificate", &self.certificate, problem))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| {
            wrong("key", &self.key, format!("is no private key that can be read: {error}"))
        })?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| wrong("certificate", &self.certificate, error.to_string()))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let roots = client_roots(path).map_err(|problem| wrong("client_ca", path, problem))?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(
                    verifier.map_err(|error| wrong("client_ca", path, error.to_string()))?,
                )
            }
        };
        let mut config = builder.with_single_cert(certificates, key).map_err(|error| {
            wrong("key", &self.key, format!("cannot be used with {}: {error}", self.certificate.display()))
        })?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

impl Stamp {
    /// A file that is not there has one too: it may come.
    fn of(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(file) => {
                Self { inode: file.ino(), bytes: file.len(), modified: (file.mtime(), file.mtime_nsec()) }
            }
            Err(_) => Self { inode: 0, bytes: 0, modified: (0, 0) },
        }
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| format!("cannot be read as PEM: {error}"))?;
    if certificates.is_empty() { Err("has no certificate in it".to_owned()) } else { Ok(certificates) }
}

fn client_roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use rcgen::{CertificateParams, KeyPair};
    use tempfile::TempDir;

    use super::*;

    struct Folder(TempDir, AtomicU64);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"), AtomicU64::new(0))
        }

        fn files(&self) -> TlsFiles {
            let path = |name: &str| self.0.path().join(name);
            TlsFiles {
                section: "ingest.tls",
                certificate: path("certificate.pem"),
                key: path("key.pem"),
                client_ca: None,
            }
        }

        /// As renewing does: a new file takes the place of the old one.
        fn put(&self, path: &Path, text: &str) {
            let new = self.0.path().join(format!("new-{}", self.1.fetch_add(1, Ordering::Relaxed)));
            fs::write(&new, text).and_then(|()| fs::rename(&new, path)).expect("written");
        }

        fn put_pair(&self) {
            let (certificate, key) = pair();
            self.put(&self.files().certificate, &certificate);
            self.put(&self.files().key, &key);
        }
    }

    fn pair() -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
    }

    #[test]
    fn a_new_pair_is_used_from_the_next_look_on_and_an_unchanged_one_is_not_read_again() {
        let folder = Folder::new();
        folder.put_pair();
        let tls = Tls::load(folder.files(), &[]).expect("a pair");
        let first = tls.config.load_full();
        assert_eq!(tls.reload_if_changed(), Ok(false));
        folder.put_pair();
        assert_eq!(tls.reload_if_changed(), Ok(true));
        assert!(!Arc::ptr_eq(&first, &tls.config.load_full()));
        assert_eq!(tls.reload_if_changed(), Ok(false));
    }

    #[test]
    fn while_certificate_and_key_do_not_fit_together_the_old_pair_stays_in_use() {
        let folder = Folder::new();
        folder.put_pair();
        let tls = Tls::load(folder.files(), &[]).expect("a pair");
        let first = tls.config.load_full();
        let (certificate, key) = pair();
        folder.put(&folder.files().certificate, &certificate);
        let error = tls.reload_if_changed().expect_err("a certificate without its key").to_string();
        assert!(error.starts_with("ingest.tls.key = ") && error.contains("cannot be used with"), "{error}");
        assert!(Arc::ptr_eq(&first, &tls.config.load_full()));
        folder.put(&folder.files().key, &key);
        assert_eq!(tls.reload_if_changed(), Ok(true));
    }

    #[tokio::test(start_paused = true)]
    async fn files_that_change_are_noticed_within_a_minute() {
        let folder = Folder::new();
        folder.put_pair();
        let tls = Tls::load(folder.files(), &[]).expect("a pair");
        let first = tls.config.load_full();
        let stop = watch::Sender::new(false);
        let looking = tokio::spawn(reload_when_changed(vec![tls.clone()], stop.subscribe()));
        folder.put_pair();
        tokio::time::sleep(LOOK_EVERY + Duration::from_secs(1)).await;
        assert!(!Arc::ptr_eq(&first, &tls.config.load_full()));
        stop.send_replace(true);
        looking.await.expect("it ends when told to");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_the_key_that_names_it() {
        let folder = Folder::new();
        let refusal = |files| Tls::load(files, &[]).err().expect("refused").to_string();
        assert!(refusal(folder.files()).contains("ingest.tls.certificate = "));
        folder.put_pair();
        let empty = folder.0.path().join("empty.pem");
        folder.put(&empty, "");
        let of_nobody = TlsFiles { client_ca: Some(empty.clone()), ..folder.files() };
        assert!(refusal(of_nobody).ends_with("empty.pem: has no certificate in it"));
        let keyless = TlsFiles { key: empty, ..folder.files() };
        let said = refusal(keyless);
        assert!(said.contains("ingest.tls.key = ") && said.contains("no private key"), "{said}");
    }
}
