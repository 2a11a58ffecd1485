//! A model that is watched on a broker of its own.

use std::{collections::BTreeMap, sync::Arc};

use switchyard_bus::Bus;
use switchyard_fleet::Fleet;
use switchyard_runtime::Metrics;
use switchyard_trainer::{Decide, Monitor, Pinned};

use super::rows;
use crate::broker::Broker;

pub(super) const MODEL: &str = "churn";

/// A fleet, because a broker has one.
const FLEET: &str = "version: 1\nexecutor: {plugin: local, local: {plugin: process, weightage: 1}}\n";

/// The broker and the model in it.
pub(super) struct Watched {
    pub(super) broker: Broker,
    /// A connection that may do anything.
    pub(super) bus: Bus,
}

impl Watched {
    /// Starts a broker, and applies a model with this `monitor`.
    pub(super) async fn start(monitor: &str) -> anyhow::Result<Self> {
        let broker = Broker::start(&Fleet::parse(FLEET)?).await?;
        let bus = Bus::new(broker.connect("loadtest").await?);
        let file = format!(
            "version: 1\nmodel: {MODEL}\nstore: {{url: 'file:///tmp/store'}}\ndata: {{source: {{url: 'file:///tmp/rows.parquet'}}, key: id, \
             label: {{column: label, task: binary}}, features: [{}]}}\nsplit: {{seed: 7, folds: {{train: 0.7, eval: 0.15, test: 0.15}}}}\n\
             train: {{image: 'r/churn', command: [train], cpu: 1, ram: 1Gi, timeout: 1h}}\nmonitor: {monitor}\n",
            rows::columns().join(", ")
        );
        switchyard_model::read(&file)?;
        bus.apply_model(MODEL, &file, None).await?;
        let pinned = Pinned { run: "first".into(), sha256: String::new(), profile: rows::profile()?, metrics: BTreeMap::new() };
        pinned.pin(&bus, MODEL, None).await?;
        Ok(Self { broker, bus })
    }

    /// Watches, as the trainer's own user.
    pub(super) async fn monitor<D: Decide>(&self, decide: D) -> anyhow::Result<Monitor<D>> {
        let bus = Bus::new(self.broker.connect("trainer").await?);
        Ok(Monitor::new(bus, Arc::new(decide), Metrics::default(), None))
    }

    /// Up to which sequence a partition is counted and kept.
    pub(super) async fn position(&self, partition: u16) -> anyhow::Result<u64> {
        let Some((bytes, _)) = self.bus.state(&format!("window.{MODEL}.{partition}")).await? else { return Ok(0) };
        Ok(serde_json::from_slice::<serde_json::Value>(&bytes)?["position"].as_u64().unwrap_or_default())
    }
}
