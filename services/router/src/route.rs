//! The decision: which executor has a build. Pure, and the same for the same build and fleet.

use std::fmt;

use sha2::{Digest, Sha256};
use switchyard_events::{BuildKey, BuildSpec, Request, Why};
use switchyard_fleet::{Exclusion, Executor, Fleet, Stickiness, Wanted};

/// A build that wants an executor.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its key.
    pub build: &'a BuildKey,
    /// What is to be run.
    pub spec: &'a BuildSpec,
    /// Whose it is.
    pub tenant: &'a str,
    /// The request that asked for it.
    pub request: &'a Request,
}

/// Where a build goes, and why.
#[derive(Clone, Debug)]
pub struct Route<'a> {
    /// The executor.
    pub executor: &'a Executor,
    /// The rule that decided.
    pub rule: Rule,
    /// Who could have had it.
    pub eligible: Vec<&'a str>,
    /// Who could not, and what spoke against each.
    pub excluded: Vec<(&'a str, String)>,
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
/// The same build and fleet always give the same answer. The order of the executors in the file does not matter.
///
/// # Errors
/// When nobody may have it.
pub fn route<'a>(candidate: &Candidate<'_>, fleet: &'a Fleet) -> Result<Route<'a>, Refusal> {
    let &Candidate { spec, tenant, .. } = candidate;
    check_tenant(spec, tenant, fleet)?;
    let mut eligible = Vec::with_capacity(fleet.executors().len());
    let mut excluded = Vec::new();
    for executor in fleet.executors() {
        match against(executor, candidate, fleet) {
            None => eligible.push(executor),
            Some(why) => excluded.push((executor.name.as_str(), why)),
        }
    }
    let (executor, rule) = choose(candidate, fleet, &eligible, &excluded)?;
    Ok(Route { executor, rule, eligible: eligible.into_iter().map(|e| e.name.as_str()).collect(), excluded })
}

/// Image, secrets and annotations must be among those that the tenant may have. What speaks against an executor is told with it.
fn check_tenant(spec: &BuildSpec, tenant: &str, fleet: &Fleet) -> Result<(), Refusal> {
    let refused = |what: String, key| Err(Refusal::Tenant { what, tenant: tenant.to_owned(), key });
    let policy = fleet.tenant(tenant);
    let images = policy.and_then(|policy| policy.images.as_ref());
    if images.is_some_and(|images| !images.iter().any(|glob| glob.matches(&spec.image))) {
        return refused(format!("image {}", spec.image), "images");
    }
    let may_use = |name: &str| policy.is_some_and(|policy| policy.secrets.iter().any(|glob| glob.matches(name)));
    if let Some(secret) = spec.secrets.iter().find(|secret| !may_use(&secret.name)) {
        return refused(format!("secret {}", secret.name), "secrets");
    }
    match spec.foreign_annotations().find(|(key, _)| !fleet.allows_annotation(tenant, key)) {
        Some((key, _)) => refused(format!("annotation {key}"), "annotations"),
        None => Ok(()),
    }
}

fn choose<'a>(
    candidate: &Candidate<'_>,
    fleet: &'a Fleet,
    eligible: &[&'a Executor],
    excluded: &[(&str, String)],
) -> Result<(&'a Executor, Rule), Refusal> {
    if let Some(asked) = candidate.spec.screwdriver("executor") {
        return annotated(asked, fleet, excluded).map(|executor| (executor, Rule::Annotation));
    }
    if let Some(executor) = draw(candidate, fleet.stickiness(), eligible) {
        return Ok((executor, Rule::Weight));
    }
    let default = fleet.default_executor();
    if eligible.iter().any(|executor| executor.name == default.name) {
        return Ok((default, Rule::Default));
    }
    let why = excluded.iter().map(|(name, why)| format!("{name}: {why}"));
    let weightless = eligible.iter().map(|executor| {
        let why = if executor.opt_in { "only for builds that name it" } else { "weightage 0, and not the default" };
        format!("{}: {why}", executor.name)
    });
    Err(Refusal::NoneEligible(why.chain(weightless).collect::<Vec<_>>().join("; ")))
}

fn annotated<'a>(asked: &str, fleet: &'a Fleet, excluded: &[(&str, String)]) -> Result<&'a Executor, Refusal> {
    let Some(executor) = fleet.executor(asked) else {
        let known = fleet.executors().iter().map(|executor| executor.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Refusal::UnknownExecutor { asked: asked.to_owned(), known });
    };
    match excluded.iter().find(|(name, _)| *name == asked) {
        None => Ok(executor),
        Some((_, why)) => Err(Refusal::AskedIsExcluded { executor: asked.to_owned(), why: why.clone() }),
    }
}

