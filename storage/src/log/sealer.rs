//! Writes the index files of closed segments, away from the writer: a segment changes without a pause.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::files::FileKind;
use super::limits::UNSEALED_MAX;
use super::segment::{Segment, Shared};

/// Where closed segments go.
pub(super) enum Sealer {
    /// To a thread of their own.
    Thread { queue: SyncSender<Arc<Segment>>, thread: JoinHandle<()> },
    /// Nowhere: they are sealed on the spot. For simulations, where one thread does everything.
    Inline,
}

impl Sealer {
    pub(super) fn spawn(shared: Arc<Shared>) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(UNSEALED_MAX);
        let thread =
            std::thread::Builder::new().name("log-sealer".into()).spawn(move || run(&shared, &jobs))?;
        Ok(Self::Thread { queue, thread })
    }

    pub(super) fn seal(&self, shared: &Shared, segment: Arc<Segment>) {
        match self {
            // The thread ends only with the queue.
            Self::Thread { queue, .. } => _ = queue.send(segment),
            Self::Inline => seal(shared, &segment),
        }
    }

    /// Waits until everything that was handed over is sealed.
    pub(super) fn finish(self) {
        if let Self::Thread { queue, thread } = self {
            drop(queue);
            if thread.join().is_err() {
                tracing::error!("the log's sealer panicked; index files are made again at the next start");
            }
        }
    }
}

fn run(shared: &Shared, jobs: &Receiver<Arc<Segment>>) {
    for segment in jobs {
        seal(shared, &segment);
    }
}

/// Seals one segment. A failure costs memory until the next start, and nothing else.
pub(super) fn seal(shared: &Shared, segment: &Segment) {
    let number = segment.number();
    if segment.is_unlinked() {
        return;
    }
    if let Err(error) = segment.seal(&shared.files) {
        tracing::warn!(segment = number, %error, "no index file for a closed segment; its index stays in memory");
        // What was written of it would be found out, but not before the next start.
        _ = shared.files.remove(number, FileKind::Index);
    }
    // Unlinked meanwhile: the file would be in nobody's way, but nobody would remove it before the next start.
    if segment.is_unlinked() {
        _ = shared.files.remove(number, FileKind::Index);
    }
}
