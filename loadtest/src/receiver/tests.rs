//! A receiver inside this process, as `run` has it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Arrival, Observer, Options, Receiver};

/// Target, id, body and status of every arrival.
type Seen = (String, String, Vec<u8>, Option<u16>);

#[derive(Default)]
struct Notes(Mutex<Vec<(Seen, Instant)>>);

impl Observer for Notes {
    fn arrived(&self, arrival: Arrival<'_>) {
        let Arrival { target, webhook_id, body, at, status } = arrival;
        self.0.lock().push(((target.to_owned(), webhook_id.to_owned(), body.to_vec(), status), at));
    }
}

fn options(threads: usize, tls: bool) -> Options {
    let listen: Vec<SocketAddr> = vec!["127.0.0.1:0".parse().unwrap(), "127.0.0.2:0".parse().unwrap()];
    Options { listen, threads, tls, loopback_only: false }
}

fn start(threads: usize) -> (Receiver, Arc<Notes>) {
    let notes = Arc::new(Notes::default());
    (Receiver::start(options(threads, false), Arc::clone(&notes) as Arc<dyn Observer>).unwrap(), notes)
}

/// Sends one request, and reads until the answer is there or the connection is closed.
fn exchange(address: SocketAddr, path: &str, id: &str) -> (TcpStream, usize) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let request = format!("POST {path} HTTP/1.1\r\nwebhook-id: {id}\r\ncontent-length: 2\r\n\r\n{{}}");
    stream.write_all(request.as_bytes()).unwrap();
    let bytes = stream.read(&mut [0; 100]).unwrap();
    (stream, bytes)
}

#[test]
fn the_observer_hears_of_every_request_whatever_becomes_of_it() {
    let (receiver, notes) = start(2);
    let begun = Instant::now();
    let expected = [
        ("/ok?slot=1", Some(204)),
        ("/status/503", Some(503)),
        ("/drop", None),
        ("/delay/1ms", Some(204)),
        ("/teapot", Some(404)),
    ];
    for (number, (path, _)) in expected.iter().enumerate() {
        exchange(receiver.addresses()[number % 2], path, &format!("msg_{number}"));
    }
    let notes = notes.0.lock();
    let seen: Vec<Seen> = notes.iter().map(|(seen, _)| seen.clone()).collect();
    let expected: Vec<Seen> = expected
        .iter()
        .enumerate()
        .map(|(number, (path, status))| {
            ((*path).to_owned(), format!("msg_{number}"), b"{}".to_vec(), *status)
        })
        .collect();
    assert_eq!(seen, expected);
    assert!(notes.iter().all(|(_, at)| (begun..=Instant::now()).contains(at)));
}

#[test]
fn it_ends_with_its_connections_when_it_is_dropped() {
    let (receiver, _) = start(2);
    let address = receiver.addresses()[0];
    let (mut stream, bytes) = exchange(address, "/ok", "msg_1");
    assert!(bytes > 0);
    drop(receiver);
    assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)), "the connection is closed");
    assert!(TcpStream::connect(address).is_err(), "nobody listens");
}

#[test]
fn cpu_is_that_of_its_threads() {
    let (receiver, _) = start(1);
    let before = receiver.cpu();
    for number in 0..200 {
        exchange(receiver.addresses()[0], "/ok", &format!("msg_{number}"));
    }
    let used = receiver.cpu() - before;
    assert!(Duration::ZERO < used && used < Duration::from_secs(10), "{used:?}");
}

#[test]
fn there_is_an_authority_to_trust_only_with_tls() {
    let notes = || Arc::new(Notes::default()) as Arc<dyn Observer>;
    assert_eq!(Receiver::start(options(1, false), notes()).unwrap().ca_pem(), None);
    let receiver = Receiver::start(options(1, true), notes()).unwrap();
    assert!(receiver.ca_pem().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
}

#[test]
fn threads_without_number_are_refused() {
    let error = Receiver::start(options(0, false), Arc::new(Notes::default())).err().unwrap();
    assert_eq!(error.to_string(), "0 threads; 1 to 256 are possible");
}
