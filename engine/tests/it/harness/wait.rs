//! Waiting for something to become true, up to a deadline.

use std::time::{Duration, Instant};

/// Hardly anything here takes this long, even on a machine with other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks until there is something to see, and returns it.
pub(crate) async fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    wait_for_async(what, async || look()).await
}

/// Looks until it is so.
pub(crate) async fn wait_until(what: &str, mut look: impl FnMut() -> bool) {
    wait_for(what, || look().then_some(())).await;
}

/// As [`wait_for`], where looking takes a request.
pub(crate) async fn wait_for_async<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    wait_up_to(PATIENCE, what, look).await
}

/// As [`wait_for_async`], for what may take this long.
pub(crate) async fn wait_up_to<T>(
    patience: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(began.elapsed() < patience, "waited {patience:?} for {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
