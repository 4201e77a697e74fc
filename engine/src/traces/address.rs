//! Where the collector is, as the configuration says it.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

/// The base URL of a collector; `None` for an empty text: there is none.
///
/// # Errors
/// The rule that it breaks.
pub(crate) fn parse_endpoint(text: &str) -> Result<Option<Url>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    let url = Url::parse(text).map_err(|_| "must be an http or https URL, or empty")?;
    let has_more = url.query().is_some() || url.fragment().is_some();
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    match url.scheme() {
        "http" | "https" if has_credentials => {
            Err("must have no user or password: trace.headers is for them")
        }
        "http" | "https" if has_more || text.ends_with('/') => {
            Err("must be the base URL, without '/' at its end; /v1/traces is added")
        }
        "http" | "https" => Ok(Some(url)),
        _ => Err("must be an http or https URL, or empty"),
    }
}

/// Headers that are sent to a collector, `name: value` each.
///
/// # Errors
/// The rule that one of them breaks. They may be secret, and are not shown.
pub(crate) fn parse_headers(lines: &[String]) -> Result<HeaderMap, &'static str> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("each must be 'name: value'")?;
        let name =
            HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| "a name is not a header name")?;
        if [HOST, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING].contains(&name) {
            return Err("must not be headers that the server sets itself");
        }
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| "a value is not a header value")?;
        value.set_sensitive(true);
        if headers.insert(name, value).is_some() {
            return Err("must not name a header twice");
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_has_an_http_url_without_anything_at_its_end() {
        for fine in ["http://127.0.0.1:4318", "https://otel.example", "https://otel.example/tenant"] {
            assert!(matches!(parse_endpoint(fine), Ok(Some(_))), "{fine}");
        }
        assert_eq!(parse_endpoint(""), Ok(None));
        for wrong in
            ["otel.example:4318", "grpc://a", "http://a/", "http://a?b", "http://a#b", "http://u:p@a"]
        {
            assert!(parse_endpoint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn headers_are_named_once_and_never_ours() {
        let parse =
            |lines: &[&str]| parse_headers(&lines.iter().map(|&line| line.into()).collect::<Vec<_>>());
        let headers = parse(&["authorization: Bearer a:b", "X-Tenant:7"]).unwrap();
        assert!(headers["authorization"] == "Bearer a:b" && headers["x-tenant"] == "7");
        for wrong in ["no colon", ": x", "a b: c", "x: a\nb", "Host: x", "content-length: 1"] {
            assert!(parse(&[wrong]).is_err(), "{wrong:?}");
        }
        assert!(parse(&["a: 1", "A: 2"]).is_err());
    }
}
