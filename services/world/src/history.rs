//! Histories: which steps may come, and that no law is ever broken whatever comes.

use proptest::{
    prelude::*,
    test_runner::{FileFailurePersistence, RngAlgorithm, TestError, TestRng, TestRunner},
};

use crate::{
    draw::{forgetful_step, rare_step, step},
    mistake::Mistake,
    step::{Happening, Step},
    world::World,
};

/// A world in which each build has just been routed.
fn begun(builds: u8, mistake: Option<Mistake>) -> World {
    let mut world = World::new(builds, mistake);
    for n in 0..builds {
        world.step(Step::Route { build: n, to: n });
    }
    world
}

/// A kind of history.
pub(crate) struct Kind {
    /// How many builds are in it.
    builds: u8,
    step: fn(u64) -> Step,
    /// The most steps before the trouble stops.
    most: usize,
    /// Whether every launcher is gone when it stops.
    deserted: bool,
}

const ONE: Kind = Kind { builds: 1, step, most: 120, deserted: false };
const REFUSED: Kind = Kind { step: rare_step, most: 80, ..ONE };
const TWO: Kind = Kind { builds: 2, ..ONE };
const DESERTED: Kind = Kind { most: 40, deserted: true, ..ONE };
const FORGETFUL: Kind = Kind { step: forgetful_step, ..ONE };

/// Every kind.
pub(crate) const KINDS: [Kind; 5] = [ONE, REFUSED, TWO, DESERTED, FORGETFUL];

impl Kind {
    /// Any history of this kind, and whether builds that run go on for ever when the trouble has stopped.
    pub(crate) fn histories(&self) -> impl Strategy<Value = (Vec<Step>, bool)> + use<> {
        (prop::collection::vec(any::<u64>().prop_map(self.step), 0..self.most), any::<bool>())
    }

    /// Lives through the steps, then comes to rest.
    pub(crate) fn live(&self, steps: &[Step], endless: bool, mistake: Option<Mistake>) -> Result<(), TestCaseError> {
        let mut world = begun(self.builds, mistake);
        let broken = steps.iter().find_map(|step| world.step(*step));
        if self.deserted {
            world.desert();
        }
        broken.or_else(|| world.settle_down(endless)).map_or(Ok(()), |broken| Err(TestCaseError::fail(broken)))
    }
}

/// How many histories are lived through in all.
const HISTORIES: u32 = 10_000;

/// So many histories. One that breaks a law is shrunk, printed and kept in `histories/`, to be tried first ever after.
pub(crate) fn histories(many: u32) -> ProptestConfig {
    ProptestConfig {
        cases: many,
        max_shrink_iters: 20_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::SourceParallel("histories"))),
        source_file: Some(file!()),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(histories(HISTORIES.div_ceil(5)))]

    #[test]
    fn one_build_ends_once_and_leaves_nothing_whatever_happens((steps, endless) in ONE.histories()) {
        ONE.live(&steps, endless, None)?;
    }

    #[test]
    fn refusals_end_too((steps, endless) in REFUSED.histories()) {
        REFUSED.live(&steps, endless, None)?;
    }

    #[test]
    fn two_builds_do_not_disturb_each_other((steps, endless) in TWO.histories()) {
        TWO.live(&steps, endless, None)?;
    }

    #[test]
    fn a_build_ends_although_every_launcher_is_gone((steps, endless) in DESERTED.histories()) {
        DESERTED.live(&steps, endless, None)?;
    }

    #[test]
    fn the_sweep_makes_up_for_lost_clocks_and_blind_watches((steps, endless) in FORGETFUL.histories()) {
        FORGETFUL.live(&steps, endless, None)?;
    }
}

/// The laws are worth something: whoever makes this mistake breaks one of them.
fn is_caught(mistake: Mistake) {
    let config = ProptestConfig { cases: 20_000, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let lived = runner.run(&ONE.histories(), |(steps, endless)| ONE.live(&steps, endless, Some(mistake)));
    assert!(matches!(lived, Err(TestError::Fail(..))), "no history shows that {mistake:?} does harm: {lived:?}");
}

#[test]
fn acknowledging_before_publishing_is_caught() {
    is_caught(Mistake::AcknowledgeFirst);
}

#[test]
fn creating_a_pod_without_a_gate_is_caught() {
    is_caught(Mistake::CreateUngated);
}

#[test]
fn requeueing_without_proof_of_death_is_caught() {
    is_caught(Mistake::RequeueWithoutProof);
}

#[test]
fn forgetting_a_clock_when_the_api_server_is_away_is_caught() {
    is_caught(Mistake::ForgetClockWhenAway);
}

#[test]
fn publishing_an_end_before_it_is_decided_is_caught() {
    is_caught(Mistake::PublishBeforeDeciding);
}

#[test]
fn without_trouble_a_build_ends_as_it_should() {
    for endless in [false, true] {
        let mut world = begun(1, None);
        assert_eq!(world.settle_down(endless), None);
        let state = world.state();
        let (record, _) = state.records.values().next().unwrap();
        let reasons: Vec<_> =
            record.attempts.iter().map(|attempt| attempt.decided.as_ref().unwrap().reason.to_string()).collect();
        assert_eq!(reasons, [if endless { "TimedOut(running)" } else { "Succeeded" }]);
        assert!(record.latest().unwrap().started_at.is_some());
    }
}

#[test]
fn a_launch_that_is_heard_of_after_the_end_stops_no_clock() {
    let deliver = Step::Deliver { which: 0, acknowledged: true };
    let finish = Step::Go { which: 0, effects: u8::MAX };
    let script = [
        // The launcher's copy of `routed`, then the reaper's; `launched` waits.
        deliver,
        finish,
        deliver,
        finish,
        // The pod is deleted; the reaper that saw it reads the record, decides, and dies.
        Step::There { cluster: 0, happening: Happening::Delete { which: 0, force: false } },
        Step::Watch { cluster: 0, which: 0 },
        Step::Go { which: 0, effects: 3 },
        Step::Crash(0),
        deliver,
        finish,
    ];
    let mut world = begun(1, None);
    for step in script {
        assert_eq!(world.step(step), None, "{step:?}");
    }
    assert!(world.state().records.values().all(|(record, _)| record.attempts[0].decided.is_some() && !record.attempts[0].closed));
    assert_eq!(world.settle_down(false), None);
}
