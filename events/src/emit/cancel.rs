//! Somebody wants a build to stop, or to run longer.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EmitError, Outgoing, SOURCE};
use crate::{BuildKey, CdEvent, TimeLimit, subject::ci};

/// A request to cancel a build; its tenant is the one on whose subject it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelRequested {
    /// The build that shall stop.
    pub build: BuildKey,
}

impl CancelRequested {
    /// The event's type.
    pub const TYPE: &str = "dev.cdeventsx.switchyard-build.cancelrequested.0.1.0";

    /// The event, as a tenant publishes it.
    ///
    /// # Errors
    /// When `id` cannot stand in an event.
    pub fn outgoing(&self, tenant: &str, id: &str, at: Timestamp, trace: Option<&str>) -> Result<Outgoing, EmitError> {
        let event = CdEvent::new(Self::TYPE, id, SOURCE, at, self.build.as_str()).custom_data(self)?;
        let mut event = event.to_cloudevent()?;
        if let Some(trace) = trace {
            event.set_extension("traceparent", trace);
        }
        Ok(Outgoing { subject: ci(tenant, Self::TYPE), event, once: false })
    }
}

/// A request that a build may run longer; its tenant is the one on whose subject it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildExtended {
    /// The build that shall go on.
    pub build: BuildKey,
    /// How long it may run in all, from its start; its executor's maximum still holds.
    pub running: TimeLimit,
}

impl BuildExtended {
    /// The event's type.
    pub const TYPE: &str = "dev.cdeventsx.switchyard-build.extended.0.1.0";

    /// The event, as a tenant publishes it.
    ///
    /// # Errors
    /// When `id` cannot stand in an event.
    pub fn outgoing(&self, tenant: &str, id: &str, at: Timestamp) -> Result<Outgoing, EmitError> {
        let event = CdEvent::new(Self::TYPE, id, SOURCE, at, self.build.as_str()).custom_data(self)?.to_cloudevent()?;
        Ok(Outgoing { subject: ci(tenant, Self::TYPE), event, once: false })
    }
}
