//! What is heard: the ends of trainings, and what people ask.

use switchyard_bus::{Delivery, Settle, Unreadable, said};
use switchyard_events::{Asked, BuildFinished, SOURCE};
use tracing::debug;

use crate::{
    decide::{DecideError, Decider},
    ended::ended,
    policy::{Manual, Seen},
};

/// What was heard could not be taken note of, now or ever.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HearError {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("no model {0:?} is applied: `switchyard model list` lists those that are")]
    NoModel(String),
    #[error(transparent)]
    Decide(#[from] DecideError),
}

impl From<&HearError> for Settle {
    fn from(error: &HearError) -> Self {
        match error {
            HearError::Unreadable(_) | HearError::NoModel(_) => Self::Refuse(error.to_string()),
            HearError::Decide(_) => Self::Retry,
        }
    }
}

impl Decider {
    /// A pipeline run has ended: where it is a training of ours, that is taken note of.
    pub(crate) async fn finished(&self, delivery: Delivery) -> Result<(), HearError> {
        let event = delivery.cdevent()?;
        let Some((model, _)) = event.subject.id.rsplit_once('/') else { return Ok(()) };
        if event.subject.source.as_deref() != Some(SOURCE) {
            return Ok(());
        }
        let finished: BuildFinished = said(&event)?;
        if self.step(model, ended(&finished, event.context.timestamp)).await?.is_none() {
            debug!(model, "a training of a model that is not applied has ended");
        }
        Ok(())
    }

    /// Somebody asks something.
    pub(crate) async fn asked(&self, delivery: Delivery) -> Result<(), HearError> {
        let event = delivery.cdevent()?;
        let asked =
            Asked::read(&event).map_err(|error| Unreadable::CustomData { event_type: event.context.ty.to_string(), error })?;
        let Some(asked) = asked else { return Ok(()) };
        let (model, id) = (asked.model().to_owned(), format!("{} {}", event.context.source, event.context.id));
        let seen = match asked {
            Asked::Approve(of) => Seen::Approval { id, run: of.run, granted: true, by: of.by },
            Asked::Deny(of) => Seen::Approval { id, run: of.run, granted: false, by: of.by },
            Asked::Retrain(wanted) => Seen::Wanted { id, manual: Manual { by: wanted.by, now: wanted.now } },
            Asked::RollBack(wanted) => Seen::RollBack { id, to: wanted.to, by: wanted.by },
        };
        self.step(&model, seen).await?.map(drop).ok_or(HearError::NoModel(model))
    }
}
