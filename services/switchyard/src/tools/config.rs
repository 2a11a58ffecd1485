//! `switchyard config`: the fleet that the services work by, in the bucket `config`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use switchyard_bus::{Applied, Bus, Durable};
use switchyard_fleet::{Fleet, InvalidFleet, Problem};

use super::{
    Session, Told,
    applied::{self, Kept, before, holding, revision_of},
    report, run, term,
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

impl Kept for Fleet {
    const WHAT: &'static str = "fleet";
    const LIST: &'static str = "config history";

    fn parse(text: &str) -> Result<(Self, Vec<Problem>), InvalidFleet> {
        let fleet = Self::parse(text)?;
        let warnings = fleet.warnings().to_vec();
        Ok((fleet, warnings))
    }

    fn revision(&self) -> String {
        Self::revision(self).to_owned()
    }
}

pub(super) fn read_fleet(path: &Path) -> anyhow::Result<String> {
    applied::read(path, Fleet::WHAT)
}

fn read(File { file }: &File) -> anyhow::Result<String> {
    read_fleet(file)
}

/// The fleet of a text; each problem and each warning is a line on standard error.
pub(super) fn checked(text: &str) -> anyhow::Result<Fleet> {
    applied::checked(text)
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
    if let Some(holds) = applied.last().filter(|holds| revision_of::<Fleet>(holds).as_deref() == Some(revision)) {
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

async fn show(bus: &Bus, Which { which }: &Which) -> anyhow::Result<()> {
    let applied = bus.fleets().await?;
    let found = match which {
        Some(which) => find(&applied, which)?,
        None => holding::<Fleet>(&applied).context("no fleet has been applied")?,
    };
    term::say(&found.text)
}

/// The fleet that the services work by.
pub(super) async fn holds(bus: &Bus) -> anyhow::Result<Fleet> {
    let applied = bus.fleets().await?;
    let holds = holding::<Fleet>(&applied).and_then(|applied| Fleet::parse(&applied.text).ok());
    holds.context("no fleet has been applied: name a fleet file")
}

/// The one of that number or revision; of a revision the newest.
pub(super) fn find<'a>(applied: &'a [Applied], which: &str) -> anyhow::Result<&'a Applied> {
    applied::find::<Fleet>(applied, which)
}

async fn rollback(bus: &Bus, Which { which }: &Which) -> anyhow::Result<()> {
    let applied = bus.fleets().await?;
    let target = match which {
        Some(which) => find(&applied, which)?,
        None => before::<Fleet>(&applied).context("there is no other fleet before this one")?,
    };
    let fleet = checked(&target.text)?;
    put(bus, &target.text, &fleet).await
}

async fn history(bus: &Bus, args: &History) -> anyhow::Result<()> {
    term::say(&applied::history::<Fleet>(&bus.fleets().await?, args.json))
}
