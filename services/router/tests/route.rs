//! The rules of routing through the public API: what always holds, and what Screwdriver gets wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use proptest::prelude::*;
use switchyard_events::{BuildKey, BuildSpec, BuildView, Why};
use switchyard_fleet::Fleet;
use switchyard_router::{Candidate, Health, Refusal, Route, Rule, Rules, why};

/// So many builds as shares are counted over; their keys are always the same.
const BUILDS: u32 = 100_000;

fn rules(yaml: &str) -> Rules {
    Rules::new(Fleet::parse(yaml).unwrap())
}

/// The rules of a fleet with these executors, of which `k8s` is the default.
fn fleet(executors: &str) -> Rules {
    rules(&format!(
        "version: 1\nexecutor:\n  plugin: k8s\n{executors}\ntenants:\n  default: {{annotations: ['dev.switchyard/*']}}\n"
    ))
}

/// Executors of these weights: `k8s`, `k8s1`, `k8s2`, …
fn weighing(weights: &[&str]) -> String {
    weights.iter().enumerate().fold(String::new(), |mut text, (n, weight)| {
        let number = if n == 0 { String::new() } else { n.to_string() };
        writeln!(text, "  k8s{number}: {{weightage: {weight}}}").unwrap();
        text
    })
}

fn spec(json: &str) -> BuildView<'static> {
    BuildSpec::parse(json).unwrap().view().into_owned()
}

fn key(n: u32) -> BuildKey {
    BuildKey::of("/ci", &n.to_string(), "e")
}

fn candidate<'a>(build: &'a BuildKey, spec: &'a BuildView<'_>, tenant: &'a str) -> Candidate<'a> {
    Candidate { build, spec, tenant, source: "/ci", event_type: "dev.cdevents.build.queued.0.3.0" }
}

fn route<'a>(build: &BuildKey, spec: &BuildView<'_>, tenant: &str, rules: &'a Rules) -> Result<Route<'a>, Refusal> {
    switchyard_router::route(&candidate(build, spec, tenant), rules, &Health::default())
}

