//! A URL of a form that messages can be delivered to.
//!
//! The form is checked once and never changes. Whether the egress policy permits the URL is another
//! question, asked when an endpoint is created (`check_url`) and again at every new connection.
//!
//! The WHATWG parser does the reading, so that the many spellings of an address (`http://2130706433/`,
//! `http://0x7f.1/`) have become that address before anybody judges it.

use std::net::IpAddr;

use http::uri::PathAndQuery;
use url::{Host, Url};

use super::egress::{AddressForbidden, EgressPolicy};
use super::host::{HostKey, Scheme};

/// The longest URL, in bytes.
pub const URL_BYTES_MAX: usize = 4_096;
/// The longest name of a host, in bytes (RFC 1035 section 2.3.4, without the root's dot).
const NAME_BYTES_MAX: usize = 253;
/// The longest label of a name, in bytes (RFC 1035 section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// A URL that can be delivered to: http or https, with a host, without user and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedUrl {
    text: Box<str>,
    host: HostKey,
    address: Option<IpAddr>,
    path_and_query: PathAndQuery,
}

/// Why a URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Longer than the limit.
    #[error("url is {bytes} bytes; the limit is {max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Spaces and control characters, which parsers like to drop without a word.
    #[error("url contains a space or control character")]
    ControlCharacter,
    /// Not a URL.
    #[error("url cannot be read: {reason}")]
    Unreadable {
        /// The parser's words.
        reason: String,
    },
    /// Another scheme than http and https.
    #[error("url has the scheme '{scheme}'; only https and http can be delivered to")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// User or password, which belong into the endpoint's authorization.
    #[error("url contains a user or password; use the endpoint's authorization instead")]
    UserInfo,
    /// A fragment, which is never sent.
    #[error("url contains a fragment (#...), which would never be sent")]
    Fragment,
    /// A name that cannot exist in DNS.
    #[error("host '{name}' is not a name: {reason}")]
    Name {
        /// The name, cut to 64 characters.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Plain HTTP while the policy wants TLS.
    #[error("url is http; only https is allowed (egress.allow_http)")]
    HttpNotAllowed,
    /// A port on which something else than HTTP is likely to listen.
    #[error("port {port} is not allowed (egress.allow_ports, egress.deny_ports)")]
    PortNotAllowed {
        /// The port.
        port: u16,
    },
    /// A name that only means something on this machine or in this network.
    #[error("host '{name}' is a local name; it must be allowed by egress.allow_names")]
    LocalName {
        /// The name.
        name: String,
    },
    /// An address that the policy forbids.
    #[error(transparent)]
    Address(#[from] AddressForbidden),
}

/// Reads a URL and asks the policy: what the API calls when an endpoint is created or changed.
///
/// A name is not resolved here. The promise that nothing is sent to a forbidden address is kept at every
/// new connection; this check is for an early and clear answer.
pub fn check_url(text: &str, policy: &EgressPolicy) -> Result<CheckedUrl, UrlError> {
    let url = CheckedUrl::parse(text)?;
    policy.check_url(&url)?;
    Ok(url)
}

impl CheckedUrl {
    /// Reads a URL and checks its form, without asking any policy.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        check_length(text)?;
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(UrlError::ControlCharacter);
        }
        let mut url = Url::parse(text).map_err(|error| unreadable(&error))?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => return Err(UrlError::Scheme { scheme: other.to_owned() }),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(UrlError::Fragment);
        }
        let address = normalise_host(&mut url)?;
        let name = url.host_str().unwrap_or_default();
        let host = HostKey::new(scheme, name, url.port().unwrap_or(scheme.port_default()));
        // Longer than what was given, where other scripts are escaped: it is what is kept, and read again.
        check_length(url.as_str())?;
        let target = &url[url::Position::BeforePath..];
        let path_and_query = target.parse::<PathAndQuery>().map_err(|error| unreadable(&error))?;
        Ok(Self { host, address, path_and_query, text: String::from(url).into() })
    }

    /// The URL in normal form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, name and port.
    pub fn host(&self) -> &HostKey {
        &self.host
    }

    /// The address, where the URL has one in place of a name.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Path and query, as in the first line of a request.
    pub(super) fn path_and_query(&self) -> &PathAndQuery {
        &self.path_and_query
    }
}

fn unreadable(error: &dyn std::error::Error) -> UrlError {
    UrlError::Unreadable { reason: error.to_string() }
}

