//! The outbound proxy: connections to receivers as tunnels through an HTTP proxy (CONNECT, RFC 9110 section 9.3.6).
//!
//! ```text
//!   resolve, judge --pinned--> proxy: CONNECT 203.0.113.7:443 --2xx--> TLS and the request, as without a proxy
//! ```
//!
//! Pinned, the proxy is told the address that the egress guard has judged, so that the two cannot mean different
//! machines. Otherwise it is told the name and is itself the guard. Only what is configured counts: variables such as
//! `HTTPS_PROXY` are not looked at. The proxy's own address is the operator's word and not judged.
//!
//! What goes wrong at the proxy speaks against nobody's health: `proxy_failed`. Only 502 and 504 are its word on the
//! receiver (RFC 9110 sections 15.6.3 and 15.6.5), and count as a connection that failed.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use httparse::{EMPTY_HEADER, Status};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::{Host, Url};

use crate::core::outcome::Outcome;

use super::failure::{Failure, shown};

/// The longest answer to CONNECT.
const ANSWER_BYTES_MAX: usize = 8 * 1_024;
/// The most headers of it.
const HEADERS_MAX: usize = 64;

/// Where the proxy is, and what it is told.
#[derive(Clone)]
pub struct Proxy {
    pub(super) host: ProxyHost,
    pub(super) port: u16,
    /// Whether it is told addresses that were judged, instead of names.
    pub(crate) pin: bool,
    /// The line that says who asks, with its end; may be empty.
    authorization: Box<str>,
}

#[derive(Clone)]
pub(super) enum ProxyHost {
    Address(IpAddr),
    Name(Box<str>),
}

/// Why a proxy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Not the URL of a proxy.
    #[error("must have the form http://host:port")]
    Form,
    /// Credentials in the URL, where they would be logged.
    #[error("must not contain a user or password: they have settings of their own")]
    UserInfo,
    /// A user or password that no header can carry.
    #[error("user and password must not contain control characters, and the user no colon")]
    Credentials,
    /// A password for nobody.
    #[error("there is a password and no user")]
    NoUser,
}

impl Proxy {
    /// The proxy at `http://host:port`; `None` where the text is empty. With a user, it is told user and password.
    ///
    /// # Errors
    /// A text that is no such URL; credentials that cannot be sent.
    pub fn parse(url: &str, user: &str, password: &str, pin: bool) -> Result<Option<Self>, ProxyError> {
        let authorization = authorization(user, password)?;
        if url.is_empty() {
            return Ok(None);
        }
        let url = Url::parse(url).map_err(|_| ProxyError::Form)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ProxyError::UserInfo);
        }
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "http" || !is_bare {
            return Err(ProxyError::Form);
        }
        let host = match url.host().ok_or(ProxyError::Form)? {
            Host::Domain(name) => ProxyHost::Name(name.into()),
            Host::Ipv4(address) => ProxyHost::Address(address.into()),
            Host::Ipv6(address) => ProxyHost::Address(address.into()),
        };
        Ok(Some(Self {
            host,
            port: url.port_or_known_default().ok_or(ProxyError::Form)?,
            pin,
            authorization,
        }))
    }

    /// Makes a connection to the proxy one to `destination` (host and port).
    pub(super) async fn tunnel(&self, tcp: &mut TcpStream, destination: &str) -> Result<(), Failure> {
        let authorization = &self.authorization;
        let request = format!("CONNECT {destination} HTTP/1.1\r\nhost: {destination}\r\n{authorization}\r\n");
        let broke = |error: std::io::Error| failed(format!("the connection to it broke: {error}"));
        tcp.write_all(request.as_bytes()).await.map_err(broke)?;
        let mut answer = Vec::with_capacity(512);
        loop {
            if let Some((status, bytes)) = parse(&answer)? {
                judge(status, destination)?;
                // Nobody speaks first who waits for a request.
                return match answer.len() == bytes {
                    true => Ok(()),
                    false => Err(failed("it sent more than its answer")),
                };
            }
            if answer.len() >= ANSWER_BYTES_MAX {
                return Err(failed(format!("its answer is longer than {ANSWER_BYTES_MAX} bytes")));
            }
            let mut rest = (&mut *tcp).take((ANSWER_BYTES_MAX - answer.len()) as u64);
            if rest.read_buf(&mut answer).await.map_err(broke)? == 0 {
                return Err(failed("it closed the connection"));
            }
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No credentials.
        f.debug_struct("Proxy").field("port", &self.port).field("pin", &self.pin).finish_non_exhaustive()
    }
}

