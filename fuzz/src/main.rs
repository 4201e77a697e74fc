//! libFuzzer around the targets of the three crates.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

type Target = fn(&[u8]);

static TARGET: OnceLock<Target> = OnceLock::new();

fn chosen() -> Target {
    let name = std::env::var("POSTHASTE_FUZZ_TARGET").expect("POSTHASTE_FUZZ_TARGET names a target");
    let all = [posthaste_protocol::fuzzing::TARGETS, posthaste_storage::fuzzing::TARGETS, posthaste::fuzzing::TARGETS];
    let found = all.iter().copied().flatten().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no target is called {name:?}")).1
}

fuzz_target!(|data: &[u8]| TARGET.get_or_init(chosen)(data));
