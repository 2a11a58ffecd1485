//! One run, from the data to what is handed over.

mod commands;
mod fetch;
mod files;
mod hand_over;
mod preprocess;
mod profile;
mod rated;
mod record;
mod rival;
mod split;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use switchyard_events::TimeLimit;
use switchyard_model::{Artifact, Champion, Fold, Model, RunRequest, RunResult, run_key};

use crate::{
    cache::{Cache, Made},
    code,
    error::{Error, Result},
    manifest::{self, Manifest, verified},
    place::Place,
    preprocess::Preprocessing,
    progress::Progress,
};
pub(crate) use record::Record;

/// How many steps are told of in any case: fetch, split, preprocess, profile, train, evaluate, gate.
const STEPS: usize = 7;

/// The longest that a run without a limit may take: its executor's own limit holds.
const FOREVER: Duration = Duration::from_hours(365 * 24);

/// How much earlier than its build a run ends at most.
const EARLIER: Duration = Duration::from_secs(15);

/// Who asks for a run.
pub(crate) enum Asked {
    /// The trainer, in the build's environment.
    Build(RunRequest),
    /// Somebody at a keyboard; and the run that is to be beaten.
    Hand {
        /// The champion's run.
        champion: Option<String>,
    },
}

/// A run on its way.
pub(crate) struct Job<'a> {
    model: &'a Model,
    request: RunRequest,
    manifest: Manifest,
    cache: &'a Cache<'a>,
    store: &'a Place,
    progress: &'a Progress,
    /// Where the user's commands run.
    folder: PathBuf,
    deadline: Instant,
}

/// The steps of a run that are done.
struct Done<'a> {
    fetched: Made<'a>,
    split: Made<'a>,
    preprocessed: Made<'a>,
    columns: Made<'a>,
    trained: Made<'a>,
    predicted: Option<Made<'a>>,
}

/// Runs a model's declaration.
///
/// # Errors
/// A step cannot be done: the error names it. Nothing is handed over then.
pub(crate) fn run(model: &Model, asked: Asked, quiet: bool) -> Result<RunResult> {
    let store = Place::open(&model.store.url, crate::place::Use::Store)?;
    let cache = Cache::of(&store)?;
    let progress = Progress::new(STEPS + predictions(model, &asked), quiet);
    let job = Job::begin(model, asked, &store, &cache, &progress)?;
    let result = job.run();
    progress.clear();
    result
}

impl<'a> Job<'a> {
    fn begin(model: &'a Model, asked: Asked, store: &'a Place, cache: &'a Cache<'a>, progress: &'a Progress) -> Result<Self> {
        let deadline = Instant::now() + limit(model, &asked);
        let folder = match &model.train.code {
            None => std::env::current_dir().map_err(|error| Error::new(format!("cannot find the working folder: {error}")))?,
            Some(code) => {
                let folder = cache.scratch().join("code");
                std::fs::create_dir_all(&folder).map_err(|error| Error::new(format!("cannot create a folder: {error}")))?;
                progress.aside("code", &format!("{} at {}", code.repository, code.commit));
                code::check_out(code, &folder).map_err(|error| error.at("code"))?;
                folder
            }
        };
        let request = match asked {
            Asked::Build(request) => request,
            Asked::Hand { champion } => by_hand(model, champion.as_deref(), store, progress, &folder)?,
        };
        let manifest = manifest::read(store, &request.manifest).map_err(|error| error.at("manifest"))?;
        Ok(Self { model, request, manifest, cache, store, progress, folder, deadline })
    }

    fn run(&self) -> Result<RunResult> {
        let done = self.steps()?;
        let preprocessing = Preprocessing::read(&read(&done.preprocessed.file("preprocessing.json")?)?)?;
        let rated = self.rate(&done, &preprocessing)?;
        let profiled = self.profile(&done)?;
        self.hand_over(&done, &profiled, &rated)
    }

    fn steps(&self) -> Result<Done<'a>> {
        let fetched = self.fetch()?;
        let split = self.split(&fetched)?;
        let preprocessed = self.preprocess(&fetched, &split)?;
        let columns = self.survey(&fetched, &split)?;
        let trained = self.train(&preprocessed)?;
        let predicted = match &self.model.predict {
            None => None,
            Some(_) => Some(self.predict("predict", (&trained.file("model")?, &trained.kept("model")?.sha256), &preprocessed)?),
        };
        Ok(Done { fetched, split, preprocessed, columns, trained, predicted })
    }

    fn tell(&self, step: &str, what: &str, made: &Made<'_>) {
        self.progress.done(step, what, made.cached, made.took);
    }

    fn champion(&self) -> Option<&Champion> {
        self.request.champion.as_ref()
    }

    fn evaluated(&self) -> Fold {
        self.model.evaluated()
    }
}

/// How many more there are: the candidate predicts, and the champion does.
fn predictions(model: &Model, asked: &Asked) -> usize {
    let rival = match asked {
        Asked::Build(request) => request.champion.is_some(),
        Asked::Hand { champion } => champion.is_some(),
    };
    usize::from(model.predict.is_some()) * (1 + usize::from(rival))
}

/// How long a run may take. One in a build ends itself a little before that is ended: it knows where it was, and says so.
fn limit(model: &Model, asked: &Asked) -> Duration {
    let limit = model.train.timeout.map_or(FOREVER, TimeLimit::duration);
    match asked {
        Asked::Build(_) => limit.saturating_sub((limit / 20).min(EARLIER)),
        Asked::Hand { .. } => limit,
    }
}

/// What a build would be asked for.
fn by_hand(model: &Model, champion: Option<&str>, store: &Place, progress: &Progress, folder: &Path) -> Result<RunRequest> {
    let format = model.data.format.map(crate::table::Format::from);
    let told = |url: &str| progress.at("manifest", url);
    let resolved = manifest::resolve(&model.data.source, format, store, &told).map_err(|error| error.at("manifest"))?;
    let code = commands::files(&model.train.command, folder)?;
    let champion = champion.map(|run| Record::read(store, run).map(|record| record.champion())).transpose()?;
    Ok(RunRequest { run: run_key(model, &resolved.artifact.sha256, &code), manifest: resolved.artifact, champion })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Error::new(format!("cannot read: {error}")).file(path.display().to_string()))
}

/// A file of the store, brought here as its digest says.
fn bring(store: &Place, artifact: &Artifact, to: &Path) -> Result<()> {
    if let Some(size) = store.fetch(&artifact.path, to)?
        && crate::digest::of_file(to)? == (artifact.sha256.clone(), size)
    {
        return Ok(());
    }
    // Says which of both is wrong.
    verified(store, artifact).map(drop)
}
