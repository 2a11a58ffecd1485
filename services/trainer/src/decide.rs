//! The shell of the policy: read the record, decide, write it back by compare-and-set, publish what stands in its outbox.
//!
//! Who loses the write decides again on what the winner has written; so of a thousand that see a drift at once one begins a run.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use jiff::Timestamp;
use switchyard_bus::{Bus, ConfigError, PublishError, Revision, StoredError, current_traceparent, with_trace};
use switchyard_events::EmitError;
use switchyard_runtime::Metrics;
use tokio::sync::{Mutex, mpsc};

use crate::{
    Decide, Judged,
    count::{count, observe},
    models::Models,
    pipeline::Pipeline,
    policy::{Record, Rules, Seen, step},
    registry::Registry,
};

/// Decides for every model that was applied. Clones are the same.
#[derive(Clone)]
pub struct Decider {
    pub(crate) bus: Bus,
    pub(crate) models: Models,
    pub(crate) pipeline: Pipeline,
    pub(crate) wake: mpsc::UnboundedSender<String>,
    metrics: Metrics,
    /// One step of a model at a time in this process: more would only lose against each other.
    turns: Arc<Mutex<BTreeMap<String, Arc<Mutex<()>>>>>,
}

/// The models of which something is to be done.
pub struct Woken(pub(crate) mpsc::UnboundedReceiver<String>);

/// A step could not be taken. Taking it again is safe.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// The bucket does not answer, or does not take the record.
    #[error(transparent)]
    Store(#[from] StoredError),
    /// What is stored is no record.
    #[error("bucket trainer, key {key}: {error}")]
    Unreadable {
        /// Which key.
        key: String,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// An event cannot be written.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// An event could not be stored.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl Decider {
    /// Decides by the model files that are applied now. Who wants to have done what records ask for attends to `Woken`.
    ///
    /// # Errors
    /// When the bucket of model files does not answer.
    pub async fn open(bus: Bus, pipeline: Option<PathBuf>, metrics: Metrics) -> Result<(Self, Woken), ConfigError> {
        let (wake, woken) = mpsc::unbounded_channel();
        let (models, pipeline) = (Models::default(), Pipeline::at(pipeline));
        models.load(&bus).await?;
        Ok((Self { bus, models, pipeline, wake, metrics, turns: Arc::default() }, Woken(woken)))
    }

    /// Decides what follows from something seen, and says it. `None` where no such model is applied.
    ///
    /// # Errors
    /// When it could not be written down or said; doing it again is safe.
    pub async fn step(&self, model: &str, seen: Seen) -> Result<Option<Record>, DecideError> {
        let Some(rules) = self.models.get(model).map(|model| Rules::of(&model)) else { return Ok(None) };
        let turn = Arc::clone(self.turns.lock().await.entry(model.to_owned()).or_default());
        let _turn = turn.lock().await;
        let record = self.write(model, |record, now| step(record, &rules, seen.clone(), now).0).await?;
        let record = self.say(record, &rules).await?;
        observe(&self.metrics, &record, &rules);
        if record.run.is_some() || record.rollback.is_some() {
            // Whoever listens has gone only at the end of the service.
            let _ = self.wake.send(model.to_owned());
        }
        Ok(Some(record))
    }

    /// Changes a record until the change is stored; what does not change is not written.
    async fn write(&self, model: &str, change: impl Fn(&Record, Timestamp) -> Record) -> Result<Record, DecideError> {
        let key = format!("policy.{model}");
        loop {
            let (before, revision) = self.record(model).await?;
            let after = change(&before, Timestamp::now());
            if after == before {
                return Ok(before);
            }
            let unreadable = |error| DecideError::Unreadable { key: key.clone(), error };
            let value = serde_json::to_vec(&after).map_err(unreadable)?;
            if self.bus.keep_state(&key, value.into(), revision).await?.is_some() {
                count(&self.metrics, &before, &after);
                return Ok(after);
            }
        }
    }

    /// The record of a model as it stands, with its revision; of one that has none yet, a new one.
    pub(crate) async fn record(&self, model: &str) -> Result<(Record, Option<Revision>), DecideError> {
        let key = format!("policy.{model}");
        if let Some((bytes, revision)) = self.bus.state(&key).await? {
            let record = serde_json::from_slice(&bytes).map_err(|error| DecideError::Unreadable { key, error })?;
            return Ok((record, Some(revision)));
        }
        let (registry, _) = self.registry(model).await?;
        Ok((Record::new(model, registry.champion.map(|crown| crown.run), Timestamp::now()), None))
    }

    /// The registry of a model, with its revision.
    pub(crate) async fn registry(&self, model: &str) -> Result<(Registry, Option<Revision>), DecideError> {
        let key = Registry::key(model);
        let Some((bytes, revision)) = self.bus.state(&key).await? else { return Ok((Registry::default(), None)) };
        let registry = serde_json::from_slice(&bytes).map_err(|error| DecideError::Unreadable { key, error })?;
        Ok((registry, Some(revision)))
    }

    /// Publishes what stands in the outbox, then takes it out. A crash between the two is harmless: all but a cancellation are
    /// stored once for ever, and a cancellation may be heard twice.
    async fn say(&self, record: Record, rules: &Rules) -> Result<Record, DecideError> {
        if record.outbox.is_empty() {
            return Ok(record);
        }
        let mut stored = BTreeMap::<String, Option<String>>::new();
        for told in &record.outbox {
            let mut told = told.clone();
            // What is being handled is nearer than the event before, where it is of the same trace: the end of a build, say.
            let said = told.thread.cause.as_ref().and_then(|id| stored.get(id)).cloned().flatten();
            let handled = || current_traceparent().filter(|current| same_trace(current, &told.thread.trace));
            told.thread.hop = said.or_else(handled).or(told.thread.hop);
            let hop = with_trace(told.thread.context(), self.bus.publish_hop(told.outgoing()?)).await?;
            stored.insert(told.id, hop);
        }
        self.write(&record.model, |record, now| step(record, rules, Seen::Stored(stored.clone()), now).0).await
    }
}

/// Whether two contexts are of one trace.
fn same_trace(one: &str, other: &str) -> bool {
    let trace = |context: &str| context.split('-').nth(1).map(str::to_owned);
    trace(one) == trace(other)
}

impl Decide for Decider {
    async fn see(&self, judged: &Judged) -> anyhow::Result<()> {
        let seen = self.step(&judged.model, Seen::Window(judged.into())).await?;
        seen.map(drop).with_context(|| format!("model {} is not read yet", judged.model))
    }
}
