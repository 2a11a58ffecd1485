//! Builds that wait for an executor which does not take them: they go to another, and back nobody loses one.

use std::{process::Stdio, time::Duration};

use serde_json::{Value, json};
use switchyard_bus::Bus;
use switchyard_dev::{Services, ServicesOptions, Stack, StackOptions};
use switchyard_events::{BuildKey, Reason, Record, Standing};
use tokio::process::Command;

use crate::yard::{finished, program, publish, until};

const PATIENCE: Duration = Duration::from_mins(2);

/// All that names no executor goes to `main`, as long as that is not passed over.
fn fleet(reroute_after: &str, drain: bool) -> String {
    format!(
        "
version: 1
executor: {{plugin: spare, main: {{pluginName: process, weightage: 1}}, spare: {{pluginName: process}}}}
executors: {{main: {{ignoreImage: true, slots: 4, drain: {drain}}}, spare: {{ignoreImage: true, slots: 4}}}}
clocks: {{queued: 10m, rerouteAfter: {reroute_after}, pending: 1m, teardown: 10s, grace: 10s, linger: 0s}}
"
    )
}

struct Two {
    stack: Stack,
    services: Services,
    bus: Bus,
}

impl Two {
    async fn start(fleet_file: &str) -> Self {
        let executors = ["main", "spare"].map(str::to_owned).to_vec();
        let stack = Stack::start(&StackOptions { executors: executors.clone(), ..StackOptions::default() }).await.unwrap();
        let fleet = stack.folder().join("fleet.yaml");
        std::fs::write(&fleet, fleet_file).unwrap();
        let builds = stack.folder().join("builds").display().to_string();
        let environment = [("SWITCHYARD_BUILDS", builds), ("SWITCHYARD_SWEEP_SECONDS", "5".to_owned())];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let options = ServicesOptions { program: program(), fleet, executors, replicas: 1, environment };
        let services = Services::start(&stack, &options).await.unwrap();
        let bus = Bus::new(stack.nats().connect("loadtest").await.unwrap());
        Self { stack, services, bus }
    }

    async fn publish(&self, id: &str, on: Option<&str>) -> BuildKey {
        let annotations = on.map_or(json!({}), |on| json!({"screwdriver.cd/executor": on}));
        let steps = json!([{"name": "run", "run": "true"}]);
        publish(&self.bus, id, json!({"image": "a", "ram": "256Mi", "annotations": annotations, "steps": steps})).await
    }

    async fn record(&self, build: &BuildKey, what: &str, is: impl Fn(&Record) -> bool) -> Record {
        until(what, PATIENCE, async || {
            let (_, record) = self.bus.records().await.ok()?.into_iter().find(|(other, _)| other == build)?;
            is(&record).then_some(record)
        })
        .await
    }

    /// Where each attempt of an ended build was, and how it ended.
    async fn went(&self, build: &BuildKey) -> Vec<(String, Reason)> {
        let record = self.record(build, "the build has ended", Record::is_closed).await;
        let told = finished(&self.bus).await;
        let went = |attempt: &switchyard_events::Attempt| {
            let times = told.iter().filter(|end| end.build == *build && end.attempt == attempt.n).count();
            assert_eq!(times, 1, "attempt {} of build {build} was told of", attempt.n);
            (attempt.executor.clone().unwrap(), attempt.decided.clone().unwrap().reason)
        };
        record.attempts.iter().map(went).collect()
    }

    async fn tool(&self, arguments: &[&str]) -> String {
        self.tool_as("cli", arguments).await
    }

