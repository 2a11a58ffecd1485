//! What a reaper did or saw that no build asked for: a pod forced out, an executor that does not answer.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EmitError, Outgoing, SOURCE, routed::about};
use crate::{BuildKey, CdEvent, Request, caused_event_id, subject::yard};

/// A pod was forced out, because nothing else could make it go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildReaped {
    /// The build.
    pub build: BuildKey,
    /// Its attempt.
    pub attempt: u32,
    /// Where the pod was.
    pub executor: String,
    /// Its unique id.
    pub uid: String,
    /// Why it had to be forced.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

impl BuildReaped {
    /// The event's type.
    pub const TYPE: &str = "dev.cdeventsx.switchyard-build.reaped.0.1.0";

    /// The event, stored once.
    ///
    /// # Errors
    /// When the request holds what no event may hold.
    pub fn outgoing(&self, request: &Request) -> Result<Outgoing, EmitError> {
        let subject = yard(Self::TYPE, &[self.build.as_str(), &self.attempt.to_string()]);
        let event = about(Self::TYPE, request, &self.build, self.attempt, self.at).event(None, self)?;
        Ok(Outgoing { subject, event, once: true })
    }
}

/// Whether an executor answers has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutorHeard {
    /// Which executor.
    pub executor: String,
    /// What it answered, where it does not any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Since when it does not answer.
    pub since: Timestamp,
    /// When this was noticed.
    pub at: Timestamp,
}

impl ExecutorHeard {
    /// The event's type, where it does not answer.
    pub const UNREACHABLE: &str = "dev.cdeventsx.switchyard-executor.unreachable.0.1.0";
    /// The event's type, where it answers again.
    pub const REACHABLE: &str = "dev.cdeventsx.switchyard-executor.reachable.0.1.0";

    /// The event. Replicas notice by themselves, and each says so.
    ///
    /// # Errors
    /// When the executor's name cannot stand in an event.
    pub fn outgoing(&self) -> Result<Outgoing, EmitError> {
        let event_type = if self.error.is_some() { Self::UNREACHABLE } else { Self::REACHABLE };
        let id = caused_event_id(SOURCE, &self.at.to_string(), event_type, &self.executor);
        let event = CdEvent::new(event_type, &id, SOURCE, self.at, &self.executor).custom_data(self)?.to_cloudevent()?;
        Ok(Outgoing { subject: yard(event_type, &[&self.executor]), event, once: false })
    }
}
