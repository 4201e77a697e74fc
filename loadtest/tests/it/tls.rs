//! TLS and HTTP/2, with hyper's client.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::Receiver;

type Body = Full<Bytes>;

fn post(url: &str) -> Request<Body> {
    Request::post(url).header("webhook-id", "msg_1").body(Full::from("{}")).unwrap()
}

/// A receiver with TLS, and what to trust it with.
fn receiver(arguments: &[&str]) -> (Receiver, RootCertStore) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let tls = ["--tls", "--ca-file", file.to_str().unwrap()];
    let receiver = Receiver::start(&[&tls[..], arguments].concat());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&file).unwrap()).unwrap();
    (receiver, roots)
}

async fn handshake(address: SocketAddr, roots: RootCertStore, alpn: &[&str]) -> TlsStream<TcpStream> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::from(address.ip());
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
}

async fn http2_over<S>(stream: S) -> http2::SendRequest<Body>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn a_client_that_offers_http2_gets_it_and_every_behaviour() {
    let (receiver, roots) = receiver(&[]);
    let stream = handshake(receiver.address(), roots, &["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut sender = http2_over(stream).await;
    for (path, status, bytes) in [
        ("ok", 204, 0),
        ("status/503", 503, 0),
        ("delay/5ms", 204, 0),
        ("flaky/1", 500, 0),
        ("redirect", 302, 0),
        ("large", 200, 1 << 20),
        ("retry-after/30", 429, 0),
        ("gone", 410, 0),
    ] {
        let response = sender.send_request(post(&format!("https://127.0.0.1/{path}"))).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers().contains_key("location"), path == "redirect");
        assert_eq!(response.headers().contains_key("retry-after"), path == "retry-after/30");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), bytes, "{path}");
    }
    let dropped = sender.send_request(post("https://127.0.0.1/drop")).await;
    assert!(dropped.is_err(), "{dropped:?}");
    let after = sender.send_request(post("https://127.0.0.1/ok")).await.unwrap();
    assert_eq!(after.status(), 204, "only the stream was reset");
}

#[tokio::test]
async fn a_client_without_http2_gets_http1() {
    let (receiver, roots) = receiver(&["--body-bytes-max", "10"]);
    let stream = handshake(receiver.address(), roots, &[]).await;
    let (mut sender, connection) = http1::handshake::<_, Body>(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut status = async |request| sender.send_request(request).await.map(|response| response.status());
    assert_eq!(status(post("/gone")).await.unwrap(), 410);
    let large = Request::post("/ok").body(Full::from("12345678901")).unwrap();
    assert_eq!(status(large).await.unwrap(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_drop_over_http1_closes_the_connection() {
    let (receiver, roots) = receiver(&[]);
    let stream = handshake(receiver.address(), roots, &["http/1.1"]).await;
    let (mut sender, connection) = http1::handshake::<_, Body>(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    assert!(sender.send_request(post("/drop")).await.is_err());
    let _ = connection.await.unwrap();
    assert!(sender.is_closed());
}

#[tokio::test]
async fn hanging_streams_do_not_hold_up_others_and_end_with_their_connection() {
    let (receiver, roots) = receiver(&[]);
    let (address, trusted) = (receiver.address(), roots.clone());
    let mut sender = http2_over(handshake(address, roots, &["h2"]).await).await;
    let hanging = tokio::spawn(sender.send_request(post("https://127.0.0.1/hang")));
    let ok = sender.send_request(post("https://127.0.0.1/ok")).await.unwrap();
    assert_eq!(ok.status(), 204);

    let mut other = http2_over(handshake(address, trusted, &["h2"]).await).await;
    let mut in_flight = async || {
        let request = Request::get("https://127.0.0.1/stats").body(Full::default()).unwrap();
        let response = other.send_request(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice::<serde_json::Value>(&body).unwrap()["in_flight"]["now"].as_u64().unwrap()
    };
    while in_flight().await < 1 {}
    drop(sender);
    hanging.abort();
    while in_flight().await > 0 {}
}

#[tokio::test]
async fn without_tls_http2_is_served_to_who_knows() {
    let receiver = Receiver::start(&[]);
    let tcp = TcpStream::connect(receiver.address()).await.unwrap();
    let mut sender = http2_over(tcp).await;
    let url = format!("http://{}/gone?slot=1", receiver.address());
    assert_eq!(sender.send_request(post(&url)).await.unwrap().status(), 410);
    assert_eq!(receiver.stats()["account"]["deliveries"], 1);
}
