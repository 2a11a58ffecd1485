//! What keeps a training from being begun, whatever speaks for it.

use std::{fmt, time::Duration};

use jiff::{SignedDuration, Timestamp};

use switchyard_model::Budget;

use super::{Record, Rules, Spent};

/// Why no training is begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// In one word.
    pub reason: Reason,
    /// In words.
    pub message: String,
    /// When it is possible again, where that is known.
    pub until: Option<Timestamp>,
}

/// Why no training is begun, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The champion is too young to judge what it sees.
    WarmUp,
    /// The last training was not long ago.
    Cooldown,
    /// The last one was rejected, or failed.
    Backoff,
    /// Enough was trained in this period.
    Budget,
    /// One is under way.
    Running,
    /// One is under way, and this one follows.
    Queued,
    /// The mode is to suggest.
    Suggested,
    /// One waits for approval.
    AwaitingApproval,
    /// Somebody has said no.
    Denied,
    /// What was to be approved need not be any more.
    ModeChanged,
    /// The data is what a run was trained on before.
    NoNewData,
    /// It cannot be said what the data is.
    NoManifest,
    /// The rollback that was wanted is not possible.
    NoRollback,
}

impl Reason {
    /// Its name, as in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WarmUp => "warm_up",
            Self::Cooldown => "cooldown",
            Self::Backoff => "backoff",
            Self::Budget => "budget",
            Self::Running => "running",
            Self::Queued => "queued",
            Self::Suggested => "suggested",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Denied => "denied",
            Self::ModeChanged => "mode_changed",
            Self::NoNewData => "no_new_data",
            Self::NoManifest => "no_manifest",
            Self::NoRollback => "no_rollback",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.name(), self.message)?;
        self.until.map_or(Ok(()), |until| write!(f, ", until {until:.0}"))
    }
}

impl Why {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), until: None }
    }

    fn until(self, until: Timestamp) -> Self {
        Self { until: Some(until), ..self }
    }
}

/// Whether a training may be begun now: `hurried` passes over cooldown and back-off, `wanted` over what was suggested only.
///
/// # Errors
/// What keeps it, and until when.
pub fn gate(record: &Record, rules: &Rules, now: Timestamp, (wanted, hurried): (bool, bool)) -> Result<(), Why> {
    if let Some(waiting) = record.look_again.as_ref().filter(|waiting| waiting.until > now && !hurried) {
        let reason = if waiting.reason == Reason::NoNewData.name() { Reason::NoNewData } else { Reason::NoManifest };
        return Err(Why::new(reason, waiting.message.as_str()).until(waiting.until));
    }
    let last = if wanted { record.last } else { record.last.max(record.suggested) };
    let cool = last.map(|last| after(last, rules.policy.cooldown.duration())).filter(|cool| *cool > now && !hurried);
    if let Some(cool) = cool {
        return Err(Why::new(Reason::Cooldown, format!("{} after the last training", rules.policy.cooldown)).until(cool));
    }
    if let Some(backoff) = record.backoff.filter(|backoff| backoff.until > now && !hurried) {
        let message = format!("{} rejected or failed in a row", backoff.times);
        return Err(Why::new(Reason::Backoff, message).until(backoff.until));
    }
    rules.policy.budget.as_ref().map_or(Ok(()), |budget| afford(record, budget, rules, now))?;
    match &record.run {
        Some(run) => Err(Why::new(Reason::Running, format!("run {} is under way", run.n))),
        None => Ok(()),
    }
}

/// Whether the budget has room for one more run, with all the time that it may take.
fn afford(record: &Record, budget: &Budget, rules: &Rules, now: Timestamp) -> Result<(), Why> {
    let per = budget.per.duration();
    let mut counted: Vec<_> = record.spent.iter().filter(|spent| spent.open || after(spent.at, per) > now).collect();
    counted.sort_by_key(|spent| spent.at);
    let (runs, next) = (budget.runs.map(|runs| runs.get() as usize), milliseconds(rules.run_time.duration()));
    let most = budget.pod_hours.map(hours);
    let fits = |rest: &[&Spent]| {
        let time = rest.iter().fold(next, |sum, spent| sum.saturating_add(spent.ms));
        runs.is_none_or(|runs| rest.len() < runs) && most.is_none_or(|most| time <= most)
    };
    if fits(&counted) {
        return Ok(());
    }
    let message = format!("{} runs and {:.1} pod hours in {per}", counted.len(), as_hours(&counted), per = budget.per);
    let why = Why::new(Reason::Budget, format!("{message}, and one more may take {}", rules.run_time));
    let free = (1..=counted.len()).find(|gone| fits(&counted[*gone..]));
    Err(match free.and_then(|gone| counted.get(gone - 1)) {
        Some(last) => why.until(after(last.at, per)),
        None => why,
    })
}

/// Whether what runs took, and what is set aside for the one under way, is more than the budget's hours.
pub(super) fn is_overspent(record: &Record, rules: &Rules, now: Timestamp) -> bool {
    let Some(budget) = &rules.policy.budget else { return false };
    let counted = record.spent.iter().filter(|spent| spent.open || after(spent.at, budget.per.duration()) > now);
    let time = counted.fold(0_u64, |sum, spent| sum.saturating_add(spent.ms));
    budget.pod_hours.map(hours).is_some_and(|most| time > most)
}

fn as_hours(spent: &[&Spent]) -> f64 {
    Duration::from_millis(spent.iter().map(|spent| spent.ms).sum()).as_secs_f64() / 3600.0
}

fn hours(hours: f64) -> u64 {
    Duration::try_from_secs_f64(hours * 3600.0).map_or(u64::MAX, milliseconds)
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A time after another; for ever where that is too far away to be written.
pub(super) fn after(at: Timestamp, time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    at.checked_add(time).unwrap_or(Timestamp::MAX)
}
