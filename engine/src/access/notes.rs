//! What is written down of those who come in, and of those who are turned away: now and then, for all together.
//!
//! | what | when | where |
//! |---|---|---|
//! | a key is used for the first time | a second later | its entry, and the audit log |
//! | it is used again | every ten minutes, and at the end | its entry |
//! | somebody was turned away | every minute | the audit log, summed up |
//!
//! So neither use nor guessing costs a write each. What a crash takes away is at most ten minutes of "last used".

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Access;
use crate::catalog::{CatalogError, Editor};

/// First uses of several keys are written together.
const FIRST_USE_WAIT: Duration = Duration::from_secs(1);
/// How often it is written who was turned away.
const REFUSALS_EVERY: Duration = Duration::from_secs(60);
/// How often it is written when keys were last used.
const USES_EVERY: Duration = Duration::from_secs(600);

/// Writes until told to stop, and what is left then.
pub(crate) async fn keep_notes(access: Arc<Access>, editor: Editor, mut stop: watch::Receiver<bool>) {
    let mut uses_at = Instant::now() + USES_EVERY;
    let mut every_minute = tokio::time::interval_at(Instant::now() + REFUSALS_EVERY, REFUSALS_EVERY);
    loop {
        let written = tokio::select! {
            () = first_use(&access) => write_uses(&access, &editor, true).await,
            // And first uses whose wait was broken off by this.
            _ = every_minute.tick() => {
                let uses = write_uses(&access, &editor, true).await;
                write_refusals(&access, &editor).await.and(uses)
            }
            () = tokio::time::sleep_until(uses_at) => {
                uses_at = Instant::now() + USES_EVERY;
                write_uses(&access, &editor, false).await
            }
            () = stopped(&mut stop) => {
                // What cannot be written any more is known to the next start as it was before.
                let _ = write_notes(&access, &editor).await;
                return;
            }
        };
        if let Err(error) = written {
            tracing::warn!(%error, "it could not be written down who used keys or was turned away");
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An engine that is gone has stopped too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Writes all that is not written down yet.
///
/// # Errors
/// When it did not become durable. Uses are written the next time; who was turned away is forgotten.
pub(crate) async fn write_notes(access: &Access, editor: &Editor) -> Result<(), CatalogError> {
    write_uses(access, editor, false).await?;
    write_refusals(access, editor).await
}

async fn first_use(access: &Access) {
    access.made().first_used().await;
    tokio::time::sleep(FIRST_USE_WAIT).await;
}

async fn write_uses(access: &Access, editor: &Editor, first_alone: bool) -> Result<(), CatalogError> {
    editor.write_key_uses(&access.made().uses(first_alone)).await
}

async fn write_refusals(access: &Access, editor: &Editor) -> Result<(), CatalogError> {
    let refused = access.refusals.take();
    if refused.is_empty() {
        return Ok(());
    }
    let refused = refused.into_iter().map(|one| (one.door.name(), one.address, one.count));
    editor.record_refusals(refused).await
}
