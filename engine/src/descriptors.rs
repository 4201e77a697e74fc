//! File descriptors: every connection takes one, and the usual limit of a shell is 1,024.
//!
//! The soft limit is there for programs that cannot count above 1,024; it is raised to the hard one, as far as
//! which the system lets everybody go. What is still too few bounds the connections that are kept.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors that are neither a publisher's nor a receiver's: segments, sled, listeners, requests to the API.
const RESERVED: u64 = 512;

/// Raises the limit as far as it goes. Returns how many connections may be kept idle beside so many that are in use.
pub(crate) fn raise(in_use_max: u64) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit = raised,
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it is"),
    }
    // No limit is more than anybody could use.
    let descriptors = limit.current.unwrap_or(u64::MAX);
    usize::try_from(left_for_idle(descriptors, in_use_max)).unwrap_or(usize::MAX)
}

/// At least a quarter: without idle connections every request would need a new one.
fn left_for_idle(descriptors: u64, in_use_max: u64) -> u64 {
    descriptors.saturating_sub(RESERVED + in_use_max).max(descriptors / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_connections_get_what_those_in_use_and_files_leave_and_never_less_than_a_quarter() {
        assert_eq!(left_for_idle(20_000, 2_048), 20_000 - 2_048 - RESERVED);
        assert_eq!(left_for_idle(1_024, 2_048), 256);
    }

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        raise(1);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
