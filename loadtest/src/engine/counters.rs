//! What the engine counts itself, as `GET /metrics` says it.

use anyhow::Context as _;

/// Counters since the start of the process; `pending` is what there is now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Messages stored and acknowledged.
    pub(crate) accepted: u64,
    /// Deliveries that ended, each way.
    pub(crate) delivered: u64,
    pub(crate) exhausted: u64,
    pub(crate) cancelled: u64,
    /// Deliveries that have not ended.
    pub(crate) pending: u64,
    /// Deliveries held in memory.
    pub(crate) in_memory: u64,
    /// Attempts in flight.
    pub(crate) in_flight: u64,
    /// Group commits: each one write and one sync.
    pub(crate) commits: u64,
    /// Records written by them.
    pub(crate) records: u64,
    /// Attempts that were made, refused ones included.
    pub(crate) attempts: u64,
}

impl Counters {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let one = |name: &str| sum(text, name).with_context(|| format!("/metrics does not say {name}"));
        Ok(Self {
            accepted: one("posthaste_messages_accepted_total")?,
            delivered: one("posthaste_deliveries_delivered_total")?,
            exhausted: one("posthaste_deliveries_exhausted_total")?,
            cancelled: one("posthaste_deliveries_cancelled_total")?,
            pending: one("posthaste_deliveries_pending")?,
            in_memory: one("posthaste_deliveries_in_memory")?,
            in_flight: one("posthaste_attempts_in_flight")?,
            commits: one("posthaste_commit_seconds_count")?,
            records: one("posthaste_commit_records_sum")?,
            // There is no series before the first.
            attempts: sum(text, "posthaste_attempts_total").unwrap_or(0),
        })
    }
}

/// The sum of all series of this name; `None` if there is none.
pub(crate) fn sum(text: &str, name: &str) -> Option<u64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.as_bytes().first()? {
            b' ' => rest,
            b'{' => rest.rsplit_once('}')?.1,
            _ => return None,
        };
        value.trim().parse::<f64>().ok()
    });
    values.map(|value| value.max(0.0) as u64).reduce(|total, value| total + value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE posthaste_attempts counter\n\
        posthaste_attempts_total{outcome=\"success\"} 7\n\
        posthaste_attempts_total{outcome=\"bad_status\"} 3\n\
        posthaste_attempts_in_flight 2\n\
        posthaste_commit_records_sum 10.0\n\
        posthaste_deliveries_pending -1\n";

    #[test]
    fn series_of_one_name_are_added_up_and_longer_names_are_others() {
        assert_eq!(sum(TEXT, "posthaste_attempts_total"), Some(10));
        assert_eq!(sum(TEXT, "posthaste_attempts_in_flight"), Some(2));
        assert_eq!(sum(TEXT, "posthaste_attempts"), None);
        assert_eq!(sum(TEXT, "posthaste_commit_records_sum"), Some(10));
    }

    #[test]
    fn a_gauge_that_dips_below_zero_for_a_moment_is_zero() {
        assert_eq!(sum(TEXT, "posthaste_deliveries_pending"), Some(0));
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = Counters::parse(TEXT).unwrap_err().to_string();
        assert_eq!(error, "/metrics does not say posthaste_messages_accepted_total");
    }
}
