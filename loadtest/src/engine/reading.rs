//! What the operating system says about a process.
//!
//! CPU comes from two places, and the larger is taken: `stat` keeps that of threads that have ended but counts
//! in hundredths of a second, `schedstat` counts nanoseconds but only those of threads that live.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// What a process has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reading {
    /// CPU, user and system.
    pub(crate) cpu: Duration,
    /// Memory that is resident now.
    pub(crate) resident_bytes: u64,
    /// The most that ever was.
    pub(crate) resident_bytes_max: u64,
    /// Bytes that it caused to be written to the disk.
    pub(crate) written_bytes: u64,
}

impl Reading {
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).with_context(|| format!("reading {path}"))
        };
        let status = read("status")?;
        let kib = |name| field(&status, name).unwrap_or(0) * 1_024;
        Ok(Self {
            cpu: cpu(pid)?,
            resident_bytes: kib("VmRSS:"),
            resident_bytes_max: kib("VmHWM:"),
            // Not everybody may read this of everybody's processes.
            written_bytes: read("io").ok().and_then(|io| field(&io, "write_bytes:")).unwrap_or(0),
        })
    }
}

/// CPU of this process.
pub(crate) fn own_cpu() -> Duration {
    cpu(std::process::id()).unwrap_or_default()
}

/// How often threads of a process went to sleep and were woken.
pub(crate) fn wake_ups(pid: u32) -> anyhow::Result<u64> {
    let each = |status: String| field(&status, "voluntary_ctxt_switches:").unwrap_or(0);
    Ok(of_threads(pid, "status")?.into_iter().map(each).sum())
}

fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    let first = |text: String| text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
    let ns = of_threads(pid, "schedstat")?.into_iter().map(first).sum();
    Ok(Duration::from_nanos(ns).max(ticks(&stat).context("/proc/<pid>/stat")?))
}

/// User and system time of `stat`. The name in parentheses may hold anything, so fields are counted after it.
fn ticks(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let per_second = rustix::param::clock_ticks_per_second();
    Some(Duration::from_nanos((user + system) * 1_000_000_000 / per_second))
}

/// A file of each thread that lives. One that ends meanwhile is left out.
fn of_threads(pid: u32, file: &str) -> anyhow::Result<Vec<String>> {
    let folder = format!("/proc/{pid}/task");
    let threads = fs::read_dir(&folder).with_context(|| format!("process {pid}"))?;
    let paths = threads.map_while(Result::ok).map(|thread| thread.path().join(file));
    Ok(paths.filter_map(|path| fs::read_to_string(path).ok()).collect())
}

/// The number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1";
        let per_second = rustix::param::clock_ticks_per_second();
        assert_eq!(ticks(stat), Some(Duration::from_nanos(200 * 1_000_000_000 / per_second)));
    }

    #[test]
    fn this_process_has_used_cpu_and_memory() {
        let before = own_cpu();
        let mut sum = 0_u64;
        while own_cpu() == before {
            sum = std::hint::black_box(sum + 1);
        }
        let reading = Reading::of(std::process::id()).unwrap();
        assert!(reading.resident_bytes > 0 && reading.resident_bytes <= reading.resident_bytes_max);
        assert!(wake_ups(std::process::id()).is_ok());
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let error = Reading::of(u32::MAX).unwrap_err();
        assert!(error.to_string().contains(&u32::MAX.to_string()), "{error}");
    }
}
