//! When messages are due at a steady rate: fixed in advance, whatever the engine does.
//!
//! Latency is counted from these times. A generator that waited for the engine before it sent the next message
//! would not see what its messages would have waited (coordinated omission).

/// So many messages a second, from a beginning on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// When message 0 of the schedule is due, in nanoseconds.
    began_ns: u64,
    per_second: f64,
}

impl Schedule {
    pub(crate) fn new(began_ns: u64, per_second: f64) -> Self {
        Self { began_ns, per_second }
    }

    /// When the `n`th message is due.
    pub(crate) fn due_ns(&self, n: u64) -> u64 {
        self.began_ns + (n as f64 * 1e9 / self.per_second) as u64
    }

    /// How many messages are due at `now`: all before that number.
    pub(crate) fn due_by(&self, now_ns: u64) -> u64 {
        let Some(elapsed) = now_ns.checked_sub(self.began_ns) else { return 0 };
        let mut count = (elapsed as f64 * self.per_second / 1e9) as u64;
        // The division may round to either side; the times above decide.
        while self.due_ns(count) <= now_ns {
            count += 1;
        }
        while count > 0 && self.due_ns(count - 1) > now_ns {
            count -= 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_one_step_after_another_from_the_beginning_on() {
        let schedule = Schedule::new(1_000, 1e6);
        assert_eq!((schedule.due_ns(0), schedule.due_ns(3)), (1_000, 4_000));
        let due = [0, 999, 1_000, 1_999, 2_000, 4_500].map(|now| schedule.due_by(now));
        assert_eq!(due, [0, 0, 1, 1, 2, 4]);
    }

    #[test]
    fn what_is_due_agrees_with_when_it_is_due_at_odd_rates() {
        for per_second in [0.3, 7.0, 300.0, 4_999.0, 33_333.3] {
            let schedule = Schedule::new(17, per_second);
            for n in [0, 1, 2, 99, 12_345, 9_999_999] {
                assert_eq!(schedule.due_by(schedule.due_ns(n)), n + 1, "{n} at {per_second}");
                assert_eq!(schedule.due_by(schedule.due_ns(n) - 1), n, "{n} at {per_second}");
            }
        }
    }
}
