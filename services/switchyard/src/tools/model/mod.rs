//! `switchyard model`: the declarations by which models are made, watched and trained again, in the bucket `config`.

mod diff;
mod feed;
mod reach;
mod replay;
mod report;
mod status;
mod train;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use switchyard_bus::{Applied, Bus};
use switchyard_file::{Invalid, Problem};
use switchyard_model::Model;

use super::{
    Session, Told,
    applied::{self, Kept, before, checked, find, holding, revision_of},
    report as done, run,
    term::{self, Cell, Colour, Paint, columns},
};

/// What to do with models.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Prints the JSON Schema of the model file, for editors.
    Schema,
    /// Says everything that is wrong with a model file, and what in it is worth a second look.
    Check(File),
    /// Checks a model file and gives it to the trainer, which works by it at once.
    Apply(Told<File>),
    /// Lists the models of which a file has been applied.
    List(Told<Listed>),
    /// Prints the file of a model that holds, or an older one.
    Show(Told<Which>),
    /// Lists the files of a model that were applied, the oldest first.
    History(Told<History>),
    /// Says in what two files of a model differ, or a file and the one that holds.
    Diff(Told<diff::Args>),
    /// Applies an older file of a model again.
    Rollback(Told<Which>),
    /// Says what each model is doing, which run is its champion, how the last run ended, and why none is begun now.
    Status(Told<status::Args>),
    /// Wants a model to be trained, in any mode of its policy.
    Retrain(Told<train::Wanted>),
    /// Lets the run begin that waits for approval.
    Approve(Told<train::Waiting>),
    /// Keeps the run that waits for approval from beginning.
    Deny(Told<train::Waiting>),
    /// Makes an earlier champion serve again.
    Restore(Told<train::Former>),
    /// Says what a model file would have done with what was seen: its windows, its verdicts, its trainings. Publishes nothing.
    Replay(Told<replay::Args>),
    /// Writes one page about a model: its columns then and now, verdicts, trainings, decisions. It needs no network to be read.
    Report(Told<report::Args>),
    /// Publishes rows and labels of a file as a model server does.
    Feed(Told<feed::Args>),
}

#[derive(Clone, Debug, clap::Args)]
struct File {
    /// The model file; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Clone, Debug, clap::Args)]
struct Listed {
    /// Print one JSON object per model: `model`, `number`, `revision`, `at`.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, clap::Args)]
struct Which {
    /// The model.
    name: String,
    /// The file's number or its revision, as `model history` shows them; without one, that which holds, or for `rollback` the
    /// one before.
    #[arg(value_name = "NUMBER|REVISION")]
    which: Option<String>,
}

#[derive(Clone, Debug, clap::Args)]
struct History {
    /// The model.
    name: String,
    /// Print one JSON object per file: `number`, `revision`, `at`, `current`.
    #[arg(long)]
    json: bool,
}

impl Kept for Model {
    const WHAT: &'static str = "model";
    const LIST: &'static str = "model history";

    fn parse(text: &str) -> Result<(Self, Vec<Problem>), Invalid> {
        switchyard_model::read(text)
    }

