//! Somebody wants a build to run longer, up to its executor's maximum: before it is bound, while it waits or runs.

use switchyard_bus::{Clocks, Delivery, Events, Ledger, amend, said};
use switchyard_events::{BuildExtended, CdEvent, Clock, ClockKind, Standing, tenant_of};
use switchyard_executor::Executor;
use tracing::info;

use crate::{ReapError, Reaper, fire::after};

impl<B: Ledger + Events + Clocks, X: Executor> Reaper<B, X> {
    /// Does what a tenant asks for about a build of its own.
    ///
    /// # Errors
    /// Whatever stood in the way; doing it again is safe.
    pub async fn asked(&self, delivery: Delivery) -> Result<(), ReapError> {
        let event = delivery.cdevent()?;
        if event.context.ty.split('.').nth(3) == Some("extended") {
            return self.extend(&delivery, &event).await;
        }
        self.cancel(delivery).await
    }

    /// Writes down that a build may run longer, and arms its clock for then. The clock that is armed already may fire before:
    /// it finds that it is early, and is armed again.
    async fn extend(&self, delivery: &Delivery, event: &CdEvent<'_>) -> Result<(), ReapError> {
        let BuildExtended { build, running } = said(event)?;
        let Some((record, _)) = self.bus.read(&build).await? else { return Ok(()) };
        let tenant = tenant_of(&delivery.subject).unwrap_or_default();
        if record.tenant != tenant {
            return Err(ReapError::Forbidden(format!("build {build} is not tenant {tenant}'s to extend")));
        }
        let Some(record) = amend(&self.bus, &build, |record| record.extend(running)).await? else { return Ok(()) };
        let Some(attempt) = record.latest().filter(|attempt| attempt.standing() == Standing::Bound) else { return Ok(()) };
        if let (Some(bound), Some(started), Some(extended)) = (&attempt.bound, attempt.started_at, attempt.extended) {
            info!(%build, attempt = attempt.n, %extended, "build may run longer");
            let executor = bound.executor.clone();
            let clock = Clock { executor, kind: ClockKind::Running, build: build.clone(), attempt: attempt.n };
            self.bus.arm(&clock, after(started, extended), &record.request.trace).await?;
        }
        Ok(())
    }
}
