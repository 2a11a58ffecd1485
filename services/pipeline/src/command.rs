//! The user's command: run in a process group of its own, within its time, and gone as a whole afterwards.

use std::{
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{Command, ExitStatus},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use crate::error::{Error, Result, Tried};

/// How long a command has to end by itself after it was asked to.
const GRACE: Duration = Duration::from_secs(10);

/// What is to be run.
pub(crate) struct Run<'a> {
    /// The program and its arguments.
    pub(crate) command: &'a [String],
    /// Variables beside those of this process.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// Where it runs.
    pub(crate) folder: PathBuf,
    /// How long it may take.
    pub(crate) limit: Duration,
}

/// Every variable that a command may be given: none of another step's is left to it.
const OURS: [&str; 9] = [
    "SWITCHYARD_TRAIN",
    "SWITCHYARD_EVAL",
    "SWITCHYARD_TEST",
    "SWITCHYARD_PARAMS",
    "SWITCHYARD_SEED",
    "SWITCHYARD_MODEL_IN",
    "SWITCHYARD_MODEL_OUT",
    "SWITCHYARD_PREDICTIONS",
    "SWITCHYARD_METRICS",
];

/// Runs a command to its end.
///
/// # Errors
/// It cannot be started, fails, is killed, or takes longer than it may.
pub(crate) fn run(run: &Run<'_>) -> Result<()> {
    let (program, arguments) = run.command.split_first().ok_or_else(|| Error::new("the command is empty; name a program"))?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&run.folder).process_group(0);
    for name in OURS {
        command.env_remove(name);
    }
    // Neither what the build was asked nor the store's credentials are the command's business.
    for (name, _) in std::env::vars_os() {
        let hidden = ["SWITCHYARD_MODEL", "SWITCHYARD_RUN", "SWITCHYARD_TERMINATION_LOG"].iter().any(|it| name == *it);
        if hidden || ["STORE_AWS_", "SOURCE_AWS_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command.envs(run.variables.iter().map(|(name, value)| (name, value)));
    let runtime = Builder::new_current_thread().enable_all().build().tried("start", "the command")?;
    let shown = run.command.join(" ");
    let ended = runtime.block_on(watch(command, run.limit)).map_err(|error| error.file(format!("`{shown}`")))?;
    if ended.success() { Ok(()) } else { Err(Error::new(how(ended)).file(format!("`{shown}`"))) }
}

/// Waits for the end, the limit, or a signal to this process.
async fn watch(command: Command, limit: Duration) -> Result<ExitStatus> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut terminate = signal(SignalKind::terminate()).tried("watch", "signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).tried("watch", "signals")?;
    let mut child = tokio::process::Command::from(command)
        .spawn()
        .map_err(|error| Error::new(format!("cannot be started: {error}; is `{program}` in the image and on PATH?")))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let cut = tokio::select! {
        ended = child.wait() => {
            kill(group, Signal::KILL);
            return ended.tried("wait for", program);
        }
        () = tokio::time::sleep(limit) => Error::new(format!("took longer than {}, and was stopped; raise train.timeout", words(limit))),
        _ = terminate.recv() => Error::new("was stopped: the run was asked to end"),
        _ = interrupt.recv() => Error::new("was stopped: the run was interrupted"),
    };
    kill(group, Signal::TERM);
    let _ = timeout(GRACE, child.wait()).await;
    kill(group, Signal::KILL);
    let _ = child.wait().await;
    Err(cut)
}

/// Ends what is left of a group. Where nothing is, there is nothing to do.
fn kill(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        let _ = kill_process_group(group, signal);
    }
}

fn how(ended: ExitStatus) -> String {
    match (ended.code(), ended.signal()) {
        (Some(code), _) => format!("ended with exit code {code}; what it said stands above"),
        (None, Some(9)) => "was killed (signal 9): it may have had too little memory; raise train.ram".into(),
        (None, signal) => format!("was killed by signal {}", signal.unwrap_or_default()),
    }
}

fn words(limit: Duration) -> String {
    match limit.as_secs() {
        seconds if seconds >= 3600 && seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        seconds if seconds >= 60 && seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{} s", limit.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<()> {
        let command = ["/bin/sh", "-c", script].map(str::to_owned);
        run(&Run { command: &command, variables: vec![("SWITCHYARD_SEED", "7".into())], folder: "/".into(), limit })
    }

    #[test]
    fn a_command_gets_its_variables_and_its_failure_is_told() {
        shell("test \"$SWITCHYARD_SEED\" = 7", Duration::from_mins(1)).unwrap();
        let error = shell("exit 3", Duration::from_mins(1)).unwrap_err().to_string();
        assert!(error.contains("exit code 3"), "{error}");
    }

    #[test]
    fn a_command_that_hangs_is_stopped_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
        let error = shell(&script, Duration::from_millis(500)).unwrap_err().to_string();
        assert!(error.contains("took longer than 0.5 s"), "{error}");
        let pid = std::fs::read_to_string(pid).unwrap();
        let gone = || match std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
            Err(_) => true,
            Ok(state) => state.contains(") Z "),
        };
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while !gone() {
            assert!(std::time::Instant::now() < deadline, "the command's child still runs");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let command = ["no-such-program".to_owned()];
        let error = run(&Run { command: &command, variables: Vec::new(), folder: "/".into(), limit: Duration::from_secs(5) });
        assert!(error.unwrap_err().to_string().contains("is `no-such-program` in the image"));
    }
}
