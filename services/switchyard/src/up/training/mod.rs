//! The demo's model: trained once, fed with rows as it knows them, then with rows of a world that has changed; drift is found, one
//! build trains it again, and the better model takes over.

mod heard;
mod place;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use switchyard_bus::Bus;
use switchyard_dev::Stack;
use switchyard_events::{Outcome, RetrainingRequested, RunEnd};
use switchyard_trainer::Pinned;
use tokio::process::Command;

use heard::{Heard, trace_of};
pub(super) use place::{path_with, ready};

/// The model's name.
const MODEL: &str = "churn";
/// How many rows the first model is made of.
const FIRST: u32 = 3000;
/// How many rows follow that look like those.
const CALM: u32 = 2000;
/// How many rows follow that do not.
const CHANGED: u32 = 2500;

/// How many rows follow that the second model knows.
const KNOWN: u32 = 2000;

/// How long each part of the story may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(4);

/// One part of the story.
pub(super) struct Part {
    pub(super) name: &'static str,
    /// What happened, or what did not.
    pub(super) told: Result<String, String>,
}

/// The demo's model.
pub(super) struct Training<'a> {
    stack: &'a Stack,
    bus: &'a Bus,
    folder: PathBuf,
}

impl<'a> Training<'a> {
    pub(super) fn new(stack: &'a Stack, bus: &'a Bus) -> Self {
        Self { stack, bus, folder: stack.folder().join(MODEL) }
    }

    /// Lets everything happen, one thing after the other; the first that does not is the last part.
    pub(super) async fn play(&self) -> Vec<Part> {
        let mut story = Vec::new();
        let done = self.tell(&mut story).await;
        if let Err((name, error)) = done {
            story.push(Part { name, told: Err(format!("{error:#}")) });
        }
        story
    }

    async fn tell(&self, story: &mut Vec<Part>) -> Result<(), (&'static str, anyhow::Error)> {
        let mut part = |name, told: anyhow::Result<String>| match told {
            Ok(told) => {
                story.push(Part { name, told: Ok(told) });
                Ok(())
            }
            Err(error) => Err((name, error)),
        };
        part("first model trained", self.first().await)?;
        part("rows as it knows them", self.calm().await)?;
        part("rows of another world", self.changed().await)?;
        part("drift detected", self.drifted().await)?;
        part("one retraining build", self.retrained().await)?;
        part("evaluated, promoted", self.promoted().await)?;
        part("reference re-pinned", self.pinned().await)?;
        part("one trace for all of it", self.traced().await)?;
        part("rows as the new one knows", self.known().await)
    }

    async fn first(&self) -> anyhow::Result<String> {
        let file = place::write(&self.folder)?;
        self.lake("1.csv", FIRST, 0, false).await?;
        let applied = self.bus.apply_model(MODEL, &file, None).await?;
        ensure!(applied.is_some(), "a model of that name has been applied before");
        let heard = self.until("the first model serves", |heard| !heard.finished.is_empty()).await?;
        let finished = &heard.finished[0];
        ensure!(
            finished.outcome == RunEnd::Promoted,
            "{}: {}",
            finished.outcome.name(),
            finished.reason.clone().unwrap_or_default()
        );
        let (_, promoted) = heard.promoted.first().context("it is not promoted")?;
        Ok(format!(
            "run {}, auc {:.3} on {FIRST} rows",
            short(&promoted.run),
            promoted.metrics.get("auc").copied().unwrap_or_default()
        ))
    }

    async fn calm(&self) -> anyhow::Result<String> {
        self.feed(CALM, FIRST, false).await?;
        let heard = self.until("windows are judged", |heard| heard.windows.len() >= 3).await?;
        ensure!(heard.drifts.is_empty(), "drift was found where there is none");
        Ok(format!("{} windows, no drift", heard.windows.len()))
    }

