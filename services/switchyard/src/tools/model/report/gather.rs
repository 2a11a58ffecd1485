//! What the trainer keeps of a model and has said of it, put in order for the page.

use std::collections::BTreeMap;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Deserialize;
use switchyard_bus::{Bus, Delivery};
use switchyard_drift::{Ks, Profile, Reference, Widest, WindowCounts};
use switchyard_events::{
    Cause, ModelEvaluated, ModelPromoted, ModelRejected, ModelRolledBack, RetrainingFinished, RetrainingRequested,
    RetrainingSkipped, WindowJudged, custom_data,
};
use switchyard_model::{Better, Metric, Model};
use switchyard_trainer::{Judged, LastWindow, Pinned, policy::Record};

use super::{
    super::{super::applied::Kept as _, held},
    segments::segments,
    shape,
    view::{Candidate, Champion, Column, Page, Performance, Point, Run, Shape, Skipped, Window},
};

/// How many windows are drawn.
const WINDOWS: usize = 200;
/// How many trainings and decisions are listed.
const LISTED: usize = 50;

/// Everything that was said of a model, each in its order.
#[derive(Default)]
struct Said {
    windows: Vec<WindowJudged>,
    requested: Vec<(Timestamp, RetrainingRequested)>,
    finished: Vec<RetrainingFinished>,
    skipped: Vec<(Timestamp, RetrainingSkipped)>,
    evaluated: Vec<ModelEvaluated>,
    rejected: Vec<ModelRejected>,
    crowned: Vec<(Timestamp, String, BTreeMap<String, f64>)>,
}

/// What the registry says of the model that serves.
#[derive(Deserialize)]
struct Registered {
    champion: Option<Crowned>,
}

#[derive(Deserialize)]
struct Crowned {
    run: String,
    at: Timestamp,
    #[serde(default)]
    metrics: BTreeMap<String, f64>,
}

/// Reads everything that the page shows.
pub(super) async fn gather(bus: &Bus, name: &str) -> anyhow::Result<Page> {
    let model = held(bus, name).await?;
    let mut said = Said::default();
    bus.recorded("YARD", &format!("yard.dev.cdeventsx.*.*.*.*.*.{name}.*"), None, |delivery| said.hear(&delivery)).await?;
    let pinned = Pinned::read(bus, name).await?.map(|(pinned, _)| pinned);
    let last = LastWindow::read(bus, name).await?;
    let record: Option<Record> = state(bus, &format!("policy.{name}")).await?;
    let registered: Option<Registered> = state(bus, &format!("registry.{name}")).await?;
    let warmup = model.policy.warmup;
    let now = Timestamp::now();
    let page = said.page(&model, pinned.as_ref(), last.as_ref().map(|last| &last.counts), now);
    let judged = Judged::last(bus, name).await?;
    let same = last.as_ref().zip(judged.as_ref()).filter(|(last, judged)| last.window == judged.window);
    let segments = pinned.as_ref().zip(same).map(|(pinned, (last, judged))| segments(judged, &pinned.profile, &last.counts));
    let registered = registered.and_then(|registered| registered.champion);
    let champion = registered.map(|Crowned { run, at, metrics }| Champion { run, since: at, metrics });
    let state = record.map_or_else(|| page.state.clone(), |record| record.state(warmup).to_owned());
    Ok(Page { champion: champion.or(page.champion.clone()), state, segments: segments.unwrap_or_default(), ..page })
}

async fn state<T: serde::de::DeserializeOwned>(bus: &Bus, key: &str) -> anyhow::Result<Option<T>> {
    let kept = bus.state(key).await?;
    kept.map(|(bytes, _)| serde_json::from_slice(&bytes)).transpose().with_context(|| format!("bucket trainer, key {key}"))
}

impl Said {
    /// Takes note of an event; what this page does not show is passed over.
    fn hear(&mut self, delivery: &Delivery) {
        let Ok(event) = delivery.cdevent() else { return };
        let (at, ty) = (event.context.timestamp, event.context.ty.as_ref());
        match ty {
            WindowJudged::TYPE => self.windows.extend(custom_data(&event)),
            RetrainingRequested::TYPE => self.requested.extend(custom_data(&event).map(|said| (at, said))),
            RetrainingFinished::TYPE => self.finished.extend(custom_data(&event)),
            RetrainingSkipped::TYPE => self.skipped.extend(custom_data(&event).map(|said| (at, said))),
            ModelEvaluated::TYPE => self.evaluated.extend(custom_data(&event)),
            ModelRejected::TYPE => self.rejected.extend(custom_data(&event)),
            ModelPromoted::TYPE => {
                self.crowned.extend(custom_data::<ModelPromoted>(&event).map(|said| (at, said.run, said.metrics)));
            }
            ModelRolledBack::TYPE => {
                self.crowned.extend(custom_data::<ModelRolledBack>(&event).map(|said| (at, said.run, BTreeMap::new())));
            }
            _ => {}
        }
    }

