//! `switchyard model replay`: what a model file would have done with what was seen. Nothing is published.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, bail};
use cloudevents::Event;
use jiff::Timestamp;
use switchyard_events::{RunEnd, Says, TimeLimit};
use switchyard_model::Model;
use switchyard_trainer::{Happened, Imagined, Judged, Pinned, Replay, replay_words};

use super::{
    super::Session,
    File, Kept, applied, checked,
    feed::{Batch, LABELS, ROWS, Sorter, lines, outgoing},
    reach, term,
};

/// Settings of `replay`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    file: File,
    /// Replay what the model has seen since so long ago, out of stream INFERENCE, which keeps a day; more is an error.
    #[arg(long, value_name = "TIME", required_unless_present = "from", conflicts_with = "from")]
    since: Option<TimeLimit>,
    /// Replay the rows and labels of this file, as `model feed` takes them; `-` is standard input.
    #[arg(long, value_name = "DATA")]
    from: Option<PathBuf>,
    /// Of rows without the model's event time: how long after the one before each comes.
    #[arg(long, value_name = "TIME", default_value = "1s")]
    every: TimeLimit,
    /// How long each training is imagined to take.
    #[arg(long, value_name = "TIME", default_value = "30m")]
    takes: TimeLimit,
    /// How each training is imagined to end.
    #[arg(long, value_enum, default_value = "promoted")]
    ends: Ends,
    /// Say what each window says, too.
    #[arg(long)]
    windows: bool,
}

/// How trainings are imagined to end.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Ends {
    /// The candidate becomes the champion, and the data of its time the reference.
    Promoted,
    /// It does not pass.
    Rejected,
    /// It comes to no result.
    Failed,
}

pub(super) async fn replay(session: &Session<'_>, args: &Args) -> anyhow::Result<()> {
    let model: Model = checked(&applied::read(&args.file.file, Model::WHAT)?)?;
    let bus = session.bus().await?;
    let pinned = Pinned::read(bus, &model.name).await?.map(|(pinned, _)| pinned);
    let pinned = pinned.with_context(|| format!("{} has no reference yet: it is pinned with its first champion", model.name))?;
    let seen = match (&args.since, &args.from) {
        (Some(since), _) => {
            let from = reach::since(bus, *since).await?;
            let mut seen = Vec::new();
            let filter = format!("inference.{}.>", model.name);
            bus.recorded(reach::STREAM, &filter, Some(from), |delivery| seen.push((delivery.event, delivery.stored))).await?;
            seen
        }
        (None, Some(from)) => rows(&model, from, args.every)?,
        (None, None) => bail!("--since or --from says what is to be replayed"),
    };
    let Some((_, begin)) = seen.first() else { return term::say("nothing was seen in that time\n") };
    let imagined = Imagined { takes: args.takes.duration(), ends: args.ends.into() };
    let replay = Replay::new(&model, pinned, imagined, *begin).context("the file says nothing of monitoring")?;
    tell(replay, seen, args.windows)
}

fn tell(mut replay: Replay, seen: Vec<(Event, Timestamp)>, windows: bool) -> anyhow::Result<()> {
    let (mut judged, mut detected, mut begun, mut not) = (0, 0, 0, 0);
    for (event, stored) in seen {
        for happened in replay.take(&event, stored)? {
            match happened {
                Happened::Window(window) => {
                    judged += 1;
                    if windows {
                        term::say(&format!("{:.0}  {}\n", window.at, of_window(&window)))?;
                    }
                }
                Happened::Said(told) => {
                    detected += usize::from(matches!(told.says, Says::Detected(_)));
                    begun += usize::from(matches!(told.says, Says::Build(_)));
                    not += usize::from(matches!(told.says, Says::Skipped(_)));
                    term::say(&format!("{:.0}  {}\n", told.at, term::line(&replay_words(&told))))?;
                }
            }
        }
    }
    let skipped = match replay.skipped() {
        0 => String::new(),
        n => format!("; {n} messages are files by reference or cannot be read, and are not counted"),
    };
    term::say(&format!("{judged} windows, {detected} drifts, {begun} trainings, {not} times none was begun{skipped}\n"))
}

fn of_window(window: &Judged) -> String {
    let drifted = window.drifted_columns().join(", ");
    let drifted = if drifted.is_empty() { "nothing has drifted".to_owned() } else { format!("drifted: {drifted}") };
    format!("window {} of {} rows: {drifted}", window.window, window.rows)
}

/// The lines of a file as events, each at its own time.
fn rows(model: &Model, from: &std::path::Path, every: TimeLimit) -> anyhow::Result<Vec<(Event, Timestamp)>> {
    reach::is_json_lines(from)?;
    let (mut sorter, mut seen) = (Sorter::new(model, 1), Vec::new());
    let mut now = Timestamp::now();
    for (n, line) in lines(from)?.enumerate() {
        let line = line.context("cannot read on")?;
        if line.trim().is_empty() {
            continue;
        }
        now = match time(model, &line) {
            Some(time) if seen.is_empty() => time,
            Some(time) => now.max(time),
            None => now.checked_add(every.duration())?,
        };
        for batch in sorter.take(&line).with_context(|| format!("line {}", n + 1))? {
            seen.extend(events(model, batch, n)?.map(|event| (event, now)));
        }
    }
    Ok(seen)
}

/// A line's row, and its label.
fn events(model: &Model, batch: Batch, line: usize) -> anyhow::Result<impl Iterator<Item = Event>> {
    let mut events = Vec::new();
    for (kind, lines) in [(ROWS, batch.rows), (LABELS, batch.labels)] {
        if !lines.is_empty() {
            events.push(outgoing(&model.name, batch.partition, &format!("{line} {kind}"), kind, &lines)?.event);
        }
    }
    Ok(events.into_iter())
}

/// When a row happened: RFC 3339, or seconds since 1970.
fn time(model: &Model, line: &str) -> Option<Timestamp> {
    let row: BTreeMap<String, serde_json::Value> = serde_json::from_str(line).ok()?;
    let value = row.get(model.data.event_time.as_ref()?)?;
    match value.as_str() {
        Some(text) => text.parse().ok().or_else(|| text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok())),
        None => value.as_i64().and_then(|seconds| Timestamp::from_second(seconds).ok()),
    }
}

impl From<Ends> for RunEnd {
    fn from(ends: Ends) -> Self {
        match ends {
            Ends::Promoted => Self::Promoted,
            Ends::Rejected => Self::Rejected,
            Ends::Failed => Self::Failed,
        }
    }
}
