//! How many messages the broker was asked for and has not sent: pure, time is an argument.

use std::collections::VecDeque;

use tokio::time::Instant;

/// The requests that the broker still keeps, the oldest first. It serves them by turns: what is left of each is a guess, what is
/// left of all is not.
#[derive(Debug, Default)]
pub(crate) struct Asked(VecDeque<(Instant, usize)>);

impl Asked {
    /// So many were asked for; the broker keeps the request until then.
    pub(crate) fn more(&mut self, until: Instant, count: usize) {
        self.0.push_back((until, count));
    }

    /// So many of them will not come any more: they are here, or the broker has let their request go.
    pub(crate) fn less(&mut self, mut count: usize) {
        while let Some((_, left)) = self.0.front_mut().filter(|_| count > 0) {
            let done = count.min(*left);
            (*left, count) = (*left - done, count - done);
            if *left == 0 {
                self.0.pop_front();
            }
        }
    }

    /// How many may still come.
    pub(crate) fn outstanding(&self) -> usize {
        self.0.iter().map(|(_, left)| left).sum()
    }

    /// Requests whose time is over bring nothing more. A broker that was away has lost them, and does not say so.
    pub(crate) fn expire(&mut self, now: Instant) {
        while self.0.front().is_some_and(|(until, _)| *until <= now) {
            self.0.pop_front();
        }
    }

    /// None of them will come any more.
    pub(crate) fn none(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_has_come_or_was_let_go_is_not_waited_for() {
        let (mut asked, now) = (Asked::default(), Instant::now());
        let soon = now + Duration::from_secs(1);
        asked.more(soon, 3);
        asked.more(soon, 2);
        asked.less(1);
        asked.expire(now);
        assert_eq!(asked.outstanding(), 4);
        asked.less(3);
        assert_eq!(asked.outstanding(), 1);
        asked.less(7);
        assert_eq!(asked.outstanding(), 0);
    }

    #[test]
    fn a_request_that_nobody_ends_is_over_after_its_time() {
        let (mut asked, now) = (Asked::default(), Instant::now());
        let second = Duration::from_secs(1);
        asked.more(now + second, 3);
        asked.more(now + 2 * second, 2);
        asked.expire(now + second);
        assert_eq!(asked.outstanding(), 2);
        asked.none();
        assert_eq!(asked.outstanding(), 0);
    }
}