/// A failure of the proxy, in words that continue "the proxy".
pub(super) fn failed(why: impl fmt::Display) -> Failure {
    Failure::new(Outcome::ProxyFailed, format!("the proxy (delivery.proxy) failed: {why}"))
}

fn authorization(user: &str, password: &str) -> Result<Box<str>, ProxyError> {
    if user.is_empty() {
        return if password.is_empty() { Ok("".into()) } else { Err(ProxyError::NoUser) };
    }
    if user.contains(':') || [user, password].iter().any(|text| text.contains(char::is_control)) {
        return Err(ProxyError::Credentials);
    }
    let credentials = BASE64_STANDARD.encode(format!("{user}:{password}"));
    Ok(format!("proxy-authorization: Basic {credentials}\r\n").into())
}

/// Status and length of an answer's head; `None` when it is not there as a whole.
fn parse(answer: &[u8]) -> Result<Option<(u16, usize)>, Failure> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(answer) {
        Ok(Status::Complete(bytes)) => Ok(Some((response.code.unwrap_or_default(), bytes))),
        Ok(Status::Partial) => Ok(None),
        Err(error) => Err(failed(format!("it does not speak HTTP: {error}: {}", shown(answer)))),
    }
}

/// What the status means (RFC 9110 section 9.3.6: each 2xx is a tunnel).
fn judge(status: u16, destination: &str) -> Result<(), Failure> {
    match status {
        200..=299 => Ok(()),
        502 | 504 => {
            let detail = format!("the proxy could not connect to {destination}: it answered {status}");
            Err(Failure::new(Outcome::ConnectFailed, detail))
        }
        407 => Err(failed("it wants other credentials (407; delivery.proxy_user, delivery.proxy_password)")),
        _ => Err(failed(format!("it refused a tunnel to {destination}: {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_an_http_url_with_host_and_port() {
        let parsed = |url: &str| Proxy::parse(url, "", "", true).unwrap().unwrap();
        assert!(matches!(parsed("http://10.0.0.1:3128").host, ProxyHost::Address(IpAddr::V4(_))));
        assert!(matches!(parsed("http://[::1]:3128/").host, ProxyHost::Address(IpAddr::V6(_))));
        let named = parsed("http://proxy.internal");
        assert!(matches!(&named.host, ProxyHost::Name(name) if &**name == "proxy.internal"));
        assert_eq!(named.port, 80);
        assert!(Proxy::parse("", "", "", true).unwrap().is_none());
        for url in [
            "proxy:3128",
            "https://proxy:3128",
            "socks5://proxy:1",
            "http://",
            "http://p:1/a",
            "http://p:1?a",
        ] {
            assert_eq!(Proxy::parse(url, "", "", true).unwrap_err(), ProxyError::Form, "{url}");
        }
        assert_eq!(Proxy::parse("http://u:p@proxy:1", "", "", true).unwrap_err(), ProxyError::UserInfo);
    }

    #[test]
    fn credentials_are_sent_as_basic_and_never_shown() {
        // The example of RFC 7617 section 2.
        let proxy = Proxy::parse("http://p:1", "Aladdin", "open sesame", true).unwrap().unwrap();
        assert_eq!(&*proxy.authorization, "proxy-authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n");
        assert!(!format!("{proxy:?}").contains("QWxh"), "{proxy:?}");
        for (user, password) in [("a:b", ""), ("a\r\nx: y", ""), ("a", "b\n")] {
            assert_eq!(
                Proxy::parse("http://p:1", user, password, true).unwrap_err(),
                ProxyError::Credentials
            );
        }
        assert_eq!(Proxy::parse("http://p:1", "", "x", true).unwrap_err(), ProxyError::NoUser);
    }

    #[test]
    fn only_what_the_proxy_says_of_the_receiver_is_the_receivers_fault() {
        let outcome = |status| judge(status, "a:1").map_err(|failure| failure.outcome);
        assert_eq!((outcome(200), outcome(204)), (Ok(()), Ok(())));
        for status in [502, 504] {
            assert_eq!(outcome(status), Err(Outcome::ConnectFailed), "{status}");
        }
        for status in [100, 302, 400, 403, 407, 429, 500, 503] {
            assert_eq!(outcome(status), Err(Outcome::ProxyFailed), "{status}");
        }
    }
}
