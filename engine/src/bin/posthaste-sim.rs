//! `cargo sim -- --seeds 2000`: runs the simulator over many seeds and says what they came to.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use clap::Parser;
use posthaste::simulation::{Bug, Report, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often the run says how far it is.
const SAYS_EVERY: Duration = Duration::from_secs(10);

/// Runs the whole engine in virtual time, over a machine that breaks. Every seed is a run of its own.
#[derive(Parser)]
#[command(name = "cargo sim --")]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The first seed. With `--seeds 1` it is run again as it was.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Threads; each runs one seed at a time.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Breaks something on purpose, to see that it is noticed: acknowledge-before-sync, remove-needed, forget-ends.
    #[arg(long, value_parser = bug)]
    plant: Option<Bug>,
    /// Stops at the first seed that fails.
    #[arg(long)]
    stop_at_failure: bool,
    /// Shows what the engine logs.
    #[arg(long)]
    log: bool,
}

fn bug(name: &str) -> Result<Bug, String> {
    match name {
        "acknowledge-before-sync" => Ok(Bug::AcknowledgeBeforeSync),
        "remove-needed" => Ok(Bug::RemoveNeeded),
        "forget-ends" => Ok(Bug::ForgetEnds),
        _ => Err("acknowledge-before-sync, remove-needed or forget-ends".into()),
    }
}

#[allow(clippy::print_stdout, reason = "this is what it is for")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.log {
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).init();
    }
    let (next, end) = (AtomicU64::new(arguments.first), arguments.first + arguments.seeds);
    let (sum, failed) = (Mutex::new((0, Report::default())), AtomicU64::new(0));
    let began = Instant::now();
    std::thread::scope(|scope| {
        let work = || work(&arguments, &next, end, &sum, &failed);
        let workers: Vec<_> = (0..arguments.threads.max(1)).map(|_| scope.spawn(work)).collect();
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        scope.spawn(|| say(is_done, &sum, &failed, began));
        for worker in workers {
            worker.join().expect("a worker hears of panics, and goes on");
        }
        drop(done);
    });
    let (seeds, report) = sum.into_inner().expect("nobody panicked with it");
    let failed = failed.into_inner();
    println!(
        "{seeds} seeds in {:.1} s: {:.1} simulated years, {} lives, {} messages acknowledged, {} requests received",
        began.elapsed().as_secs_f64(),
        report.simulated_ms as f64 / (365.25 * 86_400_000.0),
        report.lives,
        report.acknowledged,
        report.requests,
    );
    for (fault, count) in report.faults.iter() {
        println!("  {count:>10}  {fault:?}");
    }
    println!("  trace {:016x}", report.trace);
    println!("{failed} seeds failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[allow(clippy::print_stdout, reason = "this is what it is for")]
fn work(arguments: &Arguments, next: &AtomicU64, end: u64, sum: &Mutex<(u64, Report)>, failed: &AtomicU64) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end || (arguments.stop_at_failure && failed.load(Ordering::Relaxed) > 0) {
            return;
        }
        match run(seed, arguments.plant) {
            Ok(report) => {
                let mut sum = sum.lock().expect("nobody panicked with it");
                sum.0 += 1;
                sum.1.add(&report);
            }
            Err(violations) => {
                failed.fetch_add(1, Ordering::Relaxed);
                println!("SEED={seed}: {}", violations.join("\n    "));
            }
        }
    }
}

#[allow(clippy::print_stderr, reason = "progress is for people")]
fn say(is_done: Receiver<()>, sum: &Mutex<(u64, Report)>, failed: &AtomicU64, began: Instant) {
    while is_done.recv_timeout(SAYS_EVERY) == Err(RecvTimeoutError::Timeout) {
        let (done, failed) = (sum.lock().expect("nobody panicked with it").0, failed.load(Ordering::Relaxed));
        eprintln!("{:.0} s: {done} seeds well, {failed} failed", began.elapsed().as_secs_f64());
    }
}
