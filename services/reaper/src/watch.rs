//! The loop that looks at pods: whatever changes is judged by its record, and some are looked at again later.

use std::{collections::VecDeque, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use jiff::Timestamp;
use switchyard_bus::{Clocks, Events, Ledger, with_trace};
use switchyard_events::BuildKey;
use switchyard_executor::{Executor, Observed, Seen, Unreachable};
use switchyard_runtime::Context;
use tracing::{debug, warn};

use crate::{ReapError, Reaper, act::Target, gone, see};

/// How many pods are judged at once.
const AT_ONCE: usize = 64;

/// How soon a pod is looked at again about which something could not be done.
const RETRY: Duration = Duration::from_secs(1);

/// One thing to judge.
enum Judge {
    Seen(Box<Observed>),
    Gone { build: BuildKey, attempt: u32, uid: String },
    Again { build: BuildKey, attempt: u32 },
}

type Name = (BuildKey, u32);

impl<B: Ledger + Events + Clocks, X: Executor> Reaper<B, X> {
    /// Watches until the service is to stop.
    pub(crate) async fn watch(&self, service: &Context) {
        let mut pods = self.executor.watch();
        let mut waiting = VecDeque::new();
        let mut judging = FuturesUnordered::new();
        let mut later = FuturesUnordered::new();
        loop {
            while judging.len() < AT_ONCE
                && let Some(next) = waiting.pop_front()
            {
                judging.push(self.judge(next));
            }
            tokio::select! {
                () = service.shutdown.requested() => break,
                Some(seen) = pods.next() => waiting.extend(self.heard(service, seen)),
                Some(again) = judging.next(), if !judging.is_empty() => later.extend(again.map(look_again)),
                Some((build, attempt)) = later.next(), if !later.is_empty() => waiting.push_back(Judge::Again { build, attempt }),
            }
        }
        while judging.next().await.is_some() {}
    }

    fn heard(&self, service: &Context, seen: Result<Seen, Unreachable>) -> Option<Judge> {
        match seen {
            Ok(Seen::Present(pod)) => Some(Judge::Seen(pod)),
            Ok(Seen::Gone { build, attempt, uid }) => Some(Judge::Gone { build, attempt, uid }),
            Ok(Seen::Synced) => {
                service.health.pass("executor");
                service.health.ready();
                None
            }
            Err(error) => {
                warn!(executor = self.executor.name(), %error, "nothing is assumed dead; clocks go on");
                service.health.fail("executor", error.to_string());
                None
            }
        }
    }

    /// Does what is to be done about one pod; answers when to look at it again.
    async fn judge(&self, judge: Judge) -> Option<(Timestamp, Name)> {
        let name = match &judge {
            Judge::Seen(pod) => (pod.build.clone(), pod.attempt),
            Judge::Gone { build, attempt, .. } | Judge::Again { build, attempt } => (build.clone(), *attempt),
        };
        match self.judged(judge).await {
            Ok(again) => again.map(|at| (at, name)),
            Err(error) => {
                debug!(build = %name.0, attempt = name.1, %error, "will be looked at again");
                Some((Timestamp::now() + RETRY, name))
            }
        }
    }

    async fn judged(&self, judge: Judge) -> Result<Option<Timestamp>, ReapError> {
        match judge {
            Judge::Seen(pod) => self.seen(&pod).await,
            Judge::Gone { build, attempt, uid } => {
                let target = Target { build: &build, attempt, uid: Some(&uid) };
                self.act(target, |record| gone(record, attempt, &uid)).await
            }
            Judge::Again { build, attempt } => match self.executor.look(&build, attempt).await? {
                Some(pod) => self.seen(&pod).await,
                None => Ok(None),
            },
        }
    }

    pub(crate) async fn seen(&self, pod: &Observed) -> Result<Option<Timestamp>, ReapError> {
        let target = Target { build: &pod.build, attempt: pod.attempt, uid: Some(&pod.uid) };
        let judged = self.act(target, |record| see(record, pod, Timestamp::now()));
        match &pod.traceparent {
            Some(trace) => with_trace(trace, judged).await,
            None => judged.await,
        }
    }
}

async fn look_again((at, name): (Timestamp, Name)) -> Name {
    let pause = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
    tokio::time::sleep(pause).await;
    name
}
