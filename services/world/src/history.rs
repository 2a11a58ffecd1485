//! Histories: which steps may come, and that no law is ever broken whatever comes.

use proptest::prelude::*;

use crate::{
    cluster::Away,
    world::{Step, World},
};

/// What goes on all the time, and the trouble that may come in between.
fn step() -> impl Strategy<Value = Step> {
    let any = any::<u8>;
    let executor = || 0..2u8;
    let away = prop_oneof![2 => Just(Away::No), 1 => Just(Away::Deaf), 1 => Just(Away::Mute)];
    prop_oneof![
        12 => (any(), prop::bool::weighted(0.8)).prop_map(|(which, acknowledged)| Step::Deliver { which, acknowledged }),
        20 => (any(), prop_oneof![1..4u8, Just(u8::MAX)]).prop_map(|(which, effects)| Step::Go { which, effects }),
        8 => (executor(), any()).prop_map(|(cluster, which)| Step::Watch { cluster, which }),
        8 => (executor(), any(), any()).prop_map(|(cluster, which, how)| Step::Work { cluster, which, how }),
        5 => Just(Step::Turn),
        4 => Just(Step::Next),
        3 => (0..100u8).prop_map(|seconds| Step::Wait { seconds }),
        2 => any().prop_map(Step::Early),
        2 => any().prop_map(Step::Crash),
        1 => executor().prop_map(Step::Restart),
        2 => (executor(), any(), prop::bool::weighted(0.2)).prop_map(|(cluster, which, force)| Step::Delete { cluster, which, force }),
        2 => (executor(), away).prop_map(|(cluster, how)| Step::Away { cluster, how }),
        1 => executor().prop_map(Step::Sweep),
        1 => any().prop_map(Step::Cancel),
        1 => (any(), any()).prop_map(|(build, to)| Step::Route { build, to }),
    ]
}

/// What is rarer still: where these may happen, the others would seldom get far.
fn rare_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => step(),
        1 => (0..2u8).prop_map(Step::Reject),
        1 => any::<u8>().prop_map(Step::Refuse),
    ]
}

fn forgetful_step() -> impl Strategy<Value = Step> {
    prop_oneof![20 => step(), 1 => any::<u8>().prop_map(Step::Lose)]
}

/// Lives through the steps, then comes to rest.
fn live(builds: u8, steps: &[Step], endless: bool) -> Result<(), TestCaseError> {
    let mut world = World::new(builds);
    for n in 0..builds {
        world.step(Step::Route { build: n, to: n });
    }
    for step in steps {
        if let Some(broken) = world.step(*step) {
            return Err(TestCaseError::fail(broken));
        }
    }
    world.settle_down(endless).map_or(Ok(()), |broken| Err(TestCaseError::fail(broken)))
}

fn histories(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(histories(800))]

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
    fn the_sweep_makes_up_for_lost_clocks(steps in prop::collection::vec(forgetful_step(), 0..120), endless: bool) {
        live(1, &steps, endless)?;
    }
}

#[test]
fn without_trouble_a_build_ends_as_it_should() {
    for endless in [false, true] {
        let mut world = World::new(1);
        world.step(Step::Route { build: 0, to: 0 });
        assert_eq!(world.settle_down(endless), None);
        let state = world.state();
        let (record, _) = state.records.values().next().unwrap();
        let reasons: Vec<_> =
            record.attempts.iter().map(|attempt| attempt.decided.as_ref().unwrap().reason.to_string()).collect();
        assert_eq!(reasons, [if endless { "TimedOut(running)" } else { "Succeeded" }]);
        assert!(record.latest().unwrap().started_at.is_some());
    }
}
