//! The decision: which executor has a build. Pure, and the same for the same build and fleet.
//!
//! It allocates nothing: what is told of it, the reasons and the scores, is computed where it is wanted.

use std::{borrow::Cow, fmt};

use switchyard_events::{BuildView, WhyOf};
use switchyard_fleet::{Exclusion, Executor, Fleet};

use crate::{
    candidate::Candidate,
    draw::Draw,
    health::Health,
    rules::{Against, Rules, View},
};

/// Where a build goes, and by which rule.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// The executor.
    pub executor: &'a Executor,
    /// The rule that decided.
    pub rule: Rule,
}

/// The rule that chose an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The build's own annotation.
    Annotation,
    /// The weighted draw.
    Weight,
    /// Nothing else applied.
    Default,
}

/// What one executor is to a build.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing<'a> {
    /// The executor.
    pub executor: &'a Executor,
    /// What speaks against it, if anything does.
    pub against: Option<String>,
    /// What it draws, where it takes part; the least wins.
    pub score: Option<f64>,
}

/// Nobody may have the build.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The annotation names an executor that there is not.
    #[error("annotation screwdriver.cd/executor: there is no executor {asked:?}; there are {known}")]
    UnknownExecutor {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: String,
    },
    /// The annotation names an executor that does not take this build.
    #[error("annotation screwdriver.cd/executor: {executor} does not take this build: {why}")]
    AskedIsExcluded {
        /// What was asked for.
        executor: String,
        /// Why not.
        why: String,
    },
    /// No executor takes this build.
    #[error("no executor takes this build: {0}")]
    NoneEligible(String),
    /// The build asks for what its tenant may not have.
    #[error("{what} is not allowed to tenant {tenant}; the fleet file lists what is, under tenants.{tenant}.{key}")]
    Tenant {
        /// What it asks for.
        what: String,
        /// Whose build it is.
        tenant: String,
        /// The rule: the tenant's key in the fleet file.
        key: &'static str,
    },
}

/// Chooses the executor of a build, or says why none may have it.
///
/// The same build, fleet and health always give the same answer. The order of the executors in the file does not matter.
///
/// # Errors
/// When nobody may have it. That an executor is unwell is no reason.
pub fn route<'a>(candidate: &Candidate<'_>, rules: &'a Rules, health: &Health) -> Result<Route<'a>, Refusal> {
    check_tenant(candidate.spec, candidate.tenant, rules.fleet())?;
    let view = rules.view(candidate);
    if let Some(asked) = candidate.spec.asked_executor() {
        let line = annotated(asked, candidate, rules, &view)?;
        return Ok(Route { executor: rules.executor(line), rule: Rule::Annotation });
    }
    let well = choose(candidate, rules, &view, health);
    let any = || if health.is_well() { None } else { choose(candidate, rules, &view, &Health::default()) };
    well.or_else(any).ok_or_else(|| none_eligible(candidate, rules))
}

/// By weight, else the default.
fn choose<'a>(candidate: &Candidate<'_>, rules: &'a Rules, view: &View<'_>, health: &Health) -> Option<Route<'a>> {
    let to = |line, rule| Route { executor: rules.executor(line), rule };
    if let Some(line) = draw(candidate, rules, view, health) {
        return Some(to(line, Rule::Weight));
    }
    let default = to(rules.default_line(), Rule::Default);
    (view.against(rules.default_line()).is_none() && health.allows(&default.executor.name)).then_some(default)
}

/// What every executor is to a build, in the order of their names.
#[must_use]
pub fn standings<'a>(candidate: &Candidate<'_>, rules: &'a Rules) -> Vec<Standing<'a>> {
    let (view, drawer) = (rules.view(candidate), rules.drawer(candidate));
    let standing = |(n, line): (usize, &crate::rules::Line)| {
        let against = view.against(n).map(|against| words(&against, candidate));
        let score = line.ticket.filter(|_| against.is_none()).map(|ticket| ticket.draws(drawer));
        Standing { executor: rules.executor(n), against, score }
    };
    rules.lines().map(standing).collect()
}

