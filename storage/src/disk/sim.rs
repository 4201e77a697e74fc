//! A disk in memory that breaks when told to: the worst that a real disk is allowed to do, on demand.
//!
//! A file has two contents: what readers see, and what a power cut would leave. A sync carries the writes
//! since the last sync from the first to the second; a crash throws away those that were not carried, all
//! of them or some sectors, as the [`Crash`] says. Names in folders work the same way, with their own sync.
//! A sync that fails forgets the writes it should have carried: readers still see them, no later sync
//! saves them. That is what Linux does, and what a log that retries a failed sync dies of.
//!
//! Invariants
//! - The same calls with the same seeds give the same answers.
//! - After a crash, every file opened before it answers with errors only.

mod faults;
mod inode;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use self::faults::{Asked, Faults};
pub use self::faults::{Crash, Operation};
use self::inode::Inode;
use super::{Disk, DiskFile};
use crate::checksum::mix;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    /// Names as processes see them.
    names: BTreeMap<PathBuf, usize>,
    /// Names as a power cut would leave them.
    durable_names: BTreeMap<PathBuf, usize>,
    /// Bytes that fit; `None`: as many as memory holds.
    capacity: Option<u64>,
    faults: Faults,
    /// Endings of files of which a failed sync forgot something since the last crash.
    forgotten: BTreeSet<String>,
    /// Counts crashes, so that files opened before one can be told from those opened after.
    life: u64,
}

impl SimDisk {
    /// An empty disk without limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on all files together hold at most `bytes`; `None` lifts the limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    /// Makes the `nth` operation of this kind from now on (1 is the next one) fail with an error of this kind.
    /// One fault per operation waits at a time; a new one replaces it.
    pub fn fail(&self, operation: Operation, nth: u64, error: io::ErrorKind) {
        self.state.lock().faults.arm(operation, nth, Asked::Kind(error));
    }

    /// As [`Self::fail`], with an error as the operating system numbers it, such as `EMFILE`.
    pub fn fail_with_code(&self, operation: Operation, nth: u64, code: i32) {
        self.state.lock().faults.arm(operation, nth, Asked::Code(code));
    }

    /// Lets this many operations happen; from then on everything fails and changes nothing, until
    /// [`Self::crash`] says what is left. So a power cut can fall between any two operations.
    pub fn cut_power_after(&self, operations: u64) {
        self.state.lock().faults.cut_power_after(operations);
    }

    /// Bytes in all files together.
    pub fn used(&self) -> u64 {
        self.state.lock().used()
    }

    /// Whether the power has gone off.
    pub fn is_off(&self) -> bool {
        self.state.lock().faults.is_off()
    }

    /// Removes the faults that still wait.
    pub fn heal(&self) {
        self.state.lock().faults = Faults::default();
    }

    /// Cuts the power: what was not synced is lost as `crash` says; faults are removed.
    pub fn crash(&self, crash: Crash) {
        let mut state = self.state.lock();
        let mut seed = crash.seed();
        let mut keep = move || {
            seed = mix(seed);
            crash.keeps(seed)
        };
        for inode in &mut state.inodes {
            inode.crash(&mut keep);
        }
        let state = &mut *state;
        for (name, inode) in &state.names {
            if !state.durable_names.contains_key(name) && keep() {
                state.durable_names.insert(name.clone(), *inode);
            }
        }
        state.durable_names.retain(|name, _| state.names.contains_key(name) || !keep());
        state.names = state.durable_names.clone();
        state.faults = Faults::default();
        state.forgotten.clear();
        state.life += 1;
    }

    /// Whether a sync of a file with this ending failed since the last crash: what it should have saved is lost with the
    /// power, whatever later syncs say.
    pub fn has_forgotten(&self, ending: &str) -> bool {
        self.state.lock().forgotten.contains(ending)
    }

    /// The content of a file as readers see it.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state.lock();
        state.names.get(path).map(|inode| state.inodes[*inode].visible.clone())
    }

    /// Puts a file with this content, durable at once, in place of what was there: for tests that damage files.
    pub fn put(&self, path: &Path, content: Vec<u8>) {
        let mut state = self.state.lock();
        let inode = state.new_inode();
        state.inodes[inode] = Inode::durable(content);
        state.names.insert(path.to_owned(), inode);
        state.durable_names.insert(path.to_owned(), inode);
    }

    fn file(&self, inode: usize, life: u64) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { disk: self.clone(), inode, life })
    }
}

impl State {
    fn new_inode(&mut self) -> usize {
        self.inodes.push(Inode::default());
        self.inodes.len() - 1
    }

    fn used(&self) -> u64 {
        self.names.values().map(|inode| self.inodes[*inode].visible.len() as u64).sum()
    }

    fn found(&self, path: &Path) -> io::Result<usize> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("no file {}", path.display()));
        self.names.get(path).copied().ok_or_else(missing)
    }
}

impl Disk for SimDisk {
    fn create_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        let inside = state.names.keys().filter(|name| name.parent() == Some(folder));
        Ok(inside.filter_map(|name| Some(name.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.faults.check(Operation::Open)?;
        Ok(self.file(state.found(path)?, state.life))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.faults.check(Operation::Open)?;
        let inode = match state.names.get(path) {
            Some(inode) => *inode,
            None => state.new_inode(),
        };
        state.inodes[inode].truncate(0);
        state.names.insert(path.to_owned(), inode);
        Ok(self.file(inode, state.life))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.faults.check(Operation::Remove)?;
        state.found(path)?;
        state.names.remove(path);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let inode = state.found(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), inode);
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.faults.check(Operation::Sync)?;
        let state = &mut *state;
        let inside = |name: &PathBuf| name.parent() == Some(folder);
        state.durable_names.retain(|name, _| !inside(name));
        let named = state.names.iter().filter(|(name, _)| inside(name));
        state.durable_names.extend(named.map(|(name, inode)| (name.clone(), *inode)));
        Ok(())
    }

    fn available_bytes(&self, _: &Path) -> io::Result<u64> {
        let state = self.state.lock();
        Ok(state.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used())))
    }
}