    fn page(self, model: &Model, pinned: Option<&Pinned>, counts: Option<&WindowCounts>, at: Timestamp) -> Page {
        let from = self.windows.len().saturating_sub(WINDOWS);
        let windows = &self.windows[from..];
        let drifted = windows.last().is_some_and(|window| !window.drifted.is_empty());
        let champion = self.crowned.last().map(|(since, run, metrics)| Champion {
            run: run.clone(),
            since: *since,
            metrics: metrics.clone(),
        });
        Page {
            model: model.name.clone(),
            revision: model.revision(),
            at,
            state: if drifted {
                "drifted"
            } else if champion.is_some() {
                "watching"
            } else {
                "cold"
            }
            .to_owned(),
            champion,
            fresh: pinned.zip(windows.last()).is_some_and(|(pinned, last)| pinned.run != last.reference),
            columns: columns(windows, pinned.map(|pinned| &pinned.profile), counts),
            segments: Vec::new(),
            performance: performance(windows),
            candidate: self.candidate(model),
            runs: self.runs(),
            skipped: self.skipped(),
            windows: windows.iter().map(window).collect(),
        }
    }

    fn candidate(&self, model: &Model) -> Option<Candidate> {
        let evaluated = self.evaluated.last()?;
        let less = |name: &str| {
            let known = <Metric as switchyard_file::Word>::parse(name).ok().map(Metric::better);
            let custom = model.evaluate.custom.as_ref().map(|custom| custom.better);
            known.or(custom) == Some(Better::Less)
        };
        let metric = |(name, value): (&String, &f64)| (name.clone(), *value, evaluated.champion.get(name).copied(), less(name));
        let rejected = self.rejected.iter().rev().find(|rejected| rejected.run == evaluated.run);
        let promoted = self.crowned.iter().any(|(_, run, _)| *run == evaluated.run);
        let outcome = match (promoted, rejected) {
            (true, _) => "promoted",
            (false, Some(_)) => "rejected",
            (false, None) => "evaluated",
        };
        Some(Candidate {
            run: evaluated.run.clone(),
            compared: evaluated.compared.clone(),
            metrics: evaluated.metrics.iter().map(metric).collect(),
            outcome: outcome.to_owned(),
            reasons: rejected.map(|rejected| rejected.reasons.clone()).unwrap_or_default(),
        })
    }

    fn runs(&self) -> Vec<Run> {
        let run = |(at, requested): &(Timestamp, RetrainingRequested)| {
            let finished = self.finished.iter().find(|finished| finished.run == requested.run);
            let waits = requested.build.is_none();
            Run {
                number: requested.run,
                key: requested.key.clone().unwrap_or_default(),
                at: *at,
                causes: causes(&requested.causes),
                outcome: finished.map_or(if waits { "asked" } else { "running" }, |finished| finished.outcome.name()).to_owned(),
                reason: finished.and_then(|finished| finished.reason.clone()).unwrap_or_default(),
                pod_seconds: finished.map(|finished| finished.pod_seconds),
            }
        };
        // A run that waited for approval is told of twice: once it has its build, that is the one.
        let newest = self.requested.iter().rev();
        let mut runs: Vec<Run> = Vec::new();
        for run in newest.map(run) {
            if !runs.iter().any(|known| known.number == run.number) {
                runs.push(run);
            }
        }
        runs.truncate(LISTED);
        runs
    }

    fn skipped(&self) -> Vec<Skipped> {
        let skipped = |(at, skipped): &(Timestamp, RetrainingSkipped)| Skipped {
            at: *at,
            reason: skipped.reason.clone(),
            message: skipped.message.clone(),
            until: skipped.until,
            causes: causes(&skipped.causes),
        };
        self.skipped.iter().rev().take(LISTED).map(skipped).collect()
    }
}

