//! Mails about alerts: many alerts in one mail, so that a storm is a mail and not a storm of mails.
//!
//!   speaker --lines--> Mailbox --> Postman: Digest (pure: when, what) --> smtp: one conversation, under a deadline
//!
//! A mail that cannot be sent is tried again, with longer and longer waits, and given up after some time; alerts that
//! come meanwhile go with it.

mod digest;
mod letter;
mod smtp;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

use crate::config::MailSecurity;
use crate::core::tick::Tick;
use crate::metrics::Metrics;
use digest::Digest;
use letter::Letter;

/// Lines that wait for the postman. Further ones are counted and let go.
const LINES_WAITING_MAX: usize = 1_000;
/// How long one conversation with the server may take.
const CONVERSATION: Duration = Duration::from_secs(60);

/// `[alerts.email]`
#[derive(Debug, Clone)]
pub(crate) struct MailSettings {
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the conversation is protected.
    pub security: MailSecurity,
    /// Name to log in with; empty for none.
    pub user: String,
    /// What goes with it.
    pub password: String,
    /// The sender's address.
    pub from: String,
    /// Who gets the mails.
    pub to: Vec<String>,
    /// How long the first alert after a quiet time waits for others.
    pub digest_wait: Duration,
    /// At most one mail in this time.
    pub digest_every: Duration,
}

/// Where lines for the next mail are put. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    lines: Sender<String>,
    metrics: Arc<Metrics>,
}

impl Mailbox {
    /// A line for the next mail. Never waits.
    pub(crate) fn put(&self, line: String) {
        if self.lines.try_send(line).is_err() {
            self.metrics.alerts_untold.inc();
        }
    }
}

/// Sends what is in the mailbox.
pub(crate) struct Postman {
    settings: MailSettings,
    /// `None` where no server could be believed, or none needs to be.
    tls: Option<Arc<ClientConfig>>,
    lines: Receiver<String>,
    metrics: Arc<Metrics>,
}

impl Postman {
    /// A postman, and the mailbox that it empties.
    pub(crate) fn new(
        settings: MailSettings,
        tls: Option<Arc<ClientConfig>>,
        metrics: Arc<Metrics>,
    ) -> (Self, Mailbox) {
        let (sender, lines) = channel(LINES_WAITING_MAX);
        let mailbox = Mailbox { lines: sender, metrics: metrics.clone() };
        (Self { settings, tls, lines, metrics }, mailbox)
    }

    /// Works until the mailbox is gone.
    pub(crate) async fn run(mut self) {
        let began = Instant::now();
        let now = || Tick::from_ms(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
        let mut digest = Digest::new(self.settings.digest_wait, self.settings.digest_every);
        loop {
            let due = digest.due().map(|at| began + Duration::from_millis(at.as_ms()));
            let due = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                line = self.lines.recv() => match line {
                    Some(line) => digest.put(now(), line),
                    None => return,
                },
                () = due => self.send(&mut digest, now).await,
            }
        }
    }

    async fn send(&self, digest: &mut Digest, now: impl Fn() -> Tick) {
        let letter = Letter::new(&self.settings, digest.lines(), digest.more());
        let conversation = smtp::send(&self.settings, self.tls.clone(), &letter);
        let sent = match tokio::time::timeout(CONVERSATION, conversation).await {
            Ok(sent) => sent,
            Err(_) => Err(smtp::SmtpError::TooSlow),
        };
        match sent {
            Ok(()) => {
                self.metrics.mails_sent.inc();
                digest.sent(now());
            }
            Err(error) => {
                self.metrics.mails_failed.inc();
                tracing::warn!(%error, host = self.settings.host, "a mail about alerts could not be sent");
                let lost = digest.failed(now());
                if lost > 0 {
                    self.metrics.alerts_untold.inc_by(lost);
                    tracing::error!(alerts = lost, "a mail about alerts was given up");
                }
            }
        }
    }
}
