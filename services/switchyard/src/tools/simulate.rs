//! `switchyard simulate`: recorded requests through the fleet that holds and through another. Publishes nothing.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use switchyard_events::TimeLimit;
use switchyard_router::{Asked, Rules, asked};

use super::{
    Session, Told, config,
    explain::Explained,
    run,
    term::{self, Cell, Colour, Paint, columns},
};

/// Settings of `simulate`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The new fleet file.
    #[arg(long, value_name = "NEW")]
    config: PathBuf,
    /// The old fleet file; without it the fleet that holds.
    #[arg(long, value_name = "FILE")]
    old: Option<PathBuf>,
    /// How far back requests are taken: `24h`, `90m`.
    #[arg(long, default_value = "24h", value_name = "TIME")]
    since: TimeLimit,
    /// At most so many of the builds that move are listed.
    #[arg(long, default_value_t = 50, value_name = "N")]
    list: usize,
    /// Print one JSON object: `requests`, `unreadable`, `oldRevision`, `newRevision`, `executors`, `moved` (all of them).
    #[arg(long)]
    json: bool,
}

/// What would be different.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Simulation {
    requests: u64,
    unreadable: u64,
    old_revision: String,
    new_revision: String,
    executors: BTreeMap<String, Change>,
    moved: Vec<Moved>,
}

/// How many builds an executor has by either fleet; `refused` counts those that nobody has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Change {
    old: u64,
    new: u64,
}

/// A build that goes elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Moved {
    build: String,
    image: String,
    from: String,
    to: String,
    /// Why, where it is refused by the new fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

const REFUSED: &str = "refused";

pub(crate) fn simulate(told: &Told<Args>) -> ExitCode {
    let args = &told.args;
    run(&told.nats, async |session: &Session<'_>| {
        let new = Rules::new(config::checked(&config::read_fleet(&args.config)?)?);
        let bus = session.bus().await?;
        let old = Rules::new(match &args.old {
            Some(path) => config::checked(&config::read_fleet(path)?)?,
            None => config::holds(bus).await?,
        });
        let since = Timestamp::now().saturating_sub(SignedDuration::try_from(args.since.duration())?)?;
        let mut simulation = Simulation::of(&old, &new);
        let unreadable = bus.recorded("CI", "ci.>", Some(since), |delivery| {
            if let Ok(Some(asked)) = asked(&delivery.view()) {
                simulation.take(&asked, &old, &new);
            }
        });
        simulation.unreadable = unreadable.await?;
        let text = if args.json {
            format!("{}\n", serde_json::to_string(&simulation)?)
        } else {
            simulation.text(args.list, Paint::stdout())
        };
        term::say(&text)
    })
}

impl Simulation {
    fn of(old: &Rules, new: &Rules) -> Self {
        let both = [old, new].into_iter().flat_map(|rules| rules.fleet().executors());
        let executors = both.map(|executor| (executor.name.clone(), Change::default())).collect();
        let revision = |rules: &Rules| rules.fleet().revision().to_owned();
        Self { old_revision: revision(old), new_revision: revision(new), executors, ..Self::default() }
    }

    /// Routes one request by both.
    fn take(&mut self, asked: &Asked<'_>, old: &Rules, new: &Rules) {
        let (before, after) = (Explained::of(asked, old), Explained::of(asked, new));
        let to = |explained: &Explained| explained.executor.clone().unwrap_or_else(|| REFUSED.to_owned());
        let (from, to) = (to(&before), to(&after));
        self.requests += 1;
        self.executors.entry(from.clone()).or_default().old += 1;
        self.executors.entry(to.clone()).or_default().new += 1;
        if from != to {
            let image = asked.described.as_ref().map_or_else(|_| String::new(), |described| described.spec.image.to_string());
            self.moved.push(Moved { build: asked.build.to_string(), image, from, to, refused: after.refused });
        }
    }

    fn text(&self, most: usize, paint: Paint) -> String {
        let dim = |names: &[&str]| names.iter().map(|name| Cell::coloured(name, Colour::Dim)).collect::<Vec<_>>();
        let counts = self.executors.iter().map(|(name, Change { old, new })| {
            let (sign, difference) = if new >= old { ("+", new - old) } else { ("-", old - new) };
            let change = if difference == 0 { String::new() } else { format!("{sign}{difference}") };
            vec![Cell::new(name), Cell::new(old.to_string()), Cell::new(new.to_string()), Cell::new(change)]
        });
        let counts: Vec<_> = std::iter::once(dim(&["EXECUTOR", "OLD", "NEW", "CHANGE"])).chain(counts).collect();
        let mut text = format!(
            "{} requests, {} of them move; revision {} -> {}\n\n{}",
            self.requests,
            self.moved.len(),
            self.old_revision,
            self.new_revision,
            columns(&counts, paint)
        );
        if !self.moved.is_empty() {
            let moved = self.moved.iter().take(most).map(|moved| {
                let why = moved.refused.as_deref().unwrap_or_default();
                [&moved.build, &moved.from, &moved.to, &moved.image, why].map(Cell::new).to_vec()
            });
            let rows: Vec<_> = std::iter::once(dim(&["BUILD", "FROM", "TO", "IMAGE", ""])).chain(moved).collect();
            text.push('\n');
            text.push_str(&columns(&rows, paint));
            if let Some(more) = self.moved.len().checked_sub(most).filter(|more| *more > 0) {
                text.push_str("and ");
                text.push_str(&more.to_string());
                text.push_str(" more: --list N or --json shows them\n");
            }
        }
        text
    }
}
