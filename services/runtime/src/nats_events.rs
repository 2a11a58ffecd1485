//! Says what happens to the connection to NATS, without filling the log.
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use async_nats::{Event, ServerError};
use tracing::{error, info, warn};

use crate::seldom::Seldom;

/// Listens to one connection's events.
pub(crate) struct Listener {
    seldom: Seldom,
    connected_before: AtomicBool,
}

impl Listener {
    pub(crate) fn new() -> Self {
        Self { seldom: Seldom::every(Duration::from_secs(10)), connected_before: AtomicBool::new(false) }
    }

    /// Logs the event, if the same has not been said just before.
    pub(crate) fn hear(&self, event: &Event) {
        if *event == Event::Connected && !self.connected_before.swap(true, Relaxed) {
            // Said by whoever connects, with more to say about it.
            return;
        }
        let text = event.to_string();
        let Some(repeated) = self.seldom.may_say(&text, Instant::now()) else { return };
        let repeated = (repeated > 0).then_some(repeated);
        match event {
            Event::Connected => info!(repeated, "connection to NATS is back"),
            Event::Disconnected => warn!(repeated, "connection to NATS is lost, reconnecting"),
            Event::ServerError(ServerError::Other(message)) => {
                if let Some((operation, subject)) = violation(message) {
                    error!(operation, subject, repeated, "NATS does not permit this");
                } else {
                    warn!(why = message, repeated, "NATS reported an error");
                }
            }
            Event::ServerError(ServerError::AuthorizationViolation) => error!(repeated, "NATS no longer accepts our credentials"),
            Event::ServerError(ServerError::SlowConsumer(_)) | Event::SlowConsumer(_) => {
                warn!(repeated, "messages were dropped: {text}");
            }
            Event::ClientError(problem) => warn!(%problem, repeated, "NATS is not reachable"),
            Event::LameDuckMode => info!("this NATS server is about to stop, the connection will move"),
            Event::Draining | Event::Closed => {}
        }
    }
}

/// The operation and the subject that the server named when it refused one: `Permissions Violation for Publish to "yard.x"`.
fn violation(message: &str) -> Option<(&str, &str)> {
    const PREFIX: &str = "permissions violation for ";
    let rest = message.get(..PREFIX.len()).filter(|start| start.eq_ignore_ascii_case(PREFIX)).and(message.get(PREFIX.len()..))?;
    let (operation, subject) = rest.split_once(" to ")?;
    Some((operation, subject.trim_matches('"')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_violation_names_operation_and_subject() {
        assert_eq!(violation("Permissions Violation for Publish to \"yard.x\""), Some(("Publish", "yard.x")));
        assert_eq!(violation("permissions violation for subscription to \"ci.>\""), Some(("subscription", "ci.>")));
        assert_eq!(violation("maximum connections exceeded"), None);
    }
}
