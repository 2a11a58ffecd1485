//! The supervisor: one small process per build, which starts it, tells how it goes, and sees to it that nothing of it is left.
//!
//! It has a session of its own and needs nobody: launcher and reaper may die and come back. All that it is told stands in files.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    path::Path,
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rustix::process::{Pid, Signal, WaitOptions, getpgid, getpid, kill_process_group, set_child_subreaper, setsid, wait};
use switchyard_events::{MAX_RESULT, Reason};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

use super::{
    bell::Bell,
    course::{Course, Step, Why},
    files::{Files, Marker},
    lifeline, processes,
    root::Root,
    spec::{MARK, Spec},
    status::{Stage, Status},
};
use crate::script::{Told, told};

/// How long the lock is waited for: somebody who looks at the attempt holds it for a moment.
const LOCK_WITHIN: Duration = Duration::from_secs(5);

/// How often what no bell rings for is looked at: the lifeline, and a folder that is gone.
const EVERY: Duration = Duration::from_secs(1);

/// How soon what was killed is looked for again.
const AGAIN: Duration = Duration::from_millis(20);

/// The most that is read of what a build leaves: room for its result and for the line that the script adds.
const MOST_SAID: u64 = 64 * 1024;

/// Supervises the attempt in `folder` to its end: the body of `switchyard supervise`, which is called by executors alone.
#[must_use]
pub fn supervise(folder: &Path) -> ExitCode {
    match take_up(&Files::new(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

/// Takes the attempt up, unless somebody has, or nobody may: an attempt is started once.
fn take_up(files: &Files) -> io::Result<()> {
    // Out of the reach of whoever ends the launcher's group. It fails where it has a session of its own already.
    let _ = setsid();
    // What a build detaches becomes a child of this process, not of the system's first.
    set_child_subreaper(Some(getpid()))?;
    let (Some(root), Some(lock)) = (Root::of(files), lock(files)?) else { return Ok(()) };
    let Some(spec) = files.spec()? else { return Ok(()) };
    let may_start = files.status()?.is_none()
        && files.marked(Marker::Bound, &spec.uid)?.is_some()
        && files.marked(Marker::Deleted, &spec.uid)?.is_none();
    if !may_start {
        return Ok(());
    }
    // Kept open, so that it rings when this process dies.
    let _bell = root.bell()?;
    let status = Status::taken(getpid().as_raw_nonzero().get(), Timestamp::now());
    files.set_status(&status)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let course = Course {
        deadline: Duration::from_millis(spec.deadline_ms),
        grace: Duration::from_millis(spec.grace_ms),
        told: None,
        exit: None,
    };
    let supervisor = Supervisor { files: files.clone(), root, spec, status, course, began: Instant::now(), first: None };
    let outcome = runtime.block_on(supervisor.see_to_its_end());
    // Before the bell, so that whoever hears it finds no supervisor any more.
    drop(lock);
    outcome
}

/// The attempt's lock; `None` where another supervisor has it.
fn lock(files: &Files) -> io::Result<Option<File>> {
    let begun = Instant::now();
    loop {
        match files.lock()? {
            Some(lock) => return Ok(Some(lock)),
            None if files.status()?.is_some() || begun.elapsed() > LOCK_WITHIN => return Ok(None),
            None => thread::sleep(AGAIN),
        }
    }
}

struct Supervisor {
    files: Files,
    root: Root,
    spec: Spec,
    status: Status,
    course: Course,
    began: Instant,
    /// The build's first process, which leads its group.
    first: Option<Pid>,
}

impl Supervisor {
    async fn see_to_its_end(mut self) -> io::Result<()> {
        let mut children = signal(SignalKind::child())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let bell = Bell::hang(self.files.folder());
        if let Err(error) = self.start() {
            return self.end(Some((Reason::SandboxFailed, format!("it could not be started: {error}")))).await;
        }
        self.tell_status();
        loop {
            self.reap();
            if self.course.told.is_none()
                && let Some(why) = self.asked()
            {
                self.tell(why);
            }
            match self.course.next(self.began.elapsed(), self.left()) {
                Step::End => return self.end(self.course.ending()).await,
                Step::Tell(why) => self.tell(why),
                Step::Kill => {
                    self.kill();
                    self.pause(AGAIN, &bell, &mut children, &mut terminate).await;
                }
                Step::Wait(until) => {
                    let pause = until.saturating_sub(self.began.elapsed()).min(EVERY);
                    self.pause(pause, &bell, &mut children, &mut terminate).await;
                }
            }
        }
    }

    /// Waits for whatever may change what is to be done.
    async fn pause(&mut self, pause: Duration, bell: &Bell, children: &mut Signals, terminate: &mut Signals) {
        tokio::select! {
            _ = children.recv() => {}
            _ = terminate.recv() => if self.course.told.is_none() { self.tell(Why::Evicted) },
            () = bell.rung(pause) => {}
        }
    }

    /// Starts the first process; `reap` waits for it, as for every other that comes to be a child.
    fn start(&mut self) -> io::Result<()> {
        let output = OpenOptions::new().append(true).create(true).mode(0o600).open(self.files.output())?;
        let first = Command::new("/proc/self/exe")
            .arg0("switchyard")
            .arg("confined")
            .arg(self.files.folder())
            .arg(getpid().as_raw_nonzero().to_string())
            .env(MARK, &self.spec.uid)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        self.first = Some(Pid::from_child(&first));
        self.status = Status { stage: Stage::Running, started_at: Some(Timestamp::now()), ..self.status.clone() };
        Ok(())
    }

    /// Takes note of every child that has ended, its own and adopted ones.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if Some(pid) == self.first {
                let signal = status.terminating_signal().map(|signal| 128 + signal);
                self.course.exit = status.exit_status().or(signal);
            }
        }
    }

    /// Why it must end, if anybody has said so.
    fn asked(&self) -> Option<Why> {
        // What cannot be read is asked again: nothing is ended on a guess.
        let deleted = self.files.marked(Marker::Deleted, &self.spec.uid).is_ok_and(|marker| marker.is_some());
        if deleted || !self.files.folder().exists() {
            return Some(Why::Deleted);
        }
        lifeline::is_cut(&self.root).then_some(Why::Abandoned)
    }

    /// Whether anything of the build is alive. Asked only where its first process alone does not say it.
    fn left(&self) -> bool {
        match (self.course.exit, self.course.told) {
            (None, _) => true,
            (Some(_), _) => processes::descendants(getpid()).map_or(true, |left| !left.is_empty()),
        }
    }

    fn tell(&mut self, why: Why) {
        self.course.told = Some((why, self.began.elapsed()));
        self.signal(Signal::TERM);
    }

    fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// The group at once, so that none of it slips through; then whoever has left the group.
    fn signal(&self, signal: Signal) {
        let Some(first) = self.first else { return };
        if self.course.exit.is_none() {
            let _ = kill_process_group(first, signal);
        }
        let mut others = processes::descendants(getpid()).unwrap_or_default();
        others.retain(|pid| self.course.exit.is_some() || getpgid(Some(*pid)).is_ok_and(|group| group != first));
        processes::signal(&others, signal);
    }

    /// Writes the end down, now that nothing is left of it. A disk that is full is waited for, for a while.
    async fn end(&mut self, ending: Option<(Reason, String)>) -> io::Result<()> {
        let said = said(&self.files);
        let Told { own: result, steps, failed: step } = told(&said);
        let step = step.filter(|(_, code)| self.course.exit == Some(*code));
        let (reason, message) = ending.unzip();
        self.status = Status {
            stage: Stage::Ended,
            finished_at: Some(Timestamp::now()),
            exit: self.course.exit,
            result: Some(cut(result)).filter(|result| !result.is_empty()),
            steps,
            reason: reason.or_else(|| step.map(|(step, code)| Reason::StepFailed(step.to_owned(), code))),
            message,
            ..self.status.clone()
        };
        for _ in 0..30 {
            match self.files.set_status(&self.status) {
                Ok(()) => break,
                Err(error) if !self.files.folder().exists() => return Err(error),
                Err(error) => eprintln!("will be tried again: {error}"),
            }
            tokio::time::sleep(EVERY).await;
        }
        self.root.ring();
        Ok(())
    }

    /// Says how far it is. Where that fails the next status says more.
    fn tell_status(&self) {
        if let Err(error) = self.files.set_status(&self.status) {
            eprintln!("cannot tell that it runs: {error}");
        }
        self.root.ring();
    }
}

/// What the build has left as its result, and its script behind it.
fn said(files: &Files) -> String {
    use io::Read as _;
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(files.result()) {
        let _ = file.take(MOST_SAID).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// As much of a result as may travel.
fn cut(result: &str) -> String {
    result[..result.floor_char_boundary(MAX_RESULT)].to_owned()
}
