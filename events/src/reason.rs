//! Why an attempt ended, and what follows from it.

use std::{convert::Infallible, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{ClockKind, Outcome};

/// The true reason of an attempt's end. Written `Name` or `Name(detail)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Reason {
    /// Every step ran and returned 0.
    Succeeded,
    /// The build, or one of its containers, returned another code.
    ExitCode(i32),
    /// This step returned another code.
    StepFailed(String, i32),
    /// It needed more memory than it may have.
    OutOfMemory,
    /// The node took its place away, or something more important needed it.
    Evicted,
    /// Its image could not be fetched.
    ImagePull,
    /// Its image has a name that no image can have.
    InvalidImage,
    /// No node has room for it, or may take it.
    Unschedulable,
    /// Its virtual machine did not start.
    SandboxFailed,
    /// Its node does not answer any more.
    NodeLost,
    /// The node's own deadline ended it.
    DeadlineExceeded,
    /// One of our clocks ran out.
    TimedOut(ClockKind),
    /// Somebody asked for it.
    Cancelled,
    /// Somebody else deleted the pod.
    Deleted,
    /// The pod failed without an exit code.
    Failed,
    /// The pod is gone, or nobody can tell what became of it.
    Lost,
    /// The executor refused the pod for good.
    Rejected,
    /// No executor may have the build, or the request is wrong.
    Refused,
    /// No launcher took it, or its executor was drained, and another executor takes builds: it goes there.
    Requeued,
    /// A reason of a later release.
    Other(String),
}

/// Whose business a reason is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// What the build did, or what it asks for: to run it again would end the same way.
    User,
    /// What happened to it: to run it again may help.
    Infrastructure,
    /// What somebody has laid down: a limit, a rule, a cancellation.
    Policy,
}

impl Class {
    /// The class as events write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Infrastructure => "infrastructure",
            Self::Policy => "policy",
        }
    }
}

/// The reasons that have no detail.
const PLAIN: [(&str, Reason); 17] = [
    ("Succeeded", Reason::Succeeded),
    ("OutOfMemory", Reason::OutOfMemory),
    ("Evicted", Reason::Evicted),
    ("ImagePull", Reason::ImagePull),
    ("InvalidImage", Reason::InvalidImage),
    ("Unschedulable", Reason::Unschedulable),
    ("SandboxFailed", Reason::SandboxFailed),
    ("NodeLost", Reason::NodeLost),
    ("DeadlineExceeded", Reason::DeadlineExceeded),
    ("Cancelled", Reason::Cancelled),
    ("Deleted", Reason::Deleted),
    ("Failed", Reason::Failed),
    ("Lost", Reason::Lost),
    ("Rejected", Reason::Rejected),
    ("Refused", Reason::Refused),
    ("Requeued", Reason::Requeued),
    // What an earlier release wrote.
    ("OOMKilled", Reason::OutOfMemory),
];

impl Reason {
    /// One of each kind, for those who count them before any has come.
    pub fn kinds() -> impl Iterator<Item = Self> {
        let plain = PLAIN.into_iter().filter(|(name, reason)| *name == reason.to_string()).map(|(_, reason)| reason);
        let detailed = [Self::ExitCode(1), Self::StepFailed(String::new(), 1)];
        plain.chain(detailed).chain(ClockKind::ALL.map(Self::TimedOut))
    }

