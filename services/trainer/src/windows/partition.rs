//! Reads one partition of a model in order, counts, and keeps what it has counted together with how far it has come. Whoever
//! loses that write throws away what he has counted, and waits whether the other goes on.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use jiff::Timestamp;
use switchyard_bus::{Bus, Inferred, Revision, StoredError};
use switchyard_events::decode;
use tokio::sync::{Notify, watch};
use tracing::{debug, info, warn};

use super::{
    files,
    meters::Meters,
    state::{Part, State, Taken},
};
use crate::{Watch, ingest::Unreadable};

/// How many messages are counted before anybody looks at the time.
const AT_ONCE: usize = 512;
/// How often a state is kept that nothing waits for.
const EVERY: Duration = Duration::from_millis(500);
/// How often a state with closed windows is kept, while more are closed.
const SOON: Duration = Duration::from_millis(10);
/// How often it is looked whether there is something to keep, where nothing comes.
const TICK: Duration = Duration::from_millis(100);
/// How often who has lost looks whether the other goes on, and after how many looks without any change he does not.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: u32 = 3;
/// How many closed windows a partition may be ahead of the others.
const AHEAD: usize = 32;
/// How often a message is tried to be put into DEAD.
const TRIES: u32 = 3;

/// One partition of a model.
pub(crate) struct Partition {
    pub(crate) bus: Bus,
    pub(crate) watch: Arc<Watch>,
    pub(crate) number: u16,
    pub(crate) meters: Meters,
    /// Told when a window has closed.
    pub(crate) closed: Arc<Notify>,
    /// The windows that are closed and kept, for who judges them; nothing while somebody else counts.
    pub(crate) kept: watch::Sender<Option<Closed>>,
    /// The next window that is to be judged.
    pub(crate) next: watch::Receiver<u64>,
    pub(crate) pipeline: PathBuf,
}

/// What a partition has closed: kept, so that nobody ever counts it otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Closed {
    /// The first window that is not closed.
    pub(crate) closed: u64,
    /// The windows that are, and were not judged when it was kept.
    pub(crate) parts: BTreeMap<u64, Arc<Part>>,
}

/// Somebody else counts this partition.
struct Lost;

/// What is counted and kept.
struct Held {
    state: State,
    revision: Option<Revision>,
    /// Whether there is something that is not kept.
    changed: bool,
    kept: Instant,
    /// Up to which window it is told that they are closed.
    told: u64,
}

impl Held {
    /// Whether a window is closed that nobody was told of.
    fn closes(&self) -> bool {
        self.state.closed > self.told && !self.state.parts.is_empty()
    }
}

/// Where a partition's state is kept.
pub(crate) fn key(model: &str, partition: u16) -> String {
    format!("window.{model}.{partition}")
}

