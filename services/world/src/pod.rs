//! One pod, as its cluster knows it.

use jiff::Timestamp;
use switchyard_events::{BuildKey, Reason};
use switchyard_executor::{Observed, Phase};

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each with a name")]
pub(crate) struct Pod {
    pub(crate) build: BuildKey,
    pub(crate) attempt: u32,
    pub(crate) uid: String,
    pub(crate) phase: Phase,
    pub(crate) node: bool,
    /// Its machine does not answer: nothing of it changes any more, and nobody knows whether it runs.
    pub(crate) lost: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) evicted: bool,
    pub(crate) exit: Option<i32>,
    pub(crate) deleting: bool,
    pub(crate) forced: bool,
    pub(crate) held: bool,
}

impl Pod {
    pub(crate) fn new(build: &BuildKey, attempt: u32, uid: String, phase: Phase, now: Timestamp) -> Self {
        Self {
            build: build.clone(),
            attempt,
            uid,
            phase,
            node: false,
            lost: false,
            created_at: now,
            started_at: None,
            finished_at: None,
            evicted: false,
            exit: None,
            deleting: false,
            forced: false,
            held: true,
        }
    }

    pub(crate) fn dead(&self) -> bool {
        self.phase.is_ended() || (self.deleting && !self.node)
    }

    /// Whether it runs or may do so at any moment.
    pub(crate) fn live(&self) -> bool {
        self.phase != Phase::Gated && !self.dead()
    }

    pub(crate) fn work(&mut self, how: u8, now: Timestamp) {
        match (self.phase, self.node, self.deleting) {
            _ if self.lost => {}
            (Phase::Pending, false, false) => self.node = true,
            (Phase::Pending, true, false) => (self.phase, self.started_at) = (Phase::Running, Some(now)),
            (Phase::Pending, true, true) => self.end(Phase::Failed, None, now),
            (Phase::Running, _, true) if !self.forced => self.end(Phase::Failed, Some(143), now),
            (Phase::Running, _, false) => match how % 4 {
                0 => self.end(Phase::Succeeded, Some(0), now),
                1 => self.end(Phase::Failed, Some(1), now),
                2 => {
                    self.evicted = true;
                    self.end(Phase::Failed, None, now);
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn end(&mut self, phase: Phase, exit: Option<i32>, now: Timestamp) {
        (self.phase, self.exit, self.finished_at) = (phase, exit, Some(now));
    }

    pub(crate) fn observed(&self) -> Observed {
        let told = self.deleting && self.dead() && self.exit.is_none_or(|code| code == 143);
        let reason = [(self.evicted, Reason::Evicted), (told, Reason::Deleted), (self.lost && !self.dead(), Reason::NodeLost)];
        Observed {
            build: self.build.clone(),
            attempt: self.attempt,
            uid: self.uid.clone(),
            phase: self.phase,
            since: self.finished_at.or(self.started_at).unwrap_or(self.created_at),
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            exit: self.exit,
            reason: reason.into_iter().find(|(is, _)| *is).map(|(_, reason)| reason),
            container: None,
            message: None,
            result: None,
            steps: Vec::new(),
            deleting: self.deleting,
            dead: self.dead(),
            forced: self.forced && !self.dead(),
            held: self.held,
            installation: Some("world".to_owned()),
            traceparent: None,
            node: self.node.then(|| "node".to_owned()),
        }
    }
}
