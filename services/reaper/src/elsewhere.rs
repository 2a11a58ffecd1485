//! Where else a waiting build might begin: which executors take builds now, as far as their launchers say so.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock},
};

use jiff::Timestamp;
use switchyard_events::{Attempt, Heartbeat};
use switchyard_fleet::Fleet;

use crate::Places;

/// What a reaper knows of its own executor and of the others; somebody keeps it current. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Elsewhere(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    draining: bool,
    taking: BTreeSet<String>,
}

/// The executors of a fleet that may be given a build which does not name them, and of which a launcher says that it has room.
#[must_use]
pub fn taking(fleet: &Fleet, beats: &[Heartbeat], now: Timestamp) -> BTreeSet<String> {
    let takes = fleet
        .executors()
        .iter()
        .filter(|executor| !executor.draining && fleet.chooses(executor) && Heartbeat::takes(beats, &executor.name, now));
    takes.map(|executor| executor.name.clone()).collect()
}

impl Elsewhere {
    /// Whether the reaper's own executor is to become empty.
    pub fn drain(&self, draining: bool) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).draining = draining;
    }

    /// From now on these executors take builds.
    pub fn learn(&self, taking: BTreeSet<String>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).taking = taking;
    }

    pub(crate) fn draining(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).draining
    }

    /// What is known for an attempt that waits here.
    pub(crate) fn places(&self, attempt: &Attempt) -> Places {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Places { draining: known.draining, elsewhere: attempt.elsewhere.iter().any(|name| known.taking.contains(name)) }
    }
}

#[cfg(test)]
mod tests {
    use switchyard_events::BreakerState;

    use super::*;

    fn beat(executor: &str, free: u32) -> Heartbeat {
        Heartbeat {
            executor: executor.into(),
            service: "launcher".into(),
            instance: "a".into(),
            at: Timestamp::UNIX_EPOCH,
            healthy: true,
            draining: false,
            why: None,
            breaker: BreakerState::Closed,
            slots: Some(4),
            free: Some(free),
        }
    }

    #[test]
    fn a_build_moves_only_to_what_may_be_chosen_is_not_drained_and_says_that_it_has_room() {
        let fleet = Fleet::parse(
            "{version: 1, executor: {plugin: k8s, k8s: {weightage: 0}, k8s-a: {weightage: 1}, k8s-b: {weightage: 1}, k8s-c: \
             {weightage: 1}, k8s-d: {weightage: 0}, k8s-e: {weightage: 1}, k8s-f: {weightage: 1}}, executors: {k8s-b: {drain: true}, k8s-e: \
             {optIn: true}}}",
        )
        .unwrap();
        let beats: Vec<_> = ["k8s", "k8s-a", "k8s-b", "k8s-d", "k8s-e"].map(|name| beat(name, 1)).to_vec();
        let beats = [beats, vec![beat("k8s-c", 0)]].concat();
        let names = taking(&fleet, &beats, Timestamp::UNIX_EPOCH);
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["k8s", "k8s-a"]);
    }
}
