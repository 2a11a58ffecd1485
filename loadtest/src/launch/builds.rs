//! Routed builds, as the router's event says them.

use jiff::Timestamp;
use switchyard_events::{BuildKey, BuildRouted, BuildSpec, Limits, Request, Step, TimeLimit, Why, derived_traceparent};

use super::EXECUTOR;

/// The build of that number in that series.
pub(super) fn key(series: &str, n: u32) -> BuildKey {
    BuildKey::of("/loadtest", series, &n.to_string())
}

pub(super) fn routed(series: &str, n: u32) -> BuildRouted {
    let build = key(series, n);
    let steps = ["fetch", "build", "test"].map(|name| Step {
        name: name.to_owned(),
        run: format!("make {name} SERIES={series} NUMBER={n}"),
        always: false,
    });
    BuildRouted {
        attempt: 1,
        executor: EXECUTOR.to_owned(),
        request: Request {
            id: n.to_string(),
            source: "/loadtest".to_owned(),
            subject: series.to_owned(),
            trace: derived_traceparent(&build),
            ..Request::default()
        },
        tenant: "default".to_owned(),
        spec: BuildSpec {
            image: "registry.example/team/builder:2026.11".to_owned(),
            steps: steps.into(),
            env: [("CI", "true"), ("BRANCH", "main")].map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            pipeline: Some("shop".to_owned()),
            job: Some("main".to_owned()),
            ..BuildSpec::default()
        },
        // Nothing is to run out while it is measured.
        limits: Limits { queued: TimeLimit::minutes(60), pending: TimeLimit::minutes(60), ..Limits::STANDARD },
        at: Timestamp::now(),
        why: Why { rule: "default".into(), revision: "loadtest".into(), eligible: vec![EXECUTOR.into()], excluded: vec![] },
        build,
    }
}
