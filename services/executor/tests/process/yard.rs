//! What the tests share: an executor in a folder of its own, builds, and waiting for what is to come.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use futures::{StreamExt as _, stream::BoxStream};
use switchyard_events::{BuildKey, BuildSpec, Limits, Step};
use switchyard_executor::{Executor as _, Launch, Observed, Process, Seen, Unreachable};
use switchyard_fleet::Fleet;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

/// Long enough for a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

const PROGRAM: &str = env!("CARGO_BIN_EXE_switchyard-supervisor-probe");

/// An executor of plugin `process`, whose builds end with the test.
pub(crate) struct Yard {
    pub(crate) executor: Process,
    options: String,
    base: TempDir,
    folder: PathBuf,
}

impl Yard {
    /// An executor that runs steps without their image.
    pub(crate) fn new(options: &str) -> Self {
        Self::with(&format!("ignoreImage: true, slots: 20, {options}").replace("slots: 20, slots", "slots"))
    }

    /// An executor that refuses what names an image.
    pub(crate) fn strict() -> Self {
        Self::with("slots: 20")
    }

    fn with(options: &str) -> Self {
        let base = tempfile::tempdir().unwrap();
        let executor = open(options, base.path());
        let folder = base.path().join("local");
        Self { executor, options: options.to_owned(), base, folder }
    }

    /// The same executor in another process, as it were.
    pub(crate) fn again(&self) -> Process {
        open(&self.options, self.base.path())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn attempt(&self, launch: &Launch) -> PathBuf {
        self.folder.join(format!("b-{}-{}", launch.build, launch.attempt))
    }

    pub(crate) fn output(&self, launch: &Launch) -> String {
        fs::read_to_string(self.attempt(launch).join("output.log")).unwrap_or_default()
    }

    /// The process id of a build's supervisor.
    pub(crate) fn supervisor(&self, launch: &Launch) -> i32 {
        let status = fs::read(self.attempt(launch).join("status.json")).unwrap();
        let status: serde_json::Value = serde_json::from_slice(&status).unwrap();
        status["supervisor"].as_i64().unwrap().try_into().unwrap()
    }

    /// Starts a supervisor by hand, and waits for its end.
    pub(crate) fn supervise(&self, launch: &Launch) -> ExitStatus {
        Command::new(PROGRAM).arg("supervise").arg(self.attempt(launch)).status().unwrap()
    }

    /// A build that adds a line to a file of the test when it runs.
    pub(crate) fn leaves_a_trace(&self, line: &str) -> Launch {
        let file = self.base.path().join("traces");
        steps(&[("trace", &format!("echo {line} >> {}", file.display()))])
    }

    /// Which builds have run, in order.
    pub(crate) fn traces(&self) -> Vec<String> {
        let traces = fs::read_to_string(self.base.path().join("traces")).unwrap_or_default();
        traces.lines().map(str::to_owned).collect()
    }

    pub(crate) async fn run(&self, launch: &Launch) -> String {
        let uid = self.executor.create(launch).await.unwrap();
        self.executor.ungate(&launch.build, launch.attempt, &uid).await.unwrap();
        uid
    }

    pub(crate) async fn look(&self, launch: &Launch) -> Option<Observed> {
        self.executor.look(&launch.build, launch.attempt).await.unwrap()
    }

    /// The attempt, once it satisfies a condition.
    pub(crate) async fn until(&self, launch: &Launch, is: impl Fn(&Observed) -> bool) -> Observed {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.look(launch).await;
            match seen {
                Some(seen) if is(&seen) => return seen,
                seen => assert!(Instant::now() < deadline, "in vain: {seen:?}, its output:\n{}", self.output(launch)),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn until_output(&self, launch: &Launch, text: &str) {
        wait(|| self.output(launch).contains(text)).await;
    }

    pub(crate) async fn until_processes(&self, uid: &str, is: impl Fn(usize) -> bool) {
        wait(|| is(alive(uid).len())).await;
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        // Supervisors end what they have when their folder is gone.
        let _ = fs::remove_dir_all(self.base.path());
    }
}

async fn wait(is: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "in vain");
        sleep(Duration::from_millis(20)).await;
    }
}

fn open(options: &str, base: &Path) -> Process {
    let yaml =
        format!("version: 1\nexecutor: {{plugin: local, local: {{plugin: process}}}}\nexecutors: {{local: {{{options}}}}}\n");
    let fleet = Fleet::parse(&yaml).unwrap();
    Process::open(fleet.default_executor(), Some(base), PROGRAM.into()).unwrap()
}

pub(crate) fn launch() -> Launch {
    steps(&[("test", "true")])
}

pub(crate) fn steps(steps: &[(&str, &str)]) -> Launch {
    let steps =
        steps.iter().map(|(name, run)| Step { name: (*name).to_owned(), run: (*run).to_owned(), always: false }).collect();
    Launch {
        build: BuildKey::of("/ci", "7", "1"),
        attempt: 1,
        again: false,
        token: None,
        executor: "local".to_owned(),
        tenant: "default".to_owned(),
        pipeline: None,
        job: None,
        source: "/ci".to_owned(),
        subject: "7".to_owned(),
        spec: BuildSpec { image: "node:22".to_owned(), steps, ..BuildSpec::default() },
        annotations: Vec::new(),
        limits: Limits::STANDARD,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
    }
}

pub(crate) fn with_variable(mut launch: Launch, name: &str, value: &str) -> Launch {
    launch.spec.env.insert(name.to_owned(), value.to_owned());
    launch
}

pub(crate) async fn next(watch: &mut BoxStream<'static, Result<Seen, Unreachable>>) -> Seen {
    timeout(PATIENCE, watch.next()).await.expect("the watch tells something").unwrap().unwrap()
}

/// The living processes that carry the mark of `uid`: read anew here, without the code under test.
pub(crate) fn alive(uid: &str) -> Vec<i32> {
    let mark = format!("SWITCHYARD_UID={uid}");
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| fs::read(format!("/proc/{pid}/environ")).is_ok_and(|all| contains(&all, mark.as_bytes()))).collect()
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

pub(crate) fn kill(pid: i32) {
    signal("-KILL", pid);
}

pub(crate) fn terminate(pid: i32) {
    signal("-TERM", pid);
}

fn signal(signal: &str, pid: i32) {
    assert!(Command::new("/bin/sh").args(["-c", "kill \"$0\" \"$1\"", signal, &pid.to_string()]).status().unwrap().success());
}
