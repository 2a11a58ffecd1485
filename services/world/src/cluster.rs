//! A cluster: pods with a gate and a finalizer, what may be asked of it, and what a watch would tell.

use jiff::Timestamp;
use switchyard_events::BuildKey;
use switchyard_executor::Phase;

use crate::pod::Pod;

/// Whether a server answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Away {
    #[default]
    No,
    /// It takes no request.
    Deaf,
    /// It does what is asked, but the answer is lost.
    Mute,
    /// It does what is asked much later, when nobody waits any more. Of a broker: the same as mute.
    Late,
}

/// What a cluster may be asked to do.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Create(BuildKey, u32),
    Ungate(String),
    Delete(String),
    Release(String),
}

/// Why there is no new pod.
pub(crate) enum NoPod {
    Going,
    Rejected,
}

#[derive(Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) name: &'static str,
    pub(crate) pods: Vec<Pod>,
    pub(crate) away: Away,
    /// Admission refuses every pod for good.
    pub(crate) rejects: bool,
    /// Whether pods are created without a gate: a mistake, for the tests of the laws.
    pub(crate) ungated: bool,
    pub(crate) created: u32,
    /// What was asked, and not done yet.
    pub(crate) late: Vec<Request>,
    /// What the reaper's watch still has to tell, and what it has been asked to look at again.
    pub(crate) changed: Vec<(BuildKey, u32)>,
    pub(crate) gone: Vec<(BuildKey, u32, String)>,
    pub(crate) again: Vec<(Timestamp, BuildKey, u32)>,
    /// Builds that still run on machines that nobody can reach, though their pods are gone.
    pub(crate) unseen: Vec<BuildKey>,
}

impl Cluster {
    pub(crate) fn find(&self, build: &BuildKey, attempt: u32) -> Option<&Pod> {
        self.pods.iter().find(|pod| &pod.build == build && pod.attempt == attempt)
    }

    /// Does what is asked; of a pod that is to be created, its uid.
    pub(crate) fn perform(&mut self, request: &Request, now: Timestamp) -> Result<String, NoPod> {
        match request {
            Request::Create(build, attempt) => return self.create(build, *attempt, now),
            Request::Ungate(uid) => self.change(uid, |pod| {
                if pod.phase == Phase::Gated {
                    pod.phase = Phase::Pending;
                }
            }),
            Request::Delete(uid) => self.change(uid, |pod| pod.deleting = true),
            Request::Release(uid) => self.change(uid, |pod| pod.held = false),
        }
        Ok(String::new())
    }

    fn create(&mut self, build: &BuildKey, attempt: u32, now: Timestamp) -> Result<String, NoPod> {
        if let Some(pod) = self.find(build, attempt) {
            return if pod.deleting { Err(NoPod::Going) } else { Ok(pod.uid.clone()) };
        }
        if self.rejects {
            return Err(NoPod::Rejected);
        }
        self.created += 1;
        let uid = format!("{}-{}", self.name, self.created);
        self.changed.push((build.clone(), attempt));
        let phase = if self.ungated { Phase::Pending } else { Phase::Gated };
        self.pods.push(Pod::new(build, attempt, uid.clone(), phase, now));
        Ok(uid)
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

    /// The watch misses all that it has still to tell.
    pub(crate) fn overlook(&mut self) {
        self.changed.clear();
        self.gone.clear();
        self.again.clear();
    }

    /// The node does its next bit of work on a pod; `how` says how a build that may end ends.
    pub(crate) fn work(&mut self, uid: &str, how: u8, now: Timestamp) {
        self.change(uid, |pod| pod.work(how, now));
    }

    /// Pods that are to go, and whose machine is lost, are forced out: an operator does so, or the cluster itself.
    pub(crate) fn collect_lost(&mut self) -> bool {
        let lost = self.pods.iter().find(|pod| pod.lost && pod.deleting && !pod.forced).map(|pod| pod.uid.clone());
        lost.inspect(|uid| self.change(uid, |pod| pod.forced = true)).is_some()
    }
}
