//! The `process` plugin: an attempt is a folder and, once it is bound, a supervisor with the build's processes under it.
//!
//! There is **no isolation**: a build may do whatever the user of the launcher may. The plugin is for one machine: launcher,
//! reaper and builds share its folder. Everything that is known stands in files, so that each of them may die at any moment.

mod bell;
mod confined;
mod course;
mod files;
mod lifeline;
mod observe;
mod processes;
mod root;
mod slots;
mod spec;
mod status;
mod supervise;
mod watch;

use std::{
    env, fs, io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::Stdio,
};

use futures::stream::BoxStream;
use jiff::Timestamp;
use switchyard_events::BuildKey;
use switchyard_fleet::{ProcessOptions, Resources};
use tokio::process::Command;

pub use confined::confined;
pub use lifeline::Lifeline;
pub use supervise::supervise;

use crate::{
    Condition, CreateError, Executor, Launch, Observed, Seen, Unreachable,
    mask::{KEPT, is_secret, masked, tail},
};
use files::{Files, Marker};
use observe::Found;
use root::Root;
use slots::Slots;
use spec::Spec;

/// Whether what has that uid runs without any isolation.
#[must_use]
pub fn is_unisolated(uid: &str) -> bool {
    uid.starts_with(spec::UID_PREFIX)
}

/// One executor of the fleet whose builds are processes of this machine.
#[derive(Debug)]
pub struct Process {
    name: String,
    installation: Option<String>,
    options: ProcessOptions,
    resources: Resources,
    slots: Slots,
    root: Root,
    program: PathBuf,
}

/// An executor whose builds cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or written.
    #[error("executor {executor}: the folder of its builds, {}: {source}", folder.display())]
    Folder {
        /// The executor.
        executor: String,
        /// The folder.
        folder: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Nobody has said where builds are to be kept.
    #[error("executor {0}: nowhere to keep builds: set executors.{0}.folder in the fleet file, SWITCHYARD_BUILDS or HOME")]
    NoFolder(String),
}

/// How much is read of what a build has said: more than is kept, so that no secret is cut in two before it is masked.
const LONGEST_LOG: u64 = 256 << 10;

/// What a build inherits of the environment of launcher or reaper. No more: their credentials stand there.
const INHERITED: [&str; 8] = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "SHELL"];

impl Process {
    /// The executor's builds, in the folder that the fleet file names, else in `builds`, else in the user's own state folder.
    /// `program` is called as `supervise` and `confined`.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(executor: &switchyard_fleet::Executor, builds: Option<&Path>, program: PathBuf) -> Result<Self, OpenError> {
        let name = executor.name.clone();
        let base = executor.process.folder.clone().or_else(|| builds.map(Path::to_owned)).or_else(own_folder);
        let base = base.ok_or_else(|| OpenError::NoFolder(name.clone()))?;
        let folder = base.join(&name);
        let failed = |source| OpenError::Folder { executor: name.clone(), folder: folder.clone(), source };
        let folder_of = || Root::make(std::path::absolute(&folder)?);
        let root = folder_of().map_err(failed)?;
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(Self {
            slots: Slots::new(executor.process.slots.map_or(processors, |slots| slots.get().into())),
            options: executor.process.clone(),
            resources: executor.kubernetes.resources.clone(),
            name,
            installation: None,
            root,
            program,
        })
    }

    /// The same, and what it creates says that it is this installation's.
    #[must_use]
    pub fn of_installation(self, installation: String) -> Self {
        Self { installation: Some(installation), ..self }
    }

    /// Works on the files where that disturbs nobody.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Root) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Unreachable> {
        let root = self.root.clone();
        let place = root.folder().display().to_string();
        let done = tokio::task::spawn_blocking(move || work(&root)).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        done.map_err(|error| Unreachable(format!("{place}: {error}")))
    }

    /// Sets a marker on that uid, has everybody look, and removes the attempt if it is over.
    async fn mark(&self, build: &BuildKey, attempt: u32, uid: &str, marker: Marker) -> Result<(), Unreachable> {
        let (build, uid) = (build.clone(), uid.to_owned());
        self.on_disk(move |root| {
            let files = root.files(&build, attempt);
            if files.spec()?.is_none_or(|spec| spec.uid != uid) {
                return Ok(());
            }
            files.mark(marker, &uid)?;
            root.ring();
            Found::look(&files)?.map_or(Ok(false), |found| root.bury(&found)).map(drop)
        })
        .await
    }

    /// Starts a supervisor in a session of its own, with nothing of our environment that is not the build's business.
    fn start_supervisor(&self, files: &Files) -> io::Result<()> {
        let log = fs::OpenOptions::new().append(true).create(true).open(files.folder().join("supervisor.log"))?;
        let inherited = INHERITED.iter().filter_map(|name| Some((name, env::var_os(name)?)));
        let mut supervisor = Command::new(&self.program);
        supervisor.arg0("switchyard").arg("supervise").arg(files.folder()).env_clear().envs(inherited).current_dir("/");
        supervisor.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Not waited for: it outlives this process. Once it ends, the runtime takes note of it.
        supervisor.spawn().map(drop)
    }
}

