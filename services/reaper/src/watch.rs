//! The loop that looks at pods: whatever changes is judged by its record, and some are looked at again later.

use std::{collections::VecDeque, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use jiff::Timestamp;
use switchyard_bus::{Clocks, Events, Ledger, with_trace};
use switchyard_events::{BuildKey, ExecutorHeard};
use switchyard_executor::{Executor, Observed, Seen, Unreachable};
use switchyard_runtime::Context;
use tracing::{debug, warn};

use crate::{Act, ReapError, Reaper, act::Target, gone};

/// How many pods are judged at once.
const AT_ONCE: usize = 64;

/// How soon a pod is looked at again about which something could not be done.
const RETRY: Duration = Duration::from_secs(1);

/// One thing to judge.
#[derive(Clone, Debug)]
enum Judge {
    Seen(Box<Observed>),
    Gone { build: BuildKey, attempt: u32, uid: String },
    Again { build: BuildKey, attempt: u32 },
}

impl<B: Ledger + Events + Clocks, X: Executor> Reaper<B, X> {
    /// Watches until the service is to stop.
    pub(crate) async fn watch(&self, service: &Context) {
        let mut pods = self.executor.watch();
        let mut waiting = VecDeque::new();
        let mut judging = FuturesUnordered::new();
        let mut later = FuturesUnordered::new();
        let mut away = None;
        loop {
            while judging.len() < AT_ONCE
                && let Some(next) = waiting.pop_front()
            {
                judging.push(self.judge(next));
            }
            tokio::select! {
                () = service.shutdown.requested() => break,
                Some(seen) = pods.next() => waiting.extend(self.heard(service, seen, &mut away).await),
                Some(again) = judging.next(), if !judging.is_empty() => later.extend(again.map(pause)),
                Some(judge) = later.next(), if !later.is_empty() => waiting.push_back(judge),
            }
        }
        while judging.next().await.is_some() {}
    }

    fn until(&self, at: Timestamp) -> Duration {
        Duration::try_from(at.duration_since((self.now)())).unwrap_or_default()
    }

    /// Takes note of what the watch says; `away` is since when it says nothing but errors.
    async fn heard(&self, service: &Context, seen: Result<Seen, Unreachable>, away: &mut Option<Timestamp>) -> Option<Judge> {
        match seen {
            Ok(Seen::Present(pod)) => Some(Judge::Seen(pod)),
            Ok(Seen::Gone { build, attempt, uid }) => Some(Judge::Gone { build, attempt, uid }),
            Ok(Seen::Synced) => {
                service.health.pass("executor");
                service.health.ready();
                self.watched.reachable(self.executor.name(), true);
                if let Some(since) = away.take() {
                    self.tell(since, None).await;
                }
                None
            }
            Err(error) => {
                warn!(executor = self.executor.name(), %error, "nothing is assumed dead; clocks go on");
                service.health.fail("executor", error.to_string());
                self.watched.reachable(self.executor.name(), false);
                if away.is_none() {
                    let since = *away.insert((self.now)());
                    self.tell(since, Some(error.to_string())).await;
                }
                None
            }
        }
    }

    /// Says that the executor does not answer, or does again. It is news, nothing depends on it.
    async fn tell(&self, since: Timestamp, error: Option<String>) {
        let said = ExecutorHeard { executor: self.executor.name().to_owned(), error, since, at: (self.now)() };
        let told = async { self.bus.publish(said.outgoing()?).await.map_err(ReapError::from) };
        if let Err(error) = told.await {
            warn!(%error, "nobody is told that the executor was away");
        }
    }

    /// Does what is to be done about one pod; answers what to judge again, and after which pause.
    async fn judge(&self, judge: Judge) -> Option<(Duration, Judge)> {
        match self.judged(&judge).await {
            Ok(again) => again.map(|at| (self.until(at), judge.again())),
            Err(error) => {
                debug!(?judge, %error, "will be judged again");
                Some((RETRY, judge.retried()))
            }
        }
    }

    async fn judged(&self, judge: &Judge) -> Result<Option<Timestamp>, ReapError> {
        match judge {
            Judge::Seen(pod) => self.seen(pod).await,
            Judge::Gone { build, attempt, uid } => self.gone(build, *attempt, uid).await.map(|()| None),
            Judge::Again { build, attempt } => self.look_again(build, *attempt).await,
        }
    }

    /// Does what is to be done about a pod that is no longer there.
    ///
    /// # Errors
    /// Whatever stood in the way; doing it again is safe.
    pub async fn gone(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<(), ReapError> {
        let record = self.bus.read(build).await?.map(|(record, _)| record);
        let ends = |acts: &[Act]| acts.iter().any(|act| matches!(act, Act::Decide(_)));
        // A watch also says so of a pod that somebody has taken its labels off; a look finds it, and has it known again.
        if ends(&gone(record.as_ref(), attempt, uid))
            && self.executor.look(build, attempt).await?.is_some_and(|pod| pod.uid == uid)
        {
            return Ok(());
        }
        self.act(Target { build, attempt, uid: Some(uid) }, |record| gone(record, attempt, uid)).await.map(drop)
    }

    /// Looks at an attempt's pod, and does what is to be done about it; answers when to look again.
    ///
    /// # Errors
    /// Whatever stood in the way; doing it again is safe.
    pub async fn look_again(&self, build: &BuildKey, attempt: u32) -> Result<Option<Timestamp>, ReapError> {
        match self.executor.look(build, attempt).await? {
            Some(pod) => self.seen(&pod).await,
            None => Ok(None),
        }
    }

    /// Does what is to be done about a pod that looks like this; answers when to look again.
    ///
    /// # Errors
    /// Whatever stood in the way; doing it again is safe.
    pub async fn seen(&self, pod: &Observed) -> Result<Option<Timestamp>, ReapError> {
        let target = Target { build: &pod.build, attempt: pod.attempt, uid: Some(&pod.uid) };
        let judged = self.act(target, |record| (self.decisions.see)(record, pod, (self.now)()));
        match &pod.traceparent {
            Some(trace) => with_trace(trace, judged).await,
            None => judged.await,
        }
    }
}

impl Judge {
    /// The same attempt, by a fresh look.
    fn again(&self) -> Self {
        let (build, attempt) = match self {
            Self::Seen(pod) => (&pod.build, pod.attempt),
            Self::Gone { build, attempt, .. } | Self::Again { build, attempt } => (build, *attempt),
        };
        Self::Again { build: build.clone(), attempt }
    }

    /// What could not be judged. No look shows again that a pod went: that is kept.
    fn retried(self) -> Self {
        match self {
            Self::Gone { .. } => self,
            Self::Seen(_) | Self::Again { .. } => self.again(),
        }
    }
}

async fn pause((pause, judge): (Duration, Judge)) -> Judge {
    tokio::time::sleep(pause).await;
    judge
}
