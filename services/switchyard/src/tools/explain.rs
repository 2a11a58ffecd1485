//! `switchyard explain`: where a build goes, or went, and why. Publishes nothing.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde::Serialize;
use switchyard_bus::Bus;
use switchyard_events::{BuildKey, BuildRefused, BuildRouted, custom_data};
use switchyard_fleet::{Fleet, Plugin};
use switchyard_router::{Asked, Candidate, Health, Rules, asked, route, standings};

use super::{
    Session, Told, config, find,
    publish::input::{self, Plain},
    run,
    term::{self, Cell, Colour, Paint, columns},
};

/// Settings of `explain`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// A file as `publish` takes it (`-` is standard input), or the id of a build, or the beginning of one.
    #[arg(value_name = "FILE|ID")]
    what: String,
    /// The fleet file to decide by; without it the fleet that holds, and for a past build the one that held.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Whose build it is, where a file is explained.
    #[arg(long, env = "SWITCHYARD_TENANT", default_value = "default")]
    tenant: String,
    /// Print one JSON object per decision: `build`, `attempt`, `tenant`, `image`, `revision`, `executor`, `rule`, `refused`, `executors`.
    #[arg(long)]
    json: bool,
}

/// One decision, explained.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Explained {
    build: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    tenant: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    pub(super) executor: Option<String>,
    rule: Option<String>,
    pub(super) refused: Option<String>,
    executors: Vec<Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// One executor in a decision.
#[derive(Clone, Debug, Serialize)]
struct Line {
    name: String,
    /// `none` where builds run as processes of the executor's own machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    isolation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weightage: Option<String>,
    eligible: bool,
    against: Option<String>,
    score: Option<f64>,
    wins: bool,
}

pub(crate) fn explain(told: &Told<Args>) -> ExitCode {
    let args = &told.args;
    run(&told.nats, async |session: &Session<'_>| {
        let given = args.config.as_deref().map(|path| config::checked(&config::read_fleet(path)?)).transpose()?;
        let explained = if args.what == "-" || Path::new(&args.what).is_file() {
            let fleet = match given {
                Some(fleet) => fleet,
                None => config::holds(session.bus().await?).await?,
            };
            of_file(args, &Rules::new(fleet))?
        } else {
            of_build(session.bus().await?, &args.what, given).await?
        };
        let text = |explained: &Explained| {
            if args.json { Ok(format!("{}\n", serde_json::to_string(explained)?)) } else { Ok(explained.text(Paint::stdout())) }
        };
        let texts = explained.iter().map(text).collect::<anyhow::Result<Vec<_>>>()?;
        term::say(&texts.join(if args.json { "" } else { "\n" }))
    })
}

/// What a file asks for. A plain build gets its id when it is published: here it has its name, so the draw is an example.
fn of_file(args: &Args, rules: &Rules) -> anyhow::Result<Vec<Explained>> {
    let mut bytes = Vec::new();
    let (place, name) = match args.what.as_str() {
        "-" => {
            std::io::stdin().read_to_end(&mut bytes).context("stdin")?;
            ("stdin", "stdin".to_owned())
        }
        file => {
            bytes = std::fs::read(file).with_context(|| file.to_owned())?;
            (file, Path::new(file).file_stem().map_or_else(|| file.to_owned(), |stem| stem.to_string_lossy().into_owned()))
        }
    };
    let now = Timestamp::now();
    let plain = Plain { event_type: None, name: name.clone(), tenant: args.tenant.clone(), now };
    let inputs = input::read(place, &bytes, &plain, || name.clone())?;
    let mut explained = Vec::new();
    for input in inputs {
        let delivery = input::delivered(&input.event, &args.tenant, now);
        match asked(&delivery)? {
            Some(asked) => explained.push(Explained::of(&asked, rules)),
            None => bail!("{}: asks for no build", input.place),
        }
    }
    Ok(explained)
}

