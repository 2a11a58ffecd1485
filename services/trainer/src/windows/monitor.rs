//! Watches every model that has a file that says how and a reference; begins anew where either changes.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use switchyard_bus::Bus;
use switchyard_model::Model;
use switchyard_runtime::Metrics;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::{files, model::Watching};
use crate::{Decide, Pinned, ReferenceError, Watch};

/// How long it is waited before a reference that could not be read is read again.
const AGAIN: Duration = Duration::from_secs(1);

/// Everything that is watched.
pub struct Monitor<D> {
    bus: Bus,
    decide: Arc<D>,
    metrics: Metrics,
    pipeline: PathBuf,
    models: BTreeMap<String, Watched>,
}

/// One model: the newest of its file, the version of its reference, and the task that counts.
#[derive(Default)]
struct Watched {
    file: Option<(u64, Model)>,
    running: Option<(u64, JoinHandle<()>)>,
}

enum Changed {
    File(String, u64, String),
    Reference(String),
}

impl<D: Decide> Monitor<D> {
    /// Hands over what windows say to `decide`. `pipeline` is the program that counts files.
    #[must_use]
    pub fn new(bus: Bus, decide: Arc<D>, metrics: Metrics, pipeline: Option<&std::path::Path>) -> Self {
        Self { bus, decide, metrics, pipeline: files::program(pipeline), models: BTreeMap::new() }
    }

    /// Watches until it is dropped.
    pub async fn run(mut self) {
        let files = self.bus.follow_models().map(|(name, applied)| Changed::File(name, applied.number, applied.text));
        let references = self
            .bus
            .follow_states("reference.*")
            .filter_map(async |key| key.strip_prefix("reference.").map(|model| Changed::Reference(model.to_owned())));
        let mut changes = Box::pin(stream::select(files, references));
        while let Some(change) = changes.next().await {
            let name = match change {
                Changed::File(name, number, text) => {
                    if !self.read(&name, number, &text) {
                        continue;
                    }
                    name
                }
                Changed::Reference(name) => name,
            };
            self.begin(&name).await;
        }
    }

    /// Takes a file; one that is no model leaves the old one.
    fn read(&mut self, name: &str, number: u64, text: &str) -> bool {
        let watched = self.models.entry(name.to_owned()).or_default();
        if watched.file.as_ref().is_some_and(|(old, _)| *old >= number) {
            return false;
        }
        match switchyard_model::read(text) {
            Ok((model, _)) => {
                watched.file = Some((number, model));
                true
            }
            Err(error) => {
                warn!(model = name, number, %error, "the applied file is no model file; the old one stays");
                false
            }
        }
    }

    /// Counts by what is known of a model now.
    async fn begin(&mut self, name: &str) {
        let Some(watched) = self.models.get_mut(name) else { return };
        let Some((number, model)) = &watched.file else { return };
        let (pinned, revision) = loop {
            match Pinned::read(&self.bus, name).await {
                Ok(Some(found)) => break found,
                Ok(None) => return,
                Err(error @ ReferenceError::Unreadable { .. }) => return warn!(model = name, %error, "the model is not watched"),
                Err(error) => warn!(model = name, %error, "its reference is not read yet; trying again"),
            }
            tokio::time::sleep(AGAIN).await;
        };
        let version = number + revision.0;
        if watched.running.as_ref().is_some_and(|(running, _)| *running >= version) {
            return;
        }
        if let Some((_, task)) = watched.running.take() {
            task.abort();
        }
        let Some(watch) = Watch::new(model, pinned, version) else { return };
        info!(model = name, reference = watch.reference, partitions = watch.partitions, "watching");
        let watching =
            Watching::new(self.bus.clone(), watch, Arc::clone(&self.decide), self.metrics.clone(), self.pipeline.clone());
        watched.running = Some((version, tokio::spawn(watching.run())));
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some((_, task)) = self.running.take() {
            task.abort();
        }
    }
}
