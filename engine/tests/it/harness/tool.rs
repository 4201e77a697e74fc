//! Programs of others that the binary is held against. Where one is missing its test is skipped, and says so;
//! with `POSTHASTE_REQUIRE_ALL=1` that is a failure.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::wait::{PATIENCE, wait_up_to};

/// Whether nothing may be skipped.
fn is_all_required() -> bool {
    std::env::var_os("POSTHASTE_REQUIRE_ALL").is_some_and(|value| value == "1")
}

/// Says that a test is skipped and why. Panics where nothing may be skipped.
pub(crate) fn skip(why: &str) {
    assert!(!is_all_required(), "POSTHASTE_REQUIRE_ALL is set, and {why}");
    eprintln!("SKIPPED: {why}");
}

/// A program that was found.
pub(crate) struct Tool {
    path: PathBuf,
    /// Set in its environment.
    variables: Vec<(&'static str, OsString)>,
}

impl Tool {
    /// Looks for a program; `None`, after saying so, if it is not there.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        // Servers are installed where users do not always look.
        let folders = std::env::split_paths(&paths).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
        let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
        if found.is_none() {
            skip(&format!("{name} is not installed"));
        }
        found.map(Self::at)
    }

    fn at(path: PathBuf) -> Self {
        Self { path, variables: Vec::new() }
    }

    /// With this in its environment.
    pub(crate) fn with_variable(mut self, name: &'static str, value: OsString) -> Self {
        self.variables.push((name, value));
        self
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where Node.js finds its packages.
    pub(crate) fn modules(&self) -> &Path {
        let modules = self.variables.iter().find(|(name, _)| *name == "NODE_PATH");
        modules.map_or(Path::new(""), |(_, path)| Path::new(path))
    }

    /// The command that runs it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it with these arguments, without holding up the test's receivers. What it printed, if it succeeded.
    pub(crate) async fn run<A: Into<OsString>>(&self, arguments: impl IntoIterator<Item = A>) -> String {
        let mut command = self.command();
        command.args(arguments.into_iter().map(Into::into));
        self.run_command(command, PATIENCE).await
    }

    /// As [`Self::run`], for a command of this tool that may take so long.
    pub(crate) async fn run_command(&self, mut command: Command, patience: Duration) -> String {
        command.stdin(Stdio::null());
        let (mut out, mut errors) = (temporary(), temporary());
        command.stdout(out.try_clone().expect("a file")).stderr(errors.try_clone().expect("a file"));
        let shown = format!("{command:?}");
        let mut child = Killed(command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}")));
        let look = async || child.0.try_wait().expect("a child of ours");
        let status = wait_up_to(patience, &shown, look).await;
        let (out, errors) = (content(&mut out), content(&mut errors));
        assert!(status.success(), "{shown} ended with {status}:\n{out}\n{errors}");
        out
    }

    /// Runs a script that lies beside the tests.
    pub(crate) async fn script<const N: usize>(&self, name: &str, arguments: [String; N]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/counterparts").join(name);
        let script = script.into_os_string();
        self.run(std::iter::once(script).chain(arguments.into_iter().map(Into::into))).await
    }
}

/// A child that does not outlive its test.
pub(crate) struct Killed(pub(crate) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn temporary() -> File {
    tempfile::tempfile().expect("a temporary file")
}

fn content(file: &mut File) -> String {
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).expect("text");
    text
}

/// Python: `$POSTHASTE_PYTHON`, or `python3`.
fn python() -> Option<Tool> {
    match std::env::var_os("POSTHASTE_PYTHON") {
        Some(path) => Some(Tool::at(path.into())),
        None => Tool::find("python3"),
    }
}

/// Python that has this package.
pub(crate) fn python_with(package: &str) -> Option<Tool> {
    let python = python()?;
    let has = python.command().args(["-c", &format!("import {package}")]).output();
    if has.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    skip(&format!("python has no package '{package}'"));
    None
}

/// Node.js with this package, from `$POSTHASTE_NODE_MODULES` or where CI puts it.
pub(crate) fn node_with(package: &str) -> Option<Tool> {
    let mut node = Tool::find("node")?;
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/counterparts/node/node_modules");
    let modules = std::env::var_os("POSTHASTE_NODE_MODULES").map_or_else(beside, PathBuf::from);
    node.variables.push(("NODE_PATH", modules.into_os_string()));
    let has = node.command().args(["-e", &format!("require('{package}')")]).output();
    if has.is_ok_and(|output| output.status.success()) {
        return Some(node);
    }
    skip(&format!("node has no package '{package}' (POSTHASTE_NODE_MODULES)"));
    None
}
