//! Receivers behind TLS: whom is believed, what is said otherwise, and HTTP/2 where it is offered.

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::super::http1::{Http1, Outgoing, ReadBuffer};
use super::receiver::{NO_CONTENT, read_request};
use super::*;

/// A certificate authority of a test.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Authorities are told apart by name before their signatures are looked at.
        params.distinguished_name.push(DnType::CommonName, format!("{:x?}", &key.public_key_raw()[..16]));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(super) fn trust(&self) -> Trust {
        Trust::with_extra(vec![self.0.der().clone()]).unwrap()
    }

    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(super) fn sign(&self, params: CertificateParams, key: &KeyPair) -> Certificate {
        params.signed_by(key, &self.0).unwrap()
    }

    pub(super) fn server(&self, name: &str, expired: bool, alpn: &[&str]) -> ServerConfig {
        self.configure(name, expired, WebPkiClientVerifier::no_client_auth(), alpn)
    }

    /// A server for `shop.example` that wants to be shown a certificate.
    pub(super) fn server_that_checks(
        &self,
        verifier: Arc<dyn ClientCertVerifier>,
        alpn: &[&str],
    ) -> ServerConfig {
        self.configure("shop.example", false, verifier, alpn)
    }

    fn configure(
        &self,
        name: &str,
        expired: bool,
        clients: Arc<dyn ClientCertVerifier>,
        alpn: &[&str],
    ) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let certificate = self.sign(params, &key).der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_client_cert_verifier(clients);
        let mut config = builder.with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

/// A receiver behind TLS that answers 204 to everything, in the version that was agreed on.
pub(super) struct TlsReceiver {
    pub(super) port: u16,
    connections: Rc<Cell<usize>>,
    http2_requests: Rc<Cell<usize>>,
}

impl TlsReceiver {
    pub(super) async fn start(config: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (connections, http2_requests) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (accepted, answered) = (Rc::clone(&connections), Rc::clone(&http2_requests));
        tokio::task::spawn_local(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                accepted.set(accepted.get() + 1);
                tokio::task::spawn_local(serve(acceptor.clone(), tcp, Rc::clone(&answered)));
            }
        });
        Self { port, connections, http2_requests }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.get()
    }

    pub(super) fn url(&self) -> String {
        format!("https://shop.example:{}/hook", self.port)
    }
}

async fn serve(acceptor: TlsAcceptor, tcp: tokio::net::TcpStream, http2_requests: Rc<Cell<usize>>) {
    let Ok(mut tls) = acceptor.accept(tcp).await else { return };
    if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
        while read_request(&mut tls).await.is_some() {
            if tls.write_all(NO_CONTENT.as_bytes()).await.is_err() {
                return;
            }
        }
        return;
    }
    let service = service_fn(|request: http::Request<Incoming>| {
        http2_requests.set(http2_requests.get() + 1);
        async move { answer_http2(request).await }
    });
    let builder = hyper::server::conn::http2::Builder::new(Local);
    let _ = builder.serve_connection(TokioIo::new(tls), service).await;
}

/// Answers with what it was asked for in the path: so many bytes of body, or silence.
async fn answer_http2(request: http::Request<Incoming>) -> Result<http::Response<Full<Bytes>>, Infallible> {
    assert!(!request.headers().contains_key("host"), "HTTP/2 has :authority instead");
    if request.uri().path() == "/hang" {
        std::future::pending::<()>().await;
    }
    let bytes = request.uri().path().trim_start_matches('/').parse().unwrap_or(0);
    Ok(http::Response::new(Full::new(Bytes::from(vec![b'x'; bytes]))))
}

#[derive(Clone)]
struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

pub(super) fn believing(authority: &Authority) -> DeliveryConfig {
    DeliveryConfig { trust: authority.trust(), ..config() }
}

pub(super) fn sender(config: &DeliveryConfig) -> Sender {
    Sender::with_resolver(config, Answers::new(&[&["127.0.0.1"]])).unwrap()
}

