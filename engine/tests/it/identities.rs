//! Receivers behind TLS with an authority of their own, who want to be shown a certificate.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::Method;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::harness::{APPLICATION, Answer, Authority, NO_LOCKOUT, Receiver, World, steady, wait_for_async};

/// What an endpoint shows whom this authority knows.
fn client(authority: &Authority) -> Value {
    let (certificate, key) = authority.sign(&["sender.example"]);
    json!({ "certificate": certificate.pem(), "key": key.serialize_pem() })
}

/// A receiver behind TLS that answers 204 to whom `clients` knows, and shows a certificate of `authority`.
async fn receiver(authority: &Authority, clients: &Authority) -> SocketAddr {
    let mut roots = RootCertStore::empty();
    roots.add(clients.der()).expect("an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    let (certificate, key) = authority.sign(&["127.0.0.1"]);
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("versions").with_client_cert_verifier(verifier.expect("a verifier"));
    let config =
        builder.with_single_cert(vec![certificate.der().clone()], key).expect("they belong together");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(acceptor.clone(), tcp));
        }
    });
    address
}

async fn serve(acceptor: TlsAcceptor, tcp: TcpStream) {
    let Ok(mut tls) = acceptor.accept(tcp).await else { return };
    let mut request = Vec::new();
    while tls.read_buf(&mut request).await.is_ok_and(|bytes| bytes > 0) {
        // The payload of these tests ends so.
        if request.ends_with(b"}") {
            request.clear();
            let answered = tls.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            if answered.is_err() {
                return;
            }
        }
    }
}

/// How the newest attempt of a new message ended.
async fn attempt(world: &World) -> Value {
    let message = format!("msg_{}", world.publish_one().await);
    let attempts = wait_for_async("an attempt", async || {
        let mut attempts = world.api().attempts(APPLICATION, &message).await;
        attempts.pop()
    });
    attempts.await
}

/// A world whose only endpoint is behind TLS.
async fn world(endpoint: Value, at: SocketAddr) -> World {
    let retry = format!("'{}'", steady("1h"));
    let settings = [NO_LOCKOUT.to_vec(), vec![("retry.policy", retry.as_str())]].concat();
    let plain = Receiver::answering(Answer::Status(204)).await;
    let world = World::with(&settings, json!({}), plain).await;
    let mut changes = endpoint;
    changes["url"] = format!("https://{at}/hook").into();
    world.api().patch(&path(&world), &changes).await;
    world
}

fn path(world: &World) -> String {
    format!("/api/v1/app/{APPLICATION}/endpoint/{}", world.endpoint)
}

#[tokio::test]
async fn a_receiver_with_its_own_authority_that_insists_on_a_certificate_is_delivered_to_even_after_a_restart()
 {
    let (authority, clients) = (Authority::new(), Authority::new());
    let at = receiver(&authority, &clients).await;
    let certified = client(&clients);
    let identity = json!({ "clientCertificate": certified, "caCertificates": authority.pem() });
    let mut world = world(identity, at).await;
    assert_eq!(attempt(&world).await["responseStatusCode"], 204);
    world.restart().await;
    assert_eq!(attempt(&world).await["responseStatusCode"], 204);

    let shown = world.endpoint_shown().await.to_string();
    let key = certified["key"].as_str().expect("a key");
    let a_line_of_it = key.lines().nth(1).expect("base64");
    assert!(!shown.contains(a_line_of_it), "a private key is never shown");

    // Without one of the two it is refused, and said why.
    world.api().patch(&path(&world), &json!({ "clientCertificate": null })).await;
    let refused = attempt(&world).await.to_string();
    assert!(refused.contains("(cert_refused)"), "{refused}");
    let changes = json!({ "clientCertificate": client(&clients), "caCertificates": null });
    world.api().patch(&path(&world), &changes).await;
    let refused = attempt(&world).await.to_string();
    assert!(refused.contains("(cert_untrusted)"), "{refused}");
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_refused_when_they_are_saved() {
    let (authority, other) = (Authority::new(), Authority::new());
    let world = World::start().await;
    let (one, two) = (client(&authority), client(&other));
    let mixed = json!({ "certificate": one["certificate"], "key": two["key"] });
    for (changes, field, words) in [
        (json!({ "clientCertificate": mixed }), "key", "does not belong to the certificate"),
        (
            json!({ "clientCertificate": { "certificate": "x", "key": one["key"] } }),
            "certificate",
            "has no certificate",
        ),
        (json!({ "caCertificates": "x" }), "caCertificates", "has no certificate in it"),
    ] {
        let mut changes = changes;
        changes["url"] = "https://127.0.0.1:8443/".into();
        let (status, refusal) = world.api().call(Method::PATCH, &path(&world), Some(&changes)).await;
        let shown = refusal.to_string();
        assert!(status == 422 && shown.contains(field) && shown.contains(words), "{shown}");
        assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    }
    // A certificate is only shown within TLS.
    let changes = json!({ "clientCertificate": one });
    let (status, refusal) = world.api().call(Method::PATCH, &path(&world), Some(&changes)).await;
    assert!(status == 422 && refusal.to_string().contains("needs a URL with https"), "{refusal}");
}
