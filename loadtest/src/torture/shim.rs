//! Shims: small libraries in C that are preloaded into the engine and stand between it and the system.
//!
//! They are compiled when they are needed, by the C compiler of the machine. How they are told what to do is in their
//! heads (`faults.c`, `clock.c`): variables, and a file that both sides have in memory.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::volume::{is_there, run};

/// A shim that was compiled, and the file that is shared with it.
pub(super) struct Shim {
    library: PathBuf,
    page: PathBuf,
    file: File,
}

/// Bytes of the shared file: two numbers.
const PAGE_BYTES: u64 = 16;

impl Shim {
    /// Why there can be none here; `None` if there can.
    pub(super) fn missing() -> Option<String> {
        (!is_there("cc")).then(|| "cc is not installed".to_owned())
    }

    /// Compiles this source below a folder.
    pub(super) fn compile(folder: &Path, name: &str, source: &str) -> anyhow::Result<Self> {
        let (code, library) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")));
        let page = folder.join(format!("{name}.page"));
        std::fs::write(&code, source).with_context(|| format!("{}", code.display()))?;
        run(Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(&code).arg("-ldl"))?;
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&page)?;
        file.set_len(PAGE_BYTES)?;
        Ok(Self { library, page, file })
    }

    /// The variables that put it into a process.
    pub(super) fn variables(&self) -> Vec<(&'static str, OsString)> {
        vec![("LD_PRELOAD", self.library.clone().into()), ("TORTURE_PAGE", self.page.clone().into())]
    }

    /// Writes one of the two numbers.
    pub(super) fn set(&self, place: usize, number: i64) -> anyhow::Result<()> {
        Ok(self.file.write_all_at(&number.to_ne_bytes(), 8 * place as u64)?)
    }

    /// Reads one of the two numbers.
    pub(super) fn get(&self, place: usize) -> anyhow::Result<i64> {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, 8 * place as u64)?;
        Ok(i64::from_ne_bytes(bytes))
    }
}