/// What speaks against an executor for this build.
fn against(executor: &Executor, candidate: &Candidate<'_>, fleet: &Fleet) -> Option<String> {
    let &Candidate { spec, tenant, request, .. } = candidate;
    let allowed = fleet.tenant(tenant).and_then(|policy| policy.executors.as_ref());
    if allowed.is_some_and(|allowed| !allowed.contains(&executor.name)) {
        return Some(format!("not among tenants.{tenant}.executors"));
    }
    let BuildSpec { image, labels, pipeline, job, .. } = spec;
    let (source, event_type) = (request.source.as_str(), request.r#type.as_str());
    let wanted = Wanted { image, labels, source, event_type, pipeline: pipeline.as_deref(), job: job.as_deref() };
    executor.excludes(&wanted).map(|exclusion| match exclusion {
        Exclusion::Image(_) => format!("image {image} matches exclusion {exclusion}"),
        Exclusion::Parts(_) => format!("matches exclusion {exclusion}"),
    })
}

/// What draws: the build, or what its builds have in common, where the request names it.
fn drawer(candidate: &Candidate<'_>, stickiness: Stickiness) -> String {
    let BuildSpec { pipeline, job, .. } = candidate.spec;
    match (stickiness, pipeline, job) {
        (Stickiness::Pipeline, Some(pipeline), _) => format!("pipeline/{}/{pipeline}", candidate.tenant),
        (Stickiness::Job, Some(pipeline), Some(job)) => format!("job/{}/{pipeline}/{job}", candidate.tenant),
        (Stickiness::Build | Stickiness::Job | Stickiness::Pipeline, ..) => candidate.build.to_string(),
    }
}

/// Weighted rendezvous hashing: each executor draws -ln(u)/weight, u from the hash of build and executor; the least wins.
/// A changed weight moves only the builds that must move (Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005).
fn draw<'a>(candidate: &Candidate<'_>, stickiness: Stickiness, eligible: &[&'a Executor]) -> Option<&'a Executor> {
    let drawer = drawer(candidate, stickiness);
    eligible
        .iter()
        .filter(|executor| !executor.weightage.is_zero() && !executor.opt_in)
        .map(|executor| (-unit(&drawer, &executor.name).ln() / executor.weightage.value(), executor))
        .min_by(|(a, x), (b, y)| a.total_cmp(b).then_with(|| x.name.cmp(&y.name)))
        .map(|(_, executor)| *executor)
}

/// A number in (0, 1) out of the hash of a build and an executor: 53 bits, the middle of its interval.
#[expect(clippy::cast_precision_loss, reason = "53 bits are exactly what an f64 holds")]
fn unit(drawer: &str, executor: &str) -> f64 {
    let hash = Sha256::new().chain_update(drawer).chain_update(executor).finalize();
    let bits = hash.iter().take(8).fold(0u64, |bits, &byte| bits << 8 | u64::from(byte)) >> 11;
    (bits as f64 + 0.5) / (1u64 << 53) as f64
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Annotation => "annotation",
            Self::Weight => "weight",
            Self::Default => "default",
        })
    }
}

