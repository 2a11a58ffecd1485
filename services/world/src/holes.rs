//! The holes of simpler protocols, one history each: it does no harm, and does as soon as the one precaution against it is
//! taken out.

use crate::{
    cluster::Away,
    mistake::Mistake,
    script::{LAUNCHER, OTHER_REAPER, REAPER, Script},
    step::{Happening, Step},
    world::World,
};

fn harms_only_without_the_precaution(mistake: Mistake, script: Script) {
    assert_eq!(script(&mut World::new(1, None)), Ok(()), "with every precaution");
    assert!(script(&mut World::new(1, Some(mistake))).is_err(), "{mistake:?} does no harm");
}

/// A launcher has bound the pod and dies before it lets it run.
fn dies_after_its_claim(world: &mut World) -> Result<(), String> {
    world.begins(LAUNCHER, "routed");
    // It reads, creates and writes the record.
    world.goes(4)?;
    world.does(Step::Crash(0))
}

#[test]
fn a_claim_whose_launcher_died_is_taken_up_again() {
    harms_only_without_the_precaution(Mistake::TrustOwnClaim, |world| {
        world.routed()?;
        dies_after_its_claim(world)?;
        world.ended(false, &["Succeeded"])
    });
}

#[test]
fn a_launcher_that_wakes_after_the_requeue_makes_no_second_live_pod() {
    harms_only_without_the_precaution(Mistake::CreateUngated, |world| {
        world.routed()?;
        // The first to hear of it stands still before it creates; another does all of it.
        world.begins(LAUNCHER, "routed");
        world.goes(2)?;
        world.does(Step::Pause(0))?;
        world.hears(LAUNCHER, "routed")?;
        world.hears(REAPER, "routed")?;
        for _ in 0..2 {
            world.works(0)?;
        }
        // The node takes its place away, and the next attempt runs elsewhere.
        world.works(2)?;
        world.watches()?;
        world.passes(20)?;
        for _ in 0..3 {
            world.does(Step::Turn)?;
        }
        world.does(Step::Pause(0))?;
        world.finishes()?;
        world.ended(false, &["Evicted", "Succeeded"])
    });
}

#[test]
fn a_pod_that_is_created_late_after_the_build_has_ended_never_runs() {
    harms_only_without_the_precaution(Mistake::CreateUngated, |world| {
        world.routed()?;
        world.there(Happening::Away(Away::Late))?;
        world.hears(LAUNCHER, "routed")?;
        world.there(Happening::Away(Away::No))?;
        world.hears(LAUNCHER, "routed")?;
        world.hears(REAPER, "routed")?;
        for _ in 0..3 {
            world.works(0)?;
        }
        for _ in 0..3 {
            world.does(Step::Turn)?;
            world.passes(30)?;
        }
        assert!(world.state().clusters[0].pods.is_empty(), "the pod that ran has gone");
        world.there(Happening::Arrive(0))?;
        assert_eq!(world.state().clusters[0].pods.len(), 1, "it is there again");
        world.ended(false, &["Succeeded"])
    });
}

#[test]
fn a_time_out_and_a_cancellation_at_once_give_one_result() {
    harms_only_without_the_precaution(Mistake::PublishBeforeDeciding, |world| {
        world.routed()?;
        world.hears(REAPER, "routed")?;
        world.passes(60)?;
        world.begins(REAPER, "queued");
        world.goes(2)?;
        world.does(Step::Pause(0))?;
        world.does(Step::Cancel(0))?;
        world.hears(OTHER_REAPER, "cancelrequested")?;
        world.does(Step::Pause(0))?;
        world.finishes()?;
        world.ended(false, &["Cancelled"])
    });
}

#[test]
fn a_bound_pod_is_watched_although_every_launcher_is_gone() {
    harms_only_without_the_precaution(Mistake::TrustTheLauncher, |world| {
        world.routed()?;
        dies_after_its_claim(world)?;
        world.desert();
        world.hears(REAPER, "routed")?;
        world.passes(60)?;
        world.hears(REAPER, "queued")?;
        world.rests(false)
    });
}

/// The pod's machine is lost, its limit is over, and its teardown fires again and again while nobody answers.
fn teardown_fires_while_the_cluster_is_away(world: &mut World) -> Result<(), String> {
    world.launched(2)?;
    world.watches()?;
    world.hears(REAPER, "started").or_else(|_| world.hears(OTHER_REAPER, "started"))?;
    world.there(Happening::Machine { which: 0, lost: true })?;
    world.passes(120)?;
    world.hears(REAPER, "running")?;
    world.there(Happening::Away(Away::Deaf))?;
    for _ in 0..4 {
        world.passes(80)?;
        world.does(Step::Turn)?;
    }
    world.rests(true)
}

#[test]
fn a_teardown_is_armed_again_while_the_api_server_is_away() {
    harms_only_without_the_precaution(Mistake::ForgetClockWhenAway, teardown_fires_while_the_cluster_is_away);
}

#[test]
fn a_clock_that_is_armed_again_is_not_taken_for_a_duplicate() {
    harms_only_without_the_precaution(Mistake::DeduplicateClocks, teardown_fires_while_the_cluster_is_away);
}

#[test]
fn a_success_is_decided_before_its_pod_is_let_go() {
    harms_only_without_the_precaution(Mistake::ReleaseFirst, |world| {
        world.launched(3)?;
        world.watch(0, 0);
        world.goes(4)?;
        world.does(Step::Crash(0))?;
        world.ended(false, &["Succeeded"])
    });
}

