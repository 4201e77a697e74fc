//! CPU of threads, as the kernel accounts for it.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

/// CPU that a set of threads has used. Each joins as it starts, and leaves as it ends.
#[derive(Default)]
pub(super) struct Cpu {
    running: Mutex<Vec<PathBuf>>,
    ended_ns: AtomicU64,
}

/// A thread that is counted, until this is dropped on it.
pub(super) struct Counted<'a> {
    cpu: &'a Cpu,
    file: Option<PathBuf>,
}

impl Cpu {
    /// Counts the current thread from now on.
    pub(super) fn join(&self) -> Counted<'_> {
        // The link reads `<process>/task/<thread>`.
        let link = fs::read_link("/proc/thread-self").ok();
        let file = link.map(|link| PathBuf::from("/proc").join(link).join("schedstat"));
        self.running.lock().extend(file.clone());
        Counted { cpu: self, file }
    }

    /// User and system time of all of them so far.
    pub(super) fn used(&self) -> Duration {
        let running = self.running.lock();
        let running_ns: u64 = running.iter().map(on_cpu_ns).sum();
        Duration::from_nanos(running_ns + self.ended_ns.load(Relaxed))
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let Some(file) = &self.file else { return };
        let mut running = self.cpu.running.lock();
        self.cpu.ended_ns.fetch_add(on_cpu_ns(file), Relaxed);
        running.retain(|one| one != file);
    }
}

/// The first number of `schedstat`: nanoseconds on a processor.
fn on_cpu_ns(file: &PathBuf) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn work_of_a_thread_is_counted_while_it_runs_and_after_it_has_ended() {
        let cpu = Cpu::default();
        let work = Duration::from_millis(50);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _counted = cpu.join();
                let begun = Instant::now();
                while cpu.used() < work {
                    assert!(begun.elapsed() < Duration::from_secs(60), "{:?} of {work:?}", cpu.used());
                }
            });
        });
        assert!(cpu.used() >= work);
        assert!(cpu.used() < Duration::from_secs(60));
    }
}
