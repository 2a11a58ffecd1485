//! `loadtest decide`: the decision alone, on one core.

use std::{
    fmt::Write as _,
    hint::black_box,
    time::{Duration, Instant},
};

use serde_json::json;
use switchyard_events::{BuildKey, BuildSpec, BuildView};
use switchyard_fleet::Fleet;
use switchyard_router::{Candidate, Health, Rules, route};

use crate::{
    cpu::Cpu,
    figures::{Spread, rounded},
    table,
};

/// Settings of `decide`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// For how many seconds each fleet is measured, in each run.
    #[arg(long, default_value_t = 2, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// How often everything is measured.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50))]
    runs: u32,
    /// Whether to end with one JSON object on a line of its own.
    #[arg(long)]
    json: bool,
}

/// A fleet that is measured: so many executors, and so many exclusions that are regular expressions.
struct Size {
    executors: usize,
    exclusions: usize,
    field: &'static str,
}

const SIZES: [Size; 4] = [
    Size { executors: 3, exclusions: 2, field: "per_second" },
    Size { executors: 3, exclusions: 0, field: "3_executors_0_exclusions_per_second" },
    Size { executors: 10, exclusions: 10, field: "10_executors_10_exclusions_per_second" },
    Size { executors: 100, exclusions: 50, field: "100_executors_50_exclusions_per_second" },
];

/// Measures, prints a table and, if asked to, the JSON object.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let builds = builds()?;
    let mut fields = serde_json::Map::new();
    let mut rows = Vec::new();
    for Size { executors, exclusions, field } in SIZES {
        let rules = Rules::new(Fleet::parse(&fleet(executors, exclusions)?)?);
        let runs = (0..args.runs).map(|_| per_second(&rules, &builds, Duration::from_secs(args.seconds.into())));
        let Spread { least, median, greatest } = Spread::of(runs.collect::<Vec<_>>());
        let million = |figure: f64| format!("{:.2}", figure / 1e6);
        rows.push([
            format!("{executors} executors, {exclusions} exclusions"),
            million(median),
            million(least),
            million(greatest),
        ]);
        fields.insert(field.to_owned(), json!(rounded(median, 0)));
    }
    println!("decisions a second of processor time, in millions; {} runs of {} s each", args.runs, args.seconds);
    table::print(["fleet", "median", "least", "greatest"], &rows);
    if args.json {
        println!("{}", serde_json::Value::Object(fields));
    }
    Ok(())
}

/// Executors of weights 1, 2, 3, …; the exclusions are dealt out in turn, and few images match one.
fn fleet(executors: usize, exclusions: usize) -> anyhow::Result<String> {
    let mut yaml = "version: 1\nexecutor:\n  plugin: k8s-0\n".to_owned();
    for n in 0..executors {
        let patterns = (n..exclusions).step_by(executors).map(|pattern| match pattern {
            0 => "'rhel6'".to_owned(),
            1 => "'^legacy\\.example\\.com/.*:(1|2)\\.'".to_owned(),
            other => format!("'retired-{other}/[a-z]+-tool'"),
        });
        let patterns = patterns.collect::<Vec<_>>().join(", ");
        writeln!(yaml, "  k8s-{n}: {{weightage: {}, exclusions: [{patterns}]}}", n + 1)?;
    }
    Ok(yaml)
}

/// A build that is to be routed.
struct Asked {
    build: BuildKey,
    spec: BuildView<'static>,
}

const TYPE: &str = "dev.cdevents.build.queued.0.3.0";

/// So many builds that the branch predictor cannot learn them by heart, and so few that the cache holds them: a build that is
/// routed has just been read.
const BUILDS: u16 = 256;

fn builds() -> anyhow::Result<Vec<Asked>> {
    let images = [
        "node:20",
        "registry.example.com:4443/team/service-builder:2026.11",
        "docker.io/library/rust:1.95-slim",
        "legacy.example.com/sd/arya-RHEL6:1.2",
    ];
    let build = |n: u16| {
        let spec = json!({"image": images[if n.is_multiple_of(50) { 3 } else { usize::from(n % 3) }], "steps": [{"name": "test", "run": "make test"}],
            "annotations": {"screwdriver.cd/cpu": "HIGH", "screwdriver.cd/ram": "HIGH"}, "pipeline": format!("p{}", n % 100)});
        let build = BuildKey::of("/ci", "b", &n.to_string());
        Ok(Asked { build, spec: BuildSpec::parse(&spec.to_string())?.view().into_owned() })
    };
    (0..BUILDS).map(build).collect()
}

fn per_second(rules: &Rules, builds: &[Asked], time: Duration) -> f64 {
    let (started, before) = (Instant::now(), Cpu::of_this());
    let (health, mut rounds) = (Health::default(), 0u32);
    while started.elapsed() < time {
        for Asked { build, spec } in builds {
            let candidate = Candidate { build, spec, tenant: "default", source: "/ci", event_type: TYPE };
            let _ = black_box(route(black_box(&candidate), rules, &health));
        }
        rounds += 1;
    }
    // Others may have had the core in between: what counts is the time that was ours.
    f64::from(rounds) * f64::from(BUILDS) / Cpu::of_this().saturating_sub(before).as_secs_f64()
}
