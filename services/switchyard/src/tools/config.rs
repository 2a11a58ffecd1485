//! `switchyard config`: the fleet that the services work by, in the bucket `config`.

use std::{io::Read as _, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use switchyard_bus::{AppliedFleet, Bus, Durable};
use switchyard_fleet::Fleet;

use super::{
    Session, Told, run,
    term::{self, Cell, Colour, Paint, columns},
};

/// What to do with the fleet.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Prints the JSON Schema of the fleet file, for editors.
    Schema,
    /// Says everything that is wrong with a fleet file, and what in it has no effect.
    Check(File),
    /// Checks a fleet file and gives it to every service; they switch at once.
    Apply(Told<File>),
    /// Prints the fleet file that holds, or an older one.
    Show(Told<Which>),
    /// Lists the fleet files that were applied, the oldest first.
    History(Told<History>),
    /// Applies an older fleet file again.
    Rollback(Told<Which>),
}

#[derive(Clone, Debug, clap::Args)]
struct File {
    /// The fleet file; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Clone, Debug, clap::Args)]
struct Which {
    /// Its number or its revision, as `config history` shows them; without one, that which holds, or for `rollback` the one before.
    #[arg(value_name = "NUMBER|REVISION")]
    which: Option<String>,
}

#[derive(Clone, Debug, clap::Args)]
struct History {
    /// Print one JSON object per file: `number`, `revision`, `at`, `current`.
    #[arg(long)]
    json: bool,
}

pub(crate) fn config(args: &Args) -> ExitCode {
    match &args.action {
        Action::Schema => report(term::say(&format!("{:#}\n", Fleet::schema()))),
        Action::Check(file) => report(
            read(file)
                .and_then(|text| checked(&text))
                .and_then(|fleet| term::say(&format!("revision {}: {} executors\n", fleet.revision(), fleet.executors().len()))),
        ),
        Action::Apply(Told { args, nats }) => run(nats, async |session: &Session<'_>| apply(session, args).await),
        Action::Show(Told { args, nats }) => run(nats, async |session: &Session<'_>| show(session.bus().await?, args).await),
        Action::History(Told { args, nats }) => {
            run(nats, async |session: &Session<'_>| history(session.bus().await?, args).await)
        }
        Action::Rollback(Told { args, nats }) => {
            run(nats, async |session: &Session<'_>| rollback(session.bus().await?, args).await)
        }
    }
}

fn report(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

pub(super) fn read_fleet(path: &std::path::Path) -> anyhow::Result<String> {
    if path.as_os_str() != "-" {
        return std::fs::read_to_string(path).with_context(|| format!("fleet file {}", path.display()));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input")?;
    Ok(text)
}

fn read(File { file }: &File) -> anyhow::Result<String> {
    read_fleet(file)
}

/// The fleet of a text; each problem and each warning is a line on standard error.
pub(super) fn checked(text: &str) -> anyhow::Result<Fleet> {
    match Fleet::parse(text) {
        Ok(fleet) => {
            for warning in fleet.warnings() {
                eprintln!("warning: {}", term::line(&warning.to_string()));
            }
            Ok(fleet)
        }
        Err(wrong) => {
            for problem in &wrong.problems {
                eprintln!("{}", term::line(&problem.to_string()));
            }
            match wrong.problems.len() {
                1 => bail!("1 problem"),
                n => bail!("{n} problems"),
            }
        }
    }
}

async fn apply(session: &Session<'_>, file: &File) -> anyhow::Result<()> {
    let text = read(file)?;
    let fleet = checked(&text)?;
    put(session.bus().await?, &text, &fleet).await
}

/// Applies a fleet after the one that holds.
async fn put(bus: &Bus, text: &str, fleet: &Fleet) -> anyhow::Result<()> {
    let applied = bus.fleets().await?;
    let revision = fleet.revision();
    if let Some(holds) = applied.last().filter(|holds| revision_of(holds).as_deref() == Some(revision)) {
        return term::say(&format!("revision {revision} holds already, as number {}\n", holds.number));
    }
    has_consumers(bus, fleet).await?;
    match bus.apply_fleet(text, applied.last().map(|holds| holds.number)).await? {
        Some(number) => term::say(&format!("revision {revision} holds from now on, as number {number}\n")),
        None => bail!("another fleet was applied at this moment: look at `switchyard config history` and try again"),
    }
}

/// A build that is routed to an executor without consumers would wait for nobody.
async fn has_consumers(bus: &Bus, fleet: &Fleet) -> anyhow::Result<()> {
    let stream = bus.jetstream().get_stream(Durable::requests().stream).await;
    stream.context("the streams are not there: `switchyard provision` makes them")?;
    for executor in fleet.executors() {
        let durable = Durable::routed(&executor.name);
        let stream = bus.jetstream().get_stream(durable.stream).await?;
        if stream.consumer_info(&durable.name).await.is_err() {
            bail!("executor {} has no consumers yet: run `switchyard provision --config` with this file first", executor.name);
        }
    }
    Ok(())
}

fn revision_of(applied: &AppliedFleet) -> Option<String> {
    Fleet::parse(&applied.text).ok().map(|fleet| fleet.revision().to_owned())
}

async fn show(bus: &Bus, Which { which }: &Which) -> anyhow::Result<()> {
    let applied = bus.fleets().await?;
    let found = match which {
        Some(which) => find(&applied, which)?,
        None => holding(&applied).context("no fleet has been applied")?,
    };
    term::say(&found.text)
}

/// The fleet that the services work by.
pub(super) async fn holds(bus: &Bus) -> anyhow::Result<Fleet> {
    let applied = bus.fleets().await?;
    let holds = holding(&applied).and_then(|applied| Fleet::parse(&applied.text).ok());
    holds.context("no fleet has been applied: name a fleet file")
}

/// The newest that can be read: what the services work by.
fn holding(applied: &[AppliedFleet]) -> Option<&AppliedFleet> {
    applied.iter().rev().find(|applied| revision_of(applied).is_some())
}

/// The one of that number or revision; of a revision the newest.
pub(super) fn find<'a>(applied: &'a [AppliedFleet], which: &str) -> anyhow::Result<&'a AppliedFleet> {
    let is = |applied: &&AppliedFleet| which == applied.number.to_string() || revision_of(applied).as_deref() == Some(which);
    applied
        .iter()
        .rev()
        .find(is)
        .with_context(|| format!("the bucket has no fleet {which}: `switchyard config history` lists them"))
}

async fn rollback(bus: &Bus, Which { which }: &Which) -> anyhow::Result<()> {
    let applied = bus.fleets().await?;
    let target = match which {
        Some(which) => find(&applied, which)?,
        None => before(&applied).context("there is no other fleet before this one")?,
    };
    let fleet = checked(&target.text)?;
    put(bus, &target.text, &fleet).await
}

/// The newest that says something else than the one that holds.
fn before(applied: &[AppliedFleet]) -> Option<&AppliedFleet> {
    let holds = revision_of(holding(applied)?);
    applied.iter().rev().find(|applied| revision_of(applied).is_some_and(|revision| Some(revision) != holds))
}

async fn history(bus: &Bus, args: &History) -> anyhow::Result<()> {
    let applied = bus.fleets().await?;
    let holds = holding(&applied).map(|holds| holds.number);
    let rows = applied.iter().map(|applied| {
        let AppliedFleet { number, at, .. } = applied;
        (*number, revision_of(applied), *at, Some(*number) == holds)
    });
    if args.json {
        let line = |(number, revision, at, current): (u64, Option<String>, Timestamp, bool)| {
            format!("{}\n", serde_json::json!({"number": number, "revision": revision, "at": at, "current": current}))
        };
        return term::say(&rows.map(line).collect::<String>());
    }
    term::say(&table(rows, Paint::stdout()))
}

fn table(rows: impl Iterator<Item = (u64, Option<String>, Timestamp, bool)>, paint: Paint) -> String {
    let heading = ["NUMBER", "REVISION", "APPLIED", ""].map(|name| Cell::coloured(name, Colour::Dim)).to_vec();
    let row = |(number, revision, at, current): (u64, Option<String>, Timestamp, bool)| {
        let state = match (current, &revision) {
            (true, _) => Cell::coloured("holds", Colour::Green),
            (false, None) => Cell::coloured("refused", Colour::Red),
            (false, Some(_)) => Cell::new(""),
        };
        vec![Cell::new(number.to_string()), Cell::new(revision.unwrap_or_default()), Cell::new(format!("{at:.0}")), state]
    };
    columns(&std::iter::once(heading).chain(rows.map(row)).collect::<Vec<_>>(), paint)
}
