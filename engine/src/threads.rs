//! Threads that the engine cannot do without: if one of them panics, the process ends.
//!
//! Without its writer, its keeper or one of its shards the engine would go on listening, and store or deliver
//! nothing. A process that ends is started again by whoever watches it, and recovers.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread. A panic in it ends the process, after the message about it was printed.
pub(crate) fn spawn<T: Send + 'static>(
    name: impl Into<String>,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.into()).spawn(|| {
        let _ends_with_it = AbortOnPanic;
        run()
    })
}

struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a thread that the engine cannot do without panicked: the process ends");
            std::process::abort();
        }
    }
}
