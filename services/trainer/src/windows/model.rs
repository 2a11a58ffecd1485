//! Watches one model: counts its partitions, puts closed windows together, judges them, and hands over what they say.

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use jiff::Timestamp;
use switchyard_bus::{Bus, Revision, StoredError};
use switchyard_drift::WindowCounts;
use switchyard_runtime::Metrics;
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use super::{
    judging::Course,
    meters::{Meters, ModelMeters},
    partition::{Closed, Partition, key},
    shown::{self, LastWindow},
    state::{Part, State},
};
use crate::{
    Watch,
    judged::{Decide, Judged},
};

/// How often it is looked whether a window is to be judged that nobody has told of.
const LOOK: Duration = Duration::from_secs(2);

/// One model that is watched.
pub(crate) struct Watching<D> {
    bus: Bus,
    watch: Arc<Watch>,
    decide: Arc<D>,
    metrics: Metrics,
    meters: ModelMeters,
    closed: Arc<Notify>,
    kept: Vec<watch::Sender<Option<Closed>>>,
    next: watch::Sender<u64>,
    pipeline: PathBuf,
}

/// Where a model's course is kept.
pub(super) fn course_key(model: &str) -> String {
    format!("course.{model}")
}

impl<D: Decide> Watching<D> {
    pub(crate) fn new(bus: Bus, watch: Watch, decide: Arc<D>, metrics: Metrics, pipeline: PathBuf) -> Self {
        let meters = ModelMeters::new(&metrics, &watch.model);
        let kept = (0..watch.partitions).map(|_| watch::Sender::new(None)).collect();
        let (watch, closed, next) = (Arc::new(watch), Arc::default(), watch::Sender::new(0));
        Self { bus, watch, decide, metrics, meters, closed, kept, next, pipeline }
    }

    /// Counts and judges until it is dropped.
    pub(crate) async fn run(self) {
        let partition = |number| Partition {
            bus: self.bus.clone(),
            watch: Arc::clone(&self.watch),
            number,
            meters: Meters::new(&self.metrics, &self.watch.model, number),
            closed: Arc::clone(&self.closed),
            kept: self.kept[usize::from(number)].clone(),
            next: self.next.subscribe(),
            pipeline: self.pipeline.clone(),
        };
        let partitions: Vec<Partition> = (0..self.watch.partitions).map(partition).collect();
        let mut counting: FuturesUnordered<_> = partitions.iter().map(Partition::run).collect();
        tokio::select! {
            Some(()) = counting.next() => {}
            () = self.judge() => {}
        }
    }

    async fn judge(&self) {
        let mut told = None;
        loop {
            match self.judge_closed(&mut told).await {
                Ok(true) => {}
                Ok(false) => drop(tokio::time::timeout(LOOK, self.closed.notified()).await),
                Err(error) => {
                    warn!(model = self.watch.model, "a window is not judged yet: {error:#}");
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// Judges the next window, if it is closed; says whether it was.
    async fn judge_closed(&self, told: &mut Option<u64>) -> anyhow::Result<bool> {
        let Some((course, revision)) = self.course().await? else { return Ok(false) };
        // Who judged it may have died before anybody heard of it. Hearing it twice changes nothing.
        if let Some(last) = course.last.as_ref().filter(|last| *told < Some(last.window)) {
            self.decide.see(last).await?;
            shown::say(&self.bus, last).await?;
            *told = Some(last.window);
        }
        self.next.send_replace(course.next);
        let Some((number, whole)) = self.whole(course.next).await? else { return Ok(false) };
        let judged = course.judge(&self.watch, number, &whole)?;
        let bytes = serde_json::to_vec(&judged)?.into();
        if self.bus.keep_state(&course_key(&self.watch.model), bytes, Some(revision)).await?.is_none() {
            return Ok(true);
        }
        if let Some(last) = &judged.last {
            self.decide.see(last).await?;
            self.tell(last);
            shown::say(&self.bus, last).await?;
            *told = Some(last.window);
            self.keep_last(last, whole.counts).await;
        }
        self.next.send_replace(judged.next);
        Ok(true)
    }

    /// What the windows before have said, by this basis; nothing where another replica knows a newer file or reference.
    async fn course(&self) -> anyhow::Result<Option<(Course, Revision)>> {
        let key = course_key(&self.watch.model);
        let (kept, revision) = match self.bus.state(&key).await? {
            Some((bytes, revision)) => (serde_json::from_slice::<Course>(&bytes)?, Some(revision)),
            None => (Course::default(), None),
        };
        if let Some(revision) = revision.filter(|_| kept.basis == self.watch.basis) {
            return Ok(Some((kept, revision)));
        }
        if revision.is_some() && kept.version >= self.watch.version {
            return Ok(None);
        }
        let course = kept.begin(&self.watch);
        let bytes = serde_json::to_vec(&course)?.into();
        Ok(self.bus.keep_state(&key, bytes, revision).await?.map(|revision| (course, revision)))
    }

    /// The next window from `next` on that every partition has closed, put together.
    async fn whole(&self, next: u64) -> Result<Option<(u64, Part)>, StoredError> {
        let mut all = Vec::with_capacity(self.watch.partitions.into());
        for partition in 0..self.watch.partitions {
            let Some(closed) = self.closed(partition).await? else { return Ok(None) };
            all.push(closed);
        }
        let first = all.iter().filter_map(|closed| closed.parts.range(next..).next()).map(|(number, _)| *number).min();
        let Some(number) = first.filter(|number| all.iter().all(|closed| closed.closed > *number)) else { return Ok(None) };
        let mut whole = Part::empty(&self.watch);
        for part in all.iter().filter_map(|closed| closed.parts.get(&number)) {
            if !whole.merge(part) {
                return Ok(None);
            }
        }
        Ok(Some((number, whole)))
    }

    /// What a partition has closed: what this replica has kept of it, else what stands in the bucket.
    async fn closed(&self, partition: u16) -> Result<Option<Closed>, StoredError> {
        let kept = self.kept[usize::from(partition)].borrow().clone();
        if kept.is_some() {
            return Ok(kept);
        }
        let Some((bytes, _)) = self.bus.state(&key(&self.watch.model, partition)).await? else { return Ok(None) };
        let state = serde_json::from_slice::<State>(&bytes).ok().filter(|state| state.basis == self.watch.basis);
        Ok(state.map(|State { closed, parts, .. }| Closed { closed, parts }))
    }

    /// Nothing is decided by what is kept here: a window that it fails for is only not drawn.
    async fn keep_last(&self, judged: &Judged, counts: WindowCounts) {
        let last = LastWindow { window: judged.window, reference: judged.reference.clone(), counts };
        if let Err(error) = last.keep(&self.bus, &judged.model).await {
            warn!(model = judged.model, window = judged.window, "its counts are not kept to be shown: {error:#}");
        }
    }

    fn tell(&self, judged: &Judged) {
        let late = Timestamp::now().duration_since(judged.at);
        let late = Duration::try_from(late).unwrap_or_default();
        self.meters.windows.increment();
        self.meters.late.add(judged.late);
        self.meters.decision.observe(late);
        if judged.lossy() {
            self.meters.lossy.increment();
        }
        let (model, window, rows) = (&judged.model, judged.window, judged.rows);
        info!(model, window, rows, gaps = judged.gaps, drifted = ?judged.drifted_columns(), "window judged");
    }
}
