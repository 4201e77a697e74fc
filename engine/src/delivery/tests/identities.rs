//! Client certificates and authorities of an endpoint's own.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;

use super::tls::{Authority, TlsReceiver, believing, sender};
use super::*;

/// Certificate and key of somebody whom this authority knows.
struct Client {
    certificate: String,
    key: String,
}

impl Client {
    fn of(authority: &Authority) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["sender.example".to_owned()]).unwrap();
        let certificate = authority.sign(params, &key).pem();
        Self { certificate, key: key.serialize_pem() }
    }

    fn identity(&self) -> Arc<Identity> {
        let pem = ClientCertificatePem { certificate: &self.certificate, key: &self.key };
        Identity::read(Some(pem), None).unwrap().unwrap()
    }
}

fn target_with(url: &str, identity: &Arc<Identity>) -> Target {
    Target::prepare(TargetSpec { identity: Some(identity), ..spec(url) }).unwrap()
}

async fn attempt_with(sender: &Sender, url: &str, identity: &Arc<Identity>) -> Ended {
    sender.attempt(&target_with(url, identity), MESSAGE, Bytes::from_static(b"{}"), NOW).await
}

/// A receiver that wants to be shown a certificate of this authority.
async fn insisting(on: &Authority, authority: &Authority, alpn: &[&str]) -> TlsReceiver {
    let mut roots = RootCertStore::empty();
    roots.add(on.certificate()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    TlsReceiver::start(authority.server_that_checks(verifier, alpn)).await
}

#[test]
fn a_receiver_that_insists_is_shown_the_certificate_of_its_endpoint() {
    run(async {
        let (authority, clients) = (Authority::new(), Authority::new());
        for alpn in [&[][..], &["h2"]] {
            let receiver = insisting(&clients, &authority, alpn).await;
            let sender = sender(&believing(&authority));
            let known = Client::of(&clients).identity();
            let ended = attempt_with(&sender, &receiver.url(), &known).await;
            assert!(ended.outcome.is_success(), "{}", ended.detail);
            assert!(attempt_with(&sender, &receiver.url(), &known).await.reused);

            for stranger in [None, Some(Client::of(&authority).identity())] {
                let ended = match &stranger {
                    None => attempt(&sender, &receiver.url()).await,
                    Some(identity) => attempt_with(&sender, &receiver.url(), identity).await,
                };
                assert_eq!(ended.outcome, Outcome::TlsFailed, "{alpn:?} {}", ended.detail);
                assert!(ended.detail.contains("(cert_refused)"), "{}", ended.detail);
            }
        }
    });
}

#[test]
fn a_connection_is_never_used_under_another_identity() {
    run(async {
        let (authority, clients) = (Authority::new(), Authority::new());
        for alpn in [&[][..], &["h2"]] {
            let receiver = TlsReceiver::start(authority.server("shop.example", false, alpn)).await;
            let sender = sender(&believing(&authority));
            let url = receiver.url();
            let (one, other) = (Client::of(&clients), Client::of(&clients));
            let (one, same, other) = (one.identity(), one.identity(), other.identity());
            assert!(!attempt(&sender, &url).await.reused);
            assert!(!attempt_with(&sender, &url, &one).await.reused);
            assert!(!attempt_with(&sender, &url, &other).await.reused);
            assert_eq!(receiver.connections(), 3);
            // Each finds its own, in whatever order they lie there; one that was read again is the same.
            assert!(attempt(&sender, &url).await.reused);
            assert!(attempt_with(&sender, &url, &other).await.reused);
            assert!(attempt_with(&sender, &url, &same).await.reused);
            assert_eq!(receiver.connections(), 3);
        }
    });
}

#[test]
fn the_authority_of_an_endpoint_is_believed_for_its_connections_alone() {
    run(async {
        let (own, platform) = (Authority::new(), Authority::new());
        let receiver = TlsReceiver::start(own.server("shop.example", false, &[])).await;
        let sender = sender(&believing(&platform));
        let believing =
            |authority: &Authority| Identity::read(None, Some(&authority.pem())).unwrap().unwrap();
        let ended = attempt_with(&sender, &receiver.url(), &believing(&own)).await;
        assert!(ended.outcome.is_success(), "{}", ended.detail);

        let strangers = believing(&Authority::new());
        for ended in [
            attempt(&sender, &receiver.url()).await,
            attempt_with(&sender, &receiver.url(), &strangers).await,
        ] {
            assert_eq!(ended.outcome, Outcome::TlsFailed);
            assert_eq!(ended.detail, "the certificate is from an unknown authority (cert_untrusted)");
        }
        // Beside the platform's, not instead of them.
        let public = TlsReceiver::start(platform.server("shop.example", false, &[])).await;
        let ended = attempt_with(&sender, &public.url(), &strangers).await;
        assert!(ended.outcome.is_success(), "{}", ended.detail);
    });
}

#[test]
fn what_an_authority_of_its_own_has_signed_is_verified_like_everything_else() {
    run(async {
        let own = Authority::new();
        let sender = sender(&believing(&Authority::new()));
        let identity = Identity::read(None, Some(&own.pem())).unwrap().unwrap();
        for (server, word) in [
            (own.server("shop.example", true, &[]), "(cert_expired)"),
            (own.server("other.example", false, &[]), "(cert_name)"),
        ] {
            let receiver = TlsReceiver::start(server).await;
            let ended = attempt_with(&sender, &receiver.url(), &identity).await;
            assert_eq!(ended.outcome, Outcome::TlsFailed);
            assert!(ended.detail.ends_with(word), "{}", ended.detail);
        }
    });
}

#[test]
fn a_url_that_a_message_brings_along_is_reached_under_the_identity_of_the_endpoint() {
    run(async {
        let (authority, clients) = (Authority::new(), Authority::new());
        let receiver = insisting(&clients, &authority, &[]).await;
        let sender = sender(&believing(&authority));
        let target = target_with("https://other.example/", &Client::of(&clients).identity());
        let target = target.at_url(&receiver.url(), None).unwrap();
        let ended = sender.attempt(&target, MESSAGE, Bytes::new(), NOW).await;
        assert!(ended.outcome.is_success(), "{}", ended.detail);
    });
}