    async fn tool_as(&self, user: &str, arguments: &[&str]) -> String {
        let credentials = self.stack.nats().credentials(user).unwrap();
        let mut tool = Command::new(program());
        tool.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        tool.env("NATS_URL", self.stack.nats().url()).env("SWITCHYARD_BUILDS", self.stack.folder().join("builds"));
        tool.env("NATS_USER", &credentials.user).env("NATS_PASSWORD", &credentials.password);
        let output = tool.output().await.unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    async fn apply(&self, fleet_file: &str) {
        let file = self.stack.folder().join("next.yaml");
        std::fs::write(&file, fleet_file).unwrap();
        self.tool(&["config", "apply", file.to_str().unwrap()]).await;
    }

    /// What `explain` says of the last decision about a build.
    async fn explained(&self, build: &BuildKey) -> Value {
        let said = self.tool(&["explain", "--json", build.as_str()]).await;
        serde_json::from_str(said.lines().last().unwrap()).unwrap()
    }

    async fn stop(self) {
        assert!(self.services.stop().await.is_empty());
        self.stack.stop().await;
    }
}

fn moved() -> Vec<(String, Reason)> {
    vec![("main".to_owned(), Reason::Requeued), ("spare".to_owned(), Reason::Succeeded)]
}

fn against(explained: &Value, executor: &str) -> String {
    let executors = explained["executors"].as_array().unwrap();
    let line = executors.iter().find(|line| line["name"] == executor).unwrap();
    line["against"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_no_launcher_takes_goes_to_another_executor_and_one_that_names_its_own_waits() {
    let two = Two::start(&fleet("2s", false)).await;
    let launcher = two.services.get("launcher-main-0").unwrap();
    launcher.kill().await;
    let named = two.publish("named", Some("main")).await;
    let mut builds = Vec::new();
    for n in 0..5 {
        builds.push(two.publish(&format!("build-{n}"), None).await);
    }
    for build in &builds {
        assert_eq!(two.went(build).await, moved());
    }
    let explained = two.explained(&builds[0]).await;
    assert_eq!((&explained["attempt"], &explained["executor"]), (&json!(2), &json!("spare")));
    assert_eq!(against(&explained, "main"), "left: no launcher took it there");
    let shown = two.tool(&["builds", builds[0].as_str()]).await;
    assert!(shown.contains("executor main has not begun it in time, and another takes builds"), "{shown}");
    let waits = two.record(&named, "it is known", |_| true).await;
    assert_eq!(waits.attempts.iter().map(switchyard_events::Attempt::standing).collect::<Vec<_>>(), [Standing::Open]);
    launcher.restart().await.unwrap();
    assert_eq!(two.went(&named).await, [("main".to_owned(), Reason::Succeeded)]);
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_at_a_drained_executor_is_moved_by_the_sweep_of_a_person_too() {
    let two = Two::start(&fleet("1h", false)).await;
    let (launcher, reaper) = (two.services.get("launcher-main-0").unwrap(), two.services.get("reaper-main-0").unwrap());
    launcher.kill().await;
    let build = two.publish("waiting", None).await;
    two.record(&build, "it waits at main", |record| record.attempts[0].executor.as_deref() == Some("main")).await;
    reaper.kill().await;
    let file = two.stack.folder().join("drained.yaml");
    std::fs::write(&file, fleet("1h", true)).unwrap();
    let sweep = ["sweep", "--executor", "main", "--config", file.to_str().unwrap()];
    let found = two.tool_as("reaper", &[&sweep[..], &["--dry-run"]].concat()).await;
    assert!(found.contains(&format!("{build} 1  it waits at an executor that is to become empty")), "{found}");
    assert_eq!(two.record(&build, "it is known", |_| true).await.attempts.len(), 1, "a dry run does nothing");
    two.tool_as("reaper", &sweep).await;
    assert_eq!(two.went(&build).await, moved());
    launcher.restart().await.unwrap();
    reaper.restart().await.unwrap();
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_executor_begins_nothing_new_and_gives_up_what_waits_until_it_is_opened_again() {
    let two = Two::start(&fleet("1h", false)).await;
    let launcher = two.services.get("launcher-main-0").unwrap();
    launcher.kill().await;
    let waiting = two.publish("waiting", None).await;
    two.record(&waiting, "it waits at main", |record| record.attempts[0].executor.as_deref() == Some("main")).await;
    two.apply(&fleet("1h", true)).await;
    assert_eq!(two.went(&waiting).await, moved());
    launcher.restart().await.unwrap();
    let named = two.publish("named", Some("main")).await;
    let new = two.publish("new", None).await;
    assert_eq!(two.went(&new).await, [("spare".to_owned(), Reason::Succeeded)]);
    assert_eq!(against(&two.explained(&new).await, "main"), "draining: its operator wants it empty");
    let shown = two.tool(&["builds", named.as_str()]).await;
    assert!(shown.contains("queued"), "{shown}");
    assert_eq!(two.record(&named, "it is known", |_| true).await.attempts[0].standing(), Standing::Open);
    two.apply(&fleet("1h", false)).await;
    assert_eq!(two.went(&named).await, [("main".to_owned(), Reason::Succeeded)]);
    two.stop().await;
}
