//! Torture, in short forms: each kind is tried with the real engine, and breaks nothing that docs/reliability.md promises.
//!
//! The long forms are commands (`posthaste-loadtest torture KIND --cycles N --seed S`). What needs root or a C compiler
//! says so and is skipped where there is none.

use crate::harness::{engine_binary, run};

/// Runs a kind to its end; what it said. Nothing may be lost, and every cycle is tried.
fn torture(kind: &str, cycles: u32, options: &[&str]) -> Option<String> {
    let engine = engine_binary()?;
    let cycles = cycles.to_string();
    let all = [&["torture", kind, "--cycles", &cycles, "--engine-binary", &engine], options].concat();
    let (status, said, errors) = run(&all);
    assert!(status.success(), "{said}{errors}");
    if said.starts_with("SKIPPED") {
        eprintln!("{said}");
        return None;
    }
    assert!(said.contains(&format!(": {cycles} cycles")) && said.contains(" 0 lost; "), "{said}{errors}");
    eprintln!(
        "{}",
        said.lines().skip_while(|line| !line.starts_with("torture ")).collect::<Vec<_>>().join("\n")
    );
    Some(said)
}

#[test]
fn kills_under_full_load_lose_nothing_and_repeat_no_more_than_was_open() {
    torture("kill", 30, &["--fast"]);
}

#[test]
fn power_cuts_under_full_load_lose_nothing_that_was_acknowledged() {
    torture("power", 20, &["--fast"]);
}

#[test]
fn whichever_call_to_the_disk_fails_it_ends_cleanly_or_goes_on_and_nothing_is_lost() {
    torture("io", 60, &["--fast"]);
}

#[test]
fn a_full_disk_refuses_publishers_delivers_on_and_recovers_by_itself() {
    torture("full", 3, &[]);
}

#[test]
fn a_turned_bit_or_a_cut_file_is_found_or_does_no_harm() {
    let Some(said) = torture("flip", 80, &[]) else { return };
    assert!(said.contains("refused: posthaste: the log does not open: the log is damaged"), "{said}");
}

#[test]
fn a_process_that_was_stopped_goes_on_where_it_was() {
    torture("stop", 1, &["--fast"]);
}

#[test]
fn a_crowd_that_takes_all_descriptors_stops_nobody_who_is_in() {
    torture("descriptors", 1, &[]);
}

#[test]
fn too_little_memory_ends_the_process_and_loses_nothing() {
    torture("memory", 2, &[]);
}

#[test]
fn a_clock_that_jumps_neither_hurries_nor_stops_a_retry() {
    torture("clock", 2, &[]);
}
