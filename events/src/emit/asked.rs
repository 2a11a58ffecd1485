//! What people ask of the trainer, on `ci.trainer.`: only operators may write there.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EmitError, Outgoing, SOURCE};
use crate::{
    CdEvent,
    subject::{TRAINER, ci},
};

/// What is asked, about one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Begin the run that waits for approval.
    Approve(OfRun),
    /// Do not begin it.
    Deny(OfRun),
    /// Train the model.
    Retrain(Retrain),
    /// Let an earlier model serve again.
    RollBack(RollBack),
}

/// A run that waits for approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfRun {
    /// The model.
    pub model: String,
    /// The run's number; without one, whichever waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
    /// Who asks.
    pub by: String,
}

/// A training that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retrain {
    /// The model.
    pub model: String,
    /// Whether cooldown and back-off are to be passed over; budget and concurrency never are.
    #[serde(default)]
    pub now: bool,
    /// Who asks.
    pub by: String,
}

/// A rollback that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// The model.
    pub model: String,
    /// The key of the run whose model is to serve; without one, the champion before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Who asks.
    pub by: String,
}

const APPROVED: &str = "dev.cdeventsx.switchyard-retraining.approved.0.1.0";
const DENIED: &str = "dev.cdeventsx.switchyard-retraining.denied.0.1.0";
const WANTED: &str = "dev.cdeventsx.switchyard-retraining.wanted.0.1.0";
const ROLLBACK: &str = "dev.cdeventsx.switchyard-model.rollbackrequested.0.1.0";

impl Asked {
    /// The model that it is about.
    #[must_use]
    pub fn model(&self) -> &str {
        match self {
            Self::Approve(of) | Self::Deny(of) => &of.model,
            Self::Retrain(wanted) => &wanted.model,
            Self::RollBack(wanted) => &wanted.model,
        }
    }

    /// The event, as an operator publishes it.
    ///
    /// # Errors
    /// When something in it cannot stand in an event.
    pub fn outgoing(&self, id: &str, at: Timestamp) -> Result<Outgoing, EmitError> {
        let event_type = match self {
            Self::Approve(_) => APPROVED,
            Self::Deny(_) => DENIED,
            Self::Retrain(_) => WANTED,
            Self::RollBack(_) => ROLLBACK,
        };
        let event = CdEvent::new(event_type, id, SOURCE, at, self.model());
        let event = match self {
            Self::Approve(of) | Self::Deny(of) => event.custom_data(of),
            Self::Retrain(wanted) => event.custom_data(wanted),
            Self::RollBack(wanted) => event.custom_data(wanted),
        };
        Ok(Outgoing { subject: ci(TRAINER, event_type), event: event?.to_cloudevent()?, once: false })
    }

    /// Reads it; `None` of an event that asks nothing.
    ///
    /// # Errors
    /// When its custom data is not what its type promises.
    pub fn read(event: &CdEvent<'_>) -> Result<Option<Self>, serde_json::Error> {
        let custom = event.custom_data.as_deref().map_or("null", serde_json::value::RawValue::get);
        Ok(Some(match &*event.context.ty {
            APPROVED => Self::Approve(serde_json::from_str(custom)?),
            DENIED => Self::Deny(serde_json::from_str(custom)?),
            WANTED => Self::Retrain(serde_json::from_str(custom)?),
            ROLLBACK => Self::RollBack(serde_json::from_str(custom)?),
            _ => return Ok(None),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_read_as_it_was_meant() {
        let (model, by) = (String::from("churn"), String::from("ann"));
        let of = OfRun { model: model.clone(), run: Some(3), by: by.clone() };
        let retrain = Asked::Retrain(Retrain { model: model.clone(), now: true, by: by.clone() });
        let back = Asked::RollBack(RollBack { model, to: None, by });
        for asked in [Asked::Approve(of.clone()), Asked::Deny(of), retrain, back] {
            let outgoing = asked.outgoing("1", Timestamp::UNIX_EPOCH).unwrap();
            assert!(outgoing.subject.starts_with("ci.trainer.dev.cdeventsx.switchyard-"), "{}", outgoing.subject);
            let event = CdEvent::from_cloudevent(&outgoing.event).unwrap();
            crate::validate(&event).unwrap();
            assert_eq!(Asked::read(&event).unwrap(), Some(asked));
        }
    }
}
