//! The figures of `timers`, as a table and as JSON.

use std::time::Duration;

use serde::Serialize;

use super::{Args, builds::Ends, heard::Lateness};
use crate::{
    figures::{milliseconds, quantile, rounded},
    table,
};

/// What one run has shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Run {
    clocks: u32,
    within_s: u32,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_p99_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_max_ms: Option<f64>,
    lost: usize,
    doubled: usize,
    stored_twice: usize,
    armed_per_second: f64,
    rearmed_per_second: f64,
    empty_mib: f64,
    pending_mib: f64,
    fired_mib: f64,
}

impl Run {
    pub(crate) fn of(
        args: &Args,
        [armed, rearmed]: [f64; 2],
        resident: [u64; 3],
        (Lateness { late, done, lost }, stored_twice, ends): (Lateness, usize, Option<Ends>),
    ) -> Self {
        let of = |times: &[Duration], per_mille| rounded(milliseconds(quantile(times, per_mille)), 1);
        let at = |per_mille| of(&late, per_mille);
        let ended = |per_mille| ends.as_ref().map(|_| of(&done, per_mille));
        #[expect(clippy::cast_precision_loss, reason = "mebibytes of one process")]
        let [empty_mib, pending_mib, fired_mib] = resident.map(|bytes| rounded(bytes as f64 / f64::from(1 << 20), 0));
        Self {
            clocks: args.clocks.get(),
            within_s: args.within,
            p50_ms: at(500),
            p99_ms: at(990),
            max_ms: at(1000),
            ended_p50_ms: ended(500),
            ended_p99_ms: ended(990),
            ended_max_ms: ended(1000),
            lost: ends.as_ref().map_or(lost, |ends| ends.lost.max(lost)),
            // Who only takes note can do nothing twice: then a clock that fired twice counts.
            doubled: ends.as_ref().map_or(stored_twice, |ends| ends.doubled),
            stored_twice,
            armed_per_second: rounded(armed, 0),
            rearmed_per_second: rounded(rearmed, 0),
            empty_mib,
            pending_mib,
            fired_mib,
        }
    }
}

pub(crate) fn print(run: &Run) {
    let row = |name: &str, figure: String| [name.to_owned(), figure];
    let or_none = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| figure.to_string());
    table::print(
        ["", "figure"],
        &[
            row("late, p50 ms", run.p50_ms.to_string()),
            row("late, p99 ms", run.p99_ms.to_string()),
            row("late, max ms", run.max_ms.to_string()),
            row("ended late, p50 ms", or_none(run.ended_p50_ms)),
            row("ended late, p99 ms", or_none(run.ended_p99_ms)),
            row("ended late, max ms", or_none(run.ended_max_ms)),
            row("lost", run.lost.to_string()),
            row("doubled", run.doubled.to_string()),
            row("stored twice by the server", run.stored_twice.to_string()),
            row("armed a second", run.armed_per_second.to_string()),
            row("armed again a second", run.rearmed_per_second.to_string()),
            row("server, empty MiB", run.empty_mib.to_string()),
            row("server, all pending MiB", run.pending_mib.to_string()),
            row("server, all fired MiB", run.fired_mib.to_string()),
        ],
    );
}
