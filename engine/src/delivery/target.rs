//! What is to be sent where, prepared once for each revision of an endpoint.
//!
//! Whatever is the same in every request of an endpoint is made here: the lines of its headers, signing keys. An
//! attempt copies the lines and writes those behind them that differ from message to message.
//!
//! Not here: whether the URL may be connected to. That is asked at every new connection (`connect`).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Uri};

use super::checked_url::{CheckedUrl, UrlError};
use super::form::Form;
use super::header_names::HeaderNames;
use super::headers::{HeaderError, parse_headers};
use super::host::HostKey;
use super::identity::{Fingerprint, Identity};
use super::pool::Place;
use super::secret::{SecretError, SigningSecret};
use super::signature::Signer;

const USER_AGENT_VALUE: &str = concat!("Posthaste/", env!("CARGO_PKG_VERSION"));

/// The most secrets that sign at once: the current one, and those of rotations that are under way.
pub const SECRETS_MAX: usize = 10;

/// How an endpoint's requests authorize themselves.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization {
    /// `Authorization: Bearer <token>` (RFC 6750 section 2.1).
    Bearer(String),
    /// `Authorization: Basic <base64>` (RFC 7617).
    Basic {
        /// The user, without colon.
        user: String,
        /// The password.
        password: String,
    },
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(redacted)",
            Self::Basic { .. } => "Basic(redacted)",
        })
    }
}

/// Which statuses count as success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SuccessRule {
    /// 200 to 299.
    #[default]
    Any2xx,
    /// 200 alone.
    Only200,
}

impl SuccessRule {
    pub(super) fn accepts(self, status: u16) -> bool {
        match self {
            Self::Any2xx => (200..300).contains(&status),
            Self::Only200 => status == 200,
        }
    }
}

/// What the body of a request looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyFormat<'a> {
    /// The payload, byte for byte.
    #[default]
    AsPublished,
    /// What is JSON becomes `application/x-www-form-urlencoded`; all else is sent as it is.
    Form {
        /// The parameter `secret`.
        secret: Option<&'a str>,
    },
}

/// The settings of an endpoint that a [`Target`] is prepared from.
#[derive(Debug, Clone, Copy)]
pub struct TargetSpec<'a> {
    /// Where to.
    pub url: &'a str,
    /// Custom headers.
    pub headers: &'a [(String, String)],
    /// How its requests authorize themselves.
    pub authorization: Option<&'a Authorization>,
    /// What its requests are signed with, newest first; at most [`SECRETS_MAX`]. None: no signature.
    pub secrets: &'a [SigningSecret],
    /// The limit of a whole attempt, where the endpoint has its own.
    pub timeout_total: Option<Duration>,
    /// Which statuses count as success.
    pub success: SuccessRule,
    /// How many bytes of a response body are kept, where the endpoint has its own limit.
    pub response_body_bytes_max: Option<usize>,
    /// What the body looks like.
    pub body: BodyFormat<'a>,
    /// What the headers are called that say id, time and signature.
    pub header_names: HeaderNames,
    /// What its connections show and believe beyond what all do.
    pub identity: Option<&'a Arc<Identity>>,
}

impl<'a> TargetSpec<'a> {
    /// An endpoint with this URL, without secrets and wishes.
    pub const fn new(url: &'a str) -> Self {
        Self {
            url,
            headers: &[],
            authorization: None,
            secrets: &[],
            timeout_total: None,
            success: SuccessRule::Any2xx,
            response_body_bytes_max: None,
            body: BodyFormat::AsPublished,
            header_names: HeaderNames::Webhook,
            identity: None,
        }
    }
}

/// Why an endpoint cannot be delivered to as it is set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Its URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// One of its headers.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Its authorization, which would not be a valid header. Never repeats the value.
    #[error("authorization {part} contains a character that it may not")]
    Authorization {
        /// `token`, `user` or `password`.
        part: &'static str,
    },
    /// The secret for a URL that a message brought along.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Authorization given as setting and as custom header.
    #[error("authorization is given as setting and again as custom header")]
    AuthorizationTwice,
    /// More secrets than sign at once.
    #[error("{count} signing secrets; the limit is {max}")]
    TooManySecrets {
        /// How many were given.
        count: usize,
        /// The limit.
        max: usize,
    },
}

/// An endpoint, ready to be delivered to. May be shared between threads.
pub struct Target {
    url: CheckedUrl,
    /// Request line and `host` of HTTP/1.1, each with its end of line.
    http1_start: Box<[u8]>,
    /// The other headers of every request, each with its end of line.
    lines: Box<[u8]>,
    signer: Signer,
    timeout_total: Option<Duration>,
    success: SuccessRule,
    header_names: HeaderNames,
    response_body_bytes_max: Option<usize>,
    form: Option<Arc<Form>>,
    identity: Option<Arc<Identity>>,
}

