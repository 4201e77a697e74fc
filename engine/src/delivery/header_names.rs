//! What the headers are called that say id, time and signature of a message.
//!
//! Standard Webhooks 1.0.0 calls them `webhook-id`, `webhook-timestamp` and `webhook-signature`. Receivers that
//! were written for Svix look for the same values under `svix-id` and so on.

/// Which names an endpoint wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderNames {
    /// `webhook-id` and so on.
    #[default]
    Webhook,
    /// `svix-id` and so on.
    Svix,
    /// Both.
    Both,
}

/// How the lines of one set of names begin.
pub(super) struct Names {
    pub(super) id: &'static [u8],
    pub(super) timestamp: &'static [u8],
    pub(super) signature: &'static [u8],
}

const WEBHOOK: Names =
    Names { id: b"webhook-id: ", timestamp: b"webhook-timestamp: ", signature: b"webhook-signature: " };
const SVIX: Names =
    Names { id: b"svix-id: ", timestamp: b"svix-timestamp: ", signature: b"svix-signature: " };

impl HeaderNames {
    /// The first names, and those under which everything is said again.
    pub(super) const fn lines(self) -> (&'static Names, Option<&'static Names>) {
        match self {
            Self::Webhook => (&WEBHOOK, None),
            Self::Svix => (&SVIX, None),
            Self::Both => (&WEBHOOK, Some(&SVIX)),
        }
    }
}
