//! Which headers a customer may add to the requests of an endpoint.
//!
//! Some headers frame the request or speak for the connection: setting them would let a customer smuggle a
//! second request. Some are this server's word (`webhook-*`, `svix-*`): a receiver must be able to believe them. And
//! some open doors at cloud services that trust this machine. All others are the customer's business.

use http::{HeaderName, HeaderValue};

/// The most custom headers of an endpoint.
pub const CUSTOM_HEADERS_MAX: usize = 32;
/// The most bytes of an endpoint's custom headers, names and values together.
pub const CUSTOM_HEADERS_BYTES_MAX: usize = 8 * 1_024;

/// Framing and hop-by-hop headers (RFC 9110 section 7.6.1), and those with a setting of their own.
const RESERVED_NAMES: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    // Metadata services of clouds answer only to requests with these, to keep out just such requests as ours.
    "metadata",
    "metadata-flavor",
    "metadata-token",
    "x-identity-header",
    "x-metadata-token",
];

const RESERVED_PREFIXES: &[&str] = &[
    "proxy-",
    "webhook-",
    "svix-",
    "x-posthaste-",
    // What clouds take for the word of one of their own.
    "x-aliyun-",
    "x-amz-",
    "x-amzn-",
    "x-appengine-",
    "x-aws-",
    "x-azure-",
    "x-gfe-",
    "x-goog-",
    "x-google-",
    "x-ms-",
];

/// Why a custom header is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not a name (RFC 9110 section 5.1).
    #[error("header '{name}' is not a header name")]
    NameInvalid {
        /// The name, cut to 64 characters.
        name: String,
    },
    /// A value with line breaks, control characters or characters outside ASCII.
    #[error("header '{name}' has a value with characters other than visible ASCII, space and tab")]
    ValueInvalid {
        /// The name.
        name: String,
    },
    /// A header that only this server may set.
    #[error("header '{name}' is set by this server and cannot be customised")]
    Reserved {
        /// The name.
        name: String,
    },
    /// A header that has been given before.
    #[error("header '{name}' is given twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// More headers than the limit.
    #[error("{count} custom headers; the limit is {max}")]
    TooMany {
        /// How many were given.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// More bytes than the limit.
    #[error("custom headers are {bytes} bytes; the limit is {max}")]
    TooLarge {
        /// How many were given, names and values together.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}

/// Checks one custom header.
pub fn check_header(name: &str, value: &str) -> Result<(), HeaderError> {
    parse_header(name, value).map(|_| ())
}

/// Checks the custom headers of an endpoint, each and all together.
pub fn check_headers(headers: &[(String, String)]) -> Result<(), HeaderError> {
    parse_headers(headers).map(|_| ())
}

pub(super) fn parse_headers(
    headers: &[(String, String)],
) -> Result<Vec<(HeaderName, HeaderValue)>, HeaderError> {
    let (count, max) = (headers.len(), CUSTOM_HEADERS_MAX);
    if count > max {
        return Err(HeaderError::TooMany { count, max });
    }
    let (bytes, max) = (headers.iter().map(|(n, v)| n.len() + v.len()).sum(), CUSTOM_HEADERS_BYTES_MAX);
    if bytes > max {
        return Err(HeaderError::TooLarge { bytes, max });
    }
    let mut parsed: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(count);
    for (name, value) in headers {
        let header = parse_header(name, value)?;
        if parsed.iter().any(|(earlier, _)| *earlier == header.0) {
            return Err(HeaderError::Twice { name: header.0.to_string() });
        }
        parsed.push(header);
    }
    Ok(parsed)
}

fn parse_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), HeaderError> {
    // `from_bytes` also brings the name to lower case.
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| HeaderError::NameInvalid { name: name.chars().take(64).collect() })?;
    let text = name.as_str();
    if RESERVED_NAMES.contains(&text) || RESERVED_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
        return Err(HeaderError::Reserved { name: text.to_owned() });
    }
    // A `HeaderValue` may also hold bytes over 127, which receivers read in different ways.
    match HeaderValue::from_str(value) {
        Ok(value) if value.to_str().is_ok() => Ok((name, value)),
        _ => Err(HeaderError::ValueInvalid { name: text.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(count: usize, value: &str) -> Vec<(String, String)> {
        (0..count).map(|number| (format!("x-{number:02}"), value.to_owned())).collect()
    }

    #[test]
    fn ordinary_headers_are_accepted() {
        for (name, value) in [
            ("X-Api-Key", "secret"),
            ("authorization", "Custom abc"),
            ("x-tenant", "a\tb c"),
            ("x-webhook-source", "shop"),
            ("x-empty", ""),
        ] {
            assert_eq!(check_header(name, value), Ok(()), "{name}");
        }
    }

    #[test]
    fn headers_that_frame_a_request_or_speak_for_this_server_are_refused_by_name() {
        for name in [
            "Connection",
            "keep-alive",
            "Proxy-Authorization",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "Upgrade",
            "Content-Length",
            "Host",
            "Expect",
            "Content-Encoding",
            "Content-Type",
            "Webhook-Id",
            "webhook-signature",
            "Svix-Id",
            "X-Posthaste-Anything",
            "X-Amz-Security-Token",
            "x-amzn-trace-id",
            "X-aws-ec2-metadata-token",
            "X-Goog-User-Project",
            "X-Azure-Ref",
            "Metadata-Flavor",
            "Metadata",
            "Metadata-Token",
            "X-Aliyun-Ecs-Metadata-Token",
            "X-Appengine-User-Id",
            "X-Gfe-Ssl",
            "HTTP2-Settings",
        ] {
            let name_lower = name.to_lowercase();
            assert_eq!(check_header(name, "v"), Err(HeaderError::Reserved { name: name_lower }), "{name}");
        }
    }

    #[test]
    fn a_line_break_never_gets_into_a_header() {
        for value in ["a\r\nx: y", "a\nb", "a\rb", "a\0b", "\u{7f}", "é"] {
            assert!(matches!(check_header("x-a", value), Err(HeaderError::ValueInvalid { .. })), "{value:?}");
        }
        for name in ["", "a b", "a:b", "a\r\n", "é"] {
            assert!(matches!(check_header(name, "v"), Err(HeaderError::NameInvalid { .. })), "{name:?}");
        }
    }

    #[test]
    fn too_many_or_too_large_headers_are_refused_with_the_limit() {
        assert_eq!(check_headers(&headers(32, "v")), Ok(()));
        let refusal = check_headers(&headers(33, "v")).unwrap_err();
        assert_eq!(refusal.to_string(), "33 custom headers; the limit is 32");
        let refusal = check_headers(&headers(2, &"v".repeat(5_000))).unwrap_err();
        assert_eq!(refusal.to_string(), "custom headers are 10008 bytes; the limit is 8192");
    }

    #[test]
    fn a_header_given_twice_is_refused() {
        let twice = [("X-A".to_owned(), "1".to_owned()), ("x-a".to_owned(), "2".to_owned())];
        assert_eq!(check_headers(&twice), Err(HeaderError::Twice { name: "x-a".to_owned() }));
    }
}
