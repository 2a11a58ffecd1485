//! Builds that are processes of this machine: their folders are in the stack's, and they end with it.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use switchyard_dev::Stack;
use switchyard_executor::Lifeline;
use switchyard_fleet::{Fleet, Plugin};

/// How long builds may take to end when everything ends, beyond the grace that they have.
const END_WITHIN: Duration = Duration::from_secs(15);

/// The builds of every executor of plugin `process`.
pub(super) struct Local {
    folder: PathBuf,
    held: Vec<(String, Lifeline)>,
    patience: Duration,
}

impl Local {
    /// Makes a folder for each, and holds its builds: should this process be killed, they end too.
    pub(super) fn hold(stack: &Stack, fleet: &Fleet) -> anyhow::Result<Self> {
        let folder = stack.folder().join("builds");
        let mut local = Self { folder, held: Vec::new(), patience: END_WITHIN };
        for executor in fleet.executors().iter().filter(|executor| executor.plugin == Plugin::Process) {
            let lifeline = Lifeline::hold(&local.folder.join(&executor.name)).context("the folder of the builds")?;
            local.held.push((executor.name.clone(), lifeline));
            local.patience = local.patience.max(END_WITHIN + executor.process.termination_grace.duration());
        }
        Ok(local)
    }

    /// What services find in `SWITCHYARD_BUILDS`.
    pub(super) fn folder(&self) -> String {
        self.folder.display().to_string()
    }

    /// The names of the executors.
    pub(super) fn executors(&self) -> impl Iterator<Item = &str> {
        self.held.iter().map(|(name, _)| name.as_str())
    }

    /// How many builds run still.
    pub(super) fn running(&self) -> usize {
        self.held.iter().map(|(_, lifeline)| lifeline.running()).sum()
    }

    /// Ends the builds that still run, and waits for that.
    pub(super) async fn end(self) {
        let ends = self.held.into_iter().map(async |(name, lifeline)| (name, lifeline.let_go(self.patience).await));
        for (name, left) in futures::future::join_all(ends).await {
            if left > 0 {
                eprintln!("{left} builds of {name} have not ended");
            }
        }
    }
}

/// Refuses a fleet that cannot run in this way.
pub(super) fn check(fleet: &Fleet, cluster: bool) -> anyhow::Result<()> {
    for executor in fleet.executors() {
        let name = &executor.name;
        match executor.plugin {
            Plugin::Kubernetes if !cluster && executor.kubeconfig.is_none() => {
                bail!("executor {name} runs pods: add --cluster, or name its cluster by executors.{name}.kubeconfig")
            }
            Plugin::Process if executor.process.folder.is_some() => {
                bail!("executors.{name}.folder: `up` keeps builds in its own folder, which goes with it: take the key out")
            }
            Plugin::Kubernetes | Plugin::Process => {}
        }
    }
    Ok(())
}
