//! Which URLs an application's endpoints may have: https alone, some ports alone. Beside what the configuration
//! says (`egress`), never instead of it.
//!
//! Invariant: every endpoint of an application obeys. A URL is judged when it is saved, and a rule that present URLs
//! do not obey is not accepted; so nothing is left to be judged when a message is delivered.

use url::Url;

use super::check::FieldError;
use super::{Application, ApplicationDraft, Endpoint};

/// The most endpoints that a refusal names.
const NAMED_MAX: usize = 5;

/// Whether an application's endpoints, and its messages that bring a URL along, may have this one.
///
/// # Errors
/// What is wrong with it, in words that continue its name.
pub fn check_url_for(application: &Application, url: &str) -> Result<(), String> {
    check_https(application.require_https, url)?;
    check_port(application.allowed_ports.as_deref(), url)
}

/// Whether a rule that a draft brings is one that the present endpoints obey.
pub(super) fn check_present<'a>(
    draft: &ApplicationDraft,
    endpoints: impl Iterator<Item = &'a Endpoint> + Clone,
) -> Result<(), FieldError> {
    let all_obey = |field, rule: &dyn Fn(&str) -> Result<(), String>| {
        let mut broken = endpoints.clone().filter(|endpoint| rule(&endpoint.url).is_err());
        let named: Vec<_> = broken.by_ref().take(NAMED_MAX).map(|endpoint| endpoint.id.to_string()).collect();
        if named.is_empty() {
            return Ok(());
        }
        let more = match broken.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let problem =
            format!("does not allow the present URL of {}{more}; change them first", named.join(", "));
        Err(FieldError::new(field, problem))
    };
    all_obey("requireHttps", &|url| check_https(draft.require_https, url))?;
    all_obey("allowedPorts", &|url| check_port(draft.allowed_ports.as_deref(), url))
}

/// What is to be known about a URL that is allowed.
pub(crate) fn warnings(url: &str) -> Vec<&'static str> {
    let is_https = Url::parse(url).is_ok_and(|url| url.scheme() == "https");
    if is_https {
        Vec::new()
    } else {
        vec!["the URL is not https: on the way everybody can read what is sent"]
    }
}

fn check_https(required: bool, url: &str) -> Result<(), String> {
    match Url::parse(url) {
        Ok(url) if !required || url.scheme() == "https" => Ok(()),
        Ok(_) => Err("is not https, which this application requires (requireHttps)".into()),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

fn check_port(allowed: Option<&[u16]>, url: &str) -> Result<(), String> {
    let Some(allowed) = allowed else { return Ok(()) };
    let port = Url::parse(url).ok().and_then(|url| url.port_or_known_default());
    match port {
        Some(port) if allowed.contains(&port) => Ok(()),
        _ => {
            let port = port.map_or_else(|| "none".into(), |port| port.to_string());
            let allowed: Vec<String> = allowed.iter().map(u16::to_string).collect();
            let allowed = allowed.join(", ");
            Err(format!("has the port {port}; this application allows {allowed} (allowedPorts)"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_the_one_that_the_url_leads_to_whether_it_is_written_or_not() {
        let allowed: Option<&[u16]> = Some(&[443, 8080]);
        for url in ["https://a.example/", "http://a.example:8080/", "https://[2001:db8::1]/x"] {
            assert_eq!(check_port(allowed, url), Ok(()), "{url}");
        }
        let refusal = "has the port 80; this application allows 443, 8080 (allowedPorts)";
        assert_eq!(check_port(allowed, "http://a.example/"), Err(refusal.into()));
        assert!(check_port(allowed, "https://a.example:8443/").is_err());
        assert_eq!(check_port(None, "http://a.example:1/"), Ok(()));
    }

    #[test]
    fn plain_http_is_warned_about_where_it_is_allowed() {
        assert!(check_https(true, "http://a.example/").is_err());
        assert_eq!(
            (check_https(true, "https://a.example/"), check_https(false, "http://a.example/")),
            (Ok(()), Ok(()))
        );
        assert_eq!((warnings("https://a.example/").len(), warnings("http://a.example/").len()), (0, 1));
    }
}
