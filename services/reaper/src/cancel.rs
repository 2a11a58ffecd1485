//! Somebody wants a build to stop: before it is routed, before it is bound, while it is gated or runs, after it has ended, twice.

use jiff::Timestamp;
use switchyard_bus::{Clocks, Delivery, Events, Ledger, Unreadable, amend, settle};
use switchyard_events::{
    Attempt, BuildKey, CancelRequested, CdEvent, ClockKind, Record, Request, Standing, custom_data, derived_chain_id,
    starting_trace, tenant_of,
};
use switchyard_executor::Executor;
use tracing::info;

use crate::{
    Act, ReapError, Reaper,
    act::{Target, best_effort},
    fire::after,
};

impl<B: Ledger + Events + Clocks, X: Executor> Reaper<B, X> {
    /// Writes down that the build is cancelled, and ends what is alive of it on this executor.
    pub(crate) async fn cancel(&self, delivery: Delivery) -> Result<(), ReapError> {
        let event = delivery.cdevent()?;
        let CancelRequested { build } =
            custom_data(&event).map_err(|error| Unreadable::CustomData { event_type: event.context.ty.clone(), error })?;
        let tenant = tenant_of(&delivery.subject).unwrap_or_default();
        let Some(record) = self.cancelled(&build, tenant, &delivery, &event).await? else { return Ok(()) };
        let Some(attempt) = record.latest() else { return Ok(()) };
        let here = attempt.bound.as_ref().filter(|bound| bound.executor == self.executor.name());
        match (attempt.standing(), here) {
            (Standing::Condemned, Some(bound)) => {
                let due = after(Timestamp::now(), attempt.limits().teardown);
                let acts = vec![Act::Arm(ClockKind::Teardown, due), Act::Delete];
                let target = Target { build: &build, attempt: attempt.n, uid: Some(&bound.uid) };
                best_effort(self.act(target, |_| acts.clone()).await)
            }
            (Standing::Decided | Standing::Closed, _) => Ok(settle(&self.bus, &build, &record, attempt.n).await?),
            // Bound elsewhere: the reaper there has its own copy of the request.
            (Standing::Condemned | Standing::Bound | Standing::Open, _) => Ok(()),
        }
    }

    /// The record, with the cancellation in it.
    async fn cancelled(
        &self,
        build: &BuildKey,
        tenant: &str,
        delivery: &Delivery,
        event: &CdEvent,
    ) -> Result<Option<Record>, ReapError> {
        let (by, now) = (&event.context.source, Timestamp::now());
        let tombstone = Record::open(request(delivery, event, build), tenant.to_owned(), Attempt { n: 1, ..Attempt::default() });
        let tombstone = tombstone.cancel(by, now).unwrap_or(tombstone);
        if self.bus.read(build).await?.is_none() && self.bus.create(build, &tombstone).await? {
            info!(%build, by, "build cancelled before anybody had seen it");
            return Ok(Some(tombstone));
        }
        let Some((record, _)) = self.bus.read(build).await? else { return Ok(None) };
        if record.tenant != tenant {
            return Err(ReapError::Forbidden(format!("build {build} is not tenant {tenant}'s to cancel")));
        }
        // A pod on another executor is condemned by the reaper that can reach it.
        let bound = record.latest().and_then(|attempt| attempt.bound.as_ref());
        if bound.is_some_and(|bound| bound.executor != self.executor.name()) {
            return Ok(Some(record));
        }
        info!(%build, by, "build cancelled");
        Ok(amend(&self.bus, build, |record| record.cancel(by, now)).await?)
    }
}

/// Of a build that nobody has seen, the cancelling event is all that is known.
fn request(delivery: &Delivery, event: &CdEvent, build: &BuildKey) -> Request {
    Request {
        id: event.context.id.clone(),
        source: event.context.source.clone(),
        r#type: event.context.ty.clone(),
        subject: build.to_string(),
        stream: delivery.stream.clone(),
        sequence: delivery.sequence,
        chain_id: event.context.chain_id.clone().unwrap_or_else(|| derived_chain_id(build)),
        trace: starting_trace(&delivery.event),
        ..Request::default()
    }
}
