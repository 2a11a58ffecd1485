//! The table and the JSON object of `chaos`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use switchyard_events::BuildKey;

use super::{
    Args,
    audit::Audit,
    faults::{Fault, Faults},
};
use crate::{figures::rounded, table};

/// What one run has shown.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    seed: u64,
    minutes: f64,
    nodes: u8,
    kills: u32,
    pauses: u32,
    restarts: u32,
    builds: usize,
    attempts: usize,
    lost: usize,
    doubled: usize,
    unended: usize,
    orphaned: usize,
    late: usize,
    rest_seconds: f64,
    outcomes: BTreeMap<String, usize>,
}

impl Run {
    pub(crate) fn of(seed: u64, args: &Args, faults: &Faults, builds: &[BuildKey], audit: &Audit) -> Self {
        let count = |fault: Fault| faults.iter().filter(|((_, of), _)| *of == fault).map(|(_, n)| n).sum();
        Self {
            seed,
            minutes: args.minutes,
            nodes: args.nodes,
            kills: count(Fault::Kill),
            pauses: count(Fault::Pause),
            restarts: count(Fault::Restart),
            builds: builds.len(),
            attempts: audit.attempts,
            lost: audit.lost,
            doubled: audit.doubled,
            unended: audit.unended,
            orphaned: audit.orphaned,
            late: audit.late,
            rest_seconds: rounded(audit.rest_seconds, 1),
            outcomes: audit.outcomes.clone(),
        }
    }
}

pub(crate) fn print(faults: &Faults, run: &Run) {
    let names: BTreeSet<_> = faults.keys().map(|(name, _)| name.clone()).collect();
    let of = |name: &str, fault| faults.get(&(name.to_owned(), fault)).copied().unwrap_or_default().to_string();
    let row = |name: &String| [name.clone(), of(name, Fault::Kill), of(name, Fault::Pause), of(name, Fault::Restart)];
    let mut rows: Vec<_> = names.iter().map(row).collect();
    rows.push(["all".to_owned(), run.kills.to_string(), run.pauses.to_string(), run.restarts.to_string()]);
    table::print(["", "SIGKILL", "SIGSTOP", "SIGTERM"], &rows);
    let figure = |name: &str, n: usize| [name.to_owned(), n.to_string()];
    let mut rows = vec![
        figure("builds", run.builds),
        figure("attempts", run.attempts),
        figure("lost", run.lost),
        figure("doubled", run.doubled),
        figure("unended", run.unended),
        figure("orphaned", run.orphaned),
        figure("late", run.late),
    ];
    rows.extend(run.outcomes.iter().map(|(reason, n)| figure(&format!("ended: {reason}"), *n)));
    rows.push(["s until all was at rest".to_owned(), run.rest_seconds.to_string()]);
    println!();
    table::print(["", "n"], &rows);
}
