//! The sweep's shell: looks at everything, asks the plan, and does what it says.

use std::{collections::BTreeSet, fmt::Display, future::Future, time::Duration};

use switchyard_bus::{Bus, Clocks, Events, Ledger, StoredError};
use switchyard_events::{BuildKey, BuildReaped, ClockKind};
use switchyard_executor::{Executor, Observed};
use switchyard_runtime::{Context, Shutdown};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::{Look, Policy, Reap, ReapError, Reaper, Sight, Why, plan};

/// How long looking at everything may take: a broker that goes away in between must not stop the sweep for good.
const LONGEST: Duration = Duration::from_mins(5);

impl<X: Executor> Reaper<Bus, X> {
    /// Now and then sees to what was forgotten.
    pub(crate) async fn sweep(&self, service: &Context, every: Duration) {
        now_and_then(&service.shutdown, [every, LONGEST], || self.findings(), |found| self.see_to(found)).await;
    }

    /// Sees to what was found.
    pub async fn see_to(&self, found: Vec<Reap>) {
        self.watched.overdue(found.iter().filter(|reap| matches!(reap.why, Why::Overdue(_))).count());
        for reap in found {
            let Reap { build, attempt, why } = &reap;
            if why.is_finding() {
                warn!(%build, attempt, %why, "found by the sweep");
            } else {
                info!(%build, attempt, %why, "seen to by the sweep");
            }
            self.watched.found(why);
            if let Err(error) = self.reap(&reap).await {
                warn!(%build, %error, "left to the next sweep");
            }
        }
    }

    /// What a sweep finds now.
    ///
    /// # Errors
    /// When the broker does not answer. Of an executor that does not answer, nothing is assumed.
    pub async fn findings(&self) -> Result<Vec<Reap>, StoredError> {
        let now = (self.now)();
        let pods = match self.executor.list().await {
            Ok(pods) => Some(pods),
            Err(error) => {
                warn!(executor = self.executor.name(), %error, "the sweep assumes nothing of its pods");
                None
            }
        };
        let gone_nodes = self.gone_nodes(pods.as_deref().unwrap_or_default()).await;
        let clocks = self.bus.armed(self.executor.name()).await?;
        // Read last: what was seen is older than any record that speaks of it.
        let records = self.bus.records().await?;
        let sight = Sight { records: &records, pods: pods.as_deref(), gone_nodes: &gone_nodes, clocks: &clocks };
        let policy = Policy { draining: self.elsewhere.draining(), ..self.policy.clone() };
        Ok(plan(&sight, now, &policy))
    }

    /// Of the machines of pods that are to go: those that do not exist any more.
    async fn gone_nodes(&self, pods: &[Observed]) -> BTreeSet<String> {
        let asked: BTreeSet<_> =
            pods.iter().filter(|pod| pod.deleting && !pod.dead).filter_map(|pod| pod.node.as_deref()).collect();
        let mut gone = BTreeSet::new();
        for node in asked {
            if self.executor.is_gone(node).await.is_ok_and(|is_gone| is_gone) {
                gone.insert(node.to_owned());
            }
        }
        gone
    }
}

/// Looks, and sees to what is found, until all is to stop; a look that takes too long is given up, and the next may fare better.
async fn now_and_then<T, E: Display, L, S>(
    shutdown: &Shutdown,
    [every, longest]: [Duration; 2],
    look: impl Fn() -> L,
    see_to: impl Fn(T) -> S,
) where
    L: Future<Output = Result<T, E>>,
    S: Future<Output = ()>,
{
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            () = tokio::time::sleep(every) => {}
        }
        let found = tokio::select! {
            () = shutdown.requested() => return,
            found = timeout(longest, look()) => found,
        };
        match found {
            Ok(Ok(found)) => see_to(found).await,
            Ok(Err(error)) => warn!(%error, "the sweep could not read the ledger"),
            Err(_) => warn!("the sweep could not read everything within {longest:?}"),
        }
    }
}

