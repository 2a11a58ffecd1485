//! How much processor time a measurement took, so that a figure can be read on a machine that does other things too.

use std::{fs, time::Duration};

/// What `/proc` counts in: 100 ticks a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// The processor time of this process (the client) and of a server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) client: Duration,
    pub(crate) server: Duration,
}

impl Cpu {
    /// Up to now; nothing where there is no `/proc`.
    pub(crate) fn now(server: i32) -> Self {
        Self { client: used("self"), server: used(&server.to_string()) }
    }

    /// The processor time of another process, up to now; nothing where there is no `/proc`.
    pub(crate) fn of(process: i32) -> Duration {
        used(&process.to_string())
    }

    /// The processor time of this process, up to now.
    pub(crate) fn of_this() -> Duration {
        used("self")
    }

    /// The processor time of the children of this process that have ended, up to now.
    pub(crate) fn of_children() -> Duration {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        ticks(&stat, 13).map_or(Duration::ZERO, |ticks| TICK * ticks)
    }

    /// Of two measurements together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { client: self.client + other.client, server: self.server + other.server }
    }

    /// Since then.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { client: self.client.saturating_sub(before.client), server: self.server.saturating_sub(before.server) }
    }
}

fn used(process: &str) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    ticks(&stat, 11).map_or(Duration::ZERO, |ticks| TICK * ticks)
}

/// User and system time are the 14th and 15th field, those of ended children the two after; the second, the name in brackets, may
/// hold anything. So many fields after the name are left out.
fn ticks(stat: &str, before: usize) -> Option<u32> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(before);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_time_count_whatever_the_process_is_called() {
        assert_eq!(ticks("7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 12 30 5 6 20 0 1", 11), Some(42));
        assert_eq!(ticks("7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 12 30 5 6 20 0 1", 13), Some(11));
        assert_eq!(ticks("", 11), None);
    }
}
