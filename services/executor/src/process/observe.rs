//! What the files of an attempt say, in our words.

use std::{io, thread, time::Duration};

use jiff::Timestamp;
use rustix::process::Signal;
use switchyard_events::Reason;

use super::{
    files::{Files, Marker},
    processes,
    spec::Spec,
    status::{Stage, Status},
};
use crate::{Observed, Phase};

/// One attempt as it was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) spec: Spec,
    pub(crate) deleted_at: Option<Timestamp>,
    pub(crate) released: bool,
    /// Whether its supervisor lives.
    pub(crate) supervised: bool,
    pub(crate) status: Option<Status>,
    /// Whether any of its processes outlived its supervisor.
    pub(crate) orphaned: bool,
}

impl Found {
    /// Looks at an attempt; `None` where there is none. What a dead supervisor has left running is killed.
    ///
    /// The order matters. A supervisor locks, then looks whether it may start, then writes its status, and unlocks last. So
    /// who first sees the deletion, then no lock, then no status, knows that it will never start. A status that is not an end,
    /// after there was no lock, may be that of a supervisor that came in between: it had locked before it wrote, so only no
    /// lock once more tells that it is dead, and only the status read after that is its last.
    pub(crate) fn look(files: &Files) -> io::Result<Option<Self>> {
        let Some(spec) = files.spec()? else { return Ok(None) };
        let deleted_at = files.marked(Marker::Deleted, &spec.uid)?;
        let (supervised, status) = last_status(|| files.supervised(), || files.status())?;
        let released = files.marked(Marker::Released, &spec.uid)?.is_some();
        let mut found = Self { spec, deleted_at, released, supervised, status, orphaned: false };
        found.orphaned = found.is_lost() && outlive(&found.spec.uid)?;
        Ok(Some(found))
    }

    /// Whether its supervisor has died at its work.
    fn is_lost(&self) -> bool {
        !self.supervised && self.status.as_ref().is_some_and(|status| status.stage != Stage::Ended)
    }

    /// **Proof** that nothing of it runs or ever will.
    pub(crate) fn is_dead(&self) -> bool {
        match &self.status {
            Some(status) if status.stage == Stage::Ended => true,
            Some(_) => self.is_lost() && !self.orphaned,
            None => self.deleted_at.is_some() && !self.supervised,
        }
    }

    /// Whether it may be removed.
    pub(crate) fn is_over(&self) -> bool {
        self.deleted_at.is_some() && self.released && self.is_dead() && !self.supervised
    }

    fn phase(&self) -> Phase {
        match &self.status {
            // As long as nobody has taken it up, whoever knows that it is bound may ungate it: a first call may have been lost.
            None if !self.supervised => Phase::Gated,
            Some(_) if self.is_lost() => Phase::Failed,
            None | Some(Status { stage: Stage::Pending, .. }) => Phase::Pending,
            Some(Status { stage: Stage::Running, .. }) => Phase::Running,
            Some(Status { exit: Some(0), reason: None, .. }) => Phase::Succeeded,
            Some(_) => Phase::Failed,
        }
    }

    fn words(&self) -> (Option<Reason>, Option<String>) {
        match &self.status {
            Some(_) if self.is_lost() => {
                let message = "its supervisor was killed; what it had left running was killed too";
                // Nobody can tell how it would have ended.
                (Some(Reason::Lost), Some(message.to_owned()))
            }
            Some(status) => (status.reason.clone(), status.message.clone()),
            None => (self.is_dead().then_some(Reason::Deleted), None),
        }
    }

    /// What is known of the attempt.
    pub(crate) fn observed(&self) -> Observed {
        let (reason, message) = self.words();
        let (phase, dead) = (self.phase(), self.is_dead());
        let status = self.status.as_ref();
        let started_at = status.and_then(|status| status.started_at);
        let finished_at = status.and_then(|status| status.finished_at).or(self.deleted_at.filter(|_| dead && status.is_none()));
        Observed {
            build: self.spec.build.clone(),
            attempt: self.spec.attempt,
            uid: self.spec.uid.clone(),
            since: finished_at.or(started_at).or(status.map(|status| status.taken_at)).unwrap_or(self.spec.created_at),
            created_at: self.spec.created_at,
            started_at,
            finished_at,
            exit: status.and_then(|status| status.exit),
            result: status.and_then(|status| status.result.clone()),
            steps: status.map(|status| status.steps.clone()).unwrap_or_default(),
            deleting: self.deleted_at.is_some(),
            forced: false,
            held: !self.released,
            installation: self.spec.installation.clone(),
            traceparent: Some(self.spec.traceparent.clone()),
            node: None,
            phase,
            container: None,
            reason,
            message,
            dead,
        }
    }
}

/// Whether its supervisor lives, and what it has said last; both are asked again where they do not go together.
fn last_status(
    mut supervised: impl FnMut() -> io::Result<bool>,
    mut status: impl FnMut() -> io::Result<Option<Status>>,
) -> io::Result<(bool, Option<Status>)> {
    let first = (supervised()?, status()?);
    let at_work = first.1.as_ref().is_some_and(|status| status.stage != Stage::Ended);
    if !first.0 && at_work { Ok((supervised()?, status()?)) } else { Ok(first) }
}

