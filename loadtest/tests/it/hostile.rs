//! Receivers that mean no good, and the engine that has to survive them.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{PATIENCE, binary, engine_binary, refusal, run_alone, webhook};

#[test]
fn every_attempt_at_a_hostile_receiver_ends_as_its_fault_says_while_others_get_everything() {
    let Some(engine) = engine_binary() else { return };
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("hostile.json");
    let options = ["--quick", "--engine-binary", &engine, "--json", json.to_str().unwrap()];
    let (status, said, errors) = run_alone(&[&["scenario", "hostile"], &options[..]].concat());
    assert!(status.success() && said.contains("zero unaccounted"), "{said}{errors}");
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["wrong"], Value::Array(Vec::new()));
    let verdict = &report["verdict"];
    assert_eq!((&verdict["received"], &verdict["again"]), (&verdict["expected"], &0.into()), "{verdict}");
    let told = report["facts"].as_object().unwrap();
    let kinds = told.values().filter(|told| told.as_str().unwrap().ends_with("ms at most")).count();
    assert!(kinds >= 200, "{said}");
    // The name did change its mind.
    let rebound = told["dns-rebinding http"].as_str().unwrap();
    assert!(rebound.contains("bad_status") && rebound.contains("address_forbidden"), "{rebound}");
}

#[test]
fn each_fault_is_at_a_port_of_its_own() {
    let mut command = binary(&["faults", "--json", "--only", "s"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let places: Value = serde_json::from_str(&line).unwrap();
    let places = places["faults"].as_array().unwrap();
    let urls: HashSet<&str> = places.iter().map(|place| place["url"].as_str().unwrap()).collect();
    assert_eq!(urls.len(), places.len());

    let url = |name: &str| urls.iter().find(|url| url.starts_with("http:") && url.ends_with(name)).unwrap();
    let address = |url: &str| url.split('/').nth(2).unwrap().parse::<SocketAddr>().unwrap();
    let mut tcp = TcpStream::connect(address(url("/smuggles"))).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.write_all(webhook("/", "msg_1", "{}").as_bytes()).unwrap();
    let mut answer = [0; 60];
    tcp.read_exact(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 299"), "{answer}");

    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_fault_that_does_not_exist_is_refused() {
    assert_eq!(
        refusal(&["faults", "--only", "kind"]),
        "posthaste-loadtest: --only kind: no fault has a name that begins so"
    );
}
