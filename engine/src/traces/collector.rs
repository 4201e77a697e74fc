//! The collector: takes batches of spans over HTTP/1.1, each over a connection of its own.
//!
//! A connection a batch is at most a few a second, and nothing has to be known about connections that went stale. What
//! the operator names here is not judged by the egress guard and does not go through `delivery.proxy`: both are about
//! receivers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::otlp::rejected;

/// From the look-up of its name to the last byte of its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// More of an answer is not read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Why a collector did not take a batch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectorError {
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("the exchange failed: {0}")]
    Http(#[from] hyper::Error),
    #[error("it did not answer within {} s", ANSWER_WITHIN.as_secs())]
    TooSlow,
    #[error("no certificate authority is known: it cannot be verified")]
    NoAuthorities,
    #[error("it answered {0}")]
    Refused(StatusCode),
}

impl CollectorError {
    /// Whether the same batch may be taken later (OTLP specification, "Retryable Response Codes").
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Refused(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::Io(_) | Self::Http(_) | Self::TooSlow => true,
            Self::NoAuthorities => false,
        }
    }
}

/// See the head of this file.
pub(crate) struct Collector {
    host: Host<String>,
    port: u16,
    path: String,
    headers: HeaderMap,
    tls: Option<Arc<ClientConfig>>,
    is_https: bool,
}

impl Collector {
    /// At this base URL, with these headers beside our own.
    pub(crate) fn new(url: &Url, mut headers: HeaderMap, tls: Option<Arc<ClientConfig>>) -> Self {
        let host = url.host().map_or_else(|| Host::Domain(String::new()), |host| host.to_owned());
        let port = url.port_or_known_default().unwrap_or(0);
        let authority = url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static("Posthaste"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(authority) = HeaderValue::try_from(authority) {
            headers.insert(HOST, authority);
        }
        let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
        Self { host, port, path, headers, tls, is_https: url.scheme() == "https" }
    }

    /// Hands a batch over. Returns how many of its spans were not taken.
    pub(super) async fn take(&self, batch: Bytes) -> Result<u64, CollectorError> {
        timeout(ANSWER_WITHIN, self.exchange(batch)).await.unwrap_or(Err(CollectorError::TooSlow))
    }

    async fn exchange(&self, batch: Bytes) -> Result<u64, CollectorError> {
        let tcp = match &self.host {
            Host::Domain(name) => TcpStream::connect((name.as_str(), self.port)).await?,
            Host::Ipv4(address) => TcpStream::connect((*address, self.port)).await?,
            Host::Ipv6(address) => TcpStream::connect((*address, self.port)).await?,
        };
        if !self.is_https {
            return self.post(tcp, batch).await;
        }
        let tls = self.tls.clone().ok_or(CollectorError::NoAuthorities)?;
        let link = TlsConnector::from(tls).connect(self.server_name()?, tcp).await?;
        self.post(link, batch).await
    }

    fn server_name(&self) -> io::Result<ServerName<'static>> {
        match &self.host {
            Host::Domain(name) => ServerName::try_from(name.clone())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error)),
            Host::Ipv4(address) => Ok(ServerName::from(std::net::IpAddr::from(*address))),
            Host::Ipv6(address) => Ok(ServerName::from(std::net::IpAddr::from(*address))),
        }
    }

    async fn post<L>(&self, link: L, batch: Bytes) -> Result<u64, CollectorError>
    where
        L: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::handshake(TokioIo::new(link)).await?;
        let connection = tokio::spawn(connection);
        let answer = self.ask(&mut sender, batch).await;
        connection.abort();
        answer
    }

    async fn ask(
        &self,
        sender: &mut http1::SendRequest<Full<Bytes>>,
        batch: Bytes,
    ) -> Result<u64, CollectorError> {
        let mut request = Request::new(Full::new(batch));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() =
            self.path.parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        *request.headers_mut() = self.headers.clone();
        let response = sender.send_request(request).await?;
        let status = response.status();
        if !status.is_success() {
            return Err(CollectorError::Refused(status));
        }
        // It has the batch. What it says beside that is looked at if it can be read.
        let answer = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        Ok(answer.map_or(0, |answer| rejected(&answer.to_bytes())))
    }
}
