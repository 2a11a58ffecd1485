//! Sees to what a record wants done in the world: data looked up, a candidate crowned, a champion brought back. Each may be done
//! again, by anybody: what counts is what the record says when it is done.

use std::{collections::BTreeSet, future::Future, pin::Pin, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use jiff::Timestamp;
use switchyard_bus::{Ledger as _, with_trace};
use switchyard_drift::Profile;
use switchyard_events::Change;
use switchyard_model::{Model, RunResult};
use tracing::{debug, warn};

use crate::{
    Pinned,
    decide::{DecideError, Decider, Woken},
    ended::in_ledger,
    policy::{Crowned, Promotion, Record, Seen, Stage},
    registry::{Crown, Registry},
    training::{resolved, serving},
};

/// For so long others are left to see to what they have decided; then they may have died of it.
const OTHERS: Duration = Duration::from_secs(20);

/// A build that was asked for so long ago is looked up in the ledger: its end may not have been heard.
const UNHEARD: Duration = Duration::from_mins(2);

/// For so long it is tried to read what a candidate has left behind.
const PATIENCE: Duration = Duration::from_mins(15);

/// What a record wants done.
#[derive(Debug, PartialEq)]
enum Todo<'a> {
    Resolve(u64),
    Promote(u64, &'a RunResult, Timestamp),
    RollBack,
    LookUp,
}

fn todo(record: &Record, now: Timestamp) -> Option<Todo<'_>> {
    if record.rollback.is_some() {
        return Some(Todo::RollBack);
    }
    let run = record.run.as_ref()?;
    match &run.stage {
        Stage::Resolving => Some(Todo::Resolve(run.n)),
        Stage::Promoting(training, result) => Some(Todo::Promote(run.n, result, training.at)),
        Stage::Training(training) => (now.duration_since(training.at).unsigned_abs() > UNHEARD).then_some(Todo::LookUp),
    }
}

impl Decider {
    /// Sees to whichever models are named, one thing at a time for each, until nobody can name any more.
    pub(crate) async fn attend(&self, Woken(mut woken): Woken) {
        type Work<'a> = Pin<Box<dyn Future<Output = String> + Send + 'a>>;
        let mut at_work: FuturesUnordered<Work<'_>> = FuturesUnordered::new();
        let (mut busy, mut again) = (BTreeSet::new(), BTreeSet::new());
        loop {
            let next = tokio::select! {
                Some(done) = at_work.next() => {
                    busy.remove(&done);
                    again.take(&done)
                }
                model = woken.recv() => match model {
                    Some(model) => Some(model),
                    None => return,
                },
            };
            let Some(model) = next else { continue };
            if busy.insert(model.clone()) {
                at_work.push(Box::pin(async move {
                    if let Err(error) = Box::pin(self.see_to(&model)).await {
                        warn!(model, %error, "it will be seen to later");
                    }
                    model
                }));
            } else {
                again.insert(model);
            }
        }
    }

    /// Names every model of which others may have left something undone.
    pub(crate) async fn look_after(&self, model: &str) -> Result<(), DecideError> {
        let Some(record) = self.step(model, Seen::Tick).await? else { return Ok(()) };
        let now = Timestamp::now();
        if todo(&record, now).is_some() && now.duration_since(record.at).unsigned_abs() > OTHERS {
            let _ = self.wake.send(model.to_owned());
        }
        Ok(())
    }

    async fn see_to(&self, name: &str) -> Result<(), DecideError> {
        let Some(model) = self.models.get(name) else { return Ok(()) };
        let (record, _) = self.record(name).await?;
        let now = Timestamp::now();
        let seen = match todo(&record, now) {
            None => return Ok(()),
            Some(Todo::Resolve(n)) => self.resolve(&model, n).await?,
            Some(Todo::Promote(n, result, since)) => match self.promote(&model, result, since).await? {
                Some(outcome) => Seen::Promoted { n, outcome },
                None => return Ok(()),
            },
            Some(Todo::RollBack) => {
                let to = record.rollback.as_ref().and_then(|wanted| wanted.to.as_deref());
                Seen::RolledBack(self.roll_back(&model, to).await?)
            }
            Some(Todo::LookUp) => match self.look_up(&record).await {
                Some(seen) => seen,
                None => return Ok(()),
            },
        };
        let trace = record.run.as_ref().map(|run| run.thread.context().to_owned()).unwrap_or_default();
        Box::pin(with_trace(&trace, self.step(name, seen))).await.map(drop)
    }

    /// Looks which data there is, and makes the build of it.
    async fn resolve(&self, model: &Model, n: u64) -> Result<Seen, DecideError> {
        let found = match self.pipeline.manifest(model).await {
            Ok(manifest) => {
                let (registry, _) = self.registry(&model.name).await?;
                resolved(model, manifest, registry.as_rival()).map(Box::new).map_err(|error| error.to_string())
            }
            Err(reason) => Err(reason),
        };
        Ok(Seen::Resolved { n, found })
    }