    async fn changed(&self) -> anyhow::Result<String> {
        self.lake("2.csv", CHANGED, FIRST + CALM, true).await?;
        self.feed(CHANGED, FIRST + CALM, true).await?;
        Ok(format!("{CHANGED} rows served, and labelled in the source"))
    }

    async fn drifted(&self) -> anyhow::Result<String> {
        let heard = self.until("drift is detected", |heard| !heard.drifts.is_empty()).await?;
        let (_, drift) = &heard.drifts[0];
        let columns: Vec<String> =
            drift.columns.iter().map(|column| format!("{} {:.2} > {}", column.column, column.effect, column.threshold)).collect();
        Ok(format!("window {}: {}", drift.window, columns.join(", ")))
    }

    async fn retrained(&self) -> anyhow::Result<String> {
        let heard = self.until("the retraining ends", |heard| heard.finished.len() > 1).await?;
        let builds = heard.requested.iter().filter(|(_, requested)| requested.build.is_some()).count();
        ensure!(builds == 2, "{builds} builds were asked for in all, and two were expected");
        let (_, requested) = second(&heard)?;
        let build = requested.build.clone().context("it has no build")?;
        let record = self.bus.records().await?.into_iter().find(|(key, _)| *key == build).context("its build is in no ledger")?.1;
        let attempt = record.latest().context("its build was never begun")?;
        let decided = attempt.decided.as_ref().context("its build has not ended")?;
        ensure!(decided.outcome == Outcome::Success, "build {build}: {} {}", decided.outcome.name(), decided.reason);
        let seconds = attempt.started_at.map_or(0.0, |started| decided.at.duration_since(started).as_secs_f64());
        Ok(format!(
            "build {}, really run on {} in {seconds:.1} s",
            short(build.as_str()),
            attempt.executor.as_deref().unwrap_or("-")
        ))
    }

    async fn promoted(&self) -> anyhow::Result<String> {
        let heard = Heard::of(self.bus, MODEL).await?;
        let evaluated = heard.evaluated.get(1).context("it was not evaluated")?;
        let finished = heard.finished.get(1).context("it has not ended")?;
        let auc = |metrics: &std::collections::BTreeMap<String, f64>| metrics.get("auc").copied().unwrap_or_default();
        let (candidate, champion) = (auc(&evaluated.metrics), auc(&evaluated.champion));
        let reason = finished.reason.clone().unwrap_or_default();
        ensure!(finished.outcome == RunEnd::Promoted, "{}: {reason}", finished.outcome.name());
        Ok(format!("auc {candidate:.3}, the champion's {champion:.3} on the same rows"))
    }

    async fn pinned(&self) -> anyhow::Result<String> {
        let heard = Heard::of(self.bus, MODEL).await?;
        let (_, promoted) = heard.promoted.get(1).context("there is no second champion")?;
        let (pinned, _) = Pinned::read(self.bus, MODEL).await?.context("no reference is pinned")?;
        ensure!(pinned.run == promoted.run, "the reference is still that of run {}", pinned.run);
        ensure!(heard.pinned.last().is_some_and(|said| said.run == promoted.run), "nobody was told of it");
        Ok(format!("windows are compared with run {}", short(&pinned.run)))
    }

    async fn traced(&self) -> anyhow::Result<String> {
        let heard = Heard::of(self.bus, MODEL).await?;
        let (requested, said) = second(&heard)?;
        let build = said.build.clone().context("it has no build")?;
        let record = self.bus.records().await?.into_iter().find(|(key, _)| *key == build).context("its build is in no ledger")?.1;
        let ledger = trace_of(&record.request.trace);
        let (drift, promoted) = (&heard.drifts[0].0, heard.promoted.get(1).map(|(trace, _)| trace));
        let one = [drift, &ledger].into_iter().chain(promoted).all(|trace| trace == requested);
        ensure!(one, "drift {drift}, request {requested}, build {ledger}, promotion {promoted:?}");
        Ok(requested.clone())
    }

