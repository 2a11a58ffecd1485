//! A cluster: pods with a gate and a finalizer, and what a watch would tell of them.

use jiff::Timestamp;
use switchyard_events::{BuildKey, Reason};
use switchyard_executor::{Observed, Phase};

/// Whether the API server answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Away {
    #[default]
    No,
    /// It takes no request.
    Deaf,
    /// It does what is asked, but the answer is lost.
    Mute,
}

#[derive(Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) pods: Vec<Pod>,
    pub(crate) away: Away,
    /// Admission refuses every pod for good.
    pub(crate) rejects: bool,
    pub(crate) created: u32,
    /// What the reaper's watch still has to tell, and what it has been asked to look at again.
    pub(crate) changed: Vec<(BuildKey, u32)>,
    pub(crate) gone: Vec<(BuildKey, u32, String)>,
    pub(crate) again: Vec<(Timestamp, BuildKey, u32)>,
    /// Builds that still run on machines that nobody can reach, though their pods are gone.
    pub(crate) unseen: Vec<BuildKey>,
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each with a name")]
pub(crate) struct Pod {
    pub(crate) build: BuildKey,
    pub(crate) attempt: u32,
    pub(crate) uid: String,
    pub(crate) phase: Phase,
    pub(crate) node: bool,
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
    pub(crate) fn dead(&self) -> bool {
        self.phase.is_ended() || (self.deleting && !self.node)
    }

    /// Whether it runs or may do so at any moment.
    pub(crate) fn live(&self) -> bool {
        self.phase != Phase::Gated && !self.dead()
    }

    pub(crate) fn observed(&self) -> Observed {
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
            reason: if self.evicted {
                Some(Reason::Evicted)
            } else {
                (self.deleting && self.dead() && self.exit.is_none_or(|code| code == 143)).then_some(Reason::Deleted)
            },
            container: None,
            message: None,
            result: None,
            deleting: self.deleting,
            dead: self.dead(),
            forced: self.forced && !self.dead(),
            held: self.held,
            traceparent: None,
            node: self.node.then(|| "node".to_owned()),
        }
    }

    fn end(&mut self, phase: Phase, exit: Option<i32>, now: Timestamp) {
        (self.phase, self.exit, self.finished_at) = (phase, exit, Some(now));
    }
}

impl Cluster {
    pub(crate) fn find(&self, build: &BuildKey, attempt: u32) -> Option<&Pod> {
        self.pods.iter().find(|pod| &pod.build == build && pod.attempt == attempt)
    }

    pub(crate) fn create(&mut self, executor: &str, build: &BuildKey, attempt: u32, now: Timestamp) -> &Pod {
        self.created += 1;
        self.changed.push((build.clone(), attempt));
        self.pods.push(Pod {
            build: build.clone(),
            attempt,
            uid: format!("{executor}-{}", self.created),
            phase: Phase::Gated,
            node: false,
            created_at: now,
            started_at: None,
            finished_at: None,
            evicted: false,
            exit: None,
            deleting: false,
            forced: false,
            held: true,
        });
        &self.pods[self.pods.len() - 1]
    }

    /// Changes the pod of that uid, if it is still there; a deleted, dead pod that nobody holds goes.
    pub(crate) fn change(&mut self, uid: &str, change: impl FnOnce(&mut Pod)) {
        let Some(at) = self.pods.iter().position(|pod| pod.uid == uid) else { return };
        change(&mut self.pods[at]);
        let pod = &self.pods[at];
        self.changed.push((pod.build.clone(), pod.attempt));
        if pod.deleting && !pod.held && (pod.dead() || pod.forced) {
            let pod = self.pods.remove(at);
            if pod.live() {
                self.unseen.push(pod.build.clone());
            }
            self.gone.push((pod.build, pod.attempt, pod.uid));
        }
    }

    /// A reaper starts: it knows nothing of what went before, and sees all that is there.
    pub(crate) fn restart_watch(&mut self) {
        self.gone.clear();
        self.again.clear();
        self.changed = self.pods.iter().map(|pod| (pod.build.clone(), pod.attempt)).collect();
    }

    /// The node does its next bit of work on a pod; `how` says how a build that may end ends.
    pub(crate) fn work(&mut self, uid: &str, how: u8, now: Timestamp) {
        self.change(uid, |pod| match (pod.phase, pod.node, pod.deleting) {
            (Phase::Pending, false, false) => pod.node = true,
            (Phase::Pending, true, false) => (pod.phase, pod.started_at) = (Phase::Running, Some(now)),
            (Phase::Pending, true, true) => pod.end(Phase::Failed, None, now),
            (Phase::Running, _, true) if !pod.forced => pod.end(Phase::Failed, Some(143), now),
            (Phase::Running, _, false) => match how % 4 {
                0 => pod.end(Phase::Succeeded, Some(0), now),
                1 => pod.end(Phase::Failed, Some(1), now),
                2 => {
                    pod.evicted = true;
                    pod.end(Phase::Failed, None, now);
                }
                _ => {}
            },
            _ => {}
        });
    }
}
