//! The decision of a supervisor: what is to be done with its build now. Pure; times count from the supervisor's start.

use std::time::Duration;

use switchyard_events::Reason;

/// A build on its way to its end.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    /// When the supervisor ends it by itself.
    pub(crate) deadline: Duration,
    /// How long it may take to end once it was told.
    pub(crate) grace: Duration,
    /// Why it was told to end, and when.
    pub(crate) told: Option<(Why, Duration)>,
    /// The code of its first process, once that has ended.
    pub(crate) exit: Option<i32>,
}

/// Why a build is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Somebody has set the marker, or removed the folder.
    Deleted,
    /// It ran to the supervisor's own limit.
    Deadline,
    /// Those for whom builds run here have gone.
    Abandoned,
    /// The supervisor itself was told to end.
    Evicted,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Tell it to end.
    Tell(Why),
    /// Let it run, until then at the latest.
    Wait(Duration),
    /// Kill what is left of it.
    Kill,
    /// Nothing is left of it.
    End,
}

impl Course {
    /// What is to be done, where `left` says whether any process of the build is alive.
    ///
    /// What a build leaves behind when it ends by itself dies with it, as in a container. One that was told to end has its
    /// grace, and so have all of its processes.
    pub(crate) fn next(&self, now: Duration, left: bool) -> Step {
        let gone = self.exit.is_some() && !left;
        match self.told {
            _ if gone => Step::End,
            None if self.exit.is_some() => Step::Kill,
            None if now >= self.deadline => Step::Tell(Why::Deadline),
            None => Step::Wait(self.deadline),
            Some((_, at)) if now < at + self.grace => Step::Wait(at + self.grace),
            Some(_) => Step::Kill,
        }
    }

    /// The reason and the sentence of an end that was not the build's own: one that was told to end was cut short, whatever it
    /// returned.
    pub(crate) fn ending(&self) -> Option<(Reason, String)> {
        let (why, _) = self.told?;
        Some(match why {
            Why::Deleted => (Reason::Deleted, "it was told to end".to_owned()),
            Why::Deadline => {
                (Reason::DeadlineExceeded, format!("it ran for {} s: ended by its supervisor", self.deadline.as_secs()))
            }
            Why::Abandoned => (Reason::Evicted, "what it ran for has gone".to_owned()),
            Why::Evicted => (Reason::Evicted, "its supervisor was told to end".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn course(told: Option<(Why, u64)>, exit: Option<i32>) -> Course {
        Course { deadline: s(100), grace: s(10), told: told.map(|(why, at)| (why, s(at))), exit }
    }

    #[test]
    fn a_build_runs_until_its_own_end_or_its_deadline() {
        assert_eq!(course(None, None).next(s(5), true), Step::Wait(s(100)));
        assert_eq!(course(None, None).next(s(100), true), Step::Tell(Why::Deadline));
        assert_eq!(course(None, Some(0)).next(s(5), false), Step::End);
        assert_eq!(course(None, Some(2)).ending(), None);
    }

    #[test]
    fn what_a_build_leaves_behind_dies_with_it() {
        assert_eq!(course(None, Some(0)).next(s(5), true), Step::Kill);
    }

    #[test]
    fn one_that_was_told_has_its_grace_and_no_more() {
        let told = Some((Why::Deleted, 20));
        assert_eq!(course(told, None).next(s(29), true), Step::Wait(s(30)));
        assert_eq!(course(told, Some(143)).next(s(29), true), Step::Wait(s(30)), "its children have the grace too");
        assert_eq!(course(told, None).next(s(30), true), Step::Kill);
        assert_eq!(course(told, Some(137)).next(s(30), false), Step::End);
    }

    #[test]
    fn an_end_that_was_asked_for_is_no_success() {
        assert_eq!(course(Some((Why::Deleted, 1)), Some(0)).ending().unwrap().0, Reason::Deleted);
        assert_eq!(course(Some((Why::Deadline, 100)), Some(0)).ending().unwrap().0, Reason::DeadlineExceeded);
        assert_eq!(course(Some((Why::Abandoned, 1)), Some(143)).ending().unwrap().0, Reason::Evicted);
    }

    proptest! {
        #[test]
        fn nothing_is_waited_for_that_is_over(now in 0..400u64, told in proptest::option::of(0..200u64), exit in proptest::option::of(0..3i32), left: bool) {
            let course = course(told.map(|at| (Why::Deleted, at)), exit);
            match course.next(s(now), left) {
                Step::Wait(until) => prop_assert!(until > s(now)),
                Step::End => prop_assert!(exit.is_some() && !left),
                Step::Kill => prop_assert!(exit.is_some() || told.is_some_and(|at| now >= at + 10)),
                Step::Tell(_) => prop_assert!(told.is_none() && now >= 100),
            }
        }
    }
}
