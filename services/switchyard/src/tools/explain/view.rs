//! One decision as people and programs read it.

use serde::Serialize;
use switchyard_events::{BuildRefused, BuildRouted};
use switchyard_fleet::Plugin;
use switchyard_router::{Asked, Candidate, Health, Rules, route, standings};

use crate::tools::term::{Cell, Colour, Paint, columns};

/// One decision, explained.
#[derive(Clone, Debug, Serialize)]
pub(in crate::tools) struct Explained {
    build: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    tenant: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    pub(in crate::tools) executor: Option<String>,
    rule: Option<String>,
    pub(in crate::tools) refused: Option<String>,
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

impl Explained {
    /// What would be decided now.
    pub(in crate::tools) fn of(asked: &Asked<'_>, rules: &Rules) -> Self {
        let mut explained = Self {
            build: asked.build.to_string(),
            attempt: None,
            tenant: asked.tenant.to_string(),
            image: None,
            revision: Some(rules.fleet().revision().to_owned()),
            executor: None,
            rule: None,
            refused: None,
            executors: Vec::new(),
            note: None,
        };
        let spec = match &asked.described {
            Ok(described) => &described.spec,
            Err(why) => {
                explained.refused = Some(why.to_string());
                return explained;
            }
        };
        explained.image = Some(spec.image.to_string());
        let candidate = asked.candidate(spec);
        let drained = Health::default().and_drained(rules.fleet());
        match route(&candidate, rules, &drained) {
            Ok(route) => {
                explained.executor = Some(route.executor.name.clone());
                explained.rule = Some(route.rule.to_string());
            }
            Err(refusal) => explained.refused = Some(refusal.to_string()),
        }
        let lines = lines(&candidate, rules, explained.executor.as_deref());
        explained.executors = passed_over(lines, |name| drained.against(name));
        explained
    }

    /// What was decided then: what the event says, and what every executor drew where the fleet of that time is known.
    pub(super) fn decided(routed: &BuildRouted, rules: Option<&Rules>) -> Self {
        let (source, event_type) = (&*routed.request.source, &*routed.request.r#type);
        let spec = routed.spec.view();
        let candidate = Candidate { build: &routed.build, spec: &spec, tenant: &routed.tenant, source, event_type };
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
            executors: rules.map_or_else(told, |rules| {
                let then = |name: &str| routed.why.excluded.iter().find(|(other, _)| other == name).map(|(_, why)| why.clone());
                passed_over(lines(&candidate, rules, Some(&routed.executor)), then)
            }),
            note,
        }
    }

    pub(super) fn refused(refused: BuildRefused) -> Self {
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

    pub(super) fn text(&self, paint: Paint) -> String {
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

/// Beside the rules, how the executors are speaks against some; against the one that has the build all the same it did not count.
fn passed_over(mut lines: Vec<Line>, against: impl Fn(&str) -> Option<String>) -> Vec<Line> {
    for line in lines.iter_mut().filter(|line| !line.wins) {
        if let Some(why) = against(&line.name) {
            (line.eligible, line.against, line.score) = (false, Some(why), None);
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
