//! A service that does as it is told, to see what the runtime does around it: `probe idle|span|stubborn|forbidden|fails|panics|done|alone`.
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use opentelemetry::Context as Trace;
use opentelemetry::global;
use opentelemetry::trace::{TraceContextExt, Tracer as _};
use switchyard_runtime::{Context, Settings, run};
use tracing::info;

/// Does as it is told.
#[derive(Parser)]
struct Arguments {
    /// What to do once NATS is connected.
    what: What,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// Wait for the signal; then leave a last message on `probe.last`.
    Idle,
    /// The same, inside a span.
    Span,
    /// Ignore the signal.
    Stubborn,
    /// Publish where our user may not.
    Forbidden,
    /// Fail with a cause.
    Fails,
    /// Panic.
    Panics,
    /// End at once.
    Done,
    /// Go on when the client of NATS is no more.
    Alone,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run("probe", &arguments.settings, move |context| probe(arguments.what, context))
}

async fn probe(what: What, context: Context) -> anyhow::Result<()> {
    context.health.ready();
    context.metrics.counter("probe_begun_total", "How often the probe began.", &[("what", "yes")]).increment();
    match what {
        What::Idle => wait_then_publish(&context).await?,
        What::Span => span(&context).await?,
        What::Stubborn => std::future::pending().await,
        What::Forbidden => {
            context.nats.publish("yard.forged", "x".into()).await?;
            context.shutdown.requested().await;
        }
        What::Fails => Err(std::io::Error::other("the disk is full")).context("cannot write the ledger")?,
        What::Panics => panics(),
        What::Done => {}
        What::Alone => {
            context.nats.drain().await?;
            std::future::pending::<()>().await;
        }
    }
    Ok(())
}

#[expect(clippy::panic, reason = "it is what this part of the example shows")]
fn panics() {
    panic!("the probe panics");
}

async fn wait_then_publish(context: &Context) -> anyhow::Result<()> {
    context.shutdown.requested().await;
    // Not flushed here: what was published last must still arrive.
    for n in 0..100 {
        context.nats.publish("probe.last", n.to_string().into()).await?;
    }
    Ok(())
}

async fn span(context: &Context) -> anyhow::Result<()> {
    let span = global::tracer("probe").start("work");
    let trace = Trace::current_with_span(span);
    {
        let _current = trace.clone().attach();
        info!("working");
    }
    context.shutdown.requested().await;
    trace.span().end();
    Ok(())
}
