//! What happens between a route and an end: a pod is bound, and it runs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{About, EmitError, Outgoing, ended::Family, routed::about};
use crate::{BuildKey, Record, Request, attempt_event_id, subject::yard};

/// The pod of an attempt is bound and may run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildLaunched {
    /// The build.
    pub build: BuildKey,
    /// Its attempt.
    pub attempt: u32,
    /// Where it runs.
    pub executor: String,
    /// The pod's unique id.
    pub uid: String,
    /// When it was bound.
    pub at: Timestamp,
}

impl BuildLaunched {
    /// The event's type.
    pub const TYPE: &str = "dev.cdeventsx.switchyard-build.launched.0.1.0";

    /// The event, stored once.
    ///
    /// # Errors
    /// When the request holds what no event may hold.
    pub fn outgoing(&self, request: &Request) -> Result<Outgoing, EmitError> {
        let subject = yard(Self::TYPE, &[&self.executor, self.build.as_str(), &self.attempt.to_string()]);
        let event = about(Self::TYPE, request, &self.build, self.attempt, self.at).event(None, self)?;
        Ok(Outgoing { subject, event, once: true })
    }
}

/// The pod of an attempt runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildStarted {
    /// The build.
    pub build: BuildKey,
    /// Its attempt.
    pub attempt: u32,
    /// Where it runs.
    pub executor: String,
    /// The pod's unique id.
    pub uid: String,
    /// Since when.
    pub at: Timestamp,
    /// Where people read what it says, if the fleet file tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

impl BuildStarted {
    /// The event, in the family of the build's request, stored once.
    ///
    /// # Errors
    /// When the request holds what no event may hold.
    pub fn outgoing(&self, record: &Record) -> Result<Outgoing, EmitError> {
        let request = &record.request;
        let family = Family::of(request);
        let event_type = family.event_type("started");
        let id = attempt_event_id(&request.source, &request.id, &event_type, &self.build, self.attempt);
        let about = About {
            event_type: &event_type,
            id,
            at: self.at,
            subject_id: &request.subject,
            subject_source: Some(request.subject_source()),
            request,
        };
        let subject = yard(&event_type, &[self.build.as_str(), &self.attempt.to_string()]);
        Ok(Outgoing { subject, event: about.event(Some(&family.started(record, &self.build)), self)?, once: true })
    }
}
