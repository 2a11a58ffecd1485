//! The world as launchers and reapers reach it. Before every effect they can be stopped, and every server may be away.

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
use switchyard_executor::{CreateError, Executor, Launch, Observed, Seen, Unreachable};

use crate::{
    cluster::{Away, NoPod, Request},
    mistake,
    pod::Pod,
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

/// The world, as a launcher or a reaper of one executor reaches it.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) executor: usize,
    pub(crate) service: Service,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Launcher,
    Reaper,
}

/// The broker did not answer.
struct Silence;

impl Site {
    /// Waits once, so that whoever polls can stop here for a while, or for ever.
    async fn effect(&self) -> MutexGuard<'_, State> {
        let mut waited = false;
        poll_fn(|_| if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        self.state.lock().unwrap()
    }

    /// Asks the broker for something.
    async fn broker<T>(&self, question: impl FnOnce(&mut State) -> T + Send) -> Result<T, Silence> {
        let mut state = self.effect().await;
        match state.broker {
            Away::No => Ok(question(&mut state)),
            Away::Deaf => Err(Silence),
            Away::Mute | Away::Late => {
                question(&mut state);
                Err(Silence)
            }
        }
    }

    /// Asks the cluster to do something.
    async fn cluster(&self, request: Request) -> Result<Result<String, NoPod>, Unreachable> {
        let mut state = self.effect().await;
        let cluster = &mut state.clusters[self.executor];
        match cluster.away {
            Away::No => return Ok(cluster.perform(&request, now())),
            Away::Deaf => {}
            Away::Mute => drop(cluster.perform(&request, now())),
            Away::Late => cluster.late.push(request),
        }
        Err(Unreachable("away".into()))
    }

    async fn change(&self, request: Request) -> Result<(), Unreachable> {
        self.cluster(request).await.map(drop)
    }
}

fn store(build: &BuildKey) -> impl FnOnce(Silence) -> LedgerError + use<'_> {
    |_| LedgerError::Store { build: build.clone(), error: "away".into() }
}

impl Ledger for Site {
    async fn read(&self, build: &BuildKey) -> Result<Option<(Record, Revision)>, LedgerError> {
        let read = |state: &mut State| state.records.get(build).map(|(record, revision)| (record.clone(), Revision(*revision)));
        self.broker(read).await.map_err(store(build))
    }

    async fn create(&self, build: &BuildKey, record: &Record) -> Result<bool, LedgerError> {
        let create = |state: &mut State| {
            let free = !state.records.contains_key(build);
            if free && !mistake::leaves_unrecorded(state, self.service, record) {
                state.write(build, record);
            }
            free
        };
        self.broker(create).await.map_err(store(build))
    }

    async fn replace(&self, build: &BuildKey, record: &Record, Revision(read): Revision) -> Result<bool, LedgerError> {
        let mistaken = self.state.lock().unwrap().mistake;
        if let Some(early) = mistake::published_too_early(mistaken, record, build) {
            self.publish(early).await.map_err(|_| store(build)(Silence))?;
        }
        let replace = |state: &mut State| {
            let unchanged = state.records.get(build).is_some_and(|(_, revision)| *revision == read);
            if unchanged {
                state.write(build, &mistake::written(mistaken, record));
            }
            unchanged
        };
        self.broker(replace).await.map_err(store(build))
    }

    async fn remove(&self, build: &BuildKey, Revision(read): Revision) -> Result<bool, LedgerError> {
        let remove = |state: &mut State| {
            let unchanged = state.records.get(build).is_some_and(|(_, revision)| *revision == read);
            if unchanged {
                state.records.remove(build);
            }
            unchanged
        };
        self.broker(remove).await.map_err(store(build))
    }
}

impl Events for Site {
    async fn publish(&self, outgoing: Outgoing) -> Result<Published, PublishError> {
        let subject = outgoing.subject.clone();
        let published = self.broker(|state| state.publish(outgoing)).await;
        published.map_err(|_| PublishError { subject, reason: "away".into() })
    }
}

impl Clocks for Site {
    async fn arm(&self, clock: &Clock, at: Timestamp, _trace: &str) -> Result<(), ClockError> {
        self.broker(|state| state.arm(clock, at)).await.map_err(|_| unarmed(clock))
    }

    async fn disarm(&self, clock: &Clock) -> Result<(), ClockError> {
        let disarm = |state: &mut State| {
            let also = mistake::also_stopped(state, clock);
            state.timers.retain(|(other, _)| other != clock && Some(other) != also.as_ref());
        };
        self.broker(disarm).await.map_err(|_| unarmed(clock))
    }
}

fn unarmed(clock: &Clock) -> ClockError {
    ClockError { subject: clock.timer_subject(), reason: "away".into() }
}

impl Executor for Site {
    fn name(&self) -> &str {
        EXECUTORS[self.executor]
    }

    async fn create(&self, launch: &Launch) -> Result<String, CreateError> {
        match self.cluster(Request::Create(launch.build.clone(), launch.attempt)).await {
            Ok(Ok(uid)) => Ok(uid),
            Ok(Err(NoPod::Going)) => Err(CreateError::Later("going".into())),
            Ok(Err(NoPod::Rejected)) => Err(CreateError::Rejected("never".into())),
            Err(away) => Err(CreateError::Later(away.0)),
        }
    }

    async fn look(&self, build: &BuildKey, attempt: u32) -> Result<Option<Observed>, Unreachable> {
        let state = self.effect().await;
        let cluster = &state.clusters[self.executor];
        match cluster.away {
            Away::No => Ok(cluster.find(build, attempt).map(Pod::observed)),
            Away::Deaf | Away::Mute | Away::Late => Err(Unreachable("away".into())),
        }
    }

    async fn ungate(&self, _build: &BuildKey, _attempt: u32, uid: &str) -> Result<(), Unreachable> {
        self.change(Request::Ungate(uid.to_owned())).await
    }

    async fn delete(&self, _build: &BuildKey, _attempt: u32, uid: &str) -> Result<(), Unreachable> {
        self.change(Request::Delete(uid.to_owned())).await
    }

    async fn release(&self, _build: &BuildKey, _attempt: u32, uid: &str) -> Result<(), Unreachable> {
        self.change(Request::Release(uid.to_owned())).await
    }

    fn watch(&self) -> BoxStream<'static, Result<Seen, Unreachable>> {
        futures::stream::pending().boxed()
    }
}
