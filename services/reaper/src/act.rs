//! Doing what was decided, step by step, in the order given.

use jiff::Timestamp;
use switchyard_bus::{
    ClockError, Clocks, Events, Ledger, LedgerError, PublishError, Revision, Settle, SettleError, Unreadable, settle,
};
use switchyard_events::{BuildKey, BuildStarted, Clock, ClockKind, Decision, EmitError, Outcome, Record};
use switchyard_executor::{Executor, Unreachable};
use tracing::{debug, info, warn};

use crate::Reaper;

/// One step of what is to be done about an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Write down why its pod must die.
    Condemn(Decision),
    /// Write down how it ended.
    Decide(Decision),
    /// Say that it runs since then, and write that down.
    Start(Timestamp),
    /// Make its end known, if it is decided.
    Settle,
    /// Have a clock fire then.
    Arm(ClockKind, Timestamp),
    /// Let its bound pod run.
    Ungate,
    /// Have its pod stopped.
    Delete,
    /// Let go of its pod.
    Release,
    /// Look at its pod again then.
    LookAgain(Timestamp),
}

/// What could not be done now; doing all of it again is safe.
#[derive(Debug, thiserror::Error)]
pub enum ReapError {
    /// The message is not what its type promises.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The message asks for what its publisher may not have.
    #[error("{0}")]
    Forbidden(String),
    /// The ledger does not show yet what the message says, which was written before it: a replica of it is behind.
    #[error("attempt {attempt} of build {build} has ended, but the ledger does not show it yet")]
    Behind {
        /// The build.
        build: BuildKey,
        /// The attempt.
        attempt: u32,
    },
    /// The ledger did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// An event could not be stored.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// An end could not be made known.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// A clock could not be armed or stopped.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The executor did not answer.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The request holds what no event may hold.
    #[error(transparent)]
    Emit(#[from] EmitError),
}

impl From<&ReapError> for Settle {
    fn from(error: &ReapError) -> Self {
        match error {
            ReapError::Unreadable(_) | ReapError::Forbidden(_) | ReapError::Emit(_) => Self::Refuse(error.to_string()),
            ReapError::Behind { .. }
            | ReapError::Ledger(_)
            | ReapError::Publish(_)
            | ReapError::Settle(_)
            | ReapError::Clock(_)
            | ReapError::Unreachable(_) => Self::Retry,
        }
    }
}

impl Act {
    fn again(&self) -> Option<Timestamp> {
        if let Self::LookAgain(at) = self { Some(*at) } else { None }
    }
}

/// The pod that steps are about.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) build: &'a BuildKey,
    pub(crate) attempt: u32,
    pub(crate) uid: Option<&'a str>,
}

/// What came of the steps.
pub(crate) enum Done {
    /// All are done; the pod is to be looked at again then, if so.
    All(Option<Timestamp>),
    /// Somebody else wrote first: decide again from the new record.
    Outrun,
}

impl<B: Ledger + Events + Clocks, X: Executor> Reaper<B, X> {
    /// Decides from the record as it stands, and does it; again from the start when somebody else writes in between.
    pub(crate) async fn act(
        &self,
        target: Target<'_>,
        decide: impl Fn(Option<&Record>) -> Vec<Act> + Send,
    ) -> Result<Option<Timestamp>, ReapError> {
        loop {
            let read = self.bus.read(target.build).await?;
            let acts = decide(read.as_ref().map(|(record, _)| record));
            if let Done::All(again) = self.perform(target, acts, read).await? {
                return Ok(again);
            }
        }
    }

    /// Does what was decided about the record as it was read. At most one of the steps writes to it, and that write succeeds
    /// only if nobody has written since: so what was decided is still right when it is done.
    pub(crate) async fn perform(
        &self,
        target: Target<'_>,
        acts: Vec<Act>,
        read: Option<(Record, Revision)>,
    ) -> Result<Done, ReapError> {
        let Some((mut record, revision)) = read else { return Ok(Done::All(acts.iter().find_map(Act::again))) };
        let Target { build, attempt, .. } = target;
        let mut again = None;
        for act in acts {
            let changed = match &act {
                Act::Condemn(sentence) => record.condemn(attempt, sentence.clone(), (self.now)()),
                Act::Decide(decision) => record.decide(attempt, decision.clone(), (self.now)()),
                Act::Start(at) => {
                    self.started(target, &record, *at).await?;
                    record.start(attempt, *at)
                }
                Act::Settle | Act::Arm(..) | Act::Ungate | Act::Delete | Act::Release | Act::LookAgain(_) => None,
            };
            match changed {
                Some(changed) if !self.bus.replace(build, &changed, revision).await? => return Ok(Done::Outrun),
                Some(changed) => {
                    self.counted(&act);
                    record = changed;
                }
                None => {}
            }
            self.step(target, &act, &record).await?;
            again = act.again().or(again);
        }
        Ok(Done::All(again))
    }

