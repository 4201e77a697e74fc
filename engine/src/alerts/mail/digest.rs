//! The digest: what goes into the next mail, and when it is sent. Pure: `now` is an argument.
//!
//!   quiet --first alert--> waits digest_wait --> mail --> at most one more in digest_every --> ... --> quiet

use std::time::Duration;

use crate::core::tick::Tick;

/// Lines of one mail; further alerts are told as a number.
const LINES_MAX: usize = 200;
/// The wait after the first failure; each further one is twice as long.
const RETRY_FIRST: Duration = Duration::from_secs(30);
const RETRY_MAX: Duration = Duration::from_secs(3_600);
/// A mail is given up after so many failures: more than a day.
const TRIES_MAX: u32 = 30;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Digest {
    wait: Duration,
    every: Duration,
    lines: Vec<String>,
    more: u64,
    due: Option<Tick>,
    sent_at: Option<Tick>,
    failures: u32,
}

impl Digest {
    pub(super) fn new(wait: Duration, every: Duration) -> Self {
        Self { wait, every, lines: Vec::new(), more: 0, due: None, sent_at: None, failures: 0 }
    }

    /// One more alert.
    pub(super) fn put(&mut self, now: Tick, line: String) {
        if self.lines.len() < LINES_MAX {
            self.lines.push(line);
        } else {
            self.more += 1;
        }
        let (wait, sent_at) = (now + self.wait, self.sent_at);
        self.due.get_or_insert_with(|| sent_at.map_or(wait, |at| wait.max(at + self.every)));
    }

    /// When the next mail is to be sent, if there is anything in it.
    pub(super) fn due(&self) -> Option<Tick> {
        self.due
    }

    /// What is in it.
    pub(super) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Alerts beyond those.
    pub(super) fn more(&self) -> u64 {
        self.more
    }

    /// It was sent.
    pub(super) fn sent(&mut self, now: Tick) {
        *self = Self { sent_at: Some(now), ..Self::new(self.wait, self.every) };
    }

    /// It could not be sent: later again. Returns how many alerts were given up.
    pub(super) fn failed(&mut self, now: Tick) -> u64 {
        self.failures += 1;
        if self.failures >= TRIES_MAX {
            let lost = self.lines.len() as u64 + self.more;
            *self = Self { sent_at: self.sent_at, ..Self::new(self.wait, self.every) };
            return lost;
        }
        let wait = RETRY_FIRST.saturating_mul(1 << self.failures.min(16).saturating_sub(1)).min(RETRY_MAX);
        self.due = Some(now + wait);
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const START: Tick = Tick::from_ms(1_000_000);

    fn digest() -> Digest {
        Digest::new(MINUTE, MINUTE * 15)
    }

    #[test]
    fn the_first_alert_after_a_quiet_time_waits_a_minute_for_others() {
        let mut digest = digest();
        assert_eq!(digest.due(), None);
        digest.put(START, "a".into());
        digest.put(START + MINUTE / 2, "b".into());
        assert_eq!(digest.due(), Some(START + MINUTE));
        assert_eq!(digest.lines(), ["a", "b"]);
    }

    #[test]
    fn a_storm_is_one_mail_in_a_quarter_of_an_hour() {
        let (mut digest, mut mails) = (digest(), 0);
        for second in 0..3_600 {
            let now = START + Duration::from_secs(second);
            digest.put(now, format!("alert {second}"));
            if digest.due().is_some_and(|due| due <= now) {
                digest.sent(now);
                mails += 1;
            }
        }
        assert_eq!(mails, 4);
    }

    #[test]
    fn a_mail_has_a_bounded_number_of_lines_and_says_how_many_more_there_were() {
        let mut digest = digest();
        (0..1_000).for_each(|n| digest.put(START, n.to_string()));
        assert_eq!((digest.lines().len(), digest.more()), (LINES_MAX, 800));
    }

    #[test]
    fn a_mail_that_cannot_be_sent_is_tried_for_a_day_and_then_given_up() {
        let mut digest = digest();
        digest.put(START, "a".into());
        let (mut now, mut lost) = (START, 0);
        while let Some(due) = digest.due() {
            now = due;
            lost = digest.failed(now);
        }
        assert_eq!(lost, 1);
        assert!(now.since(START) > Duration::from_secs(86_400 / 24 * 20), "{:?}", now.since(START));
        assert!(now.since(START) < Duration::from_secs(86_400 * 2));
    }
}
