//! What follows from a decided attempt: anyone may see to it, any number of times.

use switchyard_events::{BuildKey, BuildRequeued, EmitError, Record, Standing, finished};
use tracing::info;

use crate::{Events, Ledger, LedgerError, PublishError, Published, amend, trace::run_span};

/// The end of an attempt could not be made known; trying again is safe.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The ledger did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// An event could not be stored.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The record holds what no event may hold.
    #[error(transparent)]
    Emit(#[from] EmitError),
}

/// Publishes how attempt `n` ended, then that it is to be tried again if so, then closes it. Does nothing before it is decided.
///
/// # Errors
/// When the ledger or the stream does not answer.
pub async fn settle<B: Ledger + Events>(bus: &B, build: &BuildKey, record: &Record, n: u32) -> Result<(), SettleError> {
    let Some(decided) = record.attempt(n).filter(|a| a.standing() == Standing::Decided).and_then(|a| a.decided.as_ref()) else {
        return Ok(());
    };
    let Some(outgoing) = finished(record, build, n)? else { return Ok(()) };
    if bus.publish(outgoing).await? == Published::New {
        info!(%build, attempt = n, outcome = decided.outcome.name(), reason = %decided.reason, "build finished");
        run_span(record, build, n);
    }
    if decided.retry {
        let requeued = BuildRequeued {
            build: build.clone(),
            attempt: n + 1,
            request: record.request.clone(),
            tenant: record.tenant.clone(),
            after: decided.reason.to_string(),
            left: record.left(n).map(str::to_owned),
            at: decided.at,
        };
        bus.publish(requeued.outgoing()?).await?;
    }
    amend(bus, build, |record| record.close(n)).await?;
    Ok(())
}
