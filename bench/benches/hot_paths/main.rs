//! The hot paths one by one, each beside the floor it is held against.
//!
//! A floor (benches named `floor: ...`) is the least that any program would have to do for the same result, or
//! what one would write without the part that is measured. Both are measured in the same run, so that their
//! ratio means something on a machine that others use as well.
//!
//!   a message in    frames -> records -> commits
//!   its way out     routes -> wheel, ledger -> health -> signature -> request
//!
//! `cargo bench -p posthaste-bench` takes three minutes, half a GiB of memory and 200 MiB of disk below the target
//! folder, which it gives back. A word behind `--` chooses: `cargo bench -p posthaste-bench -- wheel`.

mod commits;
mod frames;
mod health;
mod ledger;
mod records;
mod request;
mod routes;
mod signature;
mod wheel;

use std::time::Duration;

use criterion::Criterion;
use tempfile::TempDir;

// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(400))
        .measurement_time(Duration::from_millis(1_200))
        .sample_size(30)
        .nresamples(10_000)
        .configure_from_args();
    frames::bench(&mut criterion);
    records::bench(&mut criterion);
    commits::bench(&mut criterion);
    routes::bench(&mut criterion);
    wheel::bench(&mut criterion);
    ledger::bench(&mut criterion);
    health::bench(&mut criterion);
    signature::bench(&mut criterion);
    request::bench(&mut criterion);
    criterion.final_summary();
}

/// A folder on the disk of the target folder (where `/tmp` may be memory), gone when dropped.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target folder can be written to")
}
