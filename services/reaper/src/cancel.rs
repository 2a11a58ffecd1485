//! Somebody wants a build to stop: before it is routed, before it is bound, while it is gated or runs, after it has ended, twice.

use switchyard_bus::{Clocks, Delivery, Events, Ledger, amend, said, settle};
use switchyard_events::{
    Attempt, Bound, BuildKey, CancelRequested, CdEvent, Clock, ClockKind, Record, Request, Standing, derived_chain_id, tenant_of,
};
use switchyard_executor::Executor;
use tracing::info;

use crate::{
    ReapError, Reaper,
    act::{Target, best_effort},
    fire::doom,
};

impl<B: Ledger + Events + Clocks, X: Executor> Reaper<B, X> {
    /// Writes down that a build is cancelled, and ends what is alive of it. The reapers of every executor hear of it, and any
    /// of them may be the only one that finds the build alive: none leaves it to another.
    ///
    /// # Errors
    /// Whatever stood in the way; doing it again is safe.
    pub async fn cancel(&self, delivery: Delivery) -> Result<(), ReapError> {
        let event = delivery.cdevent()?;
        let CancelRequested { build } = said(&event)?;
        let Some(record) = self.cancelled(&build, &delivery, &event).await? else { return Ok(()) };
        let Some(attempt) = record.latest() else { return Ok(()) };
        match (attempt.standing(), &attempt.bound) {
            (Standing::Condemned, Some(bound)) => self.end(&build, &record, attempt, bound).await,
            (Standing::Decided | Standing::Closed, _) => Ok(settle(&self.bus, &build, &record, attempt.n).await?),
            // Not of a cancelled build: the same write has condemned or decided it.
            (Standing::Condemned | Standing::Bound | Standing::Open, _) => Ok(()),
        }
    }

    /// Has the pod of a condemned attempt stopped: here, or by the reaper that can reach it.
    async fn end(&self, build: &BuildKey, record: &Record, attempt: &Attempt, bound: &Bound) -> Result<(), ReapError> {
        if bound.executor == self.executor.name() {
            let acts = doom(attempt, (self.now)());
            let target = Target { build, attempt: attempt.n, uid: Some(&bound.uid) };
            return best_effort(self.act(target, |_| acts.clone()).await).map(drop);
        }
        let executor = bound.executor.clone();
        let clock = Clock { executor, kind: ClockKind::Running, build: build.clone(), attempt: attempt.n };
        Ok(self.bus.arm(&clock, (self.now)(), &record.request.trace).await?)
    }

    /// The record, with the cancellation in it.
    async fn cancelled(&self, build: &BuildKey, delivery: &Delivery, event: &CdEvent<'_>) -> Result<Option<Record>, ReapError> {
        let (by, now) = (&*event.context.source, (self.now)());
        let tenant = tenant_of(&delivery.subject).unwrap_or_default();
        let first = Record::open(request(delivery, event, build), tenant.to_owned(), Attempt { n: 1, ..Attempt::default() });
        let tombstone = first.cancel(by, now).unwrap_or(first);
        if self.bus.read(build).await?.is_none() && self.bus.create(build, &tombstone).await? {
            info!(%build, by, "build cancelled before anybody had seen it");
            return Ok(Some(tombstone));
        }
        let Some((record, _)) = self.bus.read(build).await? else { return Ok(None) };
        if record.tenant != tenant {
            return Err(ReapError::Forbidden(format!("build {build} is not tenant {tenant}'s to cancel")));
        }
        info!(%build, by, "build cancelled");
        Ok(amend(&self.bus, build, |record| record.cancel(by, now)).await?)
    }
}

/// Of a build that nobody has seen, the cancelling event is all that is known.
fn request(delivery: &Delivery, event: &CdEvent<'_>, build: &BuildKey) -> Request {
    Request {
        id: event.context.id.to_string(),
        source: event.context.source.to_string(),
        r#type: event.context.ty.to_string(),
        subject: build.to_string(),
        stream: delivery.stream.clone(),
        sequence: delivery.sequence,
        chain_id: event.context.chain_id.as_deref().map_or_else(|| derived_chain_id(build), str::to_owned),
        trace: delivery.trace.clone(),
        ..Request::default()
    }
}
