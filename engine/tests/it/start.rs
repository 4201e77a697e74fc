//! Starting: what is refused, and in which words; and the small commands.

use rustix::process::Signal;

use crate::harness::{Posthaste, Resp, Site, binary, bulk};

fn printed(arguments: &[&str]) -> String {
    let output = binary().args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test]
async fn a_data_folder_in_use_is_refused_to_a_second_process_and_free_after_a_kill() {
    let site = Site::new(&[]);
    let mut first = site.start().await;
    let refused = site.refusal().await;
    let expected = format!("{}: another process uses this data folder (data.folder)", site.data().display());
    assert_eq!(refused, expected);
    first.kill();
    assert!(site.start().await.stop().await.success());
}

#[tokio::test]
async fn a_data_folder_of_a_newer_version_is_refused_with_both_versions() {
    let site = Site::new(&[]);
    std::fs::create_dir(site.data()).expect("a folder");
    std::fs::write(site.data().join("posthaste.version"), "3\n").expect("written");
    let refused = site.refusal().await;
    assert!(refused.ends_with("written by a newer version (layout 3; this version knows 2)"), "{refused}");
    assert!(!site.data().join("log").exists(), "nothing was touched");
}

#[tokio::test]
async fn an_address_that_is_taken_is_refused_by_the_name_of_its_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("'{}'", taken.local_addr().expect("an address"));
    for key in ["ingest.listen", "api.listen"] {
        let refused = Site::new(&[(key, &address)]).refusal().await;
        assert!(refused.starts_with(key) && refused.contains("in use"), "{refused}");
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_by_the_name_of_the_setting() {
    for (key, value, expected) in [
        ("ingest.listen_on", "1", "there is no setting 'ingest.listen_on'; did you mean 'listen'?"),
        ("nothing.at_all", "1", "there is no setting 'nothing'"),
        ("shards.in_flight_max", "0", "shards.in_flight_max = 0: must be from 1 to 100000"),
        ("delivery.timeout_total", "'soon'", "soon"),
        ("retry.policy", "'now and then'", "retry.policy = now and then"),
        ("ingest.listen", "'0.0.0.0:0'", "ingest.listen = 0.0.0.0:0: must be a loopback address as long as"),
        ("api.tokens", "['short']", "api.tokens = (not shown): each token must be at least 8 characters"),
        ("storage.segment_bytes", "'1KiB'", "storage.segment_bytes = 1KiB: must be from 1MiB to 1GiB"),
        ("lockout.url.wait_factor", "11", "lockout.url"),
        ("log.format", "'xml'", "xml"),
    ] {
        let site = Site::new(&[(key, value)]);
        let refused = site.refusal().await;
        assert!(refused.contains(expected), "{key} = {value}: {refused}");
        assert!(!site.data().exists(), "{key} = {value}: nothing is made before the configuration is right");
        let mut check = binary();
        check.args(["config", "check", "--config"]).arg(site.config());
        assert_eq!(Posthaste::spawn(check).refusal().await, refused, "config check says the same");
    }
}

#[tokio::test]
async fn sighup_ends_no_server_neither_while_it_starts_nor_where_it_has_no_certificates() {
    let site = Site::new(&[]);
    let starting = site.spawn();
    starting.says("\"message\"").await;
    starting.signal(Signal::HUP);
    let posthaste = starting.accepting().await;
    posthaste.signal(Signal::HUP);
    assert_eq!(bulk(&Resp::connect(posthaste.tcp()).await.call(&["PING"]).await), "PONG");
    assert!(posthaste.stop().await.success());
}

#[tokio::test]
async fn a_configuration_file_that_is_missing_is_named() {
    let mut serve = binary();
    serve.args(["serve", "--config", "/nowhere/posthaste.toml"]);
    let refused = Posthaste::spawn(serve).refusal().await;
    assert!(refused.starts_with("/nowhere/posthaste.toml: "), "{refused}");
}

#[tokio::test]
async fn a_wrong_environment_variable_is_refused_by_its_name() {
    let site = Site::new(&[]);
    let mut serve = site.serve();
    serve.env("POSTHASTE_INGEST__PORT", "1");
    let refused = Posthaste::spawn(serve).refusal().await;
    assert_eq!(refused, "environment variable POSTHASTE_INGEST__PORT: there is no setting 'ingest.port'");
}

#[test]
fn config_show_prints_the_shipped_file_and_config_check_finds_it_valid() {
    let shipped = printed(&["config", "show"]);
    assert_eq!(shipped, include_str!("../../src/config.default.toml"));
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), shipped).expect("written");
    let path = file.path().to_str().expect("a path");
    assert_eq!(printed(&["config", "check", "--config", path]), "the configuration is valid\n");
}

#[test]
fn the_version_is_that_of_the_package() {
    assert_eq!(printed(&["--version"]), format!("posthaste {}\n", env!("CARGO_PKG_VERSION")));
}
