//! Loads against an engine: everything is looked for, and what is lost is found.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{Forgetful, binary, engine_binary, run};

/// A small load, and where its report goes.
fn small(report: &Path) -> Vec<&str> {
    let json = report.to_str().unwrap();
    vec!["run", "--hosts", "4", "--messages", "500", "--warm-up", "0s", "--json", json]
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn every_message_of_a_run_is_accounted_for_and_the_report_says_so() {
    let Some(engine) = engine_binary() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (json, html) = (folder.path().join("run.json"), folder.path().join("run.html"));
    let options = ["--engine-binary", &engine, "--fan-out", "2", "--html", html.to_str().unwrap()];
    let (status, said, errors) = run(&[&small(&json)[..], &options].concat());
    assert!(status.success() && said.contains("zero unaccounted"), "{said}{errors}");
    let report = read(&json);
    let verdict = &report["verdict"];
    let counts =
        ["acknowledged", "expected", "received", "missing"].map(|name| verdict[name].as_u64().unwrap());
    assert_eq!((counts, report["unaccounted"].as_u64()), ([500, 1_000, 1_000, 0], Some(0)));
    assert_eq!(report["latencies"]["acknowledged to received"]["count"], 1_000);
    assert!(std::fs::read_to_string(html).unwrap().starts_with("<!doctype html>"));
}

#[test]
fn what_endpoints_that_are_not_healthy_have_not_got_is_accounted_for_by_the_engine() {
    let Some(engine) = engine_binary() else { return };
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("run.json");
    let options = ["--failing", "25", "--hanging", "25", "--dead-host", "--engine-binary", &engine];
    let (status, said, errors) = run(&[&small(&json)[..], &options].concat());
    assert!(status.success() && said.contains("zero unaccounted"), "{said}{errors}");
    let report = read(&json);
    // One of the four is healthy.
    assert_eq!(
        (&report["verdict"]["acknowledged"], &report["verdict"]["received"]),
        (&500.into(), &125.into())
    );
    let counts = &report["verdict"]["engine"]["counts"];
    assert_eq!(counts["pending"].as_u64().unwrap() + counts["delivered"].as_u64().unwrap(), 500, "{counts}");
}

#[test]
fn a_message_that_is_acknowledged_and_never_comes_ends_with_status_1_and_is_named() {
    let engine = Forgetful::start();
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("run.json");
    let (tcp, api) = (engine.tcp.to_string(), engine.api.to_string());
    let options = ["--address", &tcp, "--api", &api, "--patience", "100ms"];
    let (status, said, errors) = run(&[&small(&json)[..], &options].concat());
    assert_eq!(status.code(), Some(1), "{said}{errors}");
    assert!(said.contains("500 UNACCOUNTED; 500 missing, such as message 0 at slot 0"), "{said}");
    assert_eq!(read(&json)["unaccounted"], 500);
}

#[test]
fn a_run_that_is_interrupted_shows_what_it_measured_and_accounts_for_it() {
    let Some(engine) = engine_binary() else { return };
    let mut command =
        binary(&["run", "--rate", "200", "--duration", "1h", "--warm-up", "0s", "--engine-binary", &engine]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Its first line of progress says that messages are coming.
    let mut progress = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut progress).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && progress.contains(" received"), "{progress}{said}");
    assert!(said.contains("interrupted: yes") && said.contains("zero unaccounted"), "{said}");
    assert!(said.contains("deliveries received a second"), "{said}");
}

/// A scenario in its quick version: everything is accounted for, and its targets stand beside its figures.
fn shows_its_figures_and_loses_nothing(name: &str) {
    let Some(engine) = engine_binary() else { return };
    let (status, said, errors) = run(&["scenario", name, "--quick", "--engine-binary", &engine]);
    assert!(status.success() && said.contains("zero unaccounted"), "{name}: {said}{errors}");
    // Nothing was promised about TLS.
    let has_target = name == "tls" || said.contains("at most") || said.contains("at least");
    assert!(has_target, "{name}: {said}");
}

macro_rules! scenarios {
    ($($test:ident: $name:literal,)*) => {$(
        #[test]
        fn $test() {
            shows_its_figures_and_loses_nothing($name);
        }
    )*};
}

scenarios! {
    the_scenario_million_shows_its_figures_and_loses_nothing: "million",
    the_scenario_ceiling_shows_its_figures_and_loses_nothing: "ceiling",
    the_scenario_fan_out_shows_its_figures_and_loses_nothing: "fan-out",
    the_scenario_latency_shows_its_figures_and_loses_nothing: "latency",
    the_scenario_isolation_shows_its_figures_and_loses_nothing: "isolation",
    the_scenario_pending_10m_shows_its_figures_and_loses_nothing: "pending-10m",
    the_scenario_many_endpoints_shows_its_figures_and_loses_nothing: "many-endpoints",
    the_scenario_restart_shows_its_figures_and_loses_nothing: "restart",
    the_scenario_tls_shows_its_figures_and_loses_nothing: "tls",
    the_scenario_idle_shows_its_figures_and_loses_nothing: "idle",
    the_scenario_console_shows_its_figures_and_loses_nothing: "console",
}

#[test]
fn a_comparison_shows_the_ratios_over_all_rounds() {
    let Some(engine) = engine_binary() else { return };
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("compare.json");
    let options = ["--duration", "200ms", "--requests", "1000", "--json", json.to_str().unwrap()];
    let (status, said, errors) = run(&[&["compare", "--engine-binary", &engine], &options[..]].concat());
    assert!(status.success() && said.contains("zero unaccounted"), "{said}{errors}");
    let report = read(&json);
    let figures = report["figures"].as_array().unwrap();
    let ratio = figures.iter().find(|figure| figure["name"] == "engine / pooled").unwrap();
    assert_eq!(ratio["values"].as_array().unwrap().len(), 5);
    assert_eq!(ratio["target"]["at_most"], 1.0);
}
