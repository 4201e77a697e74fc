//! The process: started, listened to, and ended by its own handle.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::wait::{wait_for, wait_until};

/// A process. It is killed when this is dropped.
pub(crate) struct Posthaste {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    listening: JoinHandle<()>,
    addresses: Option<Addresses>,
}

/// Where it listens.
#[derive(Debug, Clone, Copy)]
struct Addresses {
    tcp: SocketAddr,
    http: SocketAddr,
    tcp_tls: Option<SocketAddr>,
    http_tls: Option<SocketAddr>,
}

/// The binary under test, without what the environment of the tests might set.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste"));
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"POSTHASTE_") {
            command.env_remove(name);
        }
    }
    command
}

impl Posthaste {
    /// Runs a command of the binary, and listens to it.
    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let written = log.clone();
        let listening = std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| written.lock().push(line));
        });
        Self { child, log, listening, addresses: None }
    }

    /// Waits until producers can connect.
    pub(crate) async fn accepting(mut self) -> Self {
        let addresses = wait_for("the process to accept", || {
            let ended = self.child.try_wait().expect("a child of ours");
            assert!(ended.is_none(), "the process ended ({ended:?}) and said:\n{}", self.log());
            self.log.lock().iter().find_map(|line| addresses(line))
        });
        self.addresses = Some(addresses.await);
        self
    }

    /// Where producers publish.
    pub(crate) fn tcp(&self) -> SocketAddr {
        self.addresses.expect("it accepts").tcp
    }

    /// Where the API is.
    pub(crate) fn http(&self) -> SocketAddr {
        self.addresses.expect("it accepts").http
    }

    /// Where producers publish over TLS.
    pub(crate) fn tcp_tls(&self) -> SocketAddr {
        self.addresses.and_then(|addresses| addresses.tcp_tls).expect("it accepts there")
    }

    /// Where the API is over TLS.
    pub(crate) fn http_tls(&self) -> SocketAddr {
        self.addresses.and_then(|addresses| addresses.http_tls).expect("it accepts there")
    }

    /// What it has written to standard error.
    pub(crate) fn log(&self) -> String {
        self.log.lock().join("\n")
    }

    /// How many lines of the log have this in them.
    pub(crate) fn log_lines_with(&self, text: &str) -> usize {
        self.log.lock().iter().filter(|line| line.contains(text)).count()
    }

    /// Waits until the log has a line with this in it.
    pub(crate) async fn says(&self, text: &str) {
        wait_until(&format!("the log to say '{text}'"), || self.log_lines_with(text) > 0).await;
    }

    /// `kill -9`. Nothing of it runs any more afterwards.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and waits until it has ended.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        self.terminate();
        self.ended().await
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Any signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child of ours");
    }

    /// Waits until it has ended, and all that it said is in the log.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let status = wait_for("the process to end", || self.child.try_wait().expect("a child of ours")).await;
        wait_until("the end of its log", || self.listening.is_finished()).await;
        status
    }

    /// Waits until it has ended because it refuses to start, and returns the line that says why.
    pub(crate) async fn refusal(mut self) -> String {
        let status = self.ended().await;
        let said = self.log();
        assert_eq!(status.code(), Some(1), "it said:\n{said}");
        let line = said.lines().find_map(|line| line.strip_prefix("posthaste: "));
        line.unwrap_or_else(|| panic!("no refusal in:\n{said}")).to_owned()
    }
}

impl Drop for Posthaste {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the process said:\n{}\n---", self.log());
        }
    }
}

/// The addresses, if this is the line that tells them.
fn addresses(line: &str) -> Option<Addresses> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = &line["fields"];
    let address = |name: &str| fields[name].as_str()?.parse().ok();
    (fields["message"] == "accepting").then_some(())?;
    Some(Addresses {
        tcp: address("tcp")?,
        http: address("http")?,
        tcp_tls: address("tcp_tls"),
        http_tls: address("http_tls"),
    })
}
