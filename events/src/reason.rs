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
    /// The build returned another code.
    ExitCode(i32),
    /// The node took its memory away, or the node needed it.
    Evicted,
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
    /// A reason of a later release.
    Other(String),
}

impl Reason {
    /// The outcome in CDEvents' words. A time-out is `error`.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Succeeded => Outcome::Success,
            Self::ExitCode(_) | Self::Failed => Outcome::Failure,
            Self::Cancelled => Outcome::Cancel,
            Self::Evicted
            | Self::DeadlineExceeded
            | Self::TimedOut(_)
            | Self::Deleted
            | Self::Lost
            | Self::Rejected
            | Self::Refused
            | Self::Other(_) => Outcome::Error,
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
        match self {
            Self::Evicted | Self::Deleted | Self::Lost | Self::TimedOut(ClockKind::Pending) => true,
            Self::Succeeded
            | Self::ExitCode(_)
            | Self::DeadlineExceeded
            | Self::TimedOut(_)
            | Self::Cancelled
            | Self::Failed
            | Self::Rejected
            | Self::Refused
            | Self::Other(_) => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExitCode(code) => write!(f, "ExitCode({code})"),
            Self::TimedOut(clock) => write!(f, "TimedOut({clock})"),
            Self::Other(text) => f.write_str(text),
            Self::Succeeded => f.write_str("Succeeded"),
            Self::Evicted => f.write_str("Evicted"),
            Self::DeadlineExceeded => f.write_str("DeadlineExceeded"),
            Self::Cancelled => f.write_str("Cancelled"),
            Self::Deleted => f.write_str("Deleted"),
            Self::Failed => f.write_str("Failed"),
            Self::Lost => f.write_str("Lost"),
            Self::Rejected => f.write_str("Rejected"),
            Self::Refused => f.write_str("Refused"),
        }
    }
}

impl FromStr for Reason {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let plain = [
            Self::Succeeded,
            Self::Evicted,
            Self::DeadlineExceeded,
            Self::Cancelled,
            Self::Deleted,
            Self::Failed,
            Self::Lost,
            Self::Rejected,
            Self::Refused,
        ];
        let detail = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        Ok(plain
            .into_iter()
            .find(|reason| reason.to_string() == text)
            .or_else(|| detail("ExitCode")?.parse().ok().map(Self::ExitCode))
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
        let all = [
            Reason::Succeeded,
            Reason::ExitCode(-7),
            Reason::Evicted,
            Reason::DeadlineExceeded,
            Reason::TimedOut(ClockKind::Teardown),
            Reason::Cancelled,
            Reason::Deleted,
            Reason::Failed,
            Reason::Lost,
            Reason::Rejected,
            Reason::Refused,
            Reason::Other("NodeOnFire".into()),
        ];
        for reason in all {
            assert_eq!(Reason::from(reason.to_string()), reason);
        }
    }

    #[test]
    fn a_time_out_is_an_error_and_only_pending_is_tried_again() {
        assert_eq!(Reason::TimedOut(ClockKind::Running).outcome(), Outcome::Error);
        assert!(Reason::TimedOut(ClockKind::Pending).is_infrastructure());
        assert!(!Reason::TimedOut(ClockKind::Running).is_infrastructure());
    }
}
