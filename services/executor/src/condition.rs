//! How an executor is doing, in words that no executor owns.

use switchyard_events::BreakerState;

/// What one process knows of the place where its builds run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Whether builds can be launched there: it answers, and has what they need.
    pub healthy: bool,
    /// Why not, or what keeps it from taking more now.
    pub why: Option<String>,
    /// Whether it is asked at all.
    pub breaker: BreakerState,
    /// How many builds may be there at once, if that is limited.
    pub slots: Option<u32>,
    /// How many more it takes now, if that is known.
    pub free: Option<u32>,
}

impl Default for Condition {
    /// Well, without a limit.
    fn default() -> Self {
        Self { healthy: true, why: None, breaker: BreakerState::Closed, slots: None, free: None }
    }
}