    fn counted(&self, act: &Act) {
        if let Act::Decide(decision) = act {
            self.watched.ended(&decision.reason);
        } else if let Act::Condemn(sentence) = act {
            self.watched.condemned(&sentence.reason);
        }
    }

    async fn step(&self, target: Target<'_>, act: &Act, record: &Record) -> Result<(), ReapError> {
        let Target { build, attempt, uid } = target;
        match (act, uid) {
            (Act::Condemn(Decision { reason, message, .. }), _) => info!(%build, attempt, %reason, message, "pod condemned"),
            (Act::Settle, _) => {
                settle(&self.bus, build, record, attempt).await?;
                self.keep_log(target, record).await;
            }
            (Act::Arm(kind, at), _) => self.bus.arm(&self.clock(build, attempt, *kind), *at, &record.request.trace).await?,
            (Act::Ungate, Some(uid)) => self.executor.ungate(build, attempt, uid).await?,
            (Act::Release, Some(uid)) => {
                self.keep_log(target, record).await;
                self.executor.release(build, attempt, uid).await?;
            }
            (Act::Delete, Some(uid)) => self.executor.delete(build, attempt, uid).await?,
            (Act::Decide(_) | Act::Start(_) | Act::LookAgain(_) | Act::Ungate | Act::Release | Act::Delete, _) => {}
        }
        Ok(())
    }

    /// Keeps what an ended attempt has said, once: when its end is made known, and at the latest before its pod is let go. A log
    /// that cannot be read holds up nothing.
    async fn keep_log(&self, Target { build, attempt, uid }: Target<'_>, record: &Record) {
        let (Some(uid), Some(ended)) = (uid, record.attempt(attempt)) else { return };
        let Some(end) = &ended.decided else { return };
        // One that was over before a reaper looked was never seen to run.
        let ran = ended.started_at.is_some() || matches!(end.outcome, Outcome::Success | Outcome::Failure);
        if !ran || !ended.is_bound_to(uid) || self.bus.has_log(build, attempt).await {
            return;
        }
        let kept = match self.executor.log(build, attempt, uid).await {
            Ok(Some(text)) => self.bus.keep_log(build, attempt, text).await.map_err(|error| error.to_string()),
            Ok(None) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = kept {
            debug!(%build, attempt, error, "what it said is not kept yet");
        }
    }

    /// Said before it is written down: the other way round, a crash in between would leave it unsaid, and no clock would count.
    async fn started(&self, target: Target<'_>, record: &Record, at: Timestamp) -> Result<(), ReapError> {
        let Target { build, attempt, uid } = target;
        let (build, executor, uid) = (build.clone(), self.executor.name().to_owned(), uid.unwrap_or_default().to_owned());
        let log = self.log_link(&build, attempt, &uid);
        self.bus.publish(BuildStarted { build, attempt, executor, uid, at, log }.outgoing(record)?).await?;
        Ok(())
    }

    /// Where people read what an attempt says.
    fn log_link(&self, build: &BuildKey, attempt: u32, uid: &str) -> Option<String> {
        let link = self.log_link.as_ref()?;
        Some(link.replace("{build}", build.as_str()).replace("{attempt}", &attempt.to_string()).replace("{uid}", uid))
    }

    pub(crate) fn clock(&self, build: &BuildKey, attempt: u32, kind: ClockKind) -> Clock {
        Clock { executor: self.executor.name().to_owned(), kind, build: build.clone(), attempt }
    }
}

/// An executor that is away is no reason to keep a clock's message: the next clock is armed.
pub(crate) fn best_effort<T>(result: Result<T, ReapError>) -> Result<Option<T>, ReapError> {
    match result {
        Err(ReapError::Unreachable(error)) => {
            warn!(%error, "left to the next clock");
            Ok(None)
        }
        result => result.map(Some),
    }
}