impl Target {
    /// Prepares everything that requests to this endpoint have in common.
    pub fn prepare(spec: TargetSpec<'_>) -> Result<Self, TargetError> {
        let url = CheckedUrl::parse(spec.url)?;
        let (count, max) = (spec.secrets.len(), SECRETS_MAX);
        if count > max {
            return Err(TargetError::TooManySecrets { count, max });
        }
        // Needed for HTTP/2 only, and made anew for each request there: what is kept, every idle endpoint pays for.
        url.as_str().parse::<Uri>().map_err(|e| UrlError::Unreadable { reason: e.to_string() })?;
        Ok(Self {
            http1_start: http1_start(&url),
            lines: lines(&headers(&spec)?),
            url,
            signer: Signer::new(spec.secrets),
            timeout_total: spec.timeout_total,
            success: spec.success,
            header_names: spec.header_names,
            response_body_bytes_max: spec.response_body_bytes_max,
            form: match spec.body {
                BodyFormat::AsPublished => None,
                BodyFormat::Form { secret } => Some(Arc::new(Form::new(secret))),
            },
            identity: spec.identity.cloned(),
        })
    }

    /// The same at another URL. Its secret, if one is given, signs there; where requests are forms, it is their
    /// parameter `secret`.
    ///
    /// # Errors
    /// If the URL or the secret cannot be used.
    pub fn at_url(&self, url: &str, secret: Option<&str>) -> Result<Self, TargetError> {
        let url = CheckedUrl::parse(url)?;
        let (signer, form) = match (secret, &self.form) {
            (Some(secret), Some(_)) => (self.signer.clone(), Some(Arc::new(Form::new(Some(secret))))),
            (Some(secret), None) => (Signer::new(&[SigningSecret::parse(secret)?]), None),
            (None, form) => (self.signer.clone(), form.clone()),
        };
        Ok(Self {
            http1_start: http1_start(&url),
            lines: self.lines.clone(),
            url,
            signer,
            form,
            identity: self.identity.clone(),
            timeout_total: self.timeout_total,
            success: self.success,
            header_names: self.header_names,
            response_body_bytes_max: self.response_body_bytes_max,
        })
    }

    /// Scheme, name and port of its URL.
    pub fn host(&self) -> &HostKey {
        self.url.host()
    }

    /// Which connections may be used for it.
    pub(super) fn place(&self) -> Place<'_> {
        let identity = self.identity.as_ref().map_or(Fingerprint::NONE, |identity| identity.fingerprint());
        Place { host: self.host(), identity }
    }

    /// What its connections show and believe beyond what all do.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_deref()
    }

    /// Its URL.
    pub fn url(&self) -> &CheckedUrl {
        &self.url
    }

    pub(super) fn uri(&self) -> Uri {
        self.url.as_str().parse().unwrap_or_default()
    }

    /// Request line and `host` of HTTP/1.1, each with its end of line.
    pub(super) fn http1_start(&self) -> &[u8] {
        &self.http1_start
    }

    /// The other headers of every request as `name: value`, each with its end of line. Valid in every byte.
    pub(super) fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Whether every request has a header of this name, in lower case.
    pub(super) fn has_header(&self, name: &str) -> bool {
        let mut lines = self.lines.split(|byte| *byte == b'\n');
        lines.any(|line| line.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b":")))
    }

    pub(super) fn signer(&self) -> &Signer {
        &self.signer
    }

    pub(super) fn header_names(&self) -> HeaderNames {
        self.header_names
    }

    /// The most that signatures take in a request, under all names.
    pub(super) fn signature_bytes_max(&self) -> usize {
        let times = if self.header_names == HeaderNames::Both { 2 } else { 1 };
        times * self.signer.text_bytes_max()
    }

    /// How payloads become forms, if they do.
    pub(super) fn form(&self) -> Option<&Form> {
        self.form.as_deref()
    }

    pub(super) fn timeout_total(&self) -> Option<Duration> {
        self.timeout_total
    }

    pub(super) fn success(&self) -> SuccessRule {
        self.success
    }

    pub(super) fn response_body_bytes_max(&self) -> Option<usize> {
        self.response_body_bytes_max
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No headers and no keys: they hold the customer's secrets.
        f.debug_struct("Target").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// Request line and `host` of HTTP/1.1 (RFC 9112 sections 3 and 3.2).
fn http1_start(url: &CheckedUrl) -> Box<[u8]> {
    let (path, authority) = (url.path_and_query().as_str(), url.host().authority());
    format!("POST {path} HTTP/1.1\r\nhost: {authority}\r\n").into_bytes().into()
}

/// The headers that do not differ from message to message.
fn headers(spec: &TargetSpec<'_>) -> Result<HeaderMap, TargetError> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in parse_headers(spec.headers)? {
        // A customer's word replaces ours.
        headers.insert(name, value);
    }
    if let Some(authorization) = spec.authorization
        && headers.insert(AUTHORIZATION, authorization_value(authorization)?).is_some()
    {
        return Err(TargetError::AuthorizationTwice);
    }
    Ok(headers)
}