    /// The outcome in CDEvents' words: `failure` where the build itself failed. A time-out is `error`.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Succeeded => Outcome::Success,
            Self::ExitCode(_) | Self::StepFailed(..) | Self::OutOfMemory | Self::Failed => Outcome::Failure,
            Self::Cancelled => Outcome::Cancel,
            Self::Evicted
            | Self::ImagePull
            | Self::InvalidImage
            | Self::Unschedulable
            | Self::SandboxFailed
            | Self::NodeLost
            | Self::DeadlineExceeded
            | Self::TimedOut(_)
            | Self::Deleted
            | Self::Lost
            | Self::Rejected
            | Self::Refused
            | Self::Requeued
            | Self::Other(_) => Outcome::Error,
        }
    }

    /// Whose business it is. Of a later release's reason nothing is known: it is taken for the build's own, and not tried again.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Succeeded
            | Self::ExitCode(_)
            | Self::StepFailed(..)
            | Self::OutOfMemory
            | Self::InvalidImage
            | Self::Failed
            | Self::Other(_) => Class::User,
            Self::Evicted
            | Self::ImagePull
            | Self::Unschedulable
            | Self::SandboxFailed
            | Self::NodeLost
            | Self::Deleted
            | Self::Lost
            | Self::TimedOut(ClockKind::Pending | ClockKind::Teardown) => Class::Infrastructure,
            Self::DeadlineExceeded
            | Self::TimedOut(ClockKind::Queued | ClockKind::Running)
            | Self::Cancelled
            | Self::Rejected
            | Self::Refused
            | Self::Requeued => Class::Policy,
        }
    }

    /// Whether a time limit ended it: one of ours, or the node's own deadline.
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut(_) | Self::DeadlineExceeded)
    }

    /// Whether the infrastructure is to blame, so that trying again may help.
    #[must_use]
    pub const fn is_infrastructure(&self) -> bool {
        matches!(self.class(), Class::Infrastructure)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::ExitCode(code) = self {
            write!(f, "ExitCode({code})")
        } else if let Self::StepFailed(step, code) = self {
            write!(f, "StepFailed({step}, {code})")
        } else if let Self::TimedOut(clock) = self {
            write!(f, "TimedOut({clock})")
        } else if let Self::Other(text) = self {
            f.write_str(text)
        } else {
            f.write_str(PLAIN.iter().find(|(_, reason)| reason == self).map_or("", |(name, _)| name))
        }
    }
}

impl FromStr for Reason {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let detail = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        let step = || {
            let (step, code) = detail("StepFailed")?.rsplit_once(", ")?;
            Some(Self::StepFailed(step.to_owned(), code.parse().ok()?))
        };
        let plain = || PLAIN.iter().find(|(name, _)| *name == text).map(|(_, reason)| reason.clone());
        Ok(plain()
            .or_else(|| detail("ExitCode")?.parse().ok().map(Self::ExitCode))
            .or_else(step)
            .or_else(|| ClockKind::named(detail("TimedOut")?).map(Self::TimedOut))
            .unwrap_or_else(|| Self::Other(text.to_owned())))
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        match text.parse() {
            Ok(reason) => reason,
            Err(never) => match never {},
        }
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_read_as_it_is_written() {
        let detailed = [
            Reason::ExitCode(-7),
            Reason::StepFailed("unit, (all)".into(), 2),
            Reason::TimedOut(ClockKind::Teardown),
            Reason::Other("NodeOnFire".into()),
            Reason::Other("StepFailed(x)".into()),
        ];
        for reason in PLAIN.into_iter().map(|(_, reason)| reason).chain(detailed) {
            assert_eq!(Reason::from(reason.to_string()), reason);
        }
        assert_eq!(Reason::from("OOMKilled".to_owned()), Reason::OutOfMemory);
    }

    #[test]
    fn a_time_out_is_an_error_and_only_pending_is_tried_again() {
        assert_eq!(Reason::TimedOut(ClockKind::Running).outcome(), Outcome::Error);
        assert!(Reason::TimedOut(ClockKind::Pending).is_infrastructure());
        assert!(!Reason::TimedOut(ClockKind::Running).is_infrastructure());
    }

    #[test]
    fn what_the_build_did_is_a_failure_of_its_own_and_what_happened_to_it_is_not() {
        for reason in [Reason::ExitCode(1), Reason::StepFailed("a".into(), 1), Reason::OutOfMemory] {
            assert_eq!((reason.outcome(), reason.class()), (Outcome::Failure, Class::User));
        }
        for reason in [Reason::Evicted, Reason::NodeLost, Reason::SandboxFailed, Reason::ImagePull, Reason::Unschedulable] {
            assert_eq!((reason.outcome(), reason.class()), (Outcome::Error, Class::Infrastructure));
        }
        for reason in [Reason::Rejected, Reason::DeadlineExceeded, Reason::Refused, Reason::Requeued] {
            assert_eq!((reason.outcome(), reason.class()), (Outcome::Error, Class::Policy));
        }
    }
}
