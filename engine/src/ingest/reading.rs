//! How it stands with reading what a client sends: a client that waits for outcomes may say more meanwhile, or leave.
//!
//! The half of the connection that reads says so, the half that answers listens: a wait that nobody could see the end of
//! is given up.

use std::pin::pin;

use tokio::sync::watch;

/// What the reading half is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// It reads, or would if there were something.
    Work,
    /// So much waits to be answered that it reads no further: it would not see the client leave.
    HeldUp,
    /// It has read the last of it. The client may be gone, or has only said its last word.
    End,
}

/// The end of the reading half.
pub(super) struct Reading(watch::Sender<At>);

/// The end of the answering half.
#[derive(Clone)]
pub(super) struct StillReading(watch::Receiver<At>);

/// The two ends.
pub(super) fn reading() -> (Reading, StillReading) {
    let (says, hears) = watch::channel(At::Work);
    (Reading(says), StillReading(hears))
}

impl Reading {
    /// Waits for room among the answers.
    pub(super) async fn held_up<T>(&self, room: impl Future<Output = T>) -> T {
        let mut room = pin!(room);
        tokio::select! {
            biased;
            taken = &mut room => return taken,
            () = std::future::ready(()) => {}
        }
        self.0.send_replace(At::HeldUp);
        let taken = room.await;
        self.0.send_replace(At::Work);
        taken
    }

    /// Nothing more is read.
    pub(super) fn ends(&self) {
        self.0.send_replace(At::End);
    }
}

impl StillReading {
    /// Waits until nothing is read for now, or any more.
    pub(super) async fn pauses(&mut self) {
        // A reading half that is gone has read the last of it.
        let _ = self.0.wait_for(|at| *at != At::Work).await;
    }
}
