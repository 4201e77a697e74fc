//! `torture KIND`: bad things are done to the engine, again and again, and books are kept by somebody else.
//!
//! ```text
//!   publishers --ids--> books <--ids, bodies, signatures-- receivers
//!        |                ^                                    ^
//!        v                +--- told as stored --- follower     |
//!     engine -------------------------------------+------------+
//!        ^
//!        +--- SIGKILL, power cut, failing calls, full disk, turned bits, SIGSTOP, limits, wrong clock
//! ```
//!
//! Each kind is a file. Each cycle prints a line, the end prints totals. A breach of what docs/reliability.md promises
//! ends the run with status 1, says the seed, and keeps the data folder.
//!
//! Not here: faults of receivers and networks, and the simulation of the core.

mod body;
mod books;
mod clock;
mod descriptors;
mod flip;
mod follower;
mod full;
mod io;
mod kill;
mod load;
mod memory;
mod power;
mod random;
mod receiver;
mod shim;
mod stop;
mod subject;
mod trial;
mod volume;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use crate::engine::OwnEngine;
use crate::run::{interrupt, units};

/// What `posthaste-loadtest torture` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Which kind; without it, they are listed
    kind: Option<String>,
    /// How often
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    cycles: u32,
    /// What chance follows from; the same seed draws the same moments and places
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// End after this time, if the cycles are not through by then: 500ms, 10s, 12m
    #[arg(long = "for", value_name = "TIME", value_parser = units::time)]
    until: Option<Duration>,
    /// Shorter lives, for more cycles in the same time
    #[arg(long)]
    fast: bool,
    /// File system of `power`: ext4, xfs or btrfs
    #[arg(long, default_value = "ext4", value_parser = ["ext4", "xfs", "btrfs"])]
    file_system: String,
    /// The first call that fails in `io`
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    first_call: u32,
    /// The only way in which calls of `io` fail; by default six take turns
    #[arg(long, value_parser = ["eio", "enospc", "sync", "short", "sticky", "emfile"])]
    fault: Option<String>,
    #[command(flatten)]
    own: OwnEngine,
}

/// A kind of torture.
struct Kind {
    name: &'static str,
    play: fn(&Arguments) -> anyhow::Result<ExitCode>,
}

const KINDS: &[Kind] = &[
    Kind { name: "kill", play: kill::play },
    Kind { name: "power", play: power::play },
    Kind { name: "io", play: io::play },
    Kind { name: "full", play: full::play },
    Kind { name: "flip", play: flip::play },
    Kind { name: "stop", play: stop::play },
    Kind { name: "descriptors", play: descriptors::play },
    Kind { name: "memory", play: memory::play },
    Kind { name: "clock", play: clock::play },
];

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let kind = find(arguments.kind.as_deref())?;
    interrupt::listen()?;
    (kind.play)(arguments).with_context(|| format!("torture {}, SEED={}", kind.name, arguments.seed))
}

fn find(name: Option<&str>) -> anyhow::Result<&'static Kind> {
    let names = || KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
    let name = name.with_context(|| format!("torture: name one of {}", names()))?;
    let found = KINDS.iter().find(|kind| kind.name == name);
    found.with_context(|| format!("torture '{name}': there is none of that name; there are {}", names()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_is_missing_or_unknown_gets_all_that_there_are() {
        for name in [None, Some("rack")] {
            let error = find(name).err().unwrap().to_string();
            assert!(KINDS.iter().all(|kind| error.contains(kind.name)), "{error}");
        }
        assert_eq!(find(Some("kill")).unwrap().name, "kill");
    }
}
