//! The binary, as a process.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use parking_lot::RwLock;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Answer, Wire};

/// The binary with these arguments.
pub(crate) fn binary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste-loadtest"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Held by whatever runs; by one that judges times, alone.
static MACHINE: RwLock<()> = RwLock::new(());

/// Runs it to its end: status, standard output, standard error.
pub(crate) fn run(arguments: &[&str]) -> (ExitStatus, String, String) {
    let _beside_others = MACHINE.read();
    run_to_its_end(arguments)
}

/// As [`run`], while no other of these tests runs it.
pub(crate) fn run_alone(arguments: &[&str]) -> (ExitStatus, String, String) {
    let _alone = MACHINE.write();
    run_to_its_end(arguments)
}

fn run_to_its_end(arguments: &[&str]) -> (ExitStatus, String, String) {
    let output = binary(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status, text(output.stdout), text(output.stderr))
}

/// What it says on standard error when it refuses to start, which it does with exit status 2 and one sentence.
pub(crate) fn refusal(arguments: &[&str]) -> String {
    let (status, stdout, stderr) = run(arguments);
    assert_eq!((status.code(), stdout.as_str()), (Some(2), ""), "{arguments:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    stderr.trim_end().to_owned()
}

/// A receiver at ports of its own, ended with the test.
pub(crate) struct Receiver {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) first_line: String,
}

impl Receiver {
    /// At one port, and in JSON.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(&[&["--listen", "127.0.0.1:0", "--json"], arguments].concat())
    }

    /// With these arguments and no others. Returns once it listens.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let mut command = binary(&["receiver"]);
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut first_line = String::new();
        stdout.read_line(&mut first_line).unwrap();
        Self { child, stdout, first_line }
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let line: Value = serde_json::from_str(&self.first_line).unwrap();
        let texts = line["listening"].as_array().unwrap().iter();
        texts.map(|text| text.as_str().unwrap().parse().unwrap()).collect()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses()[0]
    }

    /// A new connection to it.
    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.address())
    }

    /// Sends one request over a connection of its own.
    pub(crate) fn exchange(&self, request: impl AsRef<[u8]>) -> Answer {
        self.connect().exchange(request)
    }

    /// What `GET /stats` answers.
    pub(crate) fn stats(&self) -> Value {
        let answer = self.exchange("GET /stats HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(answer.status, 200);
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Ends it with a signal; what it has said since the first line.
    pub(crate) fn end(mut self, signal: Signal) -> (ExitStatus, String) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