fn lines(headers: &HeaderMap) -> Box<[u8]> {
    let mut lines = Vec::new();
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            lines.extend_from_slice(part);
        }
    }
    lines.into()
}

fn authorization_value(authorization: &Authorization) -> Result<HeaderValue, TargetError> {
    let refuse = |part| Err(TargetError::Authorization { part });
    match authorization {
        Authorization::Bearer(token) if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) => {
            refuse("token")
        }
        Authorization::Bearer(token) => value_of(format!("Bearer {token}"), "token"),
        Authorization::Basic { user, .. } if user.contains(|c: char| c == ':' || c.is_control()) => {
            refuse("user")
        }
        Authorization::Basic { password, .. } if password.contains(char::is_control) => refuse("password"),
        Authorization::Basic { user, password } => {
            value_of(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))), "user")
        }
    }
}

fn value_of(text: String, part: &'static str) -> Result<HeaderValue, TargetError> {
    HeaderValue::try_from(text).map_err(|_| TargetError::Authorization { part })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(url: &str) -> TargetSpec<'_> {
        TargetSpec::new(url)
    }

    fn authorized(authorization: &Authorization) -> Result<String, TargetError> {
        let spec = TargetSpec { authorization: Some(authorization), ..spec("https://example.com/") };
        let target = Target::prepare(spec)?;
        let lines = String::from_utf8(target.lines().to_vec()).unwrap();
        let found = lines.lines().find_map(|line| line.strip_prefix("authorization: "));
        Ok(found.unwrap().to_owned())
    }

    #[test]
    fn a_target_may_be_shared_between_threads() {
        fn shared<T: Send + Sync + 'static>() {}
        shared::<Target>();
    }

    #[test]
    fn authorization_takes_the_form_that_receivers_expect() {
        let bearer = Authorization::Bearer("abc.def".to_owned());
        assert_eq!(authorized(&bearer).unwrap(), "Bearer abc.def");
        // The example of RFC 7617 section 2.
        let basic = Authorization::Basic { user: "Aladdin".to_owned(), password: "open sesame".to_owned() };
        assert_eq!(authorized(&basic).unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(format!("{bearer:?} {basic:?}"), "Bearer(redacted) Basic(redacted)");
    }

    #[test]
    fn a_header_that_a_customer_sets_takes_the_place_of_ours() {
        let header = [("User-Agent".to_owned(), "Shop/1".to_owned())];
        let target = Target::prepare(TargetSpec { headers: &header, ..spec("https://a.example/") }).unwrap();
        let lines = String::from_utf8(target.lines().to_vec()).unwrap();
        assert_eq!(lines.matches("user-agent: ").count(), 1, "{lines}");
        assert!(lines.contains("user-agent: Shop/1\r\n"), "{lines}");
    }

    #[test]
    fn authorization_that_would_break_the_header_is_refused() {
        for token in ["", "a b", "a\r\nx: y", "é"] {
            let refusal = authorized(&Authorization::Bearer(token.to_owned())).unwrap_err();
            assert_eq!(refusal, TargetError::Authorization { part: "token" });
        }
        let basic = Authorization::Basic { user: "a:b".to_owned(), password: String::new() };
        assert_eq!(authorized(&basic), Err(TargetError::Authorization { part: "user" }));
    }

    #[test]
    fn what_is_wrong_with_an_endpoint_is_named() {
        let bad_header = [("Host".to_owned(), "evil".to_owned())];
        let refusal = Target::prepare(TargetSpec { headers: &bad_header, ..spec("https://a.example/") });
        assert_eq!(
            refusal.unwrap_err().to_string(),
            "header 'host' is set by this server and cannot be customised"
        );
        let header = [("authorization".to_owned(), "x".to_owned())];
        let both = TargetSpec {
            headers: &header,
            authorization: Some(&Authorization::Bearer("t".to_owned())),
            ..spec("https://a.example/")
        };
        assert_eq!(Target::prepare(both).unwrap_err(), TargetError::AuthorizationTwice);
        let secrets: Vec<_> = (0..11).map(|_| SigningSecret::generate()).collect();
        let refusal = Target::prepare(TargetSpec { secrets: &secrets, ..spec("https://a.example/") });
        assert_eq!(refusal.unwrap_err().to_string(), "11 signing secrets; the limit is 10");
    }
}