/// Where the first so many builds of `node:20` go.
fn drawn(rules: &Rules, builds: u32) -> Vec<&str> {
    let build = spec(r#"{"image": "node:20"}"#);
    let to = |n| {
        switchyard_router::route(&candidate(&key(n), &build, "default"), rules, &Health::default())
            .unwrap()
            .executor
            .name
            .as_str()
    };
    (0..builds).map(to).collect()
}

fn count(rules: &Rules, builds: u32) -> BTreeMap<&str, f64> {
    let mut counts = BTreeMap::new();
    for name in drawn(rules, builds) {
        *counts.entry(name).or_insert(0.0) += 1.0;
    }
    counts
}

fn share(rules: &Rules, name: &str) -> f64 {
    count(rules, 10_000).get(name).copied().unwrap_or_default() / 10_000.0
}

// What always holds.

/// The greatest chi-square of so many degrees of freedom that chance exceeds once in a thousand times.
const CHI_SQUARE: [f64; 9] = [10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32, 26.12, 27.88];

#[test]
fn shares_converge_to_the_weights() {
    for weights in [
        &["20", "80"][..],
        &["1", "1", "1"],
        &["0.5", "0.5"],
        &["1.5", "1.5"],
        &["20", "0", "10"],
        &["99.9", "0.1"],
        &["3", "1", "4", "1", "5", "9", "2", "6"],
        &["0.000000001", "0.000000003"],
        &["1", "2", "4", "8", "16", "32", "64", "128", "256", "512"],
    ] {
        let executors = weighing(weights);
        let rules = fleet(&executors);
        let counts = count(&rules, BUILDS);
        let weigh: Vec<f64> = weights.iter().map(|weight| weight.parse().unwrap()).collect();
        let total: f64 = weigh.iter().sum();
        let name = |n: usize| if n == 0 { "k8s".to_owned() } else { format!("k8s{n}") };
        let chi = weigh.iter().enumerate().filter(|(_, weight)| **weight > 0.0).map(|(n, weight)| {
            let expected = f64::from(BUILDS) * weight / total;
            (counts.get(name(n).as_str()).copied().unwrap_or_default() - expected).powi(2) / expected
        });
        let (chi, degrees): (Vec<_>, _) = (chi.collect(), weigh.iter().filter(|weight| **weight > 0.0).count() - 1);
        let sum: f64 = chi.iter().sum();
        assert!(sum < CHI_SQUARE[degrees - 1], "{weights:?}: chi-square {sum} at {degrees} degrees, {counts:?}");
    }
}

#[test]
fn raising_one_weight_moves_only_the_expected_share_and_only_towards_it() {
    for (before, after) in [
        (["20", "80", "50"], ["40", "80", "50"]),
        (["0.5", "0.5", "1"], ["0.75", "0.5", "1"]),
        (["0", "1", "1"], ["1", "1", "1"]),
    ] {
        let (old, new) = (fleet(&weighing(&before)), fleet(&weighing(&after)));
        let moved = drawn(&old, BUILDS).into_iter().zip(drawn(&new, BUILDS)).filter(|(old, new)| old != new);
        let mut count = 0.0;
        for (_, to) in moved {
            assert_eq!(to, "k8s", "a build moved elsewhere");
            count += 1.0;
        }
        let share = |weights: [&str; 3]| {
            weights[0].parse::<f64>().unwrap() / weights.iter().map(|w| w.parse::<f64>().unwrap()).sum::<f64>()
        };
        let expected = share(after) - share(before);
        assert!((count / f64::from(BUILDS) - expected).abs() < 0.01, "{count} moved, expected {expected}");
    }
}

/// An executor of the file: its weight in tenths, whether it excludes `rhel6`, whether it is opt-in.
type Described = (u32, bool, bool);

fn described(executors: &[Described], order: &[usize]) -> String {
    let name = |n: usize| if n == 0 { "k8s".to_owned() } else { format!("k8s{n}") };
    let mut yaml = "version: 1\nexecutor:\n  plugin: k8s\n".to_owned();
    for &n in order {
        let (weight, excludes, _) = executors[n];
        let exclusions = if excludes { "['rhel6', {tag: 'bad*'}]" } else { "[]" };
        writeln!(yaml, "  {}: {{weightage: {}.{}, exclusions: {exclusions}}}", name(n), weight / 10, weight % 10).unwrap();
    }
    yaml.push_str("executors:\n");
    for (n, (_, _, opt_in)) in executors.iter().enumerate() {
        writeln!(yaml, "  {}: {{optIn: {}}}", name(n), *opt_in && n > 0).unwrap();
    }
    yaml
}

fn described_executors() -> impl Strategy<Value = Vec<Described>> {
    prop::collection::vec((prop_oneof![Just(0u32), 1u32..500], any::<bool>(), any::<bool>()), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn zero_opt_in_and_excluded_are_never_chosen_by_any_rule(
        executors in described_executors(), image in prop_oneof![Just("node:20"), Just("reg/RHEL6:1"), Just("a:bad1")], from in any::<u32>(),
        asks in prop::option::of(0usize..8),
    ) {
        let order: Vec<_> = (0..executors.len()).collect();
        let rules = rules(&described(&executors, &order));
        let name = |n: usize| if n == 0 { "k8s".to_owned() } else { format!("k8s{n}") };
        let asked = asks.map(|n| format!(r#", "annotations": {{"screwdriver.cd/executor": "{}"}}"#, name(n))).unwrap_or_default();
        let spec = spec(&format!(r#"{{"image": "{image}"{asked}}}"#));
        let excluded = |n: usize| executors[n].1 && image != "node:20";
        for n in from..from.saturating_add(50) {
            match route(&key(n), &spec, "default", &rules) {
                Ok(Route { executor, rule }) => {
                    let at = (0..executors.len()).find(|n| name(*n) == executor.name).unwrap();
                    let (weight, _, opt_in) = executors[at];
                    prop_assert!(!excluded(at));
                    match rule {
                        Rule::Annotation => prop_assert_eq!(asks, Some(at)),
                        Rule::Weight => prop_assert!(weight > 0 && !(opt_in && at > 0) && asks.is_none()),
                        Rule::Default => prop_assert!(at == 0 && asks.is_none()),
                    }
                }
                Err(Refusal::UnknownExecutor { .. }) => prop_assert!(asks.unwrap() >= executors.len()),
                Err(Refusal::AskedIsExcluded { .. }) => prop_assert!(excluded(asks.unwrap())),
                Err(Refusal::NoneEligible(_)) => {
                    prop_assert!(excluded(0));
                    prop_assert!((1..executors.len()).all(|n| excluded(n) || executors[n].0 == 0 || executors[n].2));
                }
                Err(Refusal::Tenant { .. }) => prop_assert!(false, "nothing is asked for"),
            }
        }
    }

    #[test]
    fn the_same_build_and_revision_always_give_the_same_answer_whatever_the_order_in_the_file(
        executors in described_executors(), shuffle in any::<u64>(), from in any::<u32>(),
    ) {
        let order: Vec<usize> = (0..executors.len()).collect();
        let mut other = order.clone();
        other.sort_by_key(|n| (shuffle ^ *n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (one, two) = (rules(&described(&executors, &order)), rules(&described(&executors, &other)));
        prop_assert_eq!(one.fleet().revision(), two.fleet().revision());
        let spec = spec(r#"{"image": "node:20"}"#);
        for n in from..from.saturating_add(100) {
            let of = |rules| route(&key(n), &spec, "default", rules).map(|route| (route.executor.name.clone(), route.rule));
            prop_assert_eq!(of(&one), of(&two));
        }
    }

    #[test]
    fn what_is_told_of_a_route_is_what_decided(executors in described_executors(), image in prop_oneof![Just("node"), Just("rhel6")], n in any::<u32>()) {
        let rules = rules(&described(&executors, &(0..executors.len()).collect::<Vec<_>>()));
        let (build, spec) = (key(n), spec(&format!(r#"{{"image": "{image}"}}"#)));
        let candidate = candidate(&build, &spec, "default");
        let standings = switchyard_router::standings(&candidate, &rules);
        if let Ok(route) = switchyard_router::route(&candidate, &rules, &Health::default()) {
            let why = why(&route, &candidate, &rules, &Health::default());
            prop_assert!(why.eligible.iter().any(|name| *name == route.executor.name));
            prop_assert_eq!(why.eligible.len() + why.excluded.len(), executors.len());
            prop_assert_eq!(&*why.revision, rules.fleet().revision());
            let least = standings.iter().filter(|standing| standing.score.is_some()).min_by(|a, b| a.score.unwrap().total_cmp(&b.score.unwrap()));
            if route.rule == Rule::Weight {
                prop_assert_eq!(&least.unwrap().executor.name, &route.executor.name);
            } else {
                prop_assert!(least.is_none());
            }
        }
    }
}

fn unwell(executors: &[&str]) -> Health {
    let excluded = executors.iter().map(|name| ((*name).to_owned(), "unwell: no answer".to_owned())).collect();
    Health::then(&Why { rule: String::new(), revision: String::new(), eligible: Vec::new(), excluded })
}

#[test]
fn an_unwell_executor_is_passed_over_as_long_as_another_is_left() {
    let rules = fleet("  k8s: {weightage: 1, exclusion: [rhel6]}\n  k8s-vm: {weightage: 1}\n  k8s-big: {weightage: 1}");
    let to = |json: &str, n: u32, health: &Health| {
        let (build, spec) = (key(n), spec(json));
        let candidate = candidate(&build, &spec, "default");
        let route = switchyard_router::route(&candidate, &rules, health).unwrap();
        let why = why(&route, &candidate, &rules, health);
        assert!(why.eligible.iter().any(|name| *name == route.executor.name), "{why:?}");
        (route.executor.name.clone(), Health::then(&why))
    };
    let node = r#"{"image": "node"}"#;
    let (well, one, all) = (Health::default(), unwell(&["k8s-vm"]), unwell(&["k8s", "k8s-vm", "k8s-big"]));
    for n in 0..500 {
        let (before, _) = to(node, n, &well);
        let (passed, then) = to(node, n, &one);
        assert!(passed != "k8s-vm" && (before == "k8s-vm" || before == passed), "only what was there moves");
        assert_eq!(then, one, "the event says who was unwell, so that the choice can be made again");
        assert_eq!(to(node, n, &all), (before, well.clone()), "where all are unwell the build waits where it belongs");
    }
    assert_eq!(to(r#"{"image": "rhel6"}"#, 1, &unwell(&["k8s-vm", "k8s-big"])).0, to(r#"{"image": "rhel6"}"#, 1, &well).0);
    let named = r#"{"image": "a", "annotations": {"screwdriver.cd/executor": "k8s-vm"}}"#;
    assert_eq!(to(named, 1, &one).0, "k8s-vm", "who names an executor waits for it");
}

#[test]
fn a_drained_executor_and_one_that_a_build_has_left_are_passed_over_as_long_as_another_is_left() {
    let text = "{version: 1, executor: {plugin: k8s, k8s: {weightage: 1}, k8s-vm: {weightage: 1}, k8s-big: {weightage: 1}}, \
                executors: {k8s-big: {drain: true}}}";
    let rules = Rules::new(Fleet::parse(text).unwrap());
    let drained = Health::default().and_drained(rules.fleet());
    let node = spec(r#"{"image": "node"}"#);
    for n in 0..500 {
        let build = key(n);
        let candidate = candidate(&build, &node, "default");
        let to = |health: &Health| {
            let route = switchyard_router::route(&candidate, &rules, health).unwrap();
            (route.executor.name.clone(), why(&route, &candidate, &rules, health))
        };
        let (first, _) = to(&drained);
        let left = drained.clone().and_left(&first);
        let (second, told) = to(&left);
        assert!(first != "k8s-big" && second != "k8s-big" && first != second, "{first} {second}");
        assert_eq!(Health::then(&told), left, "the event says who was passed over, so that the choice can be made again");
        assert_eq!(told.elsewhere(&second).collect::<BTreeSet<_>>(), BTreeSet::from(["k8s-big", first.as_str()]));
        let (nowhere_else, _) = to(&left.and_left(&second));
        assert_eq!(nowhere_else, to(&Health::default()).0, "where none is left the build waits where it belongs");
    }
}

// What Screwdriver gets wrong.

#[test]
fn half_and_half_is_half_and_half() {
    assert!((share(&fleet("  k8s: {weightage: 0.5}\n  k8s-vm: {weightage: 0.5}"), "k8s") - 0.5).abs() < 0.02);
}

#[test]
fn nothing_of_a_weight_reaches_the_first_which_has_none() {
    assert_eq!(share(&fleet("  k8s: {weightage: 0}\n  k8s-vm: {weightage: 2.9}"), "k8s").to_bits(), 0f64.to_bits());
}

#[test]
fn an_exclusion_excludes_by_either_spelling() {
    for key in ["exclusion", "exclusions"] {
        let rules = fleet(&format!("  k8s: {{{key}: ['rhel6'], weightage: 100}}\n  k8s-vm: {{weightage: 1}}"));
        let image = spec(r#"{"image": "docker-registry.example.com:4443/sd/arya-RHEL6:latest"}"#);
        assert!((0..1000).all(|n| route(&self::key(n), &image, "default", &rules).unwrap().executor.name == "k8s-vm"), "{key}");
    }
}

#[test]
fn where_all_are_excluded_the_build_is_refused_and_does_not_go_to_the_default() {
    let rules = fleet("  k8s: {exclusion: ['rhel6'], weightage: 1}\n  k8s-vm: {exclusion: ['rhel'], weightage: 1}");
    let refusal = route(&key(1), &spec(r#"{"image": "rhel6"}"#), "default", &rules).unwrap_err().to_string();
    assert!(refusal.contains("k8s: image rhel6 matches exclusion \"rhel6\"; k8s-vm: image rhel6 matches"), "{refusal}");
}

/// Screwdriver draws again for a stop, and misses the executor that runs the build in 62 of 100 cases. Here nothing is drawn
/// again: the record names the executor, and a second draw would give the same answer.
#[test]
fn a_second_look_at_a_build_finds_the_executor_that_runs_it() {
    let rules = fleet("  k8s: {weightage: 30}\n  k8s-vm: {weightage: 30}\n  k8s-big: {weightage: 40}");
    assert_eq!(drawn(&rules, 10_000), drawn(&rules, 10_000));
}

#[test]
fn an_unknown_annotation_is_refused_with_the_known_names() {
    let rules = fleet("  k8s: {weightage: 1}\n  k8s-vm: {weightage: 1}");
    for asked in ["stop", "_executors", "checkExclusions", "K8S", ""] {
        let build = spec(&format!(r#"{{"image": "a", "annotations": {{"screwdriver.cd/executor": "{asked}"}}}}"#));
        let refusal = route(&key(1), &build, "default", &rules).unwrap_err().to_string();
        assert!(refusal.ends_with(&format!("there is no executor {asked:?}; there are k8s, k8s-vm")), "{refusal}");
    }
}

// Rule by rule.

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
    assert!(refusal.to_string().contains("k8s: image reg.example/sd/arya-RHEL6:latest matches exclusion \"rhel6\""), "{refusal}");
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
    let rules = rules(TENANT);
    let routed = route(&key(1), &spec(json), tenant, &rules).map(|route| route.executor.name.clone());
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
        (r#"{"image": "reg.acme/a", "secrets": [{"name": "root", "path": "/s"}]}"#, "secret root is not allowed to tenant acme"),
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
    let fleet = rules(yaml);
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
        let fleet = rules(&yaml);
        let drawn = |rest: &str| {
            let spec = spec(&format!(r#"{{"image": "a", {rest}}}"#));
            let names = (0..50).map(|n| route(&key(n), &spec, "t", &fleet).unwrap().executor.name.clone());
            names.collect::<BTreeSet<_>>().len()
        };
        assert_eq!((drawn(one), drawn(other)), (1, 1), "{stickiness}");
        assert_eq!(drawn(r#""job": "j""#), 2, "without a pipeline each build draws for itself");
    }
}
