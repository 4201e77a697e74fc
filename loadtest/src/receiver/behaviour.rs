//! What a path asks for.
//!
//! | path | what the receiver does |
//! |---|---|
//! | `/ok` | 204 |
//! | `/status/503` | that status, 200 to 599 |
//! | `/delay/7s`, `/delay/250ms` | 204 after that time, at most an hour |
//! | `/flaky/0.3` | 500 for that share, 204 for the rest |
//! | `/hang` | reads the request and never answers |
//! | `/drop` | reads the request and closes the connection |
//! | `/redirect` | 302 to `/ok?redirected` |
//! | `/large`, `/large/64KiB` | 200 with a body of 1 MiB, or of that size (B, KiB, MiB; at most 64 MiB) |
//! | `/retry-after/30` | 429 with `Retry-After: 30` |
//! | `/gone` | 410 |
//! | `/mix/ok=0.8,status-503=0.1,hang=0.1` | one of these by its share; the shares add up to 1 |
//!
//! Within a mix, an argument follows its name after a dash. Chance is not chance: what befalls a request follows
//! from its `webhook-id` and from how many requests its thread has served before it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

/// What is answered to a path that names no behaviour.
pub(super) const LIST: &str = "\
no such behaviour. There are:
/ok                        204
/status/503                that status, 200 to 599
/delay/7s, /delay/250ms    204 after that time, at most 3600s
/flaky/0.3                 500 for that share, 204 for the rest
/hang                      reads the request and never answers
/drop                      reads the request and closes the connection
/redirect                  302 to /ok?redirected
/large, /large/64KiB       200 with a body of 1 MiB or of that size (B, KiB, MiB; at most 64 MiB)
/retry-after/30            429 with Retry-After: 30
/gone                      410
/mix/ok=0.8,status-503=0.1,hang=0.1    one of these by its share; the shares add up to 1
GET /stats                 what was received so far, as JSON
";

const DELAY_MAX: Duration = Duration::from_secs(3600);
const LARGE_BYTES: usize = 1 << 20;
const LARGE_BYTES_MAX: usize = 64 << 20;
/// How far from 1 the shares of a mix may add up: a rounding error, not a mistake.
const SHARES_TOLERANCE: f64 = 1e-6;

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Behaviour {
    Ok,
    Status(u16),
    Delay(Duration),
    /// Already decided: whether it fails this time.
    Flaky(bool),
    Hang,
    Drop,
    Redirect,
    Large(usize),
    RetryAfter(u32),
    Gone,
    /// The path names none.
    Unknown,
}

/// The names under which they are counted, at the place that [`Behaviour::index`] says.
pub(super) const NAMES: [&str; 11] =
    ["ok", "status", "delay", "flaky", "hang", "drop", "redirect", "large", "retry-after", "gone", "unknown"];

impl Behaviour {
    /// What the path asks for; `None` where it names nothing that exists.
    pub(super) fn of(path: &str, chance: Chance<'_>) -> Option<Self> {
        if path == "/ok" {
            return Some(Self::Ok);
        }
        let path = path.strip_prefix('/')?;
        match path.strip_prefix("mix/") {
            Some(shares) => mixed(shares, chance),
            None => named(path, '/', chance),
        }
    }

    /// Its place in [`NAMES`].
    pub(super) fn index(self) -> usize {
        match self {
            Self::Ok => 0,
            Self::Status(_) => 1,
            Self::Delay(_) => 2,
            Self::Flaky(_) => 3,
            Self::Hang => 4,
            Self::Drop => 5,
            Self::Redirect => 6,
            Self::Large(_) => 7,
            Self::RetryAfter(_) => 8,
            Self::Gone => 9,
            Self::Unknown => 10,
        }
    }
}

/// What decides by share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance<'a> {
    /// The header `webhook-id`.
    pub(super) webhook_id: &'a str,
    /// How many requests the thread had served before.
    pub(super) number: u64,
}

impl Chance<'_> {
    /// A number from 0 up to 1. `salt` keeps two decisions about one request apart.
    fn share(self, salt: u8) -> f64 {
        let mut hasher = DefaultHasher::new();
        (self.webhook_id, self.number, salt).hash(&mut hasher);
        (hasher.finish() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn mixed(shares: &str, chance: Chance<'_>) -> Option<Behaviour> {
    let point = chance.share(0);
    let (mut sum, mut chosen, mut last) = (0.0, None, None);
    for part in shares.split(',') {
        let (name, share) = part.split_once('=')?;
        // Every part is read, chosen or not: a mix is right for all requests or for none.
        last = Some(named(name, '-', chance)?);
        sum += share_of(share)?;
        chosen = chosen.or(last.filter(|_| point < sum));
    }
    ((sum - 1.0).abs() <= SHARES_TOLERANCE).then_some(chosen.or(last)?)
}

/// `name` alone, or with its argument behind `separator`.
fn named(text: &str, separator: char, chance: Chance<'_>) -> Option<Behaviour> {
    let argument = |name: &str| text.strip_prefix(name)?.strip_prefix(separator);
    Some(match text {
        "ok" => Behaviour::Ok,
        "hang" => Behaviour::Hang,
        "drop" => Behaviour::Drop,
        "redirect" => Behaviour::Redirect,
        "large" => Behaviour::Large(LARGE_BYTES),
        "gone" => Behaviour::Gone,
        _ => {
            if let Some(status) = argument("status") {
                Behaviour::Status(status.parse().ok().filter(|status| (200..600).contains(status))?)
            } else if let Some(time) = argument("delay") {
                Behaviour::Delay(time_of(time)?)
            } else if let Some(share) = argument("flaky") {
                Behaviour::Flaky(chance.share(1) < share_of(share)?)
            } else if let Some(size) = argument("large") {
                Behaviour::Large(size_of(size)?)
            } else {
                Behaviour::RetryAfter(argument("retry-after")?.parse().ok()?)
            }
        }
    })
}

fn share_of(text: &str) -> Option<f64> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share))
}

