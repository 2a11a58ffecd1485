//! The world as launchers and reapers reach it. Before every effect they can be stopped.

use std::{
    cell::Cell,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard},
    task::Poll,
};

use futures::stream::{BoxStream, StreamExt as _};
use jiff::Timestamp;
use switchyard_bus::{ClockError, Clocks, Events, Ledger, LedgerError, PublishError, Published, Revision};
use switchyard_events::{BuildKey, Clock, Outgoing, Record};
use switchyard_executor::{CreateError, Executor, Launch, Observed, Phase, Seen, Unreachable};

use crate::{
    cluster::{Away, Cluster},
    state::{EXECUTORS, State},
};

thread_local! {
    static NOW: Cell<Timestamp> = const { Cell::new(Timestamp::UNIX_EPOCH) };
}

/// What the clocks of this world show.
pub(crate) fn now() -> Timestamp {
    NOW.get()
}

pub(crate) fn set_now(now: Timestamp) {
    NOW.set(now);
}

/// The world, as it is reached from one executor.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) executor: usize,
}

impl Site {
    /// Waits once, so that whoever polls can stop here for a while, or for ever.
    async fn effect(&self) -> MutexGuard<'_, State> {
        let mut waited = false;
        poll_fn(|_| if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        self.state.lock().unwrap()
    }

    async fn ask<T>(&self, question: impl FnOnce(&mut Cluster) -> T + Send) -> Result<T, Unreachable> {
        let mut state = self.effect().await;
        let cluster = &mut state.clusters[self.executor];
        match cluster.away {
            Away::No => Ok(question(cluster)),
            Away::Deaf => Err(Unreachable("away".into())),
            Away::Mute => {
                question(cluster);
                Err(Unreachable("away".into()))
            }
        }
    }
}

impl Ledger for Site {
    async fn read(&self, build: &BuildKey) -> Result<Option<(Record, Revision)>, LedgerError> {
        Ok(self.effect().await.records.get(build).map(|(record, revision)| (record.clone(), Revision(*revision))))
    }

    async fn create(&self, build: &BuildKey, record: &Record) -> Result<bool, LedgerError> {
        let mut state = self.effect().await;
        let free = !state.records.contains_key(build);
        if free {
            state.write(build, record);
        }
        Ok(free)
    }

    async fn replace(&self, build: &BuildKey, record: &Record, Revision(read): Revision) -> Result<bool, LedgerError> {
        let mut state = self.effect().await;
        let unchanged = state.records.get(build).is_some_and(|(_, revision)| *revision == read);
        if unchanged {
            state.write(build, record);
        }
        Ok(unchanged)
    }
}

impl Events for Site {
    async fn publish(&self, outgoing: Outgoing) -> Result<Published, PublishError> {
        Ok(self.effect().await.publish(outgoing))
    }
}

impl Clocks for Site {
    async fn arm(&self, clock: &Clock, at: Timestamp, _trace: &str) -> Result<(), ClockError> {
        self.effect().await.arm(clock, at);
        Ok(())
    }

    async fn disarm(&self, clock: &Clock) -> Result<(), ClockError> {
        self.effect().await.timers.retain(|(other, _)| other != clock);
        Ok(())
    }
}

impl Executor for Site {
    fn name(&self) -> &str {
        EXECUTORS[self.executor]
    }

    async fn create(&self, launch: &Launch) -> Result<String, CreateError> {
        let created = self.ask(|cluster| {
            if let Some(pod) = cluster.find(&launch.build, launch.attempt) {
                return if pod.deleting { Err(CreateError::Later("going".into())) } else { Ok(pod.uid.clone()) };
            }
            if cluster.rejects {
                return Err(CreateError::Rejected("never".into()));
            }
            Ok(cluster.create(self.name(), &launch.build, launch.attempt, now()).uid.clone())
        });
        created.await.map_err(|away| CreateError::Later(away.0))?
    }

    async fn look(&self, build: &BuildKey, attempt: u32) -> Result<Option<Observed>, Unreachable> {
        self.ask(|cluster| cluster.find(build, attempt).map(crate::cluster::Pod::observed)).await
    }

    async fn ungate(&self, _build: &BuildKey, _attempt: u32, uid: &str) -> Result<(), Unreachable> {
        self.ask(|cluster| {
            cluster.change(uid, |pod| {
                if pod.phase == Phase::Gated {
                    pod.phase = Phase::Pending;
                }
            });
        })
        .await
    }

    async fn delete(&self, _build: &BuildKey, _attempt: u32, uid: &str) -> Result<(), Unreachable> {
        self.ask(|cluster| cluster.change(uid, |pod| pod.deleting = true)).await
    }

    async fn release(&self, _build: &BuildKey, _attempt: u32, uid: &str) -> Result<(), Unreachable> {
        self.ask(|cluster| cluster.change(uid, |pod| pod.held = false)).await
    }

    fn watch(&self) -> BoxStream<'static, Result<Seen, Unreachable>> {
        futures::stream::pending().boxed()
    }
}