#[test]
fn a_receiver_behind_tls_is_delivered_to_and_its_connection_used_again() {
    run(async {
        let authority = Authority::new();
        let receiver = TlsReceiver::start(authority.server("shop.example", false, &[])).await;
        let sender = sender(&believing(&authority));
        let ended = attempt(&sender, &receiver.url()).await;
        assert_eq!(ended.outcome, Outcome::Success { status: 204 }, "{}", ended.detail);
        assert!(ended.timing.tls_us > 0);
        let ended = attempt(&sender, &receiver.url()).await;
        assert!(ended.reused);
        assert_eq!(ended.timing.tls_us, 0);
        assert_eq!(receiver.connections.get(), 1);
    });
}

/// A connection over a socket that takes little at once.
async fn narrow(authority: &Authority, receiver: &TlsReceiver) -> Http1 {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(4_096).unwrap();
    let tcp = socket.connect(([127, 0, 0, 1], receiver.port).into()).await.unwrap();
    let trusting = authority.trust().client_config(false).unwrap().unwrap();
    let name = "shop.example".try_into().unwrap();
    let tls = tokio_rustls::TlsConnector::from(Arc::new(trusting)).connect(name, tcp).await.unwrap();
    let stream = super::super::stream::Stream::Tls(Box::new(tls));
    let open = super::super::lease::OpenCount::new(&Rc::default());
    Http1::new(stream, ReadBuffer::new(), config().response, tokio::time::Instant::now(), open)
}

#[test]
fn what_tls_holds_back_because_the_socket_is_full_is_sent_when_there_is_room() {
    run(async {
        let authority = Authority::new();
        let receiver = TlsReceiver::start(authority.server("shop.example", false, &[])).await;
        // How much a socket takes is the system's secret; of these sizes some leave a rest that TLS takes whole.
        for bytes in (50_000..600_000).step_by(20_000) {
            let mut connection = narrow(&authority, &receiver).await;
            let head = format!("POST / HTTP/1.1\r\ncontent-length: {bytes}\r\n\r\n").into_bytes();
            let request = Outgoing::new(head, Bytes::from(vec![b'x'; bytes]));
            let answer =
                tokio::time::timeout(Duration::from_secs(5), connection.send(request, config().response));
            let Ok(Ok(head)) = answer.await else { panic!("{bytes} bytes were not answered") };
            assert_eq!(head.status, 204);
            connection.read_body().await.unwrap();
            assert!(connection.is_usable());
        }
    });
}

#[test]
fn a_certificate_may_be_for_an_address() {
    run(async {
        let authority = Authority::new();
        let receiver = TlsReceiver::start(authority.server("127.0.0.1", false, &[])).await;
        let url = format!("https://127.0.0.1:{}/", receiver.port);
        let ended = attempt(&sender(&believing(&authority)), &url).await;
        assert!(ended.outcome.is_success(), "{}", ended.detail);
    });
}

#[test]
fn a_certificate_that_cannot_be_believed_is_refused_in_words() {
    run(async {
        let authority = Authority::new();
        for (server, detail) in [
            (authority.server("shop.example", true, &[]), "the certificate has expired (cert_expired)"),
            (
                authority.server("other.example", false, &[]),
                "the certificate is for another name (cert_name)",
            ),
            (
                Authority::new().server("shop.example", false, &[]),
                "the certificate is from an unknown authority (cert_untrusted)",
            ),
        ] {
            let receiver = TlsReceiver::start(server).await;
            let ended = attempt(&sender(&believing(&authority)), &receiver.url()).await;
            assert_eq!(ended.outcome, Outcome::TlsFailed);
            assert_eq!(ended.detail, detail);
        }
    });
}

#[test]
fn a_plain_receiver_under_an_https_url_is_refused_in_words() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        tokio::task::spawn_local(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            std::future::pending::<()>().await;
        });
        let ended = attempt(&sender(&believing(&Authority::new())), &url).await;
        assert_eq!(ended.outcome, Outcome::TlsFailed);
        assert_eq!(ended.detail, "the receiver does not speak TLS on this port (tls_unsupported)");
    });
}