fn time_of(text: &str) -> Option<Duration> {
    let time = match text.strip_suffix("ms") {
        Some(number) => Duration::from_millis(number.parse().ok()?),
        None => Duration::from_secs(text.strip_suffix('s')?.parse().ok()?),
    };
    (time <= DELAY_MAX).then_some(time)
}

fn size_of(text: &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit: usize = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(unit).filter(|bytes| *bytes <= LARGE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Option<Behaviour> {
        Behaviour::of(path, Chance { webhook_id: "msg_1", number: 0 })
    }

    #[test]
    fn every_path_of_the_table_is_understood() {
        assert_eq!(of("/ok"), Some(Behaviour::Ok));
        assert_eq!(of("/status/503"), Some(Behaviour::Status(503)));
        assert_eq!(of("/delay/7s"), Some(Behaviour::Delay(Duration::from_secs(7))));
        assert_eq!(of("/delay/250ms"), Some(Behaviour::Delay(Duration::from_millis(250))));
        assert_eq!(of("/flaky/1"), Some(Behaviour::Flaky(true)));
        assert_eq!(of("/flaky/0"), Some(Behaviour::Flaky(false)));
        assert_eq!(of("/hang"), Some(Behaviour::Hang));
        assert_eq!(of("/drop"), Some(Behaviour::Drop));
        assert_eq!(of("/redirect"), Some(Behaviour::Redirect));
        assert_eq!(of("/large"), Some(Behaviour::Large(1 << 20)));
        assert_eq!(of("/large/64KiB"), Some(Behaviour::Large(64 << 10)));
        assert_eq!(of("/retry-after/30"), Some(Behaviour::RetryAfter(30)));
        assert_eq!(of("/gone"), Some(Behaviour::Gone));
        assert_eq!(of("/mix/retry-after-30=1"), Some(Behaviour::RetryAfter(30)));
        assert_eq!(of("/mix/ok=0,delay-5ms=1"), Some(Behaviour::Delay(Duration::from_millis(5))));
    }

    #[test]
    fn a_path_that_is_nearly_right_is_wrong() {
        for path in [
            "",
            "/",
            "ok",
            "/okay",
            "/ok/",
            "/status",
            "/status/",
            "/status/199",
            "/status/600",
            "/status-503",
            "/delay/7",
            "/delay/7h",
            "/delay/3601s",
            "/delay/-1s",
            "/flaky/1.1",
            "/flaky/-0.1",
            "/flaky/nan",
            "/large/65MiB",
            "/large/1GiB",
            "/large/18446744073709551615MiB",
            "/retry-after/-1",
            "/retry-after/soon",
            "/mix/",
            "/mix/ok",
            "/mix/ok=0.9",
            "/mix/ok=0.9,hang=0.2",
            "/mix/ok=1,teapot=0",
            "/mix/status/503=1",
            "/mix/mix/ok=1",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
    }

    #[test]
    fn a_mix_is_met_by_its_shares() {
        let mut counts = [0u32; NAMES.len()];
        for number in 0..10_000 {
            let chance = Chance { webhook_id: "msg_1", number };
            let chosen = Behaviour::of("/mix/ok=0.8,flaky-0.5=0.1,hang=0.1", chance).unwrap();
            counts[chosen.index()] += 1;
        }
        let near = |count: u32, expected: u32| count.abs_diff(expected) < 150;
        assert!(near(counts[0], 8_000) && near(counts[3], 1_000) && near(counts[4], 1_000), "{counts:?}");
    }

    #[test]
    fn the_same_message_at_the_same_number_meets_the_same_fate() {
        let fates = |id| -> Vec<_> {
            (0..64).map(|number| Behaviour::of("/flaky/0.5", Chance { webhook_id: id, number })).collect()
        };
        assert_eq!(fates("msg_1"), fates("msg_1"));
        assert_ne!(fates("msg_1"), fates("msg_2"));
        assert!(fates("msg_1").contains(&Some(Behaviour::Flaky(true))));
        assert!(fates("msg_1").contains(&Some(Behaviour::Flaky(false))));
    }
}