impl Route<'_> {
    /// The choice, as the routed event keeps it.
    #[must_use]
    pub fn why(&self, fleet: &Fleet) -> Why {
        Why {
            rule: self.rule.to_string(),
            revision: fleet.revision().to_owned(),
            eligible: self.eligible.iter().map(|&name| name.to_owned()).collect(),
            excluded: self.excluded.iter().map(|(name, why)| ((*name).to_owned(), why.clone())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(executors: &str) -> Fleet {
        let yaml = format!(
            "version: 1\nexecutor:\n  plugin: k8s\n{executors}\ntenants:\n  default: {{annotations: ['dev.switchyard/*']}}\n"
        );
        Fleet::parse(&yaml).unwrap()
    }

    fn spec(json: &str) -> BuildSpec {
        BuildSpec::parse(json).unwrap()
    }

    fn key(n: u32) -> BuildKey {
        BuildKey::of("/ci", &n.to_string(), "e")
    }

    fn request() -> Request {
        serde_json::from_value(serde_json::json!({
            "id": "1", "source": "/ci", "type": "dev.cdevents.build.queued.0.3.0", "subject": "7", "stream": "CI", "sequence": 1,
            "chainId": "c", "content": "null", "trace": "t",
        }))
        .unwrap()
    }

    fn route<'a>(build: &BuildKey, spec: &BuildSpec, tenant: &str, fleet: &'a Fleet) -> Result<Route<'a>, Refusal> {
        super::route(&Candidate { build, spec, tenant, request: &request() }, fleet)
    }

    fn shares(fleet: &Fleet, name: &str) -> f64 {
        let build = spec(r#"{"image": "node:20"}"#);
        let hits = (0..10_000).filter(|&n| route(&key(n), &build, "default", fleet).unwrap().executor.name == name).count();
        f64::from(u32::try_from(hits).unwrap()) / 10_000.0
    }

    const SEED: &str = "  k8s: {exclusion: ['rhel6'], weightage: 0}";

    #[test]
    fn the_seeds_block_sends_everything_to_its_default() {
        let fleet = fleet(SEED);
        let route = route(&key(1), &spec(r#"{"image": "node:20"}"#), "default", &fleet).unwrap();
        assert_eq!((route.executor.name.as_str(), route.rule), ("k8s", Rule::Default));
    }

    #[test]
    fn an_excluded_image_is_refused_and_the_reason_names_the_pattern() {
        let fleet = fleet(SEED);
        let refusal = route(&key(1), &spec(r#"{"image": "reg.example/sd/arya-RHEL6:latest"}"#), "default", &fleet).unwrap_err();
        assert!(
            refusal.to_string().contains("k8s: image reg.example/sd/arya-RHEL6:latest matches exclusion \"rhel6\""),
            "{refusal}"
        );
    }

    #[test]
    fn fractional_weights_are_exact() {
        let fleet = fleet("  k8s: {weightage: 0.5}\n  k8s-vm: {weightage: 0.5}");
        assert!((shares(&fleet, "k8s") - 0.5).abs() < 0.02);
    }

    #[test]
    fn a_zero_weight_executor_is_never_chosen_by_weight() {
        let fleet = fleet("  k8s: {weightage: 0}\n  k8s-vm: {weightage: 2.9}");
        assert_eq!(shares(&fleet, "k8s").to_bits(), 0f64.to_bits());
    }

    #[test]
    fn raising_one_weight_moves_builds_only_towards_it() {
        let build = spec(r#"{"image": "a"}"#);
        let before = fleet("  k8s: {weightage: 20}\n  k8s-vm: {weightage: 80}\n  k8s-big: {weightage: 50}");
        let after = fleet("  k8s: {weightage: 40}\n  k8s-vm: {weightage: 80}\n  k8s-big: {weightage: 50}");
        for n in 0..10_000 {
            let (old, new) =
                (route(&key(n), &build, "default", &before).unwrap(), route(&key(n), &build, "default", &after).unwrap());
            assert!(old.executor.name == new.executor.name || new.executor.name == "k8s");
        }
    }

    #[test]
    fn the_order_of_the_executors_does_not_matter() {
        let one = fleet("  k8s: {weightage: 20}\n  k8s-vm: {weightage: 80}");
        let two = fleet("  k8s-vm: {weightage: 80}\n  k8s: {weightage: 20}");
        let build = spec(r#"{"image": "a"}"#);
        for n in 0..1000 {
            assert_eq!(
                route(&key(n), &build, "default", &one).unwrap().executor.name,
                route(&key(n), &build, "default", &two).unwrap().executor.name
            );
        }
    }

    #[test]
    fn an_annotation_wins_must_exist_and_must_be_eligible() {
        let fleet = fleet("  k8s: {weightage: 1, exclusions: ['rhel6']}\n  k8s-vm: {weightage: 0}");
        let asks = |image: &str, executor: &str| {
            let json = format!(r#"{{"image": "{image}", "annotations": {{"screwdriver.cd/executor": "{executor}"}}}}"#);
            route(&key(1), &spec(&json), "default", &fleet).map(|route| (route.executor.name.clone(), route.rule))
        };
        assert_eq!(asks("node", "k8s-vm"), Ok(("k8s-vm".into(), Rule::Annotation)));
        assert!(asks("node", "stop").unwrap_err().to_string().ends_with("there is no executor \"stop\"; there are k8s, k8s-vm"));
        assert!(matches!(asks("rhel6", "k8s"), Err(Refusal::AskedIsExcluded { .. })));
    }

    #[test]
    fn an_annotation_that_the_tenant_may_not_set_is_refused_by_name() {
        let refused = |tenant: &str, key: &str| {
            let spec = spec(&format!(r#"{{"image": "a", "annotations": {{"{key}": "x"}}}}"#));
            route(&self::key(1), &spec, tenant, &fleet(SEED)).map(|route| route.rule)
        };
        assert_eq!(refused("default", "dev.switchyard/run-for"), Ok(Rule::Default));
        assert!(matches!(refused("acme", "dev.switchyard/run-for"), Err(Refusal::Tenant { key: "annotations", .. })));
        assert!(refused("default", "io.katacontainers.x").unwrap_err().to_string().contains("tenants.default.annotations"));
    }
    const TENANT: &str = "version: 1\nexecutor: {plugin: k8s, k8s: {weightage: 1}, k8s-vm: {weightage: 9}}\n\
        tenants: {acme: {executors: [k8s], images: ['reg.acme/*'], secrets: [npm]}, poor: {executors: []}}\n";

    fn of_tenant(tenant: &str, json: &str) -> Result<String, String> {
        let fleet = Fleet::parse(TENANT).unwrap();
        let routed = route(&key(1), &spec(json), tenant, &fleet).map(|route| route.executor.name.clone());
        routed.map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn what_a_tenant_may_not_have_is_refused_with_the_rule() {
        assert_eq!(of_tenant("acme", r#"{"image": "reg.acme/a", "secrets": [{"name": "npm", "path": "/s"}]}"#), Ok("k8s".into()));
        for (json, rule) in [
            (
                r#"{"image": "node"}"#,
                "image node is not allowed to tenant acme; the fleet file lists what is, under tenants.acme.images",
            ),
            (
                r#"{"image": "reg.acme/a", "secrets": [{"name": "root", "path": "/s"}]}"#,
                "secret root is not allowed to tenant acme",
            ),
            (r#"{"image": "reg.acme/a", "annotations": {"a/b": "c"}}"#, "under tenants.acme.annotations"),
            (
                r#"{"image": "reg.acme/a", "annotations": {"screwdriver.cd/executor": "k8s-vm"}}"#,
                "k8s-vm does not take this build: not among tenants.acme.executors",
            ),
        ] {
            let refusal = of_tenant("acme", json).unwrap_err();
            assert!(refusal.contains(rule), "{refusal}");
        }
        let refusal = of_tenant("poor", r#"{"image": "a"}"#).unwrap_err();
        assert!(refusal.contains("k8s: not among tenants.poor.executors; k8s-vm: not among"), "{refusal}");
        let secret = r#"{"image": "a", "secrets": [{"name": "npm", "path": "/s"}]}"#;
        assert!(of_tenant("unlisted", secret).unwrap_err().contains("under tenants.unlisted.secrets"));
    }

    #[test]
    fn an_opt_in_executor_takes_only_builds_that_name_it() {
        let yaml = "version: 1\nexecutor: {plugin: k8s, k8s: {exclusion: [rhel6]}, k8s-gpu: {weightage: 100}}\nexecutors: {k8s-gpu: {optIn: true}}\n";
        let fleet = Fleet::parse(yaml).unwrap();
        let to = |json: &str| route(&key(1), &spec(json), "default", &fleet).map(|route| route.executor.name.clone());
        assert_eq!(to(r#"{"image": "a"}"#), Ok("k8s".into()));
        assert_eq!(to(r#"{"image": "a", "annotations": {"screwdriver.cd/executor": "k8s-gpu"}}"#), Ok("k8s-gpu".into()));
        assert!(to(r#"{"image": "rhel6"}"#).unwrap_err().to_string().contains("k8s-gpu: only for builds that name it"));
    }

    #[test]
    fn a_sticky_job_or_pipeline_always_draws_the_same() {
        for (stickiness, one, other) in [
            ("job", r#""pipeline": "p", "job": "j""#, r#""pipeline": "p", "job": "i""#),
            ("pipeline", r#""pipeline": "p""#, r#""pipeline": "q""#),
        ] {
            let yaml = format!(
                "version: 1\nstickiness: {stickiness}\nexecutor: {{plugin: k8s, k8s: {{weightage: 1}}, k8s-vm: {{weightage: 1}}}}\n"
            );
            let fleet = Fleet::parse(&yaml).unwrap();
            let drawn = |rest: &str| {
                let spec = spec(&format!(r#"{{"image": "a", {rest}}}"#));
                let names = (0..50).map(|n| route(&key(n), &spec, "t", &fleet).unwrap().executor.name.clone());
                names.collect::<std::collections::BTreeSet<_>>().len()
            };
            assert_eq!((drawn(one), drawn(other)), (1, 1), "{stickiness}");
            assert_eq!(drawn(r#""job": "j""#), 2, "without a pipeline each build draws for itself");
        }
    }
}
