//! The guard: what is looked at before anything is read or done, and what every answer carries.
//!
//! - `Host` must be a name that this server goes by. Otherwise a page elsewhere could point a name of its own at this
//!   address and read what a browser here is shown (DNS rebinding). An IP address is always fine: no name, no rebinding.
//! - What changes something must come from a page of this server: `Sec-Fetch-Site`, or `Origin` where a browser is too
//!   old for that (Fetch Metadata, W3C; RFC 6454). Forms carry a token beside it (`visit`).
//! - As long as nobody is asked who they are, only this machine is served.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::extract::Request;
use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;

use super::settings::Settings;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Another name than this server's.
    Host,
    /// Sent by a page of somebody else.
    Site,
    /// From another machine, where nobody is asked who they are.
    NotLocal,
}

impl Refusal {
    /// What happened, and what to do about it.
    pub(super) const fn in_words(self) -> (&'static str, &'static str) {
        match self {
            Self::Host => (
                "This server does not go by the name in the address bar.",
                "Whoever runs it can add the name to console.hosts, or set api.public_url, and restart it.",
            ),
            Self::Site => (
                "This was sent by a page of another site, so it was not done.",
                "Open the console itself and do it there.",
            ),
            Self::NotLocal => (
                "Nobody has to sign in here yet, so the console serves its own machine alone.",
                "Whoever runs it can set console.password_hash, or make a key (posthaste token create) and set \
                 api.require_key.",
            ),
        }
    }
}

/// Whether this request may go on.
pub(super) fn check(request: &Request, settings: &Settings, asks_nobody: bool) -> Result<(), Refusal> {
    let headers = request.headers();
    let host = host_of(request).ok_or(Refusal::Host)?;
    if !is_ours(host, settings) {
        return Err(Refusal::Host);
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && !is_from_here(headers, host) {
        return Err(Refusal::Site);
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    if asks_nobody && !peer.is_some_and(|peer| peer.is_loopback()) {
        return Err(Refusal::NotLocal);
    }
    Ok(())
}

/// `Host`, with its port.
fn host_of(request: &Request) -> Option<&str> {
    request.headers().get(HOST).and_then(|host| host.to_str().ok())
}

fn is_ours(host: &str, settings: &Settings) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    literal.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || settings.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

/// Browsers say whether a page of the same origin sent it; older ones name the origin. What is no browser says neither:
/// nobody can make it send something with somebody else's cookie.
fn is_from_here(headers: &HeaderMap, host: &str) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site == "same-origin" || site == "none";
    }
    match headers.get(ORIGIN) {
        None => true,
        Some(origin) => {
            let origin = origin.to_str().unwrap_or_default();
            origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
        }
    }
}

/// Who may show a page in a frame of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Nobody.
    Nobody,
    /// `console.frame_origins`: the pages of one application.
    Configured,
}

/// What a browser may do with what it gets: no script but ours, nothing from elsewhere (CSP level 3).
pub(super) fn dress(response: &mut Response, settings: &Settings, framing: Framing) {
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: HeaderValue| {
        headers.entry(HeaderName::from_static(name)).or_insert(value);
    };
    let policy = match framing {
        Framing::Nobody => settings.policy.clone(),
        Framing::Configured => settings.framed_policy.clone(),
    };
    set("content-security-policy", policy);
    set("x-content-type-options", HeaderValue::from_static("nosniff"));
    set("referrer-policy", HeaderValue::from_static("no-referrer"));
    set("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    set("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    set(
        "permissions-policy",
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=()"),
    );
    set("cache-control", HeaderValue::from_static("no-store"));
    if settings.is_secure {
        set("strict-transport-security", HeaderValue::from_static("max-age=31536000"));
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn judged(method: &str, peer: &str, headers: &[(&str, &str)], asks_nobody: bool) -> Result<(), Refusal> {
        let mut request = Request::builder().method(method).uri("/console");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).expect("a request");
        let peer = SocketAddr::new(peer.parse().expect("an address"), 1);
        request.extensions_mut().insert(ConnectInfo(peer));
        check(&request, &Settings::for_tests(&["hooks.example"]), asks_nobody)
    }

    #[test]
    fn only_our_names_and_addresses_are_served() {
        for host in
            ["127.0.0.1:7481", "[::1]:7481", "localhost", "LOCALHOST:1", "hooks.example", "Hooks.Example:443"]
        {
            assert_eq!(judged("GET", "127.0.0.1", &[("host", host)], true), Ok(()), "{host}");
        }
        for host in ["evil.example", "evil.example:7481", "localhost.evil.example", "", "[::1].evil.example"]
        {
            assert_eq!(judged("GET", "127.0.0.1", &[("host", host)], true), Err(Refusal::Host), "{host}");
        }
        assert_eq!(judged("GET", "127.0.0.1", &[], true), Err(Refusal::Host));
    }

    #[test]
    fn what_changes_something_must_come_from_a_page_of_this_server() {
        let host = ("host", "hooks.example");
        for (header, fine) in [
            (("sec-fetch-site", "same-origin"), true),
            (("sec-fetch-site", "none"), true),
            (("sec-fetch-site", "same-site"), false),
            (("sec-fetch-site", "cross-site"), false),
            (("origin", "https://hooks.example"), true),
            (("origin", "https://hooks.example.evil"), false),
            (("origin", "null"), false),
            (("x-other", "1"), true),
        ] {
            let expected = if fine { Ok(()) } else { Err(Refusal::Site) };
            assert_eq!(judged("POST", "192.0.2.1", &[host, header], false), expected, "{header:?}");
            assert_eq!(judged("GET", "192.0.2.1", &[host, header], false), Ok(()), "{header:?}");
        }
        let both = [host, ("sec-fetch-site", "cross-site"), ("origin", "https://hooks.example")];
        assert_eq!(judged("POST", "192.0.2.1", &both, false), Err(Refusal::Site));
    }

    #[test]
    fn where_nobody_signs_in_only_this_machine_is_served() {
        let host = [("host", "hooks.example")];
        assert_eq!(judged("GET", "192.0.2.1", &host, true), Err(Refusal::NotLocal));
        assert_eq!(judged("GET", "192.0.2.1", &host, false), Ok(()));
        assert_eq!(judged("GET", "::1", &host, true), Ok(()));
    }
}