#[test]
fn there_is_no_requeue_without_proof_of_death() {
    harms_only_without_the_precaution(Mistake::RequeueWithoutProof, |world| {
        world.launched(1)?;
        world.there(Happening::Machine { which: 0, lost: true })?;
        world.passes(60)?;
        world.hears(REAPER, "pending")?;
        world.passes(30)?;
        world.hears(REAPER, "teardown")?;
        world.rests(false)
    });
}

#[test]
fn a_condemned_build_that_is_cancelled_is_not_tried_again() {
    harms_only_without_the_precaution(Mistake::RetryCancelled, |world| {
        world.launched(0)?;
        world.passes(60)?;
        world.hears(REAPER, "pending")?;
        world.does(Step::Cancel(0))?;
        world.hears(REAPER, "cancelrequested")?;
        world.ended(false, &["TimedOut(pending)"])
    });
}

#[test]
fn a_pod_created_after_the_end_was_decided_is_not_left_behind() {
    harms_only_without_the_precaution(Mistake::IgnoreUnbound, |world| {
        world.routed()?;
        world.begins(LAUNCHER, "routed");
        world.goes(2)?;
        world.does(Step::Pause(0))?;
        world.does(Step::Cancel(0))?;
        world.hears(REAPER, "cancelrequested")?;
        world.does(Step::Pause(0))?;
        world.finishes()?;
        world.ended(false, &["Cancelled"])
    });
}

#[test]
fn the_end_of_a_build_does_not_stop_its_teardown() {
    harms_only_without_the_precaution(Mistake::StopTeardown, |world| {
        world.launched(2)?;
        world.watches()?;
        world.there(Happening::Machine { which: 0, lost: true })?;
        world.passes(60)?;
        world.hears(REAPER, "pending")?;
        world.passes(120)?;
        world.hears(REAPER, "running")?;
        world.passes(30)?;
        world.hears(REAPER, "teardown")?;
        world.does(Step::Turn)?;
        world.rests(true)
    });
}

/// No launcher takes the build at the first executor, and the second says that it takes builds.
fn waits_until_it_may_move(world: &mut World) -> Result<(), String> {
    world.routed()?;
    world.hears(REAPER, "routed")?;
    world.does(Step::Fleet { executor: 0, draining: false, takes: true })?;
    world.passes(15)
}

#[test]
fn a_build_that_nobody_took_goes_to_another_executor_and_is_asked_about_until_it_does() {
    harms_only_without_the_precaution(Mistake::AskOnce, |world| {
        world.routed()?;
        world.hears(REAPER, "routed")?;
        // Nobody else takes builds yet; later somebody does.
        world.passes(15)?;
        world.hears(REAPER, "queued")?;
        world.does(Step::Fleet { executor: 0, draining: false, takes: true })?;
        world.passes(15)?;
        world.hears(REAPER, "queued")?;
        world.ended(false, &["Requeued", "Succeeded"])
    });
}

#[test]
fn what_a_launcher_has_bound_meanwhile_does_not_move() {
    harms_only_without_the_precaution(Mistake::MoveBound, |world| {
        waits_until_it_may_move(world)?;
        // The launcher binds it just before the clock is heard.
        world.hears(LAUNCHER, "routed")?;
        for _ in 0..2 {
            world.works(0)?;
        }
        world.hears(REAPER, "queued")?;
        world.ended(false, &["Succeeded"])
    });
}

#[test]
fn a_launcher_that_creates_while_the_build_moves_makes_no_second_live_pod() {
    harms_only_without_the_precaution(Mistake::CreateUngated, |world| {
        waits_until_it_may_move(world)?;
        // It has read the record and stands still; the build moves; it goes on.
        world.begins(LAUNCHER, "routed");
        world.goes(2)?;
        world.does(Step::Pause(0))?;
        world.hears(REAPER, "queued")?;
        world.does(Step::Pause(0))?;
        world.finishes()?;
        world.ended(false, &["Requeued", "Succeeded"])
    });
}

#[test]
fn a_drained_executor_gives_up_what_waits_and_keeps_what_runs() {
    let mut world = World::new(2, None);
    let told: Script = |world| {
        world.launched(2)?;
        world.does(Step::Route { build: 1, to: 0 })?;
        world.hears(REAPER, "routed")?;
        world.does(Step::Fleet { executor: 0, draining: true, takes: true })?;
        world.sweep(0);
        world.finishes()?;
        world.ended(false, &["Succeeded"])
    };
    assert_eq!(told(&mut world), Ok(()));
    let state = world.state();
    let ends = state
        .record(&world.builds[1])
        .unwrap()
        .attempts
        .iter()
        .map(|attempt| attempt.decided.as_ref().unwrap().reason.to_string());
    assert_eq!(ends.collect::<Vec<_>>(), ["Requeued", "Succeeded"]);
}

#[test]
fn a_build_whose_first_clock_is_lost_is_found_by_the_sweep() {
    harms_only_without_the_precaution(Mistake::OpenNoRecord, |world| {
        world.routed()?;
        world.hears(REAPER, "routed")?;
        world.does(Step::Lose(0))?;
        world.desert();
        world.ended(false, &["TimedOut(queued)"])
    });
}