impl Partition {
    /// Counts until it is dropped.
    pub(crate) async fn run(&self) {
        loop {
            let held = self.hold().await;
            self.kept.send_replace(None);
            match held {
                Ok(Lost) => {
                    self.meters.lost.increment();
                    self.wait().await;
                }
                Err(error) => {
                    warn!(model = self.watch.model, partition = self.number, %error, "reading ended; beginning again");
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// Reads on from where the kept state is, until somebody else does.
    async fn hold(&self) -> Result<Lost, StoredError> {
        let Some(mut held) = self.load().await? else { return Ok(Lost) };
        if held.changed && !self.keep(&mut held).await? {
            return Ok(Lost);
        }
        let subject = self.watch.subject(self.number);
        let messages = self.bus.inferred(&subject, held.state.position).await?;
        debug!(subject, after = held.state.position, "reading");
        let (mut messages, mut next) = (Box::pin(messages.ready_chunks(AT_ONCE)), self.next.clone());
        let mut caught_up = true;
        loop {
            if held.state.parts.len() < AHEAD {
                match tokio::time::timeout(TICK, messages.next()).await {
                    Ok(Some(batch)) => match self.count(&mut held, batch).await? {
                        Some(pending) => caught_up = pending == 0,
                        None => return Ok(Lost),
                    },
                    Ok(None) => return Err(StoredError::new(&subject, "the stream of messages ended")),
                    Err(_) if caught_up => self.idle(&mut held),
                    Err(_) => {}
                }
            } else {
                drop(tokio::time::timeout(TICK, next.changed()).await);
            }
            held.changed |= held.state.judged(*next.borrow_and_update());
            if held.changed && held.kept.elapsed() >= EVERY && !self.keep(&mut held).await? {
                return Ok(Lost);
            }
        }
    }

    fn idle(&self, held: &mut Held) {
        let before = held.state.closed;
        held.state.idle(&self.watch, Timestamp::now());
        if held.state.closed != before {
            held.changed = true;
            // It is kept at once: nobody counts on anything before.
            held.kept -= EVERY;
        }
    }

    /// The state as it is kept; `None` where who keeps it knows a newer file or reference.
    async fn load(&self) -> Result<Option<Held>, StoredError> {
        let kept = Instant::now();
        let Some((bytes, revision)) = self.bus.state(&key(&self.watch.model, self.number)).await? else {
            let state = State::begin(&self.watch, 0);
            return Ok(Some(Held { state, revision: None, changed: true, kept, told: 0 }));
        };
        let revision = Some(revision);
        let position = match serde_json::from_slice::<State>(&bytes) {
            Ok(state) if state.basis == self.watch.basis && self.fits(&state) => {
                return Ok(Some(Held { state, revision, changed: false, kept, told: 0 }));
            }
            Ok(state) if state.version >= self.watch.version && state.basis != self.watch.basis => return Ok(None),
            Ok(state) => state.position,
            Err(error) => {
                warn!(model = self.watch.model, partition = self.number, %error, "the kept counts cannot be read; windows begin anew");
                serde_json::from_slice::<Place>(&bytes).map_or(0, |place| place.position)
            }
        };
        info!(model = self.watch.model, partition = self.number, reference = self.watch.reference, "windows begin anew");
        Ok(Some(Held { state: State::begin(&self.watch, position), revision, changed: true, kept, told: 0 }))
    }

    fn fits(&self, state: &State) -> bool {
        let fold = self.watch.schema.fold();
        state.open.values().chain(state.parts.values().map(AsRef::as_ref)).all(|part| fold.fits(&part.counts))
    }

    /// Counts messages; says how many are pending after them, or nothing where a write was lost.
    async fn count(&self, held: &mut Held, batch: Vec<Result<Inferred, StoredError>>) -> Result<Option<u64>, StoredError> {
        let mut pending = 0;
        let first = self.first(held, &batch).await?;
        for message in batch {
            let message = message?;
            // What is before the first that the stream still has, and was not read, may be lost.
            let lost = first.min(message.sequence).saturating_sub(held.state.position + 1);
            if lost > 0 && held.state.position > 0 {
                held.state.lose(&self.watch, lost, message.stored.as_microsecond());
                self.meters.gaps.add(lost);
            }
            self.take(&mut held.state, &message).await?;
            held.state.position = message.sequence;
            held.changed = true;
            pending = message.pending;
            self.meters.messages.increment();
            self.measure(&held.state, &message);
            if held.closes() && held.kept.elapsed() >= SOON && !self.keep(held).await? {
                return Ok(None);
            }
        }
        if held.closes() && !self.keep(held).await? {
            return Ok(None);
        }
        Ok(Some(pending))
    }

    fn measure(&self, state: &State, message: &Inferred) {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.meters.pending.set(number(message.pending));
        self.meters.waiting.set(number(state.parts.len() as u64));
        self.meters.behind.set(Timestamp::now().duration_since(message.stored).as_secs());
    }

    /// The first sequence that the stream still has, where that can matter for these messages.
    async fn first(&self, held: &Held, batch: &[Result<Inferred, StoredError>]) -> Result<u64, StoredError> {
        let mut before = held.state.position;
        let skips = batch.iter().flatten().any(|message| {
            let skips = message.sequence > before + 1;
            before = message.sequence;
            skips
        });
        if skips { self.bus.first_inferred().await } else { Ok(0) }
    }

    async fn take(&self, state: &mut State, message: &Inferred) -> Result<(), StoredError> {
        let headers = message.headers.iter().flat_map(|headers| headers.iter());
        let headers = headers.filter_map(|(name, values)| Some((name.as_ref(), values.first()?.as_str())));
        let stored = message.stored;
        let event = match decode(headers, &message.payload) {
            Ok(decoded) => decoded.event,
            Err(error) => {
                state.unreadable(&self.watch, stored.as_microsecond());
                return self.bury(message, &error.into()).await;
            }
        };
        match state.take(&self.watch, &event, stored) {
            Taken::Rows(rows) => self.meters.rows.add(rows),
            Taken::Again => self.meters.again.increment(),
            Taken::Unreadable(why) => self.bury(message, &why).await?,
            Taken::Files(urls) => match files::count(&self.pipeline, &self.watch.profile, &urls).await {
                Ok(counts) if state.add_counts(&self.watch, &counts, &event, stored) => self.meters.rows.add(counts.rows()),
                other => {
                    let why = other.err().unwrap_or_else(|| Unreadable::Shape("counted with another reference".into()));
                    state.unreadable(&self.watch, stored.as_microsecond());
                    self.bury(message, &why).await?;
                }
            },
        }
        Ok(())
    }

    /// Puts a message into DEAD. Where DEAD takes none, counting goes on, and it is told.
    async fn bury(&self, message: &Inferred, why: &Unreadable) -> Result<(), StoredError> {
        self.meters.unreadable.increment();
        for again in 1..=TRIES {
            match self.bus.bury_inferred(message, why.to_string()).await {
                Ok(()) => return Ok(()),
                Err(error) if again == TRIES => {
                    warn!(subject = message.subject, sequence = message.sequence, reason = %why, %error, "an unreadable message is not kept");
                }
                Err(_) => tokio::time::sleep(TICK * again).await,
            }
        }
        Ok(())
    }

    /// Writes the state if nobody else has; says whether that is so.
    async fn keep(&self, held: &mut Held) -> Result<bool, StoredError> {
        let key = key(&self.watch.model, self.number);
        held.state.judged(*self.next.borrow());
        let bytes = serde_json::to_vec(&held.state).map_err(|error| StoredError::new(&key, error.to_string()))?;
        let Some(revision) = self.bus.keep_state(&key, bytes.into(), held.revision).await? else { return Ok(false) };
        (held.revision, held.changed, held.kept) = (Some(revision), false, Instant::now());
        let tells = held.closes();
        self.kept.send_replace(Some(Closed { closed: held.state.closed, parts: held.state.parts.clone() }));
        if tells {
            held.told = held.state.closed;
            self.closed.notify_one();
        }
        Ok(true)
    }

    /// Waits until nobody goes on with this partition.
    async fn wait(&self) {
        let (mut last, mut looks) = (None, 0);
        while looks < LOOKS {
            tokio::time::sleep(LOOK).await;
            let Ok(state) = self.bus.state_revision(&key(&self.watch.model, self.number)).await else { continue };
            looks = if state == last { looks + 1 } else { 0 };
            last = state;
        }
    }
}

/// What is read of a state that cannot be read otherwise.
#[derive(serde::Deserialize)]
struct Place {
    position: u64,
}
