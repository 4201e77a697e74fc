//! What was asked for and cannot be: one sentence with option and value, exit status 2.

use std::net::TcpListener;

use crate::harness::{refusal, run};

#[test]
fn wrong_options_of_a_receiver_are_refused_by_name_and_value() {
    for (arguments, expected) in [
        (&["--listen", "127.0.0.1"][..], "--listen 127.0.0.1: a port is missing"),
        (
            &["--listen", "127.0.0.1:9-8"],
            "--listen 127.0.0.1:9-8: the range of ports 9-8 ends before it begins",
        ),
        (&["--listen", "host:1"], "--listen host:1: \"host\" is not an IPv4 address"),
        (&["--listen", "0.0.0.0-255.255.255.255:1"], "stands for 4294967296 addresses; the limit is 65536"),
        (&["--listen", "203.0.113.1:0"], "--listen: cannot listen on 203.0.113.1:0: "),
        (
            &["--listen", "127.0.1.0-127.0.2.255:0", "--tls"],
            "--listen: TLS at 514 different addresses; the limit is 256",
        ),
        (&["--threads", "0"], "--threads 0: 1 to 256 are possible"),
        (&["--otherwise", "/teapot"], "--otherwise /teapot: names no behaviour"),
        (&["--otherwise", "/mix/ok=0.5"], "--otherwise /mix/ok=0.5: names no behaviour"),
        (&["--secret", "hush"], "--secret: it is not whsec_ followed by base64"),
        (&["--remember", "0"], "--remember 0: 1 to 1073741824 are possible"),
        (&["--body-bytes-max", "1073741825"], "--body-bytes-max 1073741825: 0 to 1073741824 are possible"),
        (
            &["--ca-file", "/tmp/ca.pem"],
            "--ca-file /tmp/ca.pem: there is a certificate authority only with --tls",
        ),
    ] {
        let said = refusal(&[&["receiver"], arguments].concat());
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refusal(&["receiver", "--listen", &address]);
    assert!(
        said.contains(&format!("--listen: cannot listen on {address}: Address already in use")),
        "{said}"
    );
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("missing/ca.pem");
    let file = file.to_str().unwrap();
    let said = refusal(&["receiver", "--listen", "127.0.0.1:0", "--tls", "--ca-file", file]);
    assert!(said.contains(&format!("--ca-file {file}: cannot be written: No such file")), "{said}");
}

#[test]
fn wrong_options_of_a_client_are_refused_by_name_and_value() {
    for (arguments, expected) in [
        (&["--url", "https://127.0.0.1:1/ok"][..], "--url https://127.0.0.1:1/ok: only http:// is possible"),
        (&["--url", "http://127.0.0.1/ok"], "--url http://127.0.0.1/ok: a port is missing"),
        (&["--requests", "0"], "--requests 0: 1 to 1000000000 are possible"),
        (&["--in-flight", "0"], "--in-flight 0: 1 to 65536 are possible"),
        (&["--body-bytes", "99999999999"], "--body-bytes 99999999999: 0 to 67108864 are possible"),
        (&["--sign", "hush"], "--sign: it is not whsec_ followed by base64"),
    ] {
        let said = refusal(&[&["client", "--kind", "pooled"], arguments].concat());
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn an_option_that_does_not_exist_ends_with_the_same_status() {
    let (status, _, said) = run(&["receiver", "--lsten", "127.0.0.1:0"]);
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("'--lsten'"), "{said}");
}
