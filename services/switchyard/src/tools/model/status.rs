//! `switchyard model status`: what each model is doing, which run is its champion, and why no training is begun now.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::json;
use switchyard_bus::Bus;
use switchyard_trainer::{
    Crown, Registry,
    policy::{Outlook, Record, Rules, outlook},
};

use super::{
    held, of,
    term::{self, Cell, Colour, Paint, columns, span},
    train::{record, registry},
};

/// Settings of `status`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// One model, in detail; without one, all in a table.
    name: Option<String>,
    /// Print one JSON object per model.
    #[arg(long)]
    json: bool,
}

/// One model as it stands.
struct View {
    name: String,
    record: Option<Record>,
    registry: Registry,
    outlook: Option<Outlook>,
}

pub(super) async fn status(bus: &Bus, args: &Args) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let Some(name) = &args.name else {
        let mut views = Vec::new();
        for name in bus.model_names().await? {
            views.push(View::of(bus, &name, now).await?);
        }
        if args.json {
            return term::say(&views.iter().map(View::line).collect::<String>());
        }
        return term::say(&table(&views, now, Paint::stdout()));
    };
    of(bus, name).await?;
    let view = View::of(bus, name, now).await?;
    term::say(&if args.json { view.line() } else { view.details(now) })
}

impl View {
    async fn of(bus: &Bus, name: &str, now: Timestamp) -> anyhow::Result<Self> {
        let (record, registry) = (record(bus, name).await?, registry(bus, name).await?);
        let rules = held(bus, name).await.ok().map(|model| Rules::of(&model));
        let outlook = record.as_ref().zip(rules.as_ref()).map(|(record, rules)| outlook(record, rules, now));
        Ok(Self { name: name.to_owned(), record, registry, outlook })
    }

    fn state(&self) -> &'static str {
        self.outlook.as_ref().map_or("not seen", |outlook| outlook.state)
    }

    fn champion(&self) -> Option<&Crown> {
        self.registry.champion.as_ref()
    }

    /// How the last run ended.
    fn last(&self) -> String {
        let ended = self.record.as_ref().and_then(|record| record.ended.as_ref());
        ended.map_or_else(|| "-".to_owned(), |ended| format!("{} {}", ended.n, ended.outcome.name()))
    }

    /// Why no training is begun, or what speaks for one.
    fn next(&self) -> String {
        let Some(Outlook { causes, why, next, .. }) = &self.outlook else {
            return "no trainer has seen it yet".to_owned();
        };
        match (why, causes.first(), next) {
            (Some(why), ..) => why.to_string(),
            (None, Some(cause), _) => format!("{}: {}", cause.trigger, cause.detail),
            (None, None, Some(next)) => format!("at {next:.0}"),
            (None, None, None) => "when something speaks for it".to_owned(),
        }
    }

    fn line(&self) -> String {
        let record = self.record.as_ref();
        let value = json!({
            "model": self.name,
            "state": self.state(),
            "champion": self.champion(),
            "run": record.and_then(|record| record.run.as_ref()),
            "asked": record.and_then(|record| record.asked.as_ref()),
            "ended": record.and_then(|record| record.ended.as_ref()),
            "drift": record.and_then(|record| record.watch.drift.as_ref()),
            "next": self.next(),
        });
        format!("{value}\n")
    }

    fn details(&self, now: Timestamp) -> String {
        let mut text = format!("model      {}\nstate      {}\n", self.name, self.state());
        let mut say = |name: &str, what: String| {
            let _ = writeln!(text, "{name:10} {}", term::line(&what));
        };
        match self.champion() {
            Some(crown) => {
                let metrics: Vec<_> = crown.metrics.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
                say("champion", format!("{} since {:.0}, {}", crown.run, crown.at, metrics.join(", ")));
            }
            None => say("champion", "none".into()),
        }
        for crown in self.registry.history.iter().rev().take(5) {
            say("before", format!("{} since {:.0}", crown.run, crown.at));
        }
        if let Some(record) = &self.record {
            say("windows", format!("{} of this champion, {} new rows", record.watch.windows, record.watch.new_rows));
            for drifted in record.watch.drift.iter().flat_map(|episode| &episode.columns) {
                let switchyard_events::Drifted { column, measure, effect, threshold, p } = drifted;
                say("drifted", format!("{column}: {measure} {effect:.4} over {threshold:.4}, p {p:.2e}"));
            }
            if let Some(run) = &record.run {
                let build = run.training().map(|training| format!(", build {}", training.build)).unwrap_or_default();
                say("run", format!("{} for {}{build}", run.n, span(now.duration_since(run.at))));
            }
            if let Some(ended) = &record.ended {
                let reason = ended.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                say("last run", format!("{} ({}) {} at {:.0}{reason}", ended.n, ended.key, ended.outcome.name(), ended.at));
            }
        }
        say("next", self.next());
        text
    }
}

fn table(views: &[View], now: Timestamp, paint: Paint) -> String {
    let heading = ["MODEL", "STATE", "CHAMPION", "SINCE", "LAST RUN", "NEXT"].map(|name| Cell::coloured(name, Colour::Dim));
    let row = |view: &View| {
        let colour = match view.state() {
            "drifted" | "suspected" => Colour::Yellow,
            "watching" => Colour::Green,
            _ => Colour::Plain,
        };
        let since = view.champion().map_or_else(|| "-".to_owned(), |crown| span(now.duration_since(crown.at)));
        let champion = view.champion().map_or("none", |crown| &crown.run[..crown.run.len().min(8)]);
        vec![
            Cell::new(&view.name),
            Cell::coloured(view.state(), colour),
            Cell::new(champion),
            Cell::new(since),
            Cell::new(view.last()),
            Cell::new(term::line(&view.next())),
        ]
    };
    columns(&std::iter::once(heading.to_vec()).chain(views.iter().map(row)).collect::<Vec<_>>(), paint)
}
