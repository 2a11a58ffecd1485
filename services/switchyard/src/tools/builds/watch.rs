//! `switchyard builds --watch`: a table that is redrawn on a terminal, a line per change anywhere else.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
    time::Duration,
};

use anyhow::bail;
use futures::StreamExt as _;
use jiff::Timestamp;
use switchyard_bus::Bus;
use switchyard_events::{BuildKey, Record};
use tokio::time::{MissedTickBehavior, interval};

use super::{Args, State, View, table};
use crate::tools::{
    screen::Screen,
    term::{self, Paint},
};

/// Fast enough to be live, slow enough to be read.
const REDRAW: Duration = Duration::from_millis(500);

pub(super) async fn watch(bus: &Bus, args: &Args) -> anyhow::Result<()> {
    if io::stdout().is_terminal() && !args.json { redraw(bus, args).await } else { lines(bus, args).await }
}

async fn redraw(bus: &Bus, args: &Args) -> anyhow::Result<()> {
    let mut changes = std::pin::pin!(bus.follow().await?);
    let mut records: BTreeMap<BuildKey, Record> = BTreeMap::new();
    let mut screen = Screen::default();
    let mut tick = interval(REDRAW);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            change = changes.next() => match change {
                Some(change) => {
                    let (build, record) = change?;
                    records.insert(build, record);
                }
                None => bail!("the ledger can no longer be followed"),
            },
            _ = tick.tick() => {
                let now = Timestamp::now();
                let wanted = records.iter().filter(|(build, record)| args.wants(&View::of(build, record, now)));
                let wanted: Vec<_> = wanted.map(|(build, record)| (build.clone(), record.clone())).collect();
                screen.draw(&table(&wanted, now, Paint::stdout()))?;
            }
        }
    }
}

async fn lines(bus: &Bus, args: &Args) -> anyhow::Result<()> {
    let mut changes = std::pin::pin!(bus.follow().await?);
    let mut told: BTreeMap<BuildKey, (u32, State)> = BTreeMap::new();
    while let Some(change) = changes.next().await {
        let (build, record) = change?;
        let now = Timestamp::now();
        let view = View::of(&build, &record, now);
        let state = (view.latest.attempt, view.latest.state);
        if !args.wants(&view) || !is_news(&mut told, build, state) {
            continue;
        }
        term::say(&if args.json { format!("{}\n", serde_json::to_string(&view)?) } else { line(&view, now) })?;
    }
    bail!("the ledger can no longer be followed")
}

fn is_news(told: &mut BTreeMap<BuildKey, (u32, State)>, build: BuildKey, state: (u32, State)) -> bool {
    told.insert(build, state) != Some(state)
}

fn line(view: &View, now: Timestamp) -> String {
    let attempt = if view.latest.attempt > 1 { format!(" (attempt {})", view.latest.attempt) } else { String::new() };
    let line = format!("{now:.3} {} {}{attempt} {}", view.build, view.name(), view.latest.words());
    format!("{}\n", term::line(&line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::builds::view::tests::{at, key, running};

    #[test]
    fn a_change_is_one_line() {
        let view = View::of(&key('b'), &running(), at(7));
        assert_eq!(line(&view, at(7)), "2026-09-21T14:13:27.000Z baaaaaaaaaaaaaaaaaaaaaaaaa run 7 running on k8s\n");
    }

    #[test]
    fn what_is_told_is_not_told_again() {
        let mut told = BTreeMap::new();
        assert!(is_news(&mut told, key('b'), (1, State::Queued)));
        assert!(!is_news(&mut told, key('b'), (1, State::Queued)));
        assert!(is_news(&mut told, key('b'), (2, State::Queued)));
    }
}
