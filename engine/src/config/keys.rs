//! Keys of the API: tokens with a name, that may do some things and not others.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a token may be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub enum Scope {
    /// Look at everything but secrets.
    #[serde(rename = "read")]
    Read,
    /// Publish messages, and take them back.
    #[serde(rename = "ingest")]
    Ingest,
    /// Make, change and remove endpoints; see and rotate their secrets.
    #[serde(rename = "endpoints:write")]
    EndpointsWrite,
    /// Send again what was sent, and send examples.
    #[serde(rename = "replay")]
    Replay,
    /// Everything.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Read, Self::Ingest, Self::EndpointsWrite, Self::Replay, Self::Admin];

    /// The scope of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }

    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Ingest => "ingest",
            Self::EndpointsWrite => "endpoints:write",
            Self::Replay => "replay",
            Self::Admin => "admin",
        }
    }
}

/// `api.keys.<name>`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml is where every key is described, once")]
pub struct ApiKey {
    pub token: Option<String>,
    pub sha256: Option<String>,
    pub scopes: Vec<Scope>,
    pub application: Option<String>,
    pub event_types: Option<Vec<String>>,
    pub events_per_second: Option<u32>,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey(redacted, {:?}, {:?})", self.scopes, self.application)
    }
}

impl ApiKey {
    /// What is wrong with it.
    pub(super) fn problem(&self) -> Option<&'static str> {
        match (&self.token, &self.sha256) {
            (Some(_), Some(_)) => Some("must have either token or sha256, not both"),
            (None, None) => Some("must have token, or sha256 (the token's SHA-256 in hex)"),
            (Some(token), None) if token.len() < super::ranges::TOKEN_BYTES_MIN => {
                Some("token must be at least 8 characters")
            }
            (None, Some(hex)) if sha256_of_hex(hex).is_none() => Some("sha256 must be 64 hex digits"),
            _ if self.scopes.is_empty() => Some("scopes must name at least one"),
            _ if self.application.as_deref() == Some("") => Some("application must not be empty"),
            _ if self.event_types.as_deref().is_some_and(<[String]>::is_empty) => {
                Some("event_types must name at least one; leave it out for all")
            }
            _ if self.events_per_second == Some(0) => Some("events_per_second must be at least 1"),
            _ => None,
        }
    }
}

/// The 32 bytes that 64 hex digits stand for.
pub(crate) fn sha256_of_hex(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 2 * bytes.len() || !hex.is_ascii() {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_digits_become_bytes_and_nothing_else_does() {
        let hex = "00ff".repeat(16);
        assert_eq!(sha256_of_hex(&hex).map(|bytes| (bytes[0], bytes[1])), Some((0, 255)));
        for bad in ["", "00", &"0g".repeat(32), &"+1".repeat(32)[..63], &"é".repeat(32)] {
            assert_eq!(sha256_of_hex(bad), None, "{bad}");
        }
    }
}
