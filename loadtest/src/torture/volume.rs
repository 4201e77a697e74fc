//! Volumes that may be lost: a file system in a file, mounted over a loop device, whose power can be cut; and a small one
//! in memory, which can be filled.
//!
//! The cut is `FS_IOC_SHUTDOWN` without a flush of the journal: from that instant the file system does nothing for
//! anybody, and what it had not written to the device is gone. What the device had is what the next mount finds.
//!
//! Both need root. Neither outlives its owner.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

/// Large enough for every file system that is tried, and sparse.
const VOLUME_BYTES: u64 = 768 << 20;
/// The one call that no tool makes for all file systems, in the one language that everybody's kernel headers speak.
const CUT: &str = include_str!("cut.c");

/// A file system in a file.
pub(super) struct Volume {
    image: PathBuf,
    mountpoint: PathBuf,
    cut: PathBuf,
    mounted: bool,
}

impl Volume {
    /// Why there can be no volume of this kind here; `None` if there can.
    pub(super) fn missing(file_system: &str) -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("only root may mount".to_owned());
        }
        let maker = format!("mkfs.{file_system}");
        ["cc", "mount", "umount", &maker]
            .into_iter()
            .find(|tool| !is_there(tool))
            .map(|tool| format!("{tool} is not installed"))
    }

    /// Makes one below this folder, and mounts it.
    pub(super) fn make(folder: &Path, file_system: &str) -> anyhow::Result<Self> {
        let (image, mountpoint, cut) = (folder.join("volume"), folder.join("mounted"), folder.join("cut"));
        File::create_new(&image).and_then(|file| file.set_len(VOLUME_BYTES)).context("the volume")?;
        std::fs::create_dir(&mountpoint).context("the mountpoint")?;
        let source = folder.join("cut.c");
        std::fs::write(&source, CUT)?;
        run(Command::new("cc").arg("-O1").arg("-o").arg(&cut).arg(&source))?;
        let quiet = if file_system == "ext4" { "-q" } else { "-f" };
        run(Command::new(format!("mkfs.{file_system}")).arg(quiet).arg(&image))?;
        let mut volume = Self { image, mountpoint, cut, mounted: false };
        volume.mount()?;
        Ok(volume)
    }

    pub(super) fn path(&self) -> &Path {
        &self.mountpoint
    }

    /// The power goes off.
    pub(super) fn cut(&self) -> anyhow::Result<()> {
        run(Command::new(&self.cut).arg(&self.mountpoint))
    }

    /// The power comes back: what the device has is mounted again. Nobody may use the volume any more.
    pub(super) fn restore(&mut self) -> anyhow::Result<()> {
        self.unmount()?;
        self.mount()?;
        // A machine that lost its power comes back in another boot, and files that sled had open are not believed then.
        // This one has not: the markers that name its boot go.
        for part in ["ledger", "catalog"] {
            match std::fs::remove_file(self.mountpoint.join("data").join(format!("{part}.trust"))) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn mount(&mut self) -> anyhow::Result<()> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mountpoint))?;
        self.mounted = true;
        Ok(())
    }

    fn unmount(&mut self) -> anyhow::Result<()> {
        if std::mem::take(&mut self.mounted) {
            run(Command::new("umount").arg(&self.mountpoint))?;
        }
        Ok(())
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if let Err(error) = self.unmount() {
            crate::report::complain(&error);
        }
    }
}

/// A small file system in memory.
pub(super) struct Small(PathBuf);

impl Small {
    /// Why there can be none here; `None` if there can.
    pub(super) fn missing() -> Option<String> {
        (!rustix::process::geteuid().is_root()).then(|| "only root may mount".to_owned())
    }

    pub(super) fn mount(folder: &Path, bytes: u64) -> anyhow::Result<Self> {
        let mountpoint = folder.join("small");
        std::fs::create_dir(&mountpoint).context("the mountpoint")?;
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(&mountpoint))?;
        Ok(Self(mountpoint))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Fills it until only so many bytes are left, or none.
    pub(super) fn fill(&self, left: u64) -> anyhow::Result<()> {
        use std::io::Write as _;
        let mut file = File::create(self.filler())?;
        let block = vec![0; 16 << 10];
        while self.available()? > left + block.len() as u64 {
            if file.write_all(&block).is_err() {
                return Ok(());
            }
        }
        while left == 0 && file.write_all(&[0; 512]).is_ok() {}
        Ok(())
    }

    /// Makes room again.
    pub(super) fn free(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }

    pub(super) fn available(&self) -> anyhow::Result<u64> {
        let space = rustix::fs::statvfs(&self.0)?;
        Ok(space.f_bavail * space.f_frsize)
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("umount").arg("--lazy").arg(&self.0)) {
            crate::report::complain(&error);
        }
    }
}

/// Whether a program is installed.
pub(super) fn is_there(tool: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&paths).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(tool)).any(|path| path.is_file())
}

/// Runs a command to its end; an error with what it said if it fails.
pub(super) fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// A kind that cannot be tried here: said loudly, and a failure where nothing may be skipped.
pub(super) fn skip(kind: &str, why: &str) -> anyhow::Result<std::process::ExitCode> {
    if std::env::var_os("POSTHASTE_REQUIRE_ALL").is_some_and(|value| value == "1") {
        bail!("POSTHASTE_REQUIRE_ALL is set, and torture {kind} cannot be tried here: {why}");
    }
    let line = format!("SKIPPED torture {kind}: {why}");
    crate::report::complain(&anyhow::anyhow!(line.clone()));
    super::trial::say(&line)?;
    Ok(std::process::ExitCode::SUCCESS)
}
