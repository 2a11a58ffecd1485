//! The probe: a build like any other, which says what it sees of the kernel under it. Nothing of it stays.

use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use switchyard_bus::{Bus, Events as _, Ledger as _};
use switchyard_events::{BuildKey, CdEvent, Outgoing, Record, ci, derived_traceparent};
use tokio::time::Instant;

use super::{Args, say};
use crate::tools::cancel;

const SOURCE: &str = "/switchyard/doctor";

const EVENT: &str = "dev.cdevents.build.queued.0.3.0";

/// Its result is what it sees of its kernel.
const SCRIPT: &str =
    r#"printf '{"kernel":"%s","boot":"%s"}' "$(uname -r)" "$(cat /proc/sys/kernel/random/boot_id)" >/dev/termination-log"#;

/// What the probe saw of the kernel under it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Probe {
    pub(super) kernel: String,
    pub(super) boot: String,
}

/// The record of a probe that has ended. One that has not in time, or for which nobody waits any more, is cancelled.
pub(super) async fn run(bus: &Bus, args: &Args) -> anyhow::Result<Record> {
    let build = publish(bus, args).await?;
    say(&format!("probe: build {build}"))?;
    let ended = tokio::select! {
        ended = ended(bus, &build, Duration::from_secs(args.patience)) => ended,
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Into::into).and_then(|()| bail!("interrupted")),
    };
    if ended.is_err() {
        cancel::request(bus, &build, &args.tenant, &derived_traceparent(&build)).await?;
        say("the probe is asked to stop")?;
    }
    ended
}

async fn publish(bus: &Bus, args: &Args) -> anyhow::Result<BuildKey> {
    let id = uuid::Uuid::new_v4().to_string();
    let event = CdEvent::new(EVENT, &id, SOURCE, Timestamp::now(), &id).custom_data(&build(args))?.to_cloudevent()?;
    bus.publish(Outgoing { subject: ci(&args.tenant, EVENT), event, once: false }).await?;
    Ok(BuildKey::of(SOURCE, &id, &id))
}

/// It waits and runs no longer than somebody waits for it, also where that somebody was killed.
fn build(args: &Args) -> Value {
    let patience = format!("{}s", args.patience.max(1));
    json!({"build": {
        "image": args.image, "cpu": "micro", "ram": "micro", "job": "doctor", "timeout": patience,
        "clocks": {"queued": patience, "pending": patience},
        "annotations": {"screwdriver.cd/executor": args.executor},
        "steps": [{"name": "probe", "run": SCRIPT}],
    }})
}

async fn ended(bus: &Bus, build: &BuildKey, patience: Duration) -> anyhow::Result<Record> {
    let deadline = Instant::now() + patience;
    loop {
        let record = bus.read(build).await.context("the ledger")?.map(|(record, _)| record);
        if let Some(record) = record.filter(Record::is_closed) {
            return Ok(record);
        }
        if Instant::now() > deadline {
            bail!("the probe has not ended within {} s; `switchyard builds {build}` tells how far it came", patience.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
