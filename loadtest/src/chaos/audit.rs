//! What became of it, as the event log, the ledger and the API server tell it: each build ended once, ran once at a time, left nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    api::ListParams,
    runtime::watcher::{self, Event},
};
use switchyard_events::{BuildFinished, BuildKey, Record, Standing, custom_data};
use tokio::time::{Instant, sleep};

use super::yard::{LONGEST, Yard};

/// How long everything may take to come to rest: the longest limit that may still run, three attempts of it, and a minute.
const REST: Duration = Duration::from_mins(6);
/// Pods and finalizers are gone so long after the last fault, or after the last limit and its grace, whichever is later.
const BURIED: Duration = Duration::from_mins(1);
/// How long a pod may take to be torn down, and the grace.
const TEARDOWN: Duration = Duration::from_secs(10 + 10);
/// An end may be late by this, because what was to bring it about was down.
const DOWN: Duration = Duration::from_mins(1);

/// The uids of the pods of each name that ever ran.
#[derive(Clone, Default)]
pub(crate) struct Ran(Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>);

impl Ran {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is wrong, in numbers and in words.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    pub(crate) unended: usize,
    pub(crate) orphaned: usize,
    pub(crate) late: usize,
    pub(crate) attempts: usize,
    pub(crate) outcomes: BTreeMap<String, usize>,
    pub(crate) rest_seconds: f64,
    last_end: Option<Timestamp>,
    pub(crate) wrong: Vec<String>,
}

/// Watches pods from now on, over every restart of the API server.
pub(crate) fn watch(yard: &Yard) -> anyhow::Result<Ran> {
    let (pods, ran) = (yard.pods()?, Ran::default());
    let watched = ran.clone();
    tokio::spawn(async move {
        let mut events = kube::runtime::watcher(pods, watcher::Config::default().timeout(30)).boxed();
        loop {
            match events.try_next().await {
                Ok(Some(Event::Apply(pod) | Event::InitApply(pod))) => note(&watched, &pod),
                Ok(Some(Event::Delete(_) | Event::Init | Event::InitDone)) => {}
                Ok(None) => return,
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        }
    });
    Ok(ran)
}

fn note(ran: &Ran, pod: &Pod) {
    let status = pod.status.as_ref();
    let begun = status.is_some_and(|status| status.phase.as_deref() != Some("Pending") && status.container_statuses.is_some());
    if begun && let Some(uid) = pod.uid() {
        ran.lock().entry(pod.name_any()).or_default().insert(uid);
    }
}

/// Waits until everything has come to rest, or should have; then tells what is wrong.
pub(crate) async fn of(yard: &Yard, builds: &[BuildKey], ran: &Ran) -> anyhow::Result<Audit> {
    let (begun, last_fault) = (Instant::now(), Timestamp::now());
    let pods = yard.pods()?;
    let mut last_pod = last_fault;
    loop {
        let (open, left) = left(yard, builds, &pods).await;
        if left > 0 {
            last_pod = Timestamp::now();
        }
        if open + left == 0 || begun.elapsed() > REST {
            break;
        }
        sleep(Duration::from_millis(500)).await;
    }
    let mut audit = Audit { rest_seconds: begun.elapsed().as_secs_f64(), ..Audit::default() };
    let records: BTreeMap<_, _> = yard.bus.records().await?.into_iter().collect();
    let finished = finished(yard).await?;
    for build in builds {
        audit.build(build, records.get(build), &finished, ran);
    }
    let limit = audit.last_end.unwrap_or(last_fault).checked_add(TEARDOWN)?.max(last_fault).checked_add(BURIED)?;
    if last_pod > limit {
        audit.orphaned += 1;
        audit.wrong.push(format!("the last pod went at {last_pod:.3}, later than {limit:.3}"));
    }
    for pod in pods.list(&ListParams::default()).await?.items {
        audit.orphaned += 1;
        audit.wrong.push(format!("pod {} is left, with finalizers {:?}", pod.name_any(), pod.finalizers()));
    }
    Ok(audit)
}

/// How many builds are not closed, and how many pods are left; what cannot be asked is not.
async fn left(yard: &Yard, builds: &[BuildKey], pods: &Api<Pod>) -> (usize, usize) {
    let Ok(records) = yard.bus.records().await else { return (1, 1) };
    let closed = records.iter().filter(|(_, record)| record.is_closed()).map(|(build, _)| build).collect::<BTreeSet<_>>();
    let open = builds.iter().filter(|build| !closed.contains(build)).count();
    (open, pods.list(&ListParams::default()).await.map_or(1, |pods| pods.items.len()))
}

type Finished = BTreeMap<BuildKey, Vec<BuildFinished>>;

/// Every finished event that is stored.
async fn finished(yard: &Yard) -> anyhow::Result<Finished> {
    let stream = yard.bus.jetstream().get_stream("YARD").await.context("stream YARD")?;
    let mut found = Finished::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let Some(delivery) = yard.bus.fetch("YARD", sequence).await? else { continue };
        if delivery.subject.contains(".finished.") {
            let end: BuildFinished = custom_data(&delivery.cdevent()?)?;
            found.entry(end.build.clone()).or_default().push(end);
        }
    }
    Ok(found)
}

impl Audit {
    fn build(&mut self, build: &BuildKey, record: Option<&Record>, finished: &Finished, ran: &Ran) {
        let ends = finished.get(build).map_or(&[][..], Vec::as_slice);
        if ends.is_empty() {
            self.lost += 1;
            self.wrong.push(format!("{build} was published and never ended: {record:?}"));
            return;
        }
        if !ends.iter().any(|end| !end.retry) || !record.is_some_and(Record::is_closed) {
            self.unended += 1;
            self.wrong.push(format!("{build} has not ended: {record:?}"));
        }
        let Some(record) = record else { return };
        for attempt in &record.attempts {
            self.attempts += 1;
            let times = ends.iter().filter(|end| end.attempt == attempt.n).count();
            let name = format!("b-{build}-{}", attempt.n);
            let bound = attempt.bound.as_ref().map(|bound| bound.uid.as_str());
            let others = ran.lock().get(&name).map_or(0, |uids| uids.iter().filter(|uid| Some(uid.as_str()) != bound).count());
            if times > 1 || others > 0 {
                self.doubled += 1;
                self.wrong.push(format!("{build} attempt {}: {times} ends, {others} pods that were never bound", attempt.n));
            }
            let over = attempt.decided.as_ref().map(|decided| decided.at);
            self.last_end = self.last_end.max(over);
            if let (Some(started), Some(over), Standing::Closed) = (attempt.started_at, over, attempt.standing()) {
                self.limit(build, started, over);
            }
        }
        let last = record.latest().and_then(|attempt| attempt.decided.as_ref());
        let outcome = last.map_or_else(|| "none".to_owned(), |end| end.reason.to_string());
        *self.outcomes.entry(outcome).or_default() += 1;
    }

    fn limit(&mut self, build: &BuildKey, started: Timestamp, over: Timestamp) {
        let lived = Duration::try_from(over.duration_since(started)).unwrap_or_default();
        if lived > LONGEST + DOWN {
            self.late += 1;
            self.wrong.push(format!("{build} outlived its limit: {lived:?}"));
        }
    }
}
