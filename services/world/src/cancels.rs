//! A build is cancelled, at each moment of its life: one result, and unless it had ended before, that says `cancel`.
//!
//! Either executor's reaper hears of it first; it may come as far as it likes and die there.

use switchyard_events::Outcome;

use crate::{
    cluster::Away,
    script::{LAUNCHER, OTHER_REAPER, REAPER},
    state::Consumer,
    step::{Happening, Step},
    world::World,
};

/// More effects than the handlers of these tests have.
const EFFECTS: usize = 12;

type Lived = Result<(), String>;

/// That the build ends once, and so, where `before` has come about when somebody cancels, and `after` comes about then. What runs
/// would go on for ever.
fn ends_once(wanted: (&str, Outcome), before: impl Fn(&mut World) -> Lived, after: impl Fn(&mut World) -> Lived) {
    for who in [REAPER, OTHER_REAPER] {
        for effects in 0..EFFECTS {
            let mut world = World::new(1, None);
            let mut live = || {
                before(&mut world)?;
                world.does(Step::Cancel(0))?;
                world.dies_hearing(who, effects)?;
                after(&mut world)?;
                world.ended(true, &[wanted.0])
            };
            live().unwrap_or_else(|broken| panic!("{who:?} up to {effects}: {broken}"));
            assert_eq!(world.ends()[0].outcome, wanted.1);
            let results = world.state().once.keys().filter(|subject| subject.contains(".finished.")).count();
            assert_eq!(results, 1, "{who:?} up to {effects}");
        }
    }
}

fn is_cancelled_once(before: impl Fn(&mut World) -> Lived, after: impl Fn(&mut World) -> Lived) {
    ends_once(("Cancelled", Outcome::Cancel), before, after);
}

#[expect(clippy::unnecessary_wraps, reason = "one of the things that may come about")]
fn nothing(_: &mut World) -> Lived {
    Ok(())
}

impl World {
    /// Somebody hears of the cancellation and dies after so many effects, unless it has come to its end before.
    fn dies_hearing(&mut self, who: Consumer, effects: usize) -> Lived {
        self.begins(who, "cancelrequested");
        self.goes(effects)?;
        let at_work = self.flights.iter().position(|flight| !flight.paused);
        at_work.map_or(Ok(()), |at| self.does(Step::Crash(u8::try_from(at).unwrap())))
    }

    /// The launcher stands still after so many effects: 1, it has read the record; 2, made the pod; 3, bound it; 4, let it run.
    fn stands(&mut self, effects: usize) -> Lived {
        self.begins(LAUNCHER, "routed");
        self.goes(1 + effects)?;
        self.does(Step::Pause(0))
    }

    fn wakes(&mut self) -> Lived {
        self.does(Step::Pause(0))?;
        self.finishes()
    }

    fn opened(&mut self) -> Lived {
        self.routed()?;
        self.hears(REAPER, "routed")
    }
}

#[test]
fn a_build_is_cancelled_before_it_is_routed() {
    is_cancelled_once(nothing, World::routed);
    is_cancelled_once(nothing, World::opened);
}

#[test]
fn a_build_is_cancelled_before_it_is_bound() {
    is_cancelled_once(World::routed, nothing);
    is_cancelled_once(World::opened, nothing);
    for begun in [World::routed, World::opened] {
        for effects in [1, 2] {
            let stands = |world: &mut World| {
                begun(world)?;
                world.stands(effects)?;
                assert!(world.state().records.values().all(|(record, _)| record.attempts[0].bound.is_none()));
                Ok(())
            };
            is_cancelled_once(stands, World::wakes);
        }
    }
}

#[test]
fn a_build_is_cancelled_while_its_pod_is_gated() {
    for begun in [World::routed, World::opened] {
        let stands = |world: &mut World| {
            begun(world)?;
            world.stands(3)?;
            assert!(world.state().records.values().all(|(record, _)| record.attempts[0].bound.is_some()));
            assert!(world.state().clusters[0].pods.iter().all(|pod| pod.phase == switchyard_executor::Phase::Gated));
            Ok(())
        };
        is_cancelled_once(stands, World::wakes);
        // Its launcher never wakes.
        is_cancelled_once(stands, |world| world.does(Step::Crash(0)));
    }
}

#[test]
fn a_build_is_cancelled_while_its_pod_waits_or_runs() {
    for worked in 0..=2 {
        is_cancelled_once(|world| world.launched(worked), nothing);
        let seen = |world: &mut World| {
            world.launched(worked)?;
            world.watches()
        };
        is_cancelled_once(seen, nothing);
        // Nobody answers there until long after its teardown: it must be remembered whatever clock runs out meanwhile.
        let away = |world: &mut World| {
            seen(world)?;
            world.there(Happening::Away(Away::Deaf))
        };
        let long = |world: &mut World| {
            for _ in 0..8 {
                world.does(Step::Turn)?;
                world.passes(40)?;
            }
            Ok(())
        };
        is_cancelled_once(away, long);
    }
}

#[test]
fn a_build_that_has_ended_stays_as_it_ended() {
    let succeeded = ("Succeeded", Outcome::Success);
    let seen = |world: &mut World| {
        world.launched(3)?;
        world.watches()
    };
    ends_once(succeeded, seen, nothing);
    ends_once(
        succeeded,
        |world| {
            seen(world)?;
            world.rests(true)
        },
        nothing,
    );
}

#[test]
fn a_build_that_is_cancelled_twice_ends_once() {
    let moments: [fn(&mut World) -> Lived; 4] = [nothing, World::routed, |world| world.launched(0), |world| world.launched(2)];
    for before in moments {
        let asked = |world: &mut World| {
            before(world)?;
            world.does(Step::Cancel(0))
        };
        is_cancelled_once(asked, nothing);
        for who in [REAPER, OTHER_REAPER] {
            let again = |world: &mut World| {
                world.does(Step::Cancel(0))?;
                world.hears(who, "cancelrequested")
            };
            is_cancelled_once(before, again);
        }
    }
}