/// How often a killed process is looked for before somebody else shall look again.
const LOOKS: u32 = 20;

/// Kills what still carries the mark of `uid`; whether anything of it is left.
fn outlive(uid: &str) -> io::Result<bool> {
    for _ in 0..LOOKS {
        let left = processes::marked(uid)?;
        if left.is_empty() {
            return Ok(false);
        }
        processes::signal(&left, Signal::KILL);
        thread::sleep(Duration::from_millis(10));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::spec::tests::example;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn found(supervised: bool, status: Option<Status>) -> Found {
        Found { spec: example(), deleted_at: None, released: false, supervised, status, orphaned: false }
    }

    fn running() -> Status {
        Status { stage: Stage::Running, started_at: Some(at(5)), ..Status::taken(7, at(4)) }
    }

    fn ended(exit: i32, reason: Option<Reason>) -> Status {
        Status { stage: Stage::Ended, finished_at: Some(at(9)), exit: Some(exit), reason, ..running() }
    }

    #[test]
    fn it_is_gated_until_somebody_has_taken_it_up() {
        let gated = found(false, None).observed();
        assert_eq!((gated.phase, gated.dead, gated.held, gated.since), (Phase::Gated, false, true, at(0)));
        assert_eq!(found(true, None).observed().phase, Phase::Pending);
        assert_eq!(found(true, Some(Status::taken(7, at(4)))).observed().phase, Phase::Pending);
    }

    #[test]
    fn one_deleted_before_anybody_took_it_up_will_never_run() {
        let deleted = Found { deleted_at: Some(at(3)), ..found(false, None) };
        let seen = deleted.observed();
        assert!(seen.dead && seen.deleting && !deleted.is_over(), "it is still held");
        assert_eq!((seen.end(), seen.finished_at), (Some(Reason::Deleted), Some(at(3))));
        assert!(Found { released: true, ..deleted.clone() }.is_over());
        assert!(!Found { supervised: true, ..deleted }.observed().dead, "its supervisor may have looked just before");
    }

    #[test]
    fn a_running_one_says_since_when() {
        let seen = found(true, Some(running())).observed();
        assert_eq!((seen.phase, seen.started_at, seen.since, seen.dead), (Phase::Running, Some(at(5)), at(5), false));
    }

    #[test]
    fn an_end_keeps_its_code_and_its_reason() {
        let end = |exit, reason| found(false, Some(ended(exit, reason))).observed().end();
        assert_eq!(end(0, None), Some(Reason::Succeeded));
        assert_eq!(end(2, None), Some(Reason::ExitCode(2)));
        assert_eq!(end(143, Some(Reason::Deleted)), Some(Reason::Deleted));
        assert_eq!(end(0, Some(Reason::Deleted)), Some(Reason::Deleted), "it was cut short");
        assert_eq!(end(137, Some(Reason::DeadlineExceeded)), Some(Reason::DeadlineExceeded));
        assert_eq!(end(143, Some(Reason::Evicted)), Some(Reason::Evicted));
    }

    #[test]
    fn a_dead_supervisor_is_lost_and_dead_only_once_nothing_of_it_is_left() {
        let lost = found(false, Some(running()));
        let seen = lost.observed();
        assert_eq!((seen.phase, seen.dead, seen.end()), (Phase::Failed, true, Some(Reason::Lost)));
        assert!(seen.message.unwrap().contains("its supervisor was killed"));
        let alive = Found { orphaned: true, ..lost }.observed();
        assert_eq!((alive.dead, alive.end()), (false, None));
    }

    #[test]
    fn a_supervisor_that_comes_or_ends_between_two_reads_is_not_taken_for_dead() {
        let read = |supervised: &[bool], statuses: &[Option<Status>]| {
            let (mut supervised, mut statuses) = (supervised.iter(), statuses.iter());
            let read = last_status(|| Ok(*supervised.next().unwrap()), || Ok(statuses.next().unwrap().clone())).unwrap();
            assert_eq!((supervised.next(), statuses.next()), (None, None), "all of it is read, and no more");
            found(read.0, read.1)
        };
        let (pending, end) = (Some(Status::taken(7, at(4))), Some(ended(0, None)));
        let came = read(&[false, true], &[pending.clone(), pending.clone()]);
        assert!(!came.is_lost() && came.observed().phase == Phase::Pending, "it locked after the first read, then wrote");
        let went = read(&[false, false], &[Some(running()), end.clone()]);
        assert_eq!((went.is_lost(), went.observed().phase), (false, Phase::Succeeded), "it wrote its end, then unlocked");
        assert!(read(&[false, false], &[pending.clone(), pending.clone()]).is_lost(), "twice alike, it is dead");
        assert!(!read(&[true], &[pending]).is_lost());
        assert!(!read(&[false], &[end]).is_lost());
        assert!(!read(&[false], &[None]).is_lost());
    }

    #[test]
    fn nothing_is_removed_that_somebody_still_needs() {
        let over = Found { deleted_at: Some(at(3)), released: true, ..found(false, Some(ended(0, None))) };
        assert!(over.is_over());
        assert!(!Found { deleted_at: None, ..over.clone() }.is_over());
        assert!(!Found { released: false, ..over.clone() }.is_over());
        assert!(!Found { supervised: true, ..over }.is_over());
    }
}