    /// Makes a candidate the champion; `None` where that is to be tried again.
    async fn promote(&self, model: &Model, result: &RunResult, since: Timestamp) -> Result<Option<Promotion>, DecideError> {
        let now = Timestamp::now();
        let (registry, _) = self.registry(&model.name).await?;
        if let Err(reason) = registry.promote(result, now) {
            return Ok(Some(Promotion::Superseded(reason)));
        }
        let profile = match self.profile(model, &result.profile).await {
            Ok(profile) => profile,
            Err(reason) if now.duration_since(since).unsigned_abs() > PATIENCE => return Ok(Some(Promotion::Unusable(reason))),
            Err(reason) => {
                warn!(model = model.name, reason, "the candidate's profile cannot be read; it will be tried again");
                return Ok(None);
            }
        };
        loop {
            let (registry, revision) = self.registry(&model.name).await?;
            let after = match registry.promote(result, now) {
                Ok(after) => after,
                Err(reason) => return Ok(Some(Promotion::Superseded(reason))),
            };
            if after != registry && !self.keep_registry(&model.name, &after, revision).await? {
                continue;
            }
            let Some(crown) = after.champion else { return Ok(None) };
            self.pin(model, &crown, profile).await?;
            let came = if crown.replaced.is_some() { Change::Upgraded } else { Change::Deployed };
            return Ok(Some(Promotion::Done(crowned(model, &crown, crown.replaced.clone(), came))));
        }
    }

    /// Makes an earlier model the champion again.
    async fn roll_back(&self, model: &Model, to: Option<&str>) -> Result<Result<Crowned, String>, DecideError> {
        loop {
            let (registry, revision) = self.registry(&model.name).await?;
            let from = registry.champion.as_ref().map(|crown| crown.run.clone());
            let after = match registry.roll_back(to, Timestamp::now()) {
                Ok(after) => after,
                // Whoever died of it may have come as far as this.
                Err(_) if to.is_some() && from.as_deref() == to => registry.clone(),
                Err(reason) => return Ok(Err(reason)),
            };
            let Some(crown) = after.champion.clone() else { return Ok(Err("there is no champion".into())) };
            let profile = match self.profile(model, &crown.profile).await {
                Ok(profile) => profile,
                Err(reason) => return Ok(Err(reason)),
            };
            if after == registry || self.keep_registry(&model.name, &after, revision).await? {
                self.pin(model, &crown, profile).await?;
                return Ok(Ok(crowned(model, &crown, from, Change::RolledBack)));
            }
        }
    }

    async fn keep_registry(
        &self,
        model: &str,
        registry: &Registry,
        after: Option<switchyard_bus::Revision>,
    ) -> Result<bool, DecideError> {
        let key = Registry::key(model);
        let value = serde_json::to_vec(registry).map_err(|error| DecideError::Unreadable { key: key.clone(), error })?;
        Ok(self.bus.keep_state(&key, value.into(), after).await?.is_some())
    }

    async fn profile(&self, model: &Model, artifact: &switchyard_model::Artifact) -> Result<Profile, String> {
        let bytes = self.pipeline.get(model, artifact).await?;
        serde_json::from_slice(&bytes).map_err(|error| format!("{} is no profile: {error}", artifact.path))
    }

    /// Pins the champion's profile as the reference of windows, as long as it is the champion.
    async fn pin(&self, model: &Model, crown: &Crown, profile: Profile) -> Result<(), DecideError> {
        let (run, sha256) = (crown.run.clone(), crown.profile.sha256.clone());
        let pinned = Pinned { run, sha256, profile, metrics: crown.metrics.clone() };
        let key = Pinned::key(&model.name);
        let value = serde_json::to_vec(&pinned).map_err(|error| DecideError::Unreadable { key: key.clone(), error })?;
        loop {
            let before = self.bus.state(&key).await?;
            let (registry, _) = self.registry(&model.name).await?;
            let is_champion = registry.champion.is_some_and(|champion| champion.run == crown.run);
            if !is_champion || before.as_ref().is_some_and(|(bytes, _)| **bytes == *value) {
                return Ok(());
            }
            let revision = before.map(|(_, revision)| revision);
            if self.bus.keep_state(&key, value.clone().into(), revision).await?.is_some() {
                return Ok(());
            }
        }
    }

    /// What the ledger says of the build under way, should its end not have been heard.
    async fn look_up(&self, record: &Record) -> Option<Seen> {
        let build = &record.run.as_ref()?.training()?.build;
        match self.bus.read(build).await {
            Ok(found) => in_ledger(build, &found?.0),
            Err(error) => {
                debug!(%error, "the ledger was not read");
                None
            }
        }
    }
}

fn crowned(model: &Model, crown: &Crown, replaced: Option<String>, came: Change) -> Crowned {
    let (sha256, path) = (crown.profile.sha256.clone(), crown.profile.path.clone());
    Crowned { run: crown.run.clone(), replaced, sha256, path, serving: serving(model, crown, came) }
}
