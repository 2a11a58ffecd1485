//! Says the same thing only now and then.
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// More different things than this in one interval are not told apart any longer: all of it is forgotten, so memory stays bounded.
const MOST: usize = 100;

/// Lets each thing be said once per interval and counts what was left out.
#[derive(Debug)]
pub(crate) struct Seldom {
    interval: Duration,
    said: Mutex<HashMap<String, (Instant, u64)>>,
}

impl Seldom {
    pub(crate) fn every(interval: Duration) -> Self {
        Self { interval, said: Mutex::default() }
    }

    /// If `what` may be said now: how often it was left out since the last time.
    pub(crate) fn may_say(&self, what: &str, now: Instant) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((last, left_out)) = said.get_mut(what) {
            if now.saturating_duration_since(*last) < self.interval {
                *left_out += 1;
                return None;
            }
            *last = now;
            return Some(std::mem::take(left_out));
        }
        if said.len() >= MOST {
            said.clear();
        }
        said.insert(what.to_owned(), (now, 0));
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_said_once_per_interval_and_the_rest_is_counted() {
        let seldom = Seldom::every(Duration::from_mins(1));
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(seldom.may_say("a", start), Some(0));
        assert_eq!(seldom.may_say("a", after(1)), None);
        assert_eq!(seldom.may_say("b", after(1)), Some(0));
        assert_eq!(seldom.may_say("a", after(59)), None);
        assert_eq!(seldom.may_say("a", after(60)), Some(2));
        assert_eq!(seldom.may_say("a", after(61)), None);
    }

    #[test]
    fn endlessly_many_things_do_not_fill_the_memory() {
        let seldom = Seldom::every(Duration::from_mins(1));
        for n in 0..10 * MOST {
            seldom.may_say(&n.to_string(), Instant::now());
        }
        assert!(seldom.said.lock().unwrap().len() <= MOST);
    }
}