    async fn known(&self) -> anyhow::Result<String> {
        let promoted = Heard::of(self.bus, MODEL).await?.promoted.get(1).map(|(_, promoted)| promoted.run.clone());
        let (run, drifts) = (promoted.context("there is no second champion")?, Heard::of(self.bus, MODEL).await?.drifts.len());
        self.feed(KNOWN, FIRST + CALM + CHANGED, true).await?;
        let own = |heard: &Heard| heard.windows.iter().filter(|window| window.reference == run).count();
        let heard = self.until("windows are judged", |heard| own(heard) >= 2).await?;
        ensure!(heard.drifts.len() == drifts, "drift was found where there is none");
        Ok(format!("{} windows, no drift", own(&heard)))
    }

    /// Waits until what was said of the model says so.
    async fn until(&self, what: &str, is: impl Fn(&Heard) -> bool) -> anyhow::Result<Heard> {
        let look = async {
            loop {
                let heard = Heard::of(self.bus, MODEL).await?;
                if is(&heard) {
                    return anyhow::Ok(heard);
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.with_context(|| format!("{what}: not within {PATIENCE:?}"))?
    }

    fn generate(&self, rows: u32, first: u32, shift: bool) -> Command {
        let mut python = Command::new("python3");
        python.arg(self.folder.join("generate.py")).args(["--rows", &rows.to_string(), "--first", &first.to_string()]);
        python.args(shift.then_some("--shift")).stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
        python
    }

    /// Rows with their labels into the model's source, all at once.
    async fn lake(&self, name: &str, rows: u32, first: u32, shift: bool) -> anyhow::Result<()> {
        let made = self.generate(rows, first, shift).stdout(Stdio::piped()).output().await.context("python3 generate.py")?;
        ensure!(made.status.success(), "python3 generate.py: {}", made.status);
        let (folder, hidden) = (self.folder.join("data"), self.folder.join(name));
        fs::write(&hidden, made.stdout)?;
        fs::rename(&hidden, folder.join(name)).with_context(|| Path::new(name).display().to_string())
    }

    /// Rows as a server sees them, and their labels after a while.
    async fn feed(&self, rows: u32, first: u32, shift: bool) -> anyhow::Result<()> {
        let mut python = self.generate(rows, first, shift).args(["--as", "events"]).stdout(Stdio::piped()).spawn()?;
        let made: Stdio = python.stdout.take().context("python3 generate.py")?.try_into()?;
        let credentials = self.stack.nats().credentials("cli")?;
        let mut feed = Command::new(std::env::current_exe()?);
        feed.args(["model", "feed", MODEL]).stdin(made).stdout(Stdio::null()).kill_on_drop(true);
        feed.env("NATS_URL", self.stack.nats().url())
            .env("NATS_USER", &credentials.user)
            .env("NATS_PASSWORD", &credentials.password);
        let done = feed.status().await.context("switchyard model feed")?;
        let made = python.wait().await?;
        ensure!(done.success() && made.success(), "switchyard model feed: {done}; generate.py: {made}");
        Ok(())
    }
}

/// The training that the drift brought about.
fn second(heard: &Heard) -> anyhow::Result<&(String, RetrainingRequested)> {
    heard.requested.iter().filter(|(_, requested)| requested.build.is_some()).nth(1).context("no second training was asked for")
}

fn short(key: &str) -> &str {
    key.get(..10).unwrap_or(key)
}

/// Prints the story; whether it went as it should.
pub(super) fn judge(story: &[Part]) -> bool {
    println!("\n{:26} as it should", format!("model {MODEL}"));
    for Part { name, told } in story {
        let (right, told) = told.as_ref().map_or_else(|error| ("NO", error), |told| ("yes", told));
        println!("{name:26} {right:12} {told}");
    }
    story.iter().all(|part| part.told.is_ok()) && !story.is_empty()
}
