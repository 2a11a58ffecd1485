//! Being asked to stop: once by a signal, twice to abort.
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

/// A signal this soon after the first one is the same request: some senders tell the process and then its group.
const SAME_REQUEST: Duration = Duration::from_millis(100);

/// Tells whether the process has been asked to stop. Clones share one state.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<watch::Sender<bool>>);

impl Default for Shutdown {
    /// A shutdown that nobody has requested, bound to no signal.
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Shutdown {
    /// Waits until a shutdown is requested; at once if it already is.
    pub async fn requested(&self) {
        // An error would mean that the sender is gone, which `self` keeps.
        let _ = self.0.subscribe().wait_for(|requested| *requested).await;
    }

    /// Whether a shutdown has been requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Requests a shutdown, as a signal does.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Requests a shutdown on the first SIGTERM or SIGINT; the second one ends the process at once with 128 + its number.
    /// [`crate::run`] does this for services.
    ///
    /// # Errors
    /// When the system does not let a signal be listened to.
    pub fn listen(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            let (name, _) = next(&mut terminate, &mut interrupt).await;
            info!(signal = name, "stopping");
            shutdown.request();
            tokio::time::sleep(SAME_REQUEST).await;
            let _ = tokio::time::timeout(Duration::ZERO, next(&mut terminate, &mut interrupt)).await;
            let (name, code) = next(&mut terminate, &mut interrupt).await;
            warn!(signal = name, "second signal: aborted, nothing is flushed");
            std::process::exit(code);
        });
        Ok(())
    }
}

/// The next signal's name, and the exit code of a process that it ends.
async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> (&'static str, i32) {
    tokio::select! {
        _ = terminate.recv() => ("SIGTERM", 143),
        _ = interrupt.recv() => ("SIGINT", 130),
    }
}