fn causes(causes: &[Cause]) -> Vec<String> {
    let words = |cause: &Cause| {
        if cause.detail.is_empty() { cause.trigger.clone() } else { format!("{}: {}", cause.trigger, cause.detail) }
    };
    causes.iter().map(words).collect()
}

fn window(judged: &WindowJudged) -> Window {
    Window {
        number: judged.window,
        at: judged.at,
        rows: judged.rows,
        gaps: judged.gaps,
        unreadable: judged.unreadable,
        late: judged.late,
        drifted: judged.drifted.clone(),
    }
}

/// Whether each window has another reference than the one before it.
fn anew(windows: &[WindowJudged]) -> impl Iterator<Item = (bool, &WindowJudged)> {
    windows.iter().enumerate().map(|(n, window)| (n > 0 && windows[n - 1].reference != window.reference, window))
}

fn columns(windows: &[WindowJudged], profile: Option<&Profile>, counts: Option<&WindowCounts>) -> Vec<Column> {
    let Some(last) = windows.last() else { return Vec::new() };
    let column = |(name, said): (&String, &switchyard_events::ColumnJudged)| {
        let mut began = false;
        let mut points = Vec::new();
        for (anew, window) in anew(windows) {
            began |= anew;
            if let Some(judged) = window.columns.get(name) {
                points.push(Point { window: window.window, value: judged.effect, drifted: judged.drifted, anew: began });
                began = false;
            }
        }
        Column {
            name: name.clone(),
            shape: profile.and_then(|profile| drawn(profile, counts, name)),
            widest: profile.zip(counts).filter(|_| said.effect >= said.threshold).and_then(|(p, c)| widest(p, c, name)),
            measure: label(&said.measure).to_owned(),
            threshold: said.threshold,
            points,
            p: Some(said.p),
            why: said.why.clone(),
            drifted: said.drifted,
        }
    };
    last.columns.iter().map(column).collect()
}

/// A column's values; those of the window are left out where they were counted against another reference.
pub(super) fn drawn(profile: &Profile, counts: Option<&WindowCounts>, name: &str) -> Option<Shape> {
    use switchyard_drift::Window::{Categorical, Numeric};
    let counts = counts.filter(|counts| counts.frame() == profile.frame());
    let window = counts.and_then(|counts| profile.column(counts, name));
    match (profile.columns().get(name)?, window) {
        (Reference::Numeric { histogram, .. }, Some(Numeric(window))) => shape::numbers(histogram, Some(&window)),
        (Reference::Numeric { histogram, .. }, _) => shape::numbers(histogram, None),
        (Reference::Categorical(categories), Some(Categorical(window))) => Some(shape::names(categories, Some(&window))),
        (Reference::Categorical(categories), _) => Some(shape::names(categories, None)),
    }
}

/// Where numbers of the reference (the first sample) and of the window are furthest apart.
fn widest(profile: &Profile, counts: &WindowCounts, name: &str) -> Option<Widest> {
    let window = (counts.frame() == profile.frame()).then(|| profile.column(counts, name)).flatten()?;
    match (profile.columns().get(name)?, window) {
        (Reference::Numeric { histogram, .. }, switchyard_drift::Window::Numeric(window)) => Ks::widest(histogram, &window),
        (Reference::Numeric { .. } | Reference::Categorical(_), _) => None,
    }
}

fn performance(windows: &[WindowJudged]) -> Option<Performance> {
    let last = windows.last()?.performance.as_ref()?;
    let mut points: Vec<Point> = Vec::new();
    let mut began = false;
    for (anew, window) in anew(windows) {
        began |= anew;
        if let Some((judged, value)) = window.performance.as_ref().and_then(|judged| Some((judged, judged.value?))) {
            points.push(Point { window: window.window, value, drifted: judged.bad, anew: began });
            began = false;
        }
    }
    Some(Performance { metric: last.metric.clone(), limit: last.limit, points, bad: last.bad })
}

/// What a measure is called.
pub(super) fn label(measure: &str) -> &str {
    match measure {
        "ks" => "KS distance",
        "psi" => "PSI",
        "jensen-shannon" => "Jensen–Shannon distance",
        "wasserstein" => "Wasserstein distance",
        "chi-squared" => "Cramér’s V",
        "l-infinity" => "greatest difference",
        "hellinger" => "Hellinger distance",
        "total-variation" => "total variation",
        "kl" => "KL divergence",
        other => other,
    }
}
