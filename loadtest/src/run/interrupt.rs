//! Ctrl-C: the first one ends publishing, and what was measured is shown; the second one ends the program.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::engine;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// What a program ended by Ctrl-C ends with.
const STATUS: i32 = 130;

/// Whether somebody wants it to end.
pub(crate) fn is_requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Listens from now on.
pub(crate) fn listen() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("signals")?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            either(&mut interrupt, &mut terminate).await;
            REQUESTED.store(true, Ordering::Relaxed);
            either(&mut interrupt, &mut terminate).await;
        });
        engine::kill_all();
        std::process::exit(STATUS);
    })?;
    Ok(())
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
