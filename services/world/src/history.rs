//! Histories: which steps may come, and that no law is ever broken whatever comes.

use proptest::prelude::*;

use crate::{
    cluster::Away,
    world::{Happening, Step, World},
};

/// What goes on all the time, and the trouble that may come in between.
fn step() -> impl Strategy<Value = Step> {
    let any = any::<u8>;
    let executor = || 0..2u8;
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
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    let away = prop_oneof![2 => Just(Away::No), 1 => Just(Away::Deaf), 1 => Just(Away::Mute)];
    prop_oneof![
        4 => any::<(u8, u8)>().prop_map(|(which, how)| Happening::Work { which, how }),
        1 => (any::<u8>(), prop::bool::weighted(0.2)).prop_map(|(which, force)| Happening::Delete { which, force }),
        1 => away.prop_map(Happening::Away),
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
    prop_oneof![20 => step(), 1 => any::<u8>().prop_map(Step::Lose)]
}

/// A world in which each build has just been routed.
fn begun(builds: u8) -> World {
    let mut world = World::new(builds);
    for n in 0..builds {
        world.step(Step::Route { build: n, to: n });
    }
    world
}

/// Lives through the steps, then comes to rest.
fn live(builds: u8, steps: &[Step], endless: bool) -> Result<(), TestCaseError> {
    let mut world = begun(builds);
    let broken = steps.iter().find_map(|step| world.step(*step));
    broken.or_else(|| world.settle_down(endless)).map_or(Ok(()), |broken| Err(TestCaseError::fail(broken)))
}

fn histories(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(histories(1000))]

    #[test]
    fn one_build_ends_once_and_leaves_nothing_whatever_happens(steps in prop::collection::vec(step(), 0..120), endless: bool) {
        live(1, &steps, endless)?;
    }

    #[test]
    fn refusals_end_too(steps in prop::collection::vec(rare_step(), 0..80), endless: bool) {
        live(1, &steps, endless)?;
    }

    #[test]
    fn two_builds_do_not_disturb_each_other(steps in prop::collection::vec(step(), 0..120), endless: bool) {
        live(2, &steps, endless)?;
    }

    #[test]
    fn a_build_ends_although_every_launcher_is_gone(steps in prop::collection::vec(step(), 0..40), endless: bool) {
        let mut world = begun(1);
        let broken = steps.iter().find_map(|step| world.step(*step));
        world.desert();
        prop_assert_eq!(broken.or_else(|| world.settle_down(endless)), None);
    }

    #[test]
    fn the_sweep_makes_up_for_lost_clocks(steps in prop::collection::vec(forgetful_step(), 0..120), endless: bool) {
        live(1, &steps, endless)?;
    }
}

#[test]
fn without_trouble_a_build_ends_as_it_should() {
    for endless in [false, true] {
        let mut world = begun(1);
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
    let mut world = begun(1);
    for step in script {
        assert_eq!(world.step(step), None, "{step:?}");
    }
    assert!(world.state().records.values().all(|(record, _)| record.attempts[0].decided.is_some() && !record.attempts[0].closed));
    assert_eq!(world.settle_down(false), None);
}
