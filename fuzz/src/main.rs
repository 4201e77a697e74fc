//! libFuzzer around the targets of the three crates: one program for all, since linking is what takes long.
//! `POSTHASTE_FUZZ_TARGET` says which; `list` shows what there is (`fuzz/run`).
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

type Target = fn(&[u8]);

static TARGET: OnceLock<Target> = OnceLock::new();

fn targets() -> impl Iterator<Item = (&'static str, Target)> {
    let crates =
        [posthaste_protocol::fuzzing::TARGETS, posthaste_storage::fuzzing::TARGETS, posthaste::fuzzing::TARGETS];
    crates.into_iter().flatten().copied()
}

/// The target that is asked for. Ends the process where there is none, or all are to be shown.
fn choose() -> Target {
    let asked = std::env::var("POSTHASTE_FUZZ_TARGET").unwrap_or_default();
    if let Some((_, target)) = targets().find(|(name, _)| *name == asked) {
        return target;
    }
    targets().for_each(|(name, _)| println!("{name}"));
    std::process::exit(i32::from(asked != "list"))
}

fuzz_target!(
    init: {
        TARGET.get_or_init(choose);
    },
    |data: &[u8]| TARGET.get_or_init(choose)(data)
);