    /// The first 64 bits of the digest.
    fn revision(&self) -> String {
        self.digest()[..16].to_owned()
    }
}

pub(crate) fn model(args: &Args) -> ExitCode {
    match &args.action {
        Action::Schema => done(term::say(&format!("{:#}\n", switchyard_model::schema()))),
        Action::Check(file) => done(check(file)),
        Action::Apply(Told { args, nats }) => run(nats, async |session: &Session<'_>| apply(session, args).await),
        Action::List(Told { args, nats }) => run(nats, async |session: &Session<'_>| list(session.bus().await?, args).await),
        Action::Show(Told { args, nats }) => run(nats, async |session: &Session<'_>| show(session.bus().await?, args).await),
        Action::History(Told { args, nats }) => {
            run(nats, async |session: &Session<'_>| history(session.bus().await?, args).await)
        }
        Action::Diff(Told { args, nats }) => run(nats, async |session: &Session<'_>| diff::diff(session, args).await),
        Action::Rollback(Told { args, nats }) => {
            run(nats, async |session: &Session<'_>| rollback(session.bus().await?, args).await)
        }
        Action::Status(Told { args, nats }) => {
            run(nats, async |session: &Session<'_>| status::status(session.bus().await?, args).await)
        }
        Action::Retrain(Told { args, nats }) => {
            run(nats, async |session: &Session<'_>| train::retrain(session.bus().await?, args).await)
        }
        Action::Approve(Told { args, nats }) => {
            run(nats, async |session: &Session<'_>| train::approve(session.bus().await?, args, true).await)
        }
        Action::Deny(Told { args, nats }) => {
            run(nats, async |session: &Session<'_>| train::approve(session.bus().await?, args, false).await)
        }
        Action::Restore(Told { args, nats }) => {
            run(nats, async |session: &Session<'_>| train::restore(session.bus().await?, args).await)
        }
        Action::Replay(Told { args, nats }) => run(nats, async |session: &Session<'_>| replay::replay(session, args).await),
        Action::Report(Told { args, nats }) => run(nats, async |session: &Session<'_>| report::report(session, args).await),
        Action::Feed(Told { args, nats }) => run(nats, async |session: &Session<'_>| feed::feed(session, args).await),
    }
}

fn check(File { file }: &File) -> anyhow::Result<()> {
    let model: Model = checked(&applied::read(file, Model::WHAT)?)?;
    term::say(&format!("model {}, revision {}\n", model.name, model.revision()))
}

async fn apply(session: &Session<'_>, File { file }: &File) -> anyhow::Result<()> {
    let text = applied::read(file, Model::WHAT)?;
    let model = checked(&text)?;
    put(session.bus().await?, &text, &model).await
}

/// Applies a model's file after the one that holds.
async fn put(bus: &Bus, text: &str, model: &Model) -> anyhow::Result<()> {
    let (applied, name, revision) = (bus.models(&model.name).await?, &model.name, model.revision());
    let holds = applied.last().filter(|holds| revision_of::<Model>(holds).as_ref() == Some(&revision));
    if let Some(holds) = holds {
        return term::say(&format!("revision {revision} of {name} holds already, as number {}\n", holds.number));
    }
    match bus.apply_model(name, text, applied.last().map(|holds| holds.number)).await? {
        Some(number) => term::say(&format!("revision {revision} of {name} holds from now on, as number {number}\n")),
        None => bail!("another file was applied at this moment: look at `switchyard model history {name}` and try again"),
    }
}

async fn list(bus: &Bus, args: &Listed) -> anyhow::Result<()> {
    let heading = ["MODEL", "NUMBER", "REVISION", "APPLIED"].map(|name| Cell::coloured(name, Colour::Dim)).to_vec();
    let (mut lines, mut rows) = (String::new(), vec![heading]);
    for name in bus.model_names().await? {
        let applied = bus.models(&name).await?;
        let Some(holds) = holding::<Model>(&applied) else { continue };
        let (revision, at) = (revision_of::<Model>(holds).unwrap_or_default(), holds.at);
        let line = serde_json::json!({"model": name, "number": holds.number, "revision": revision, "at": at});
        lines.extend([line.to_string().as_str(), "\n"]);
        rows.push([name, holds.number.to_string(), revision, format!("{at:.0}")].map(Cell::new).to_vec());
    }
    term::say(&if args.json { lines } else { columns(&rows, Paint::stdout()) })
}

async fn show(bus: &Bus, Which { name, which }: &Which) -> anyhow::Result<()> {
    let applied = of(bus, name).await?;
    let found = match which {
        Some(which) => find::<Model>(&applied, which)?,
        None => holding::<Model>(&applied).context("no file that has been applied can be read")?,
    };
    term::say(&found.text)
}

async fn history(bus: &Bus, History { name, json }: &History) -> anyhow::Result<()> {
    term::say(&applied::history::<Model>(&of(bus, name).await?, *json))
}

async fn rollback(bus: &Bus, Which { name, which }: &Which) -> anyhow::Result<()> {
    let applied = of(bus, name).await?;
    let target = match which {
        Some(which) => find::<Model>(&applied, which)?,
        None => before::<Model>(&applied).context("there is no other file before this one")?,
    };
    put(bus, &target.text, &checked(&target.text)?).await
}

/// The model that holds.
async fn held(bus: &Bus, name: &str) -> anyhow::Result<Model> {
    let applied = of(bus, name).await?;
    let holds = holding::<Model>(&applied).context("no file that has been applied can be read")?;
    Ok(Model::parse(&holds.text)?.0)
}

/// The files of a model; one that was never applied is an error that names those that were.
async fn of(bus: &Bus, name: &str) -> anyhow::Result<Vec<Applied>> {
    let applied = bus.models(name).await?;
    if applied.is_empty() {
        let known = bus.model_names().await?;
        bail!("{}", switchyard_file::no_such("model", name, &known, ""));
    }
    Ok(applied)
}
