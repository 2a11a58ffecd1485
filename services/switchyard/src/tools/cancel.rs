//! `switchyard cancel`: asks for builds to be stopped, each as a request of the tenant whose build it is.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use switchyard_bus::{Bus, Events as _, with_trace};
use switchyard_events::{BuildKey, CancelRequested, Record, derived_traceparent};

use super::{Session, Told, builds::View, find::find, run, term};

/// Settings of `cancel`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Builds: their keys, or beginnings of keys that are unique in the ledger.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Whose a build is that the ledger does not have yet: it is cancelled before it begins.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
}

pub(crate) fn cancel(told: &Told<Args>) -> ExitCode {
    let args = &told.args;
    run(&told.nats, async |session: &Session<'_>| {
        let bus = session.bus().await?;
        for id in &args.ids {
            let said = match find(bus, id).await? {
                Some((build, record)) => known(bus, &build, &record).await?,
                None => unseen(bus, id, args.tenant.as_deref()).await?,
            };
            term::say(&format!("{said}\n"))?;
        }
        Ok(())
    })
}

async fn known(bus: &Bus, build: &BuildKey, record: &Record) -> anyhow::Result<String> {
    let view = View::of(build, record, Timestamp::now());
    if record.is_closed() {
        return Ok(format!("build {build} has ended already: {}", view.latest.words()));
    }
    request(bus, build, &record.tenant, &record.request.trace).await?;
    Ok(format!("build {build} is asked to stop; it was {}", view.latest.words()))
}

async fn unseen(bus: &Bus, id: &str, tenant: Option<&str>) -> anyhow::Result<String> {
    let Some(tenant) = tenant else { bail!("no build {id} in the ledger; --tenant says whose it is if it is yet to come") };
    let build: BuildKey = id.parse()?;
    request(bus, &build, tenant, &derived_traceparent(&build)).await?;
    Ok(format!("build {build} is asked to stop; the ledger has not seen it yet"))
}

/// Asks for a build to be stopped, as its tenant would.
pub(super) async fn request(bus: &Bus, build: &BuildKey, tenant: &str, trace: &str) -> anyhow::Result<()> {
    let request = CancelRequested { build: build.clone() };
    // Each asking is a request of its own: an earlier one may have been refused.
    let id = uuid::Uuid::new_v4().to_string();
    let outgoing = request.outgoing(tenant, &id, Timestamp::now(), Some(trace))?;
    with_trace(trace, bus.publish(outgoing)).await.map(drop).with_context(|| format!("build {build}"))
}
