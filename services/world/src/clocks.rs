//! Clocks at awkward moments: at the same time as what they wait for, after the end, twice, an hour late.

use switchyard_events::ClockKind;

use crate::{
    cluster::Away,
    script::{OTHER_REAPER, REAPER},
    state::{Consumer, What},
    step::{Happening, Step},
    world::World,
};

/// More effects than the handlers of these tests have.
const EFFECTS: usize = 12;

fn who_hears(world: &World, what: &str) -> Consumer {
    if world.waiting(REAPER, what).is_some() { REAPER } else { OTHER_REAPER }
}

/// The pod runs, and is just reported when `pending` runs out.
fn started_at_the_last_moment() -> World {
    let mut world = World::new(1, None);
    world.launched(1).unwrap();
    world.passes(60).unwrap();
    world.works(0).unwrap();
    world.watches().unwrap();
    world
}

#[test]
fn a_clock_that_fires_while_the_start_is_told_ends_nothing() {
    // Each may come as far as it likes before the other goes on, whoever is first.
    for (first, second) in [("started", "pending"), ("pending", "started")] {
        for effects in 0..EFFECTS {
            let mut world = started_at_the_last_moment();
            let who = who_hears(&world, first);
            world.begins(who, first);
            world.goes(effects).unwrap();
            world.does(Step::Pause(0)).unwrap();
            let who = who_hears(&world, second);
            world.hears(who, second).unwrap();
            if !world.flights.is_empty() {
                world.does(Step::Pause(0)).unwrap();
                world.finishes().unwrap();
            }
            world.ended(false, &["Succeeded"]).unwrap_or_else(|broken| panic!("{first} up to {effects}: {broken}"));
        }
    }
}

#[test]
fn a_clock_that_fires_while_the_start_is_seen_ends_nothing_that_runs() {
    for effects in 0..EFFECTS {
        let mut world = World::new(1, None);
        world.launched(2).unwrap();
        world.passes(60).unwrap();
        world.begins(REAPER, "pending");
        world.goes(effects).unwrap();
        world.does(Step::Pause(0)).unwrap();
        world.watches().unwrap();
        world.does(Step::Pause(0)).unwrap();
        world.finishes().unwrap();
        world.ended(true, &["TimedOut(running)"]).unwrap_or_else(|broken| panic!("up to {effects}: {broken}"));
    }
}

#[test]
fn a_clock_that_fires_after_the_end_changes_nothing() {
    for kind in [ClockKind::Queued, ClockKind::Pending, ClockKind::Running, ClockKind::Teardown] {
        let mut world = World::new(1, None);
        world.launched(0).unwrap();
        world.ended(false, &["Succeeded"]).unwrap();
        let (stored, build) = (world.state().log.len(), world.builds[0].clone());
        let clock = switchyard_events::Clock { executor: "a".into(), kind, build, attempt: 1 };
        world.state().send(REAPER, What::Fire(clock));
        world.hears(REAPER, kind.name()).unwrap();
        world.ended(false, &["Succeeded"]).unwrap();
        assert_eq!(world.state().log.len(), stored, "{kind}: nothing more is said");
    }
}

#[test]
fn a_clock_that_fires_twice_ends_a_build_once() {
    for effects in 0..EFFECTS {
        let mut world = World::new(1, None);
        world.routed().unwrap();
        world.hears(REAPER, "routed").unwrap();
        world.passes(60).unwrap();
        world.begins(REAPER, "queued");
        world.goes(effects).unwrap();
        world.does(Step::Pause(0)).unwrap();
        if world.waiting(REAPER, "queued").is_some() {
            world.hears(REAPER, "queued").unwrap();
        }
        world.ended(false, &["TimedOut(queued)"]).unwrap_or_else(|broken| panic!("up to {effects}: {broken}"));
    }
}

#[test]
fn a_clock_that_is_an_hour_late_because_everything_was_down_still_ends_what_is_overdue() {
    for (endless, reason) in [(true, "TimedOut(running)"), (false, "Succeeded")] {
        let mut world = World::new(1, None);
        world.launched(2).unwrap();
        world.watches().unwrap();
        if !endless {
            world.works(0).unwrap();
        }
        world.there(Happening::Away(Away::Deaf)).unwrap();
        world.does(Step::Broker(Away::Deaf)).unwrap();
        world.does(Step::Restart(0)).unwrap();
        world.passes(3600).unwrap();
        world.does(Step::Turn).unwrap();
        world.ended(endless, &[reason]).unwrap();
    }
}

#[test]
fn a_replica_that_was_stopped_and_wakes_when_all_is_over_does_no_harm() {
    for what in ["routed", "launched"] {
        for effects in 0..EFFECTS {
            let mut world = World::new(1, None);
            world.routed().unwrap();
            let who = if what == "routed" { Consumer::Launcher(0) } else { REAPER };
            if what == "launched" {
                world.hears(Consumer::Launcher(0), "routed").unwrap();
            }
            world.begins(who, what);
            world.goes(effects).unwrap();
            world.does(Step::Pause(0)).unwrap();
            world.ended(false, &["Succeeded"]).unwrap_or_else(|broken| panic!("{what} up to {effects}: {broken}"));
        }
    }
}

#[test]
fn a_build_that_was_extended_runs_that_long_and_no_longer() {
    for (asked, lives) in [(150, 150), (250, 180), (10, 120)] {
        let mut world = World::new(1, None);
        world.launched(2).unwrap();
        world.watches().unwrap();
        let who = who_hears(&world, "started");
        world.hears(who, "started").unwrap();
        world.does(Step::Extend { build: 0, seconds: asked }).unwrap();
        world.hears(REAPER, "extended").unwrap();
        world.hears(OTHER_REAPER, "extended").unwrap();
        world.ended(true, &["TimedOut(running)"]).unwrap();
        let state = world.state();
        let attempt = &state.record(&world.builds[0]).unwrap().attempts[0];
        let lived = attempt.condemned.as_ref().unwrap().at.duration_since(attempt.started_at.unwrap());
        assert_eq!(lived.as_secs(), lives, "asked for {asked} s");
    }
}
