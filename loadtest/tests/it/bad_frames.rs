//! Bad frames: a hundred thousand of them, and a good client that notices nothing.

use serde_json::Value;

use crate::harness::{engine_binary, run};

fn figure(report: &Value, name: &str) -> f64 {
    let figures = report["figures"].as_array().expect("figures");
    let figure = figures.iter().find(|figure| figure["name"] == name);
    let figure = figure.unwrap_or_else(|| panic!("no figure '{name}' in {report}"));
    figure["values"][0].as_f64().expect("a number")
}

#[test]
fn a_hundred_thousand_bad_frames_harm_neither_the_engine_nor_a_good_client() {
    let Some(engine) = engine_binary() else { return };
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("bad-frames.json");
    let options = ["bad-frames", "--count", "100000", "--seed", "7", "--connections", "2000"];
    let files = ["--engine-binary", &engine, "--json", json.to_str().unwrap()];
    let (status, said, errors) = run(&[&options[..], &files].concat());
    assert!(status.success(), "{said}{errors}");
    let report = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert!(figure(&report, "bad frames") >= 100_000.0);
    assert_eq!(figure(&report, "errors of the good client"), 0.0);
    assert!(figure(&report, "messages of the good client") > 0.0);
    assert!(figure(&report, "memory grew by") < 64.0);
}
