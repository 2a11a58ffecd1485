//! Histories: which steps may come, and that no law is ever broken whatever comes.

use proptest::{
    prelude::*,
    test_runner::{FileFailurePersistence, RngAlgorithm, TestError, TestRng, TestRunner},
};

use crate::{
    cluster::Away,
    mistake::Mistake,
    step::{Happening, Step},
    world::World,
};

/// What goes on all the time, and the trouble that may come in between.
fn step() -> impl Strategy<Value = Step> {
    let any = any::<u8>;
    let executor = || 0..2u8;
    let flag = || prop::bool::ANY;
    prop_oneof![
        12 => (any(), prop::bool::weighted(0.8)).prop_map(|(which, acknowledged)| Step::Deliver { which, acknowledged }),
        20 => (any(), prop_oneof![1..4u8, Just(u8::MAX)]).prop_map(|(which, effects)| Step::Go { which, effects }),
        8 => (executor(), any()).prop_map(|(cluster, which)| Step::Watch { cluster, which }),
        12 => (executor(), happening()).prop_map(|(cluster, happening)| Step::There { cluster, happening }),
        5 => Just(Step::Turn),
        4 => Just(Step::Next),
        3 => (0..100u8).prop_map(|seconds| Step::Wait { seconds }),
        2 => any().prop_map(Step::Early),
        2 => any().prop_map(Step::Crash),
        1 => executor().prop_map(Step::Restart),
        1 => executor().prop_map(Step::Sweep),
        1 => any().prop_map(Step::Cancel),
        1 => (any(), any()).prop_map(|(build, to)| Step::Route { build, to }),
        1 => (any(), any()).prop_map(|(build, seconds)| Step::Extend { build, seconds }),
        1 => any().prop_map(Step::Repeat),
        2 => any().prop_map(Step::Pause),
        1 => any().prop_map(Step::Configure),
        2 => (executor(), flag(), flag()).prop_map(|(executor, draining, takes)| Step::Fleet { executor, draining, takes }),
        1 => away().prop_map(Step::Broker),
    ]
}

/// A server is there again sooner than it goes.
fn away() -> impl Strategy<Value = Away> {
    prop_oneof![3 => Just(Away::No), 1 => Just(Away::Deaf), 1 => Just(Away::Mute), 1 => Just(Away::Late)]
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => any::<(u8, u8)>().prop_map(|(which, how)| Happening::Work { which, how }),
        2 => (any::<u8>(), prop::bool::weighted(0.2)).prop_map(|(which, force)| Happening::Delete { which, force }),
        2 => away().prop_map(Happening::Away),
        1 => any::<u8>().prop_map(Happening::Arrive),
        1 => any::<(u8, bool)>().prop_map(|(which, lost)| Happening::Machine { which, lost }),
    ]
}

/// What is rarer still: where these may happen, the others would seldom get far.
fn rare_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => step(),
        1 => (0..2u8).prop_map(|cluster| Step::There { cluster, happening: Happening::Reject }),
        1 => any::<u8>().prop_map(Step::Refuse),
    ]
}

fn forgetful_step() -> impl Strategy<Value = Step> {
    prop_oneof![20 => step(), 1 => any::<u8>().prop_map(Step::Lose), 1 => any::<u8>().prop_map(Step::Overlook)]
}

/// A world in which each build has just been routed.
fn begun(builds: u8, mistake: Option<Mistake>) -> World {
    let mut world = World::new(builds, mistake);
    for n in 0..builds {
        world.step(Step::Route { build: n, to: n });
    }
    world
}

/// Lives through the steps, then comes to rest.
fn live(mut world: World, steps: &[Step], endless: bool) -> Result<(), TestCaseError> {
    let broken = steps.iter().find_map(|step| world.step(*step));
    broken.or_else(|| world.settle_down(endless)).map_or(Ok(()), |broken| Err(TestCaseError::fail(broken)))
}

/// How many histories are lived through in all, unless `SWITCHYARD_HISTORIES` says otherwise.
const HISTORIES: u32 = 10_000;

/// So many histories of each kind. One that breaks a law is shrunk, printed and kept in `histories/`, to be tried first ever after.
fn histories() -> ProptestConfig {
    let asked = std::env::var("SWITCHYARD_HISTORIES").ok();
    let all = asked.map_or(HISTORIES, |text| text.parse().expect("SWITCHYARD_HISTORIES is a number"));
    ProptestConfig {
        cases: all.div_ceil(5),
        max_shrink_iters: 20_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::SourceParallel("histories"))),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(histories())]

    #[test]
    fn one_build_ends_once_and_leaves_nothing_whatever_happens(steps in prop::collection::vec(step(), 0..120), endless: bool) {
        live(begun(1, None), &steps, endless)?;
    }

    #[test]
    fn refusals_end_too(steps in prop::collection::vec(rare_step(), 0..80), endless: bool) {
        live(begun(1, None), &steps, endless)?;
    }

    #[test]
    fn two_builds_do_not_disturb_each_other(steps in prop::collection::vec(step(), 0..120), endless: bool) {
        live(begun(2, None), &steps, endless)?;
    }

    #[test]
    fn a_build_ends_although_every_launcher_is_gone(steps in prop::collection::vec(step(), 0..40), endless: bool) {
        let mut world = begun(1, None);
        let broken = steps.iter().find_map(|step| world.step(*step));
        world.desert();
        prop_assert_eq!(broken.or_else(|| world.settle_down(endless)), None);
    }

    #[test]
    fn the_sweep_makes_up_for_lost_clocks_and_blind_watches(steps in prop::collection::vec(forgetful_step(), 0..120), endless: bool) {
        live(begun(1, None), &steps, endless)?;
    }
}

/// The laws are worth something: whoever makes this mistake breaks one of them.
fn is_caught(mistake: Mistake) {
    let config = ProptestConfig { cases: 20_000, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let histories = (prop::collection::vec(step(), 0..120), any::<bool>());
    let lived = runner.run(&histories, |(steps, endless)| live(begun(1, Some(mistake)), &steps, endless));
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