/// What was decided of a past build, every attempt.
async fn of_build(bus: &Bus, id: &str, given: Option<Fleet>) -> anyhow::Result<Vec<Explained>> {
    let build = match id.parse::<BuildKey>() {
        Ok(build) => build,
        Err(_) => find::existing(bus, id).await?.0,
    };
    let fleets = bus.fleets().await?;
    let mut found = Vec::new();
    let routed = format!("yard.{}.*.{build}.*", BuildRouted::TYPE);
    bus.recorded("YARD", &routed, None, |delivery| found.push((delivery.sequence, delivery))).await?;
    let refused = format!("yard.{}.{build}.*", BuildRefused::TYPE);
    bus.recorded("YARD", &refused, None, |delivery| found.push((delivery.sequence, delivery))).await?;
    found.sort_by_key(|(sequence, _)| *sequence);
    let mut explained = Vec::new();
    for (_, delivery) in &found {
        let event = delivery.cdevent()?;
        if delivery.subject.contains(".refused.") {
            explained.push(Explained::refused(custom_data(&event)?));
            continue;
        }
        let routed: BuildRouted = custom_data(&event)?;
        let kept = || config::find(&fleets, &routed.why.revision).ok().and_then(|applied| Fleet::parse(&applied.text).ok());
        let same = given.clone().filter(|fleet| fleet.revision() == routed.why.revision);
        explained.push(Explained::decided(&routed, same.or_else(kept).map(Rules::new).as_ref()));
    }
    if explained.is_empty() {
        bail!("stream YARD has no decision about build {build}: it has expired, or the build has not been routed yet");
    }
    Ok(explained)
}

impl Explained {
    /// What would be decided now.
    pub(super) fn of(asked: &Asked, rules: &Rules) -> Self {
        let mut explained = Self {
            build: asked.build.to_string(),
            attempt: None,
            tenant: asked.tenant.clone(),
            image: None,
            revision: Some(rules.fleet().revision().to_owned()),
            executor: None,
            rule: None,
            refused: None,
            executors: Vec::new(),
            note: None,
        };
        let spec = match &asked.spec {
            Ok(spec) => spec,
            Err(why) => {
                explained.refused = Some(why.to_string());
                return explained;
            }
        };
        explained.image = Some(spec.image.clone());
        let candidate = Candidate { build: &asked.build, spec, tenant: &asked.tenant, request: &asked.request };
        match route(&candidate, rules, &Health::default()) {
            Ok(route) => {
                explained.executor = Some(route.executor.name.clone());
                explained.rule = Some(route.rule.to_string());
            }
            Err(refusal) => explained.refused = Some(refusal.to_string()),
        }
        explained.executors = lines(&candidate, rules, explained.executor.as_deref());
        explained
    }

    /// What was decided then: what the event says, and what every executor drew where the fleet of that time is known.
    fn decided(routed: &BuildRouted, rules: Option<&Rules>) -> Self {
        let candidate = Candidate { build: &routed.build, spec: &routed.spec, tenant: &routed.tenant, request: &routed.request };
        let told = || {
            let eligible = routed.why.eligible.iter().map(|name| (name.clone(), None));
            let excluded = routed.why.excluded.iter().map(|(name, why)| (name.clone(), Some(why.clone())));
            let line = |(name, against): (String, Option<String>)| {
                let wins = name == routed.executor;
                Line { name, isolation: None, weightage: None, eligible: against.is_none(), against, score: None, wins }
            };
            eligible.chain(excluded).map(line).collect()
        };
        let again = rules.map(|rules| {
            route(&candidate, rules, &Health::then(&routed.why)).map(|route| (route.executor.name.clone(), route.rule))
        });
        let note = match again {
            None => Some("the fleet of this revision is not kept: give it with --config to see what was drawn".to_owned()),
            Some(Ok((executor, rule))) if executor == routed.executor && rule.to_string() == routed.why.rule => None,
            Some(_) => Some("this release decides otherwise by the same fleet".to_owned()),
        };
        Self {
            build: routed.build.to_string(),
            attempt: Some(routed.attempt),
            tenant: routed.tenant.clone(),
            image: Some(routed.spec.image.clone()),
            revision: Some(routed.why.revision.clone()),
            executor: Some(routed.executor.clone()),
            rule: Some(routed.why.rule.clone()),
            refused: None,
            executors: rules.map_or_else(told, |rules| then(lines(&candidate, rules, Some(&routed.executor)), routed)),
            note,
        }
    }