impl<B: Ledger + Events + Clocks, X: Executor> Reaper<B, X> {
    /// Sees to one finding. Nothing of it depends on who else does so at the same time.
    ///
    /// # Errors
    /// Whatever stood in the way; doing it again is safe.
    pub async fn reap(&self, reap: &Reap) -> Result<(), ReapError> {
        let Reap { build, attempt, why } = reap;
        match why {
            Why::Overdue(kind) => self.fire(build, *attempt, *kind).await,
            Why::Drained => self.fire(build, *attempt, ClockKind::Queued).await,
            Why::Overlooked(pod) => self.seen(pod).await.map(drop),
            Why::Orphan(uid) => self.orphaned(build, *attempt, uid).await,
            Why::PodGone(uid) => match self.look(build, *attempt, uid).await {
                Look::Absent => self.gone(build, *attempt, uid).await,
                Look::Present(_) | Look::Unbound(_) | Look::Unreachable => Ok(()),
            },
            Why::Stuck { uid, node } => self.forced(build, *attempt, uid, node).await,
            Why::StrayClock(kind) => Ok(self.bus.disarm(&self.clock(build, *attempt, *kind)).await?),
            Why::Expired => self.forget(build).await,
        }
    }

    /// A pod that no record knew when it was found, and that none knows now, goes.
    async fn orphaned(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<(), ReapError> {
        if self.bus.read(build).await?.is_some_and(|(record, _)| record.attempt(attempt).is_some()) {
            return Ok(());
        }
        self.executor.delete(build, attempt, uid).await?;
        Ok(self.executor.release(build, attempt, uid).await?)
    }

    async fn forced(&self, build: &BuildKey, attempt: u32, uid: &str, node: &str) -> Result<(), ReapError> {
        let Some((record, _)) = self.bus.read(build).await? else { return Ok(()) };
        let said = BuildReaped {
            build: build.clone(),
            attempt,
            executor: self.executor.name().to_owned(),
            uid: uid.to_owned(),
            why: format!("it was to go, and its node {node} does not exist any more"),
            at: (self.now)(),
        };
        self.bus.publish(said.outgoing(&record.request)?).await?;
        Ok(self.executor.force(build, attempt, uid).await?)
    }

    /// Removes a record, unless somebody has written to it.
    async fn forget(&self, build: &BuildKey) -> Result<(), ReapError> {
        match self.bus.read(build).await? {
            Some((record, revision)) if record.is_closed() => Ok(self.bus.remove(build, revision).await.map(drop)?),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn a_look_that_never_ends_and_one_that_fails_do_not_stop_the_sweep() {
        let (shutdown, looks, seen) = (Shutdown::default(), AtomicU32::new(0), Mutex::new(Vec::new()));
        let look = || {
            let n = looks.fetch_add(1, Ordering::Relaxed);
            async move {
                match n {
                    0 | 2 => std::future::pending().await,
                    1 => Err("the broker is away"),
                    n => Ok(n),
                }
            }
        };
        let see_to = async |n| {
            seen.lock().unwrap().push(n);
            if n == 4 {
                shutdown.request();
            }
        };
        let pauses = [Duration::from_millis(1), Duration::from_millis(20)];
        let sweep = now_and_then(&shutdown, pauses, look, see_to);
        timeout(Duration::from_secs(30), sweep).await.expect("it goes on, and ends when it is told to");
        assert_eq!(*seen.lock().unwrap(), [3, 4]);
    }

    #[tokio::test]
    async fn a_sweep_that_looks_ends_when_it_is_told_to() {
        let shutdown = Shutdown::default();
        let look = || {
            shutdown.request();
            std::future::pending::<Result<(), &str>>()
        };
        let sweep = now_and_then(&shutdown, [Duration::from_millis(1), Duration::from_hours(1)], look, async |()| {});
        timeout(Duration::from_secs(30), sweep).await.expect("it ends");
    }
}
