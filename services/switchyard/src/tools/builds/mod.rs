//! `switchyard builds`: what the ledger knows about builds, as a table, as facts about one, as JSON, or live.

mod details;
mod table;
mod view;
mod watch;

use std::{collections::BTreeSet, process::ExitCode};

use jiff::Timestamp;
use switchyard_bus::Bus;
use switchyard_events::{BuildKey, BuildRouted, Record, Why, custom_data, yard};

use super::{Session, Told, find::existing, run, term, term::Paint};
pub(crate) use table::table;
pub(crate) use view::{State, View};

/// Settings of `builds`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = JSON)]
pub(crate) struct Args {
    /// One build: its key, or the beginning of a key that is unique in the ledger. Shows all that is known about it.
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// Print one JSON object per build and line; --help says what is in it.
    #[arg(long)]
    json: bool,
    /// Keep showing what changes: a table that is redrawn on a terminal, else a line per change.
    #[arg(long)]
    watch: bool,
    /// Only builds in these states.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATE")]
    state: Vec<State>,
}

const JSON: &str = "\
The JSON object of a build. Times are RFC 3339 in UTC, durations seconds; what is not known (yet) is left out:
  build, tenant, pipeline, job, subject, source, request (the event's id), type, trace (the trace id)
  attempt, state (queued, pending, running, stopping, succeeded, failed, cancelled, error), executor, pod,
    isolation (`none` where a build runs as processes of the executor's own machine)
  routedAt, boundAt, startedAt, endedAt, queuedSeconds, pendingSeconds, runningSeconds
  condemned (why it must stop), outcome (success, failure, cancel, error), reason, message, retry, closed, result
  cancelledAt, cancelledBy
  attempts: all of them, with the fields from `attempt` to `result`
  why (with ID only): per attempt null or {rule, revision, eligible, excluded}";

/// Shows all builds live until the ledger can no longer be followed.
pub(crate) async fn live(bus: &Bus) -> anyhow::Result<()> {
    watch::watch(bus, &Args { id: None, json: false, watch: true, state: Vec::new() }).await
}

pub(crate) fn builds(told: &Told<Args>) -> ExitCode {
    let args = &told.args;
    run(&told.nats, async |session: &Session<'_>| {
        let bus = session.bus().await?;
        match &args.id {
            _ if args.watch => watch::watch(bus, args).await,
            Some(id) => one(bus, id, args.json).await,
            None => all(bus, args).await,
        }
    })
}

async fn all(bus: &Bus, args: &Args) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let mut records = bus.records().await?;
    records.retain(|(build, record)| args.wants(&View::of(build, record, now)));
    if !args.json {
        return term::say(&table(&records, now, Paint::stdout()));
    }
    table::in_order(&mut records);
    for (build, record) in &records {
        term::say(&format!("{}\n", serde_json::to_string(&View::of(build, record, now))?))?;
    }
    Ok(())
}

async fn one(bus: &Bus, id: &str, json: bool) -> anyhow::Result<()> {
    let (build, record) = existing(bus, id).await?;
    let mut view = View::of(&build, &record, Timestamp::now());
    view.why = Some(why(bus, &build, &record).await?);
    term::say(&if json {
        format!("{}\n", serde_json::to_string(&view)?)
    } else {
        details::details(&view, &record, Paint::stdout())
    })
}

/// Why each attempt went where it went: the router's own event says it, as long as its stream keeps it.
async fn why(bus: &Bus, build: &BuildKey, record: &Record) -> anyhow::Result<Vec<Option<Why>>> {
    let mut found = Vec::new();
    for attempt in &record.attempts {
        let Some(executor) = &attempt.executor else {
            found.push(None);
            continue;
        };
        let subject = yard(BuildRouted::TYPE, &[executor, build.as_str(), &attempt.n.to_string()]);
        let routed = bus.last("YARD", &subject).await?;
        let event = routed.as_ref().and_then(|delivery| delivery.cdevent().ok());
        found.push(event.and_then(|event| custom_data::<BuildRouted>(&event).ok()).map(|routed| routed.why));
    }
    Ok(found)
}

impl Args {
    fn wants(&self, view: &View) -> bool {
        let states: BTreeSet<_> = self.state.iter().collect();
        (states.is_empty() || states.contains(&view.latest.state))
            && self.id.as_ref().is_none_or(|id| view.build.starts_with(id.as_str()))
    }
}