/// The choice, as the routed event keeps it.
#[must_use]
pub fn why<'a>(route: &Route<'_>, candidate: &Candidate<'_>, rules: &'a Rules, health: &Health) -> WhyOf<Cow<'a, str>> {
    let view = rules.view(candidate);
    // Where the choice fell on one that is unwell, health did not count.
    let health = Some(health).filter(|health| health.allows(&route.executor.name));
    let mut why = WhyOf {
        rule: route.rule.name().into(),
        revision: rules.fleet().revision().into(),
        eligible: Vec::with_capacity(rules.fleet().executors().len()),
        excluded: Vec::new(),
    };
    for (n, _) in rules.lines() {
        let name = rules.executor(n).name.as_str();
        let against = view.against(n).map(|against| words(&against, candidate));
        match against.or_else(|| health?.against(name)) {
            None => why.eligible.push(name.into()),
            Some(against) => why.excluded.push((name.into(), against.into())),
        }
    }
    why
}

/// Image, secrets and annotations must be among those that the tenant may have. What speaks against an executor is told with it.
fn check_tenant(spec: &BuildView<'_>, tenant: &str, fleet: &Fleet) -> Result<(), Refusal> {
    let refused = |what: String, key| Err(Refusal::Tenant { what, tenant: tenant.to_owned(), key });
    let policy = fleet.tenant(tenant);
    let images = policy.and_then(|policy| policy.images.as_ref());
    if images.is_some_and(|images| !images.iter().any(|glob| glob.matches(&spec.image))) {
        return refused(format!("image {}", spec.image), "images");
    }
    let may_use = |name: &str| policy.is_some_and(|policy| policy.secrets.iter().any(|glob| glob.matches(name)));
    if let Some(secret) = spec.secrets.iter().find(|secret| !may_use(secret)) {
        return refused(format!("secret {secret}"), "secrets");
    }
    match spec.foreign_annotations().find(|(key, _)| !fleet.allows_annotation(tenant, key)) {
        Some((key, _)) => refused(format!("annotation {key}"), "annotations"),
        None => Ok(()),
    }
}

fn draw(candidate: &Candidate<'_>, rules: &Rules, view: &View<'_>, health: &Health) -> Option<usize> {
    let drawer = rules.drawer(candidate);
    let mut best: Option<(Draw, usize)> = None;
    for (n, line) in rules.lines() {
        let Some(ticket) = line.ticket else { continue };
        let Some(draw) = ticket.draws_below(drawer, best.as_ref().map(|(draw, _)| draw)) else { continue };
        if view.against(n).is_none() && health.allows(&rules.executor(n).name) {
            best = Some((draw, n));
        }
    }
    best.map(|(_, line)| line)
}

fn annotated(asked: &str, candidate: &Candidate<'_>, rules: &Rules, view: &View<'_>) -> Result<usize, Refusal> {
    let Some(line) = rules.line_of(asked) else {
        let known = rules.lines().map(|(n, _)| rules.executor(n).name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Refusal::UnknownExecutor { asked: asked.to_owned(), known });
    };
    match view.against(line) {
        None => Ok(line),
        Some(against) => Err(Refusal::AskedIsExcluded { executor: asked.to_owned(), why: words(&against, candidate) }),
    }
}

fn none_eligible(candidate: &Candidate<'_>, rules: &Rules) -> Refusal {
    let each = standings(candidate, rules).into_iter().map(|Standing { executor, against, .. }| {
        let standard = if executor.opt_in { "only for builds that name it" } else { "weightage 0, and not the default" };
        format!("{}: {}", executor.name, against.as_deref().unwrap_or(standard))
    });
    Refusal::NoneEligible(each.collect::<Vec<_>>().join("; "))
}

fn words(against: &Against<'_>, candidate: &Candidate<'_>) -> String {
    match against {
        Against::Tenant => format!("not among tenants.{}.executors", candidate.tenant),
        Against::Exclusion(exclusion @ Exclusion::Image(_)) => {
            format!("image {} matches exclusion {exclusion}", candidate.spec.image)
        }
        Against::Exclusion(exclusion @ Exclusion::Parts(_)) => format!("matches exclusion {exclusion}"),
    }
}

impl Rule {
    const fn name(self) -> &'static str {
        match self {
            Self::Annotation => "annotation",
            Self::Weight => "weight",
            Self::Default => "default",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
