//! A child process that dies with its parent, also when the parent is killed with SIGKILL.
//!
//! A small shell (`wrapper.sh`) stands between the two: it starts the program, and ends it as soon as the pipe that the parent
//! holds is closed. Nothing here belongs to an async runtime, so a process may be started in one test and waited for in another.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, io, thread};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{oneshot, watch};

use crate::StartError;
use crate::launch::Launch;

/// How much of a log an error shows.
const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 12;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, or 128 + the number of the signal that ended it; none if it was lost together with its wrapper.
    pub code: Option<i32>,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            None => f.write_str("exit code lost"),
            Some(code) if code > 128 => write!(f, "signal {}", code - 128),
            Some(code) => write!(f, "exit code {code}"),
        }
    }
}

/// A running child. It is killed when this value is dropped, and when the parent dies.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: Pid,
    log: PathBuf,
    exit: watch::Receiver<Option<Exit>>,
    /// The wrapper ends the program when this closes.
    _lifeline: Option<ChildStdin>,
    follower: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a program. It may still exit at once: whether it is of use is for the caller to find out.
    ///
    /// # Errors
    /// When its log cannot be opened, or no shell or thread can be started.
    pub async fn start(launch: &Launch) -> Result<Self, StartError> {
        let failed = |source| StartError::Spawn { name: launch.name().to_owned(), source };
        let mut wrapper = launch.spawn()?;
        let lifeline = wrapper.stdin.take();
        let (tell_pid, pid) = oneshot::channel();
        let (tell_exit, exit) = watch::channel(None);
        let follower = thread::Builder::new()
            .name(format!("wait for {}", launch.name()))
            .spawn(move || follow(wrapper, tell_pid, &tell_exit))
            .map_err(failed)?;
        let pid = pid.await.map_err(|_| failed(io::Error::other("the wrapper told no pid")))?;
        Ok(Self { name: launch.name().to_owned(), pid, log: launch.log(), exit, _lifeline: lifeline, follower: Some(follower) })
    }

    /// The name that it was launched under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pid of the program itself, not of the wrapper.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// The file that its output is appended to.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines that it wrote.
    #[must_use]
    pub fn log_tail(&self) -> String {
        tail(&self.log).unwrap_or_else(|error| format!("({}: {error})", self.log.display()))
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn exited(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Waits until it has ended.
    pub async fn wait(&self) -> Exit {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.unwrap_or(Exit { code: None }),
            Err(_) => Exit { code: None },
        }
    }

    /// Sends SIGKILL.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGSTOP: the process freezes, its connections stay open.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Sends SIGCONT, which undoes [`Process::pause`].
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends SIGTERM, and SIGKILL once `grace` is over, and waits for the end.
    pub async fn stop(&self, grace: Duration) -> Exit {
        self.terminate();
        if let Ok(exit) = tokio::time::timeout(grace, self.wait()).await {
            return exit;
        }
        self.kill();
        self.wait().await
    }

    fn signal(&self, signal: Signal) {
        if self.exited().is_none() {
            // It may have ended since: then there is nobody to tell.
            let _ = kill_process(self.pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if let Some(follower) = self.follower.take() {
            let _ = follower.join();
        }
    }
}

/// Reads what the wrapper tells, until it is gone.
fn follow(mut wrapper: Child, tell_pid: oneshot::Sender<Pid>, tell_exit: &watch::Sender<Option<Exit>>) {
    let mut lines = wrapper.stdout.take().map(|out| BufReader::new(out).lines());
    let mut number = || lines.as_mut()?.next()?.ok()?.trim().parse::<i32>().ok();
    if let Some(pid) = number().and_then(Pid::from_raw) {
        let _ = tell_pid.send(pid);
    }
    let code = number();
    let _ = wrapper.wait();
    tell_exit.send_replace(Some(Exit { code }));
}

fn tail(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}