struct SimFile {
    disk: SimDisk,
    inode: usize,
    life: u64,
}

impl SimFile {
    /// Runs `act` on the file's content, unless this operation is to fail or the power was cut since.
    fn act<T>(
        &self,
        operation: Operation,
        act: impl FnOnce(&mut State, io::Result<()>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.disk.state.lock();
        if state.life != self.life {
            return Err(io::Error::other("the file was opened before a power cut"));
        }
        let verdict = state.faults.check(operation);
        act(&mut state, verdict)
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.act(Operation::Write, |state, verdict| {
            let off = state.faults.is_off();
            let room = state.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used()));
            let inode = &mut state.inodes[self.inode];
            let growth = (offset + bytes.len() as u64).saturating_sub(inode.visible.len() as u64);
            // A write that fails has written a part: half where a fault was asked for, what fits where it is full.
            let (written, verdict) = match verdict {
                Err(error) if off => (0, Err(error)),
                Err(error) => (bytes.len() / 2, Err(error)),
                Ok(()) if growth > room => {
                    (bytes.len() - (growth - room) as usize, Err(io::ErrorKind::StorageFull.into()))
                }
                Ok(()) => (bytes.len(), Ok(())),
            };
            inode.write(offset as usize, &bytes[..written]);
            verdict
        })
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.act(Operation::Read, |state, verdict| {
            verdict?;
            let visible = &state.inodes[self.inode].visible;
            let from = (offset as usize).min(visible.len());
            let bytes = into.len().min(visible.len() - from);
            into[..bytes].copy_from_slice(&visible[from..from + bytes]);
            Ok(bytes)
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.act(Operation::Sync, |state, verdict| {
            let off = state.faults.is_off();
            let inode = &mut state.inodes[self.inode];
            match verdict {
                Ok(()) => inode.sync(),
                Err(_) if off => {}
                Err(_) => {
                    inode.forget_unsynced();
                    let names = state.names.iter().filter(|(_, inode)| **inode == self.inode);
                    let endings = names.filter_map(|(name, _)| Some(name.extension()?.to_str()?.to_owned()));
                    state.forgotten.extend(endings);
                }
            }
            verdict
        })
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.act(Operation::Truncate, |state, verdict| {
            verdict?;
            state.inodes[self.inode].truncate(bytes as usize);
            Ok(())
        })
    }

    fn bytes(&self) -> io::Result<u64> {
        let state = self.disk.state.lock();
        Ok(state.inodes[self.inode].visible.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(disk: &SimDisk, bytes: &[u8]) -> Arc<dyn DiskFile> {
        let file = disk.create(Path::new("/d/f")).unwrap();
        file.write_at(bytes, 0).unwrap();
        file
    }

    #[test]
    fn what_was_not_synced_is_lost_with_the_power() {
        let disk = SimDisk::new();
        let file = written(&disk, b"old");
        file.sync().unwrap();
        disk.sync_folder(Path::new("/d")).unwrap();
        file.write_at(b"new", 0).unwrap();
        disk.crash(Crash::LoseUnsynced);
        assert_eq!(disk.content(Path::new("/d/f")).unwrap(), b"old");
        assert!(file.sync().is_err(), "a file opened before the cut still works");
    }

    #[test]
    fn a_file_whose_folder_was_not_synced_is_lost_with_the_power() {
        let disk = SimDisk::new();
        written(&disk, b"x").sync().unwrap();
        disk.crash(Crash::LoseUnsynced);
        assert_eq!(disk.content(Path::new("/d/f")), None);
    }

    #[test]
    fn what_a_failed_sync_should_have_saved_is_saved_by_no_later_one() {
        let disk = SimDisk::new();
        let file = written(&disk, b"x");
        disk.sync_folder(Path::new("/d")).unwrap();
        disk.fail(Operation::Sync, 1, io::ErrorKind::Other);
        assert!(file.sync().is_err());
        file.sync().unwrap();
        assert_eq!(disk.content(Path::new("/d/f")).unwrap(), b"x");
        disk.crash(Crash::LoseUnsynced);
        assert_eq!(disk.content(Path::new("/d/f")).unwrap(), b"");
    }

    #[test]
    fn a_full_disk_takes_what_fits_and_then_says_so() {
        let disk = SimDisk::new();
        disk.set_capacity(Some(4));
        let file = disk.create(Path::new("/d/f")).unwrap();
        let error = file.write_at(b"123456", 0).unwrap_err();
        assert!(crate::disk::is_full(&error));
        assert_eq!(disk.content(Path::new("/d/f")).unwrap(), b"1234");
        assert_eq!(disk.available_bytes(Path::new("/d")).unwrap(), 0);
    }

    #[test]
    fn the_power_can_go_off_between_any_two_operations() {
        let disk = SimDisk::new();
        let file = written(&disk, b"x");
        disk.cut_power_after(1);
        file.sync().unwrap();
        assert!(file.write_at(b"y", 0).is_err() && file.read_at(&mut [0], 0).is_err());
        disk.crash(Crash::KeepUnsynced);
        assert_eq!(disk.content(Path::new("/d/f")).unwrap(), b"x");
    }
}