#[test]
fn http2_is_spoken_where_it_is_offered_and_one_connection_is_shared() {
    run(async {
        let authority = Authority::new();
        let receiver = TlsReceiver::start(authority.server("shop.example", false, &["h2", "http/1.1"])).await;
        let sender = sender(&believing(&authority));
        let url = receiver.url();
        assert!(attempt(&sender, &url).await.outcome.is_success());
        let (one, two, three) =
            tokio::join!(attempt(&sender, &url), attempt(&sender, &url), attempt(&sender, &url));
        for ended in [one, two, three] {
            assert_eq!(ended.outcome, Outcome::Success { status: 200 }, "{}", ended.detail);
            assert!(ended.reused);
        }
        assert_eq!((receiver.connections.get(), receiver.http2_requests.get()), (1, 4));
        sender.close_idle(tokio::time::Instant::now() + Duration::from_secs(60));
        settle().await;
        assert_eq!(sender.connections(), 0);
    });
}

#[test]
fn http2_is_not_offered_where_it_is_switched_off() {
    run(async {
        let authority = Authority::new();
        let receiver = TlsReceiver::start(authority.server("shop.example", false, &["h2", "http/1.1"])).await;
        let sender = sender(&DeliveryConfig { http2: false, ..believing(&authority) });
        assert_eq!(attempt(&sender, &receiver.url()).await.outcome, Outcome::Success { status: 204 });
        assert_eq!(receiver.http2_requests.get(), 0);
    });
}

#[test]
fn no_more_streams_share_a_connection_than_the_limit_says() {
    run(async {
        let authority = Authority::new();
        let receiver = TlsReceiver::start(authority.server("shop.example", false, &["h2"])).await;
        let mut config = believing(&authority);
        config.pool.streams_per_connection_max = 1;
        let sender = sender(&config);
        let url = receiver.url();
        attempt(&sender, &url).await;
        let (one, two) = tokio::join!(attempt(&sender, &url), attempt(&sender, &url));
        assert!(one.outcome.is_success() && two.outcome.is_success());
        assert_eq!(receiver.connections.get(), 2);
    });
}

#[test]
fn a_long_body_over_http2_costs_its_stream_and_not_the_connection() {
    run(async {
        let authority = Authority::new();
        let receiver = TlsReceiver::start(authority.server("shop.example", false, &["h2"])).await;
        let sender = sender(&believing(&authority));
        let long = format!("https://shop.example:{}/1000000", receiver.port);
        let ended = attempt(&sender, &long).await;
        assert_eq!(ended.outcome, Outcome::Success { status: 200 }, "{}", ended.detail);
        assert_eq!(ended.response_body.len(), 4 * 1_024);
        assert!(attempt(&sender, &receiver.url()).await.reused);
    });
}

#[test]
fn an_http2_connection_that_answers_nothing_is_not_used_again() {
    run(async {
        let authority = Authority::new();
        let receiver = TlsReceiver::start(authority.server("shop.example", false, &["h2"])).await;
        let sender = sender(&believing(&authority));
        let url = format!("https://shop.example:{}/hang", receiver.port);
        assert!(attempt(&sender, &receiver.url()).await.outcome.is_success());
        let hasty = TargetSpec { timeout_total: Some(Duration::from_millis(50)), ..spec(&url) };
        let ended = sender.attempt(&Target::prepare(hasty).unwrap(), MESSAGE, Bytes::new(), NOW).await;
        assert_eq!(ended.outcome, Outcome::TimedOut(crate::core::outcome::Phase::FirstByte));
        let ended = attempt(&sender, &receiver.url()).await;
        assert_eq!((ended.outcome, ended.reused), (Outcome::Success { status: 200 }, false));
    });
}

#[test]
fn extra_authorities_are_read_from_a_file() {
    let authority = Authority::new();
    let dir = std::env::temp_dir().join(format!("posthaste-ca-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (good, empty) = (dir.join("ca.pem"), dir.join("empty.pem"));
    std::fs::write(&good, authority.0.pem()).unwrap();
    std::fs::write(&empty, "no certificate\n").unwrap();
    assert!(Trust::load(Some(&good)).is_ok());
    assert!(matches!(Trust::load(Some(&empty)), Err(TrustError::Empty { .. })));
    assert!(matches!(Trust::load(Some(&dir.join("absent.pem"))), Err(TrustError::Unreadable { .. })));
    std::fs::remove_dir_all(&dir).unwrap();
}
