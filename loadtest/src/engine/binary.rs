//! Which binary is the engine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

const NAME: &str = "posthaste";

/// The one that was named, or the one beside this program. Under cargo that one is built first, so that one
/// command on a fresh clone is enough, and an old engine is not measured by mistake.
pub(crate) fn find(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        ensure!(path.is_file(), "--engine-binary {}: there is no such file", path.display());
        return Ok(path.to_owned());
    }
    let beside = std::env::current_exe().context("where this program lies")?.with_file_name(NAME);
    if let Some(cargo) = std::env::var_os("CARGO") {
        return build(&cargo, beside);
    }
    ensure!(
        beside.is_file(),
        "{} is not there: build it with 'cargo build --release -p posthaste', or name one with --engine-binary",
        beside.display()
    );
    Ok(beside)
}

fn build(cargo: &std::ffi::OsStr, beside: PathBuf) -> anyhow::Result<PathBuf> {
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "-p", NAME, "--locked"]).stdout(Stdio::null());
    // What is beside a debug build is a debug build; figures are always those of the release build.
    let built = beside.parent().and_then(Path::parent).map(|target| target.join("release").join(NAME));
    let status = command.status().context("cargo build --release -p posthaste")?;
    ensure!(status.success(), "cargo build --release -p posthaste --locked ended with {status}");
    built.filter(|path| path.is_file()).with_context(|| {
        format!("cargo built the engine, but not beside {}: name it with --engine-binary", beside.display())
    })
}
