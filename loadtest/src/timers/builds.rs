//! The builds whose clocks run out: each waits for a launcher that never comes, and ends when its `queued` has run out.

use std::collections::HashMap;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use jiff::Timestamp;
use switchyard_bus::{Bus, Ledger as _};
use switchyard_events::{Attempt, BuildKey, Limits, Record, Request, TimeLimit, derived_traceparent};
use switchyard_executor::{CreateError, Executor, Launch, Observed, Seen, Unreachable};

use super::{AT_ONCE, EXECUTOR, clock};

/// Their limits: `queued` is over when they are opened.
const LIMITS: Limits = Limits { queued: TimeLimit::seconds(1), ..Limits::STANDARD };

/// How the builds have ended, out of the ledger and stream YARD.
pub(crate) struct Ends {
    /// Builds that have not ended, or whose end was not made known.
    pub(crate) lost: usize,
    /// Builds of which more than one end is stored, or that were tried again.
    pub(crate) doubled: usize,
}

/// Opens the record of each build, as a reaper does that hears of its route.
pub(crate) async fn open(bus: &Bus, clocks: u32) -> anyhow::Result<()> {
    let routed_at = Timestamp::now().checked_sub(std::time::Duration::from_mins(1))?;
    stream::iter(0..clocks)
        .map(|n| async move {
            let build = clock(n).build;
            bus.create(&build, &record(&build, routed_at)).await
        })
        .buffer_unordered(AT_ONCE)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await
        .context("a record could not be made")
}

fn record(build: &BuildKey, routed_at: Timestamp) -> Record {
    let request = Request {
        id: build.to_string(),
        source: "/timers".to_owned(),
        subject: build.to_string(),
        r#type: "dev.cdevents.build.queued.0.3.0".to_owned(),
        trace: derived_traceparent(build),
        ..Request::default()
    };
    let (executor, limits) = (Some(EXECUTOR.to_owned()), Some(LIMITS));
    let first = Attempt { n: 1, executor, routed_at: Some(routed_at), limits, ..Attempt::default() };
    Record::open(request, "default".to_owned(), first)
}

/// What has become of the builds: each is to have ended once, in its first attempt, and that is to be stored once.
pub(crate) async fn audit(bus: &Bus, clocks: u32) -> anyhow::Result<Ends> {
    let told = subjects(bus, "YARD", "yard.dev.cdevents.build.finished.>").await?;
    let mut ends: HashMap<&str, usize> = HashMap::new();
    for (subject, stored) in &told {
        // `<build>.<attempt>` at the end.
        *ends.entry(subject.rsplit('.').nth(1).unwrap_or_default()).or_default() += stored;
    }
    let records: HashMap<_, _> = bus.records().await?.into_iter().collect();
    let (mut lost, mut doubled) = (0, 0);
    for build in (0..clocks).map(|n| clock(n).build) {
        let stored = ends.get(build.as_str()).copied().unwrap_or_default();
        let record = records.get(&build);
        lost += usize::from(stored == 0 || !record.is_some_and(Record::is_closed));
        doubled += usize::from(stored > 1 || record.is_some_and(|record| record.attempts.len() > 1));
    }
    Ok(Ends { lost, doubled })
}

/// How many clocks stream TIMERS has fired twice: it holds every message that has ever fired.
pub(crate) async fn stored_twice(bus: &Bus, clocks: u32) -> anyhow::Result<usize> {
    let fired = subjects(bus, "TIMERS", "fire.>").await?;
    let stored: usize = fired.values().sum();
    Ok(stored.saturating_sub(clocks as usize).max(fired.values().filter(|stored| **stored > 1).count()))
}

/// How many messages a stream holds of each subject.
async fn subjects(bus: &Bus, name: &str, filter: &str) -> anyhow::Result<HashMap<String, usize>> {
    let stream = bus.jetstream().get_stream(name).await?;
    let subjects = stream.info_with_subjects(filter).await.with_context(|| format!("stream {name}"))?;
    subjects.try_collect().await.with_context(|| format!("stream {name}"))
}

/// An executor that nothing was ever created on.
pub(crate) struct Nowhere;

impl Executor for Nowhere {
    fn name(&self) -> &str {
        EXECUTOR
    }

    async fn create(&self, _: &Launch) -> Result<String, CreateError> {
        Err(CreateError::Later("nothing is created here".to_owned()))
    }

    async fn look(&self, _: &BuildKey, _: u32) -> Result<Option<Observed>, Unreachable> {
        Ok(None)
    }

    async fn ungate(&self, _: &BuildKey, _: u32, _: &str) -> Result<(), Unreachable> {
        Ok(())
    }

    async fn delete(&self, _: &BuildKey, _: u32, _: &str) -> Result<(), Unreachable> {
        Ok(())
    }

    async fn release(&self, _: &BuildKey, _: u32, _: &str) -> Result<(), Unreachable> {
        Ok(())
    }

    fn watch(&self) -> BoxStream<'static, Result<Seen, Unreachable>> {
        stream::pending().boxed()
    }
}
