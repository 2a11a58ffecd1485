//! What an executor says about one attempt, in words that no executor owns.

use jiff::Timestamp;
use switchyard_events::{BuildKey, Reason, StepEnd};

/// One attempt as an executor shows it at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each with a name")]
pub struct Observed {
    /// Which build.
    pub build: BuildKey,
    /// Which attempt of it.
    pub attempt: u32,
    /// Which of the things that were ever created for it.
    pub uid: String,
    /// How far it is.
    pub phase: Phase,
    /// Since when it is in this phase, as far as the executor tells.
    pub since: Timestamp,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the build itself began to run.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The code that it returned, where it ended by itself or by a signal.
    pub exit: Option<i32>,
    /// Why it waits or has ended, as far as that is known beside its code: `Deleted` where it ended because it was told to.
    pub reason: Option<Reason>,
    /// Which of its containers the reason or the code is about.
    pub container: Option<String>,
    /// The executor's own sentence to that.
    pub message: Option<String>,
    /// What the build left as its result (the termination message).
    pub result: Option<String>,
    /// How each of its steps ended, as far as it said so.
    pub steps: Vec<StepEnd>,
    /// Whether somebody has told it to end.
    pub deleting: bool,
    /// **Proof** that nothing of it runs or ever will: it has ended, or it was deleted before it could start anywhere.
    pub dead: bool,
    /// Whether its end was forced without such proof: nobody will ever say how it ended, and something of it may still run.
    pub forced: bool,
    /// Whether it is still held, so that it stays until it is released.
    pub held: bool,
    /// Which installation has made it, where that is written on it.
    pub installation: Option<String>,
    /// The trace context that it was created with.
    pub traceparent: Option<String>,
    /// The machine that it was given to.
    pub node: Option<String>,
}

/// How far an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Created; may not run.
    Gated,
    /// May run; waits for a machine, its image or its virtual machine.
    Pending,
    /// The build runs.
    Running,
    /// Ended with 0.
    Succeeded,
    /// Ended otherwise.
    Failed,
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is there, like this.
    Present(Box<Observed>),
    /// It is no longer there.
    Gone {
        /// Which build.
        build: BuildKey,
        /// Which attempt of it.
        attempt: u32,
        /// Which uid; another of the same attempt may be there.
        uid: String,
    },
    /// All that is there has been told. Comes again after every error.
    Synced,
}

impl Phase {
    /// Whether it has ended.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed => true,
            Self::Gated | Self::Pending | Self::Running => false,
        }
    }
}

impl Observed {
    /// Why it ended, in the contract's words, if it is dead. The ledger may know a better reason: what it was condemned for.
    #[must_use]
    pub fn end(&self) -> Option<Reason> {
        if !self.dead {
            return None;
        }
        Some(match (self.phase, &self.reason, self.exit) {
            (Phase::Succeeded, _, _) => Reason::Succeeded,
            (_, Some(reason), _) => reason.clone(),
            (_, None, Some(code)) => Reason::ExitCode(code),
            (_, None, None) => Reason::Failed,
        })
    }
}