    fn refused(refused: BuildRefused) -> Self {
        Self {
            build: refused.build.to_string(),
            attempt: Some(refused.attempt),
            tenant: refused.tenant,
            image: None,
            revision: None,
            executor: None,
            rule: None,
            refused: Some(refused.reason),
            executors: Vec::new(),
            note: None,
        }
    }

    fn text(&self, paint: Paint) -> String {
        let attempt = self.attempt.map(|attempt| format!(", attempt {attempt}")).unwrap_or_default();
        let mut facts = vec![("build", format!("{}{attempt} of tenant {}", self.build, self.tenant))];
        facts.extend(self.image.iter().map(|image| ("image", image.clone())));
        facts.extend(self.revision.iter().map(|revision| ("revision", revision.clone())));
        match (&self.executor, &self.refused) {
            (Some(executor), _) => {
                facts.push(("goes to", format!("{executor}, by {}", self.rule.as_deref().unwrap_or_default())));
            }
            (None, refused) => facts.push(("refused", refused.clone().unwrap_or_default())),
        }
        facts.extend(self.note.iter().map(|note| ("note", note.clone())));
        let fact = |(name, value): (&str, String)| vec![Cell::coloured(name, Colour::Dim), Cell::new(value)];
        let mut text = columns(&facts.into_iter().map(fact).collect::<Vec<_>>(), paint);
        if !self.executors.is_empty() {
            text.push('\n');
            text.push_str(&columns(&table(&self.executors), paint));
        }
        text
    }
}

/// What the event says against an executor counts: it also knows who was unwell.
fn then(mut lines: Vec<Line>, routed: &BuildRouted) -> Vec<Line> {
    for line in &mut lines {
        if let Some((_, why)) = routed.why.excluded.iter().find(|(name, _)| *name == line.name) {
            (line.eligible, line.against, line.score) = (false, Some(why.clone()), None);
        }
    }
    lines
}

fn lines(candidate: &Candidate<'_>, rules: &Rules, winner: Option<&str>) -> Vec<Line> {
    let line = |standing: switchyard_router::Standing<'_>| {
        let name = standing.executor.name.clone();
        let aside = match (standing.score, standing.executor.opt_in) {
            (None, true) => Some("only for builds that name it"),
            (None, false) if standing.executor.weightage.is_zero() => Some("weightage 0: takes no part in the draw"),
            _ => None,
        };
        Line {
            isolation: (standing.executor.plugin == Plugin::Process).then_some("none"),
            weightage: Some(standing.executor.weightage.to_string()),
            eligible: standing.against.is_none(),
            against: standing.against.or_else(|| aside.map(str::to_owned)),
            score: standing.score,
            wins: Some(name.as_str()) == winner,
            name,
        }
    };
    standings(candidate, rules).into_iter().map(line).collect()
}

fn table(lines: &[Line]) -> Vec<Vec<Cell>> {
    let head = ["EXECUTOR", "WEIGHT", "ELIGIBLE", "DRAWS", ""].map(|name| Cell::coloured(name, Colour::Dim)).to_vec();
    let row = |line: &Line| {
        let (eligible, colour) = if line.eligible { ("yes", Colour::Green) } else { ("no", Colour::Red) };
        vec![
            Cell::new(if line.isolation.is_some() { format!("{} (no isolation)", line.name) } else { line.name.clone() }),
            Cell::new(line.weightage.as_deref().unwrap_or("?")),
            Cell::coloured(eligible, colour),
            Cell::new(line.score.map(|score| format!("{score:.6}")).unwrap_or_default()),
            match (&line.against, line.wins) {
                (_, true) => Cell::coloured("wins", Colour::Green),
                (against, false) => Cell::new(against.as_deref().unwrap_or_default()),
            },
        ]
    };
    std::iter::once(head).chain(lines.iter().map(row)).collect()
}
