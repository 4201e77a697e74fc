//! How a client connects, how long it waits and how much it sends ahead.

use std::fmt;
use std::time::Duration;

/// Options of a [`Client`](super::Client).
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// The user to authenticate as; `default` if there is a password only.
    pub user: Option<String>,
    /// The password; `None` does not authenticate.
    pub password: Option<String>,
    /// What to call the connection in the server's lists: visible ASCII.
    pub name: Option<String>,
    /// Messages that may await their acknowledgement; at least 1. Memory is held for that many messages.
    pub window: usize,
    /// How long connecting and authenticating may take.
    pub connect_timeout: Duration,
    /// How long the server may be silent while something awaits its answer; noticed after twice that time
    /// at the latest.
    pub reply_timeout: Duration,
    /// How long one read of outcomes waits for some.
    pub follow_wait: Duration,
    /// Outcomes fetched in one read; at least 1.
    pub follow_count: u32,
    /// The first pause before a follower connects again; it doubles up to `reconnect_wait_max`.
    pub reconnect_wait: Duration,
    /// The longest such pause.
    pub reconnect_wait_max: Duration,
}

impl Default for Options {
    /// No password, a window of 1,024, 5 s to connect, 30 s to answer, reads of 5 s and 1,000 outcomes,
    /// pauses of 100 ms to 5 s.
    fn default() -> Self {
        Self {
            user: None,
            password: None,
            name: None,
            window: 1_024,
            connect_timeout: Duration::from_secs(5),
            reply_timeout: Duration::from_secs(30),
            follow_wait: Duration::from_secs(5),
            follow_count: 1_000,
            reconnect_wait: Duration::from_millis(100),
            reconnect_wait_max: Duration::from_secs(5),
        }
    }
}

/// Without the password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("user", &self.user)
            .field("name", &self.name)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}
