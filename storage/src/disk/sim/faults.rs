//! What is to go wrong, and when.

use std::io;

/// Operations that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Opening or creating a file.
    Open,
    /// Reading.
    Read,
    /// Writing; half of the bytes are written before the error.
    Write,
    /// Syncing a file or a folder; what a file's sync should have saved is never saved.
    Sync,
    /// Cutting a file.
    Truncate,
    /// Removing a file.
    Remove,
}

const OPERATIONS: usize = 6;

/// What a power cut leaves of that which was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Nothing.
    LoseUnsynced,
    /// Everything, as when only the process dies.
    KeepUnsynced,
    /// Some sectors of 512 bytes and some names, chosen by this seed.
    KeepSome(u64),
}

impl Crash {
    pub(super) fn seed(self) -> u64 {
        if let Self::KeepSome(seed) = self { seed } else { 0 }
    }

    /// Whether the thing for which `random` was drawn survives.
    pub(super) fn keeps(self, random: u64) -> bool {
        match self {
            Self::LoseUnsynced => false,
            Self::KeepUnsynced => true,
            Self::KeepSome(_) => random & 1 == 1,
        }
    }
}

/// The faults that wait for their operation.
#[derive(Default)]
pub(super) struct Faults {
    waiting: [Option<Fault>; OPERATIONS],
    /// Operations until the power goes off; none: it stays on.
    power_left: Option<u64>,
}

struct Fault {
    /// Operations of the kind that still succeed, plus one.
    countdown: u64,
    error: Asked,
}

/// The error that was asked for.
pub(super) enum Asked {
    Kind(io::ErrorKind),
    /// As the operating system numbers it.
    Code(i32),
}

impl From<Asked> for io::Error {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::Kind(kind) => Self::new(kind, "a fault that was asked for"),
            Asked::Code(code) => Self::from_raw_os_error(code),
        }
    }
}

impl Faults {
    pub(super) fn arm(&mut self, operation: Operation, nth: u64, error: Asked) {
        self.waiting[operation as usize] = Some(Fault { countdown: nth.max(1), error });
    }

    pub(super) fn cut_power_after(&mut self, operations: u64) {
        self.power_left = Some(operations);
    }

    /// Whether the power is off: nothing happens any more, not even a part of it.
    pub(super) fn is_off(&self) -> bool {
        self.power_left == Some(0)
    }

    /// Counts one operation; an error when its time has come.
    pub(super) fn check(&mut self, operation: Operation) -> io::Result<()> {
        if self.is_off() {
            return Err(io::Error::other("the power is off"));
        }
        self.power_left = self.power_left.map(|left| left - 1);
        let waiting = &mut self.waiting[operation as usize];
        let Some(fault) = waiting else { return Ok(()) };
        fault.countdown -= 1;
        if fault.countdown > 0 {
            return Ok(());
        }
        let error = waiting.take().map(|fault| fault.error.into());
        error.map_or(Ok(()), Err)
    }
}
