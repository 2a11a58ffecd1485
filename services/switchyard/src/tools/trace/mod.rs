//! `switchyard trace`: the spans of a build as a tree, from Jaeger's query API.

mod jaeger;
mod tree;

use std::process::ExitCode;

use super::{Session, Told, find::existing, run, term, term::Paint};

/// Settings of `trace`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// A build (its key, or the beginning of a key that is unique in the ledger), or a trace id of 32 hexadecimal digits.
    #[arg(value_name = "ID")]
    id: String,
    /// Where Jaeger answers queries.
    #[arg(long, env = "SWITCHYARD_JAEGER_URL", default_value = "http://127.0.0.1:16686", value_name = "URL")]
    jaeger: String,
}

pub(crate) fn trace(told: &Told<Args>) -> ExitCode {
    let Args { id, jaeger } = &told.args;
    run(&told.nats, async |session: &Session<'_>| {
        let trace = if is_trace(id) { id.to_ascii_lowercase() } else { of_build(session, id).await? };
        let spans = jaeger::spans(jaeger, &trace).await?;
        term::say(&tree::tree(&trace, &spans, Paint::stdout()))
    })
}

async fn of_build(session: &Session<'_>, id: &str) -> anyhow::Result<String> {
    let (build, record) = existing(session.bus().await?, id).await?;
    let trace = record.request.trace.split('-').nth(1).map(str::to_owned);
    trace.ok_or_else(|| anyhow::anyhow!("the ledger has no trace of build {build}"))
}

/// A build's key has 26 characters, so the two are never mistaken for each other.
fn is_trace(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())
}