/// Drops the root's dot from a name and checks it; gives the address where there is one instead.
fn normalise_host(url: &mut Url) -> Result<Option<IpAddr>, UrlError> {
    let name = match url.host() {
        Some(Host::Ipv4(v4)) => return Ok(Some(IpAddr::V4(v4))),
        Some(Host::Ipv6(v6)) => return Ok(Some(IpAddr::V6(v6))),
        Some(Host::Domain(name)) => name.to_owned(),
        None => return Err(UrlError::Unreadable { reason: "it has no host".to_owned() }),
    };
    let rootless = name.strip_suffix('.').unwrap_or(&name);
    check_name(rootless)?;
    if rootless.len() < name.len() {
        url.set_host(Some(rootless)).map_err(|error| unreadable(&error))?;
    }
    Ok(None)
}

fn check_name(name: &str) -> Result<(), UrlError> {
    let reason = if name.len() > NAME_BYTES_MAX {
        "it is longer than 253 bytes"
    } else if name.split('.').any(str::is_empty) {
        "it has an empty label"
    } else if name.split('.').any(|label| label.len() > LABEL_BYTES_MAX) {
        "it has a label longer than 63 bytes"
    } else if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) {
        "it has a character other than letters, digits, '-' and '_'"
    } else {
        return Ok(());
    };
    Err(UrlError::Name { name: name.chars().take(64).collect(), reason })
}

fn check_length(text: &str) -> Result<(), UrlError> {
    if text.len() > URL_BYTES_MAX {
        return Err(UrlError::TooLong { bytes: text.len(), max: URL_BYTES_MAX });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by fuzzing (`urls`): it was saved, and could not be read again.
    #[test]
    fn a_url_whose_normal_form_is_too_long_is_refused() {
        let text = format!("https://a.example/{}", "\u{e9}".repeat(1_000));
        assert!(text.len() < URL_BYTES_MAX);
        assert_eq!(
            CheckedUrl::parse(&text),
            Err(UrlError::TooLong { bytes: "https://a.example/".len() + 6_000, max: URL_BYTES_MAX })
        );
    }

    #[track_caller]
    fn refusal(text: &str) -> String {
        CheckedUrl::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_url_is_kept_in_normal_form() {
        let url = CheckedUrl::parse("HTTPS://Example.COM.:443/a/../b?x=1&y={z}").unwrap();
        assert_eq!(url.as_str(), "https://example.com/b?x=1&y={z}");
        assert_eq!(url.host().to_string(), "https://example.com:443");
        assert_eq!(url.path_and_query().as_str(), "/b?x=1&y={z}");
        assert_eq!(url.address(), None);
        assert_eq!(
            CheckedUrl::parse("https://bücher.example").unwrap().host().name(),
            "xn--bcher-kva.example"
        );
    }

    #[test]
    fn every_spelling_of_an_address_becomes_that_address() {
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        for text in [
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://127.0.0.1./",
            "http://127.0.0.1/",
        ] {
            assert_eq!(CheckedUrl::parse(text).unwrap().address(), Some(loopback), "{text}");
        }
        let mapped = CheckedUrl::parse("http://[::FFFF:127.0.0.1]:81/").unwrap();
        assert_eq!(mapped.address().unwrap().to_canonical(), loopback);
        assert_eq!(mapped.host().to_string(), "http://[::ffff:7f00:1]:81");
    }

    #[test]
    fn each_bad_shape_is_refused_with_its_own_sentence() {
        let scheme = "url has the scheme 'ftp'; only https and http can be delivered to";
        assert_eq!(refusal("ftp://example.com/"), scheme);
        let user = "url contains a user or password; use the endpoint's authorization instead";
        assert_eq!(refusal("https://u:p@example.com/"), user);
        assert_eq!(refusal("https://:p@example.com/"), user);
        assert_eq!(
            refusal("https://example.com/#top"),
            "url contains a fragment (#...), which would never be sent"
        );
        assert_eq!(refusal("https://exa\nmple.com/"), "url contains a space or control character");
        assert_eq!(refusal(" https://example.com/"), "url contains a space or control character");
        assert_eq!(refusal("https:///"), "url cannot be read: empty host");
        assert_eq!(refusal("/path"), "url cannot be read: relative URL without a base");
        assert_eq!(refusal("https://a..example/"), "host 'a..example' is not a name: it has an empty label");
        assert_eq!(refusal("https://./"), "host '' is not a name: it has an empty label");
        assert_eq!(
            refusal("https://*.example/"),
            "host '*.example' is not a name: it has a character other than letters, digits, '-' and '_'"
        );
        let label = format!("https://{}.example/", "a".repeat(64));
        assert!(refusal(&label).ends_with("it has a label longer than 63 bytes"));
        let name = format!("https://{}example/", "a.".repeat(124));
        assert!(refusal(&name).ends_with("it is longer than 253 bytes"), "{}", refusal(&name));
        let long = format!("https://example.com/{}", "a".repeat(URL_BYTES_MAX));
        assert_eq!(refusal(&long), "url is 4116 bytes; the limit is 4096");
    }
}
