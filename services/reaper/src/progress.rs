//! What our own events ask of a reaper: clocks armed and stopped, records opened, ends made known.

use switchyard_bus::{Clocks, Delivery, Events, Ledger, amend, said, settle};
use switchyard_events::{
    Attempt, BuildFinished, BuildLaunched, BuildRefused, BuildRouted, BuildStarted, Clock, ClockKind, Decision, Limits, Reason,
    Record, Standing,
};
use switchyard_executor::Executor;

use crate::{
    ReapError, Reaper,
    fire::{after, waits_until},
};

impl<B: Ledger + Events + Clocks, X: Executor> Reaper<B, X> {
    /// Takes note of an event about a build on this reaper's executor, or about a result of any.
    ///
    /// # Errors
    /// Whatever stood in the way; doing it again is safe.
    pub async fn progress(&self, delivery: Delivery) -> Result<(), ReapError> {
        let event = delivery.cdevent()?;
        match event.context.ty.split('.').nth(3) {
            Some("routed") => self.routed(said(&event)?).await,
            Some("launched") => self.launched(said(&event)?).await,
            Some("started") => self.has_started(said(&event)?).await,
            Some("finished") => self.finished(said(&event)?).await,
            Some("refused") => self.refused(said(&event)?).await,
            _ => Ok(()),
        }
    }

    /// Opens the record, so that the sweep sees the build, and arms the clock of its waiting.
    async fn routed(&self, routed: BuildRouted) -> Result<(), ReapError> {
        let BuildRouted { build, attempt, at, limits, .. } = &routed;
        let first = routed.open();
        let record = if *attempt == 1 && self.bus.create(build, &first).await? {
            Some(first)
        } else {
            amend(&self.bus, build, |record| record.routed(*attempt, routed.routing())).await?
        };
        let waiting = record.as_ref().and_then(|record| Some((record, record.attempt(*attempt)?)));
        // One that ended before it was routed has no limits of its own.
        let waiting = waiting.filter(|(_, attempt)| attempt.routed_at.is_some());
        let due = waiting.and_then(|(record, attempt)| waits_until(record, attempt, self.elsewhere.draining()));
        let due = due.unwrap_or_else(|| after(*at, limits.queued));
        self.bus.arm(&self.clock(build, *attempt, ClockKind::Queued), due, &routed.request.trace).await?;
        Ok(())
    }

    async fn launched(&self, launched: BuildLaunched) -> Result<(), ReapError> {
        let BuildLaunched { build, attempt, executor, at, .. } = launched;
        let Some((record, _)) = self.bus.read(&build).await? else { return Ok(()) };
        let Some(limits) = alive(&record, attempt) else { return Ok(()) };
        let clock = |kind| Clock { executor: executor.clone(), kind, build: build.clone(), attempt };
        self.bus.arm(&clock(ClockKind::Pending), after(at, limits.pending), &record.request.trace).await?;
        self.bus.disarm(&clock(ClockKind::Queued)).await?;
        Ok(())
    }

    async fn has_started(&self, started: BuildStarted) -> Result<(), ReapError> {
        let BuildStarted { build, attempt, executor, at, .. } = started;
        let Some((record, _)) = self.bus.read(&build).await? else { return Ok(()) };
        let clock = |kind| Clock { executor: executor.clone(), kind, build: build.clone(), attempt };
        let Some(limits) = alive(&record, attempt) else { return Ok(()) };
        self.bus.arm(&clock(ClockKind::Running), after(at, limits.running), &record.request.trace).await?;
        self.bus.disarm(&clock(ClockKind::Pending)).await?;
        Ok(())
    }

    /// Sees that the end is known and the pod will go; then the other clocks have nothing left to say. Never stops a teardown.
    async fn finished(&self, finished: BuildFinished) -> Result<(), ReapError> {
        let BuildFinished { build, attempt: n, .. } = finished;
        let Some((record, _)) = self.bus.read(&build).await? else { return Ok(()) };
        settle(&self.bus, &build, &record, n).await?;
        let Some(attempt) = record.attempt(n) else { return Ok(()) };
        let Some(decided) = &attempt.decided else { return Err(ReapError::Behind { build, attempt: n }) };
        let clock = |executor: &str, kind| Clock { executor: executor.to_owned(), kind, build: build.clone(), attempt: n };
        if let Some(bound) = &attempt.bound {
            let limits = attempt.limits();
            let due = after(after(decided.at, limits.linger), limits.teardown);
            self.bus.arm(&clock(&bound.executor, ClockKind::Teardown), due, &record.request.trace).await?;
        }
        if let Some(executor) = attempt.bound.as_ref().map(|bound| &bound.executor).or(attempt.executor.as_ref()) {
            for kind in [ClockKind::Queued, ClockKind::Pending, ClockKind::Running] {
                self.bus.disarm(&clock(executor, kind)).await?;
            }
        }
        Ok(())
    }

    /// A refused build ends too.
    async fn refused(&self, refused: BuildRefused) -> Result<(), ReapError> {
        let decision = Decision { message: Some(refused.reason.clone()), ..Decision::new(Reason::Refused, true) };
        let end = |record: &Record| {
            let open = record.attempt(refused.attempt).is_some_and(|attempt| attempt.standing() == Standing::Open);
            open.then(|| record.decide(refused.attempt, decision.clone(), refused.at)).flatten()
        };
        let first = refused.open();
        let first = end(&first).unwrap_or(first);
        let record = if refused.attempt == 1 && self.bus.create(&refused.build, &first).await? {
            Some(first)
        } else {
            amend(&self.bus, &refused.build, end).await?
        };
        if let Some(record) = record {
            settle(&self.bus, &refused.build, &record, refused.attempt).await?;
        }
        Ok(())
    }
}

/// The limits of an attempt whose pod may live. Of any other nothing is armed, and so nothing is purged either: the last clock
/// goes when the end is known.
fn alive(record: &Record, n: u32) -> Option<Limits> {
    record.attempt(n).filter(|attempt| attempt.standing() == Standing::Bound).map(Attempt::limits)
}