impl Executor for Process {
    fn name(&self) -> &str {
        &self.name
    }

    async fn create(&self, launch: &Launch) -> Result<String, CreateError> {
        let spec = Spec::of(launch, &self.options, &self.resources, Timestamp::now());
        let mut spec = spec.map_err(|wrong| CreateError::Rejected(wrong.to_string()))?;
        spec.installation.clone_from(&self.installation);
        let (launch, slots, new) = (launch.clone(), self.slots.most(), spec.uid.clone());
        let created = self.on_disk(move |root| Ok(root.create(&launch, &spec, slots))).await;
        let uid = created.map_err(|Unreachable(why)| CreateError::Later(why))??;
        // What was there already is counted already, or is dead.
        if uid == new {
            self.slots.take(&uid);
        }
        Ok(uid)
    }

    async fn look(&self, build: &BuildKey, attempt: u32) -> Result<Option<Observed>, Unreachable> {
        let build = build.clone();
        self.on_disk(move |root| {
            let Some(found) = Found::look(&root.files(&build, attempt))? else { return Ok(None) };
            Ok((!root.bury(&found)?).then(|| found.observed()))
        })
        .await
    }

    async fn ungate(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<(), Unreachable> {
        let (build, uid) = (build.clone(), uid.to_owned());
        let waiting = self.on_disk(move |root| {
            let files = root.files(&build, attempt);
            let Some(found) = Found::look(&files)?.filter(|found| found.spec.uid == uid) else { return Ok(None) };
            files.mark(Marker::Bound, &uid)?;
            let is_waiting = found.status.is_none() && !found.supervised && found.deleted_at.is_none();
            Ok(is_waiting.then_some(files))
        });
        let Some(files) = waiting.await? else { return Ok(()) };
        self.start_supervisor(&files).map_err(|error| Unreachable(format!("{}: {error}", self.program.display())))
    }

    async fn delete(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<(), Unreachable> {
        self.mark(build, attempt, uid, Marker::Deleted).await
    }

    async fn release(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<(), Unreachable> {
        self.mark(build, attempt, uid, Marker::Released).await
    }

    async fn list(&self) -> Result<Vec<Observed>, Unreachable> {
        self.on_disk(|root| Ok(root.all()?.iter().map(Found::observed).collect())).await
    }

    async fn log(&self, build: &BuildKey, attempt: u32, uid: &str) -> Result<Option<Vec<u8>>, Unreachable> {
        let (build, uid) = (build.clone(), uid.to_owned());
        self.on_disk(move |root| {
            let files = root.files(&build, attempt);
            let Some(spec) = files.spec()?.filter(|spec| spec.uid == uid) else { return Ok(None) };
            let secrets = spec.env.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value.as_str());
            let said = files.said(LONGEST_LOG)?;
            Ok(said.map(|said| tail(&masked(&String::from_utf8_lossy(&said), secrets), KEPT).as_bytes().to_vec()))
        })
        .await
    }

    fn condition(&self) -> Condition {
        self.slots.condition()
    }

    async fn attend(&self) {
        self.slots.follow(self.watch()).await;
    }

    fn watch(&self) -> BoxStream<'static, Result<Seen, Unreachable>> {
        watch::watch(self.root.clone())
    }
}

/// Where the user's programs keep what they want to find again (XDG base directory specification).
fn own_folder() -> Option<PathBuf> {
    let set = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    state.map(|state| state.join("switchyard/builds"))
}
