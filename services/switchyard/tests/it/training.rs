//! Trainings: the real trainer decides, real builds train, and whoever is killed in between loses and doubles nothing.
//!
//! What `switchyard-pipeline` would do with data is done here by a script of a few lines: the decisions are what is tried.

use std::{
    collections::BTreeMap,
    fs,
    num::NonZeroUsize,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;
use switchyard_bus::{Bus, Events as _};
use switchyard_dev::{Server, Services, ServicesOptions, Stack, StackOptions};
use switchyard_drift::{Profile, Reference};
use switchyard_events::{Asked, CdEvent, Drifted, Retrain};
use switchyard_trainer::{
    Decider, Pinned, Registry,
    policy::{Record, Seen, Window},
};
use tokio::process::Command;

use crate::yard::{program, until};

const PATIENCE: Duration = Duration::from_mins(2);

const FLEET: &str = "
version: 1
executor: {plugin: local, local: {pluginName: process, weightage: 1}}
executors: {local: {ignoreImage: true, slots: 8, terminationGrace: 1s}}
clocks: {queued: 10m, pending: 1m, teardown: 10s, grace: 10s, linger: 0s}
";

/// `manifest`: the data is the file `data` beside the store. `run`: what the file `MODEL.says` says, `passed` if there is none.
const PIPELINE: &str = r#"#!/bin/sh
set -eu
home=HOME
digest() { sha256sum "$1" | cut -d' ' -f1; }
name=$(printf '%s' "$SWITCHYARD_MODEL" | sed 's/.*"model":"\([a-z0-9-]*\)".*/\1/')
case "$1" in
manifest) cat >/dev/null; d=$(digest "$home/$name.data"); echo "{\"path\":\"manifests/$d.json\",\"sha256\":\"$d\",\"files\":1,\"bytes\":1}" ;;
get) cat >/dev/null; cat "$home/store/$2" ;;
run)
  run=$(printf '%s' "$SWITCHYARD_RUN" | sed 's/^{"run":"\([a-z0-9]*\)".*/\1/')
  compared=$(printf '%s' "$SWITCHYARD_RUN" | sed -n 's/.*"champion":{"run":"\([a-z0-9]*\)".*/,"compared":"\1"/p')
  echo "$name $run" >>"$home/ran"
  says=passed; [ ! -e "$home/$name.says" ] || says=$(cat "$home/$name.says")
  case "$says" in
  hang) sleep 600 ;;
  garbage) echo 'no result at all' >"$SWITCHYARD_TERMINATION_LOG"; exit 0 ;;
  fail) echo 'age: 3 is not a number' >"$SWITCHYARD_TERMINATION_LOG"; exit 1 ;;
  esac
  mkdir -p "$home/store/runs/$run"
  for it in model preprocessing.json manifest.json; do echo "$run $it" >"$home/store/runs/$run/$it"; done
  cp "$home/profile.json" "$home/store/runs/$run/profile.json"
  of() { printf '{"path":"runs/%s/%s","sha256":"%s"}' "$run" "$1" "$(digest "$home/store/runs/$run/$1")"; }
  failed=''; [ "$says" = passed ] || failed='"auc 0.6 is below 0.7"'
  printf '{"run":"%s","outcome":"%s","metrics":{"auc":0.9}%s,"gate":{"failed":[%s]},"model":%s,"preprocessing":%s,"profile":%s,"manifest":%s,"rows":{"train":1,"eval":1,"test":1}}' \
    "$run" "$says" "$compared" "$failed" "$(of model)" "$(of preprocessing.json)" "$(of profile.json)" "$(of manifest.json)" >"$SWITCHYARD_TERMINATION_LOG"
  ;;
esac
"#;

/// An installation with a trainer.
pub(crate) struct School {
    pub(crate) stack: Stack,
    pub(crate) services: Services,
    pub(crate) bus: Bus,
    pub(crate) home: PathBuf,
}

impl School {
    pub(crate) async fn open() -> Self {
        Self::of(false, 1).await
    }

    /// With Jaeger or without, and so many of each service.
    pub(crate) async fn of(jaeger: bool, replicas: usize) -> Self {
        let stack = Self::stack(jaeger).await;
        let home = stack.folder().join("school");
        fs::create_dir_all(home.join("bin")).unwrap();
        let script = home.join("bin/switchyard-pipeline");
        fs::write(&script, PIPELINE.replace("home=HOME", &format!("home={}", home.display()))).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(home.join("profile.json"), profile()).unwrap();
        Self::begin(stack, &script, replicas).await
    }

    /// With the real `switchyard-pipeline`, whose trainings come to something.
    pub(crate) async fn real() -> Self {
        let stack = Self::stack(false).await;
        fs::create_dir_all(stack.folder().join("school")).unwrap();
        Self::begin(stack, &crate::local::build_pipeline().await, 1).await
    }

    async fn stack(jaeger: bool) -> Stack {
        let options = StackOptions { executors: vec!["local".to_owned()], jaeger, ..StackOptions::default() };
        Stack::start(&options).await.unwrap()
    }

    async fn begin(stack: Stack, pipeline: &Path, replicas: usize) -> Self {
        let fleet = stack.folder().join("fleet.yaml");
        fs::write(&fleet, FLEET).unwrap();
        let path = format!("{}:{}", pipeline.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let environment = [
            ("SWITCHYARD_BUILDS", stack.folder().join("builds").display().to_string()),
            ("SWITCHYARD_PIPELINE", pipeline.display().to_string()),
            ("SWITCHYARD_TICK_SECONDS", "1".to_owned()),
            ("SWITCHYARD_SWEEP_SECONDS", "1".to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
            ("PATH", path),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let options = ServicesOptions { program: program(), fleet, executors: vec!["local".to_owned()], replicas, environment };
        let services = Services::start(&stack, &options).await.unwrap();
        let bus = Bus::new(stack.nats().connect("loadtest").await.unwrap());
        let home = stack.folder().join("school");
        Self { stack, services, bus, home }
    }

    pub(crate) fn trainer(&self) -> &Server {
        self.services.get("trainer-0").unwrap()
    }

    /// Kills the trainer as the kernel would, and starts it again.
    async fn kill(&self) {
        self.trainer().kill().await;
        self.trainer().restart().await.unwrap();
    }

    /// New data for a model.
    pub(crate) fn data(&self, model: &str, text: &str) {
        fs::write(self.home.join(format!("{model}.data")), text).unwrap();
    }

    /// What its trainings come to from now on.
    fn says(&self, model: &str, what: &str) {
        fs::write(self.home.join(format!("{model}.says")), what).unwrap();
    }

    pub(crate) async fn apply(&self, model: &str, policy: &str) {
        self.apply_watched(model, "{input: {format: rows, partitions: 1}, window: {rows: 1000}}", policy).await;
    }

    pub(crate) async fn apply_watched(&self, model: &str, monitor: &str, policy: &str) {
        self.data(model, "first");
        let text = format!(
            "{{version: 1, model: {model}, store: {{url: 'file://{store}'}}, data: {{source: {{url: 'file:///d/*.csv'}}, key: id, \
             label: {{column: y, task: binary}}, features: [age]}}, split: {{seed: 1, folds: {{train: 0.7, eval: 0.1, test: \
             0.2}}}}, train: {{image: a, command: [t], ram: 256Mi, timeout: 20m}}, evaluate: {{metrics: [auc], gate: {{metric: \
             auc}}}}, serve: {{artifact: true, service: {{id: scorer, environment: production}}}}, monitor: {monitor}, policy: {policy}}}",
            store = self.home.join("store").display()
        );
        switchyard_model::read(&text).unwrap_or_else(|wrong| panic!("{wrong}"));
        fs::write(self.home.join(format!("{model}.yaml")), &text).unwrap();
        self.bus.apply_model(model, &text, None).await.unwrap().unwrap();
    }

    /// What was said of a model, in order: the predicate and what it says.
    async fn told(&self, model: &str) -> Vec<(String, Value, CdEvent<'static>)> {
        let mut told = Vec::new();
        let stream = self.bus.jetstream().get_stream("YARD").await.unwrap();
        for sequence in 1..=stream.cached_info().state.last_sequence {
            let Ok(Some(delivery)) = self.bus.fetch("YARD", sequence).await else { continue };
            let ours = delivery.subject.contains(&format!(".{model}."));
            if !ours
                || !["-datadrift.", "-retraining.", "-model.", "-reference.", "artifact.", "service.", "pipelinerun.queued."]
                    .iter()
                    .any(|of| delivery.subject.contains(of))
            {
                continue;
            }
            let event = CdEvent::from_cloudevent(Box::leak(Box::new(delivery.event))).unwrap();
            let custom = switchyard_events::custom_data(&event).unwrap();
            let mut parts = event.context.ty.split('.').skip(2);
            let (subject, predicate) = (parts.next().unwrap(), parts.next().unwrap());
            told.push((format!("{}.{predicate}", subject.trim_start_matches("switchyard-")), custom, event));
        }
        told
    }

    /// Waits until something was said so often.
    pub(crate) async fn until_told(&self, model: &str, what: &str, reason: Option<&str>, times: usize) -> Value {
        until(&format!("{model}: {what} {reason:?} x {times}"), PATIENCE, async || {
            let of = |(name, data, _): &(String, Value, CdEvent<'_>)| {
                let fits = reason.is_none_or(|reason| data["reason"] == reason || data["outcome"] == reason);
                (name == what && fits).then(|| data.clone())
            };
            let found: Vec<_> = self.told(model).await.iter().filter_map(of).collect();
            (found.len() >= times).then(|| found[found.len() - 1].clone())
        })
        .await
    }

    pub(crate) async fn count(&self, model: &str, what: &str) -> usize {
        self.told(model).await.iter().filter(|(name, ..)| name == what).count()
    }

    async fn ask(&self, asked: Asked) {
        let outgoing = asked.outgoing(&uuid::Uuid::new_v4().to_string(), Timestamp::now()).unwrap();
        until("it is asked", PATIENCE, async || self.bus.publish(outgoing.clone()).await.ok()).await;
    }

    pub(crate) async fn retrain(&self, model: &str, now: bool) {
        self.ask(Asked::Retrain(Retrain { model: model.into(), now, by: "ann".into() })).await;
    }

    /// What an operator's command prints.
    pub(crate) async fn model(&self, arguments: &[&str]) -> String {
        let (well, said) = self.said(arguments).await;
        assert!(well, "model {arguments:?}: {said}");
        said
    }

    async fn model_fails(&self, arguments: &[&str]) -> String {
        let (well, said) = self.said(arguments).await;
        assert!(!well, "model {arguments:?}: {said}");
        said
    }

    async fn said(&self, arguments: &[&str]) -> (bool, String) {
        let credentials = self.stack.nats().credentials("cli").unwrap();
        let mut command = Command::new(program());
        command.arg("model").args(arguments).env("NATS_URL", self.stack.nats().url()).env("USER", "ann");
        command.env("NATS_USER", &credentials.user).env("NATS_PASSWORD", &credentials.password);
        let output = command.output().await.unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), said)
    }

    pub(crate) async fn record(&self, model: &str) -> Record {
        let (bytes, _) = self.bus.state(&format!("policy.{model}")).await.unwrap().unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    pub(crate) async fn champion(&self, model: &str) -> Option<String> {
        let (bytes, _) = self.bus.state(&Registry::key(model)).await.unwrap()?;
        serde_json::from_slice::<Registry>(&bytes).unwrap().champion.map(|crown| crown.run)
    }

    /// How often a model was really trained.
    fn ran(&self, model: &str) -> usize {
        let ran = fs::read_to_string(self.home.join("ran")).unwrap_or_default();
        ran.lines().filter(|line| line.starts_with(&format!("{model} "))).count()
    }

    pub(crate) async fn close(self) {
        assert!(self.services.stop().await.is_empty());
        self.stack.stop().await;
    }
}

/// The training fold of every model: ages from 0 to 99.
fn profile() -> String {
    let ages: Vec<_> = (0..100).map(|age| Some(f64::from(age))).collect();
    let ages = Reference::numeric(&ages, NonZeroUsize::new(16).unwrap()).unwrap();
    serde_json::to_string(&Profile::new(100, BTreeMap::from([("age".to_owned(), ages)]))).unwrap()
}

fn drift(reference: &str, number: u64) -> Seen {
    let column = Drifted { column: "age".into(), measure: "ks".into(), effect: 0.5, threshold: 0.1, p: 0.0 };
    let drifted = vec![column];
    Seen::Window(Window { reference: reference.into(), number, rows: 5000, new_rows: 5000, drifted, ..Window::default() })
}

/// Those that see the drift are gone before anything has come of it: the trainer, killed in between, sees to the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_drifts_at_once_are_one_run_whoever_is_killed() {
    let school = School::open().await;
    school.apply("churn", "{mode: auto, triggers: [drift], cooldown: 0s}").await;
    school.until_told("churn", "retraining.finished", Some("promoted"), 1).await;
    let champion = school.champion("churn").await.unwrap();
    school.data("churn", "second");
    let mut deciders = Vec::new();
    for _ in 0..4 {
        let bus = Bus::new(school.stack.nats().connect("loadtest").await.unwrap());
        deciders.push(Arc::new(Decider::open(bus, None, switchyard_runtime::Metrics::default()).await.unwrap().0));
    }
    let seen = (1..=1000_u64).map(|number| {
        let (decider, champion) = (Arc::clone(&deciders[usize::try_from(number).unwrap() % 4]), champion.clone());
        tokio::spawn(async move { while decider.step("churn", drift(&champion, number)).await.is_err() {} })
    });
    let seen: Vec<_> = seen.collect();
    school.kill().await;
    for one in seen {
        one.await.unwrap();
    }
    school.kill().await;
    school.until_told("churn", "retraining.finished", Some("promoted"), 2).await;
    assert_eq!((school.count("churn", "datadrift.detected").await, school.count("churn", "pipelinerun.queued").await), (1, 2));
    assert_eq!((school.ran("churn"), school.record("churn").await.runs), (2, 2), "one training beside the first");
    one_thread(&school.told("churn").await);
    let pinned = Pinned::read(&school.bus, "churn").await.unwrap().unwrap().0;
    assert_eq!(Some(pinned.run), school.champion("churn").await);
    assert_ne!(school.champion("churn").await, Some(champion));
    school.close().await;
}

/// From the detection on everything belongs to one chain and one trace, and each names the one before.
fn one_thread(told: &[(String, Value, CdEvent<'static>)]) {
    let (_, _, detected) = told.iter().find(|(name, ..)| name == "datadrift.detected").unwrap();
    let chain: Vec<_> = told.iter().filter(|(_, _, event)| event.context.chain_id == detected.context.chain_id).collect();
    let mut names: Vec<_> = chain.iter().map(|(name, ..)| name.as_str()).filter(|name| *name != "retraining.skipped").collect();
    names.dedup();
    let whole = [
        "datadrift.detected",
        "retraining.requested",
        "pipelinerun.queued",
        "model.evaluated",
        "model.promoted",
        "reference.pinned",
        "artifact.published",
        "service.upgraded",
        "datadrift.cleared",
        "retraining.finished",
    ];
    assert_eq!(names, whole);
    let by_id: BTreeMap<_, _> = chain.iter().map(|(name, _, event)| (event.context.id.to_string(), name.as_str())).collect();
    let cause = |of: &str| {
        let (_, _, event) = chain.iter().find(|(name, ..)| name == of).unwrap();
        by_id.get(&event.context.causes()[0]).copied()
    };
    assert_eq!(cause("retraining.requested"), Some("datadrift.detected"));
    assert_eq!(cause("pipelinerun.queued"), Some("retraining.requested"));
    assert_eq!(cause("model.evaluated"), Some("pipelinerun.queued"));
}

#[tokio::test(flavor = "multi_thread")]
async fn cooldown_budget_and_concurrency_hold_when_the_trainer_is_killed() {
    let school = School::open().await;
    school.apply("cools", "{mode: auto, triggers: [drift], cooldown: 1h}").await;
    school.apply("saves", "{mode: auto, triggers: [drift], budget: {runs: 1, per: 1d}}").await;
    school.says("waits", "hang");
    school.apply("waits", "{mode: auto, triggers: [drift], concurrency: queue}").await;
    school.says("stops", "hang");
    school.apply("stops", "{mode: auto, triggers: [drift], concurrency: cancel-previous}").await;
    school.says("skips", "hang");
    school.apply("skips", "{mode: auto, triggers: [drift], concurrency: skip}").await;
    // For a run that is under way its whole limit of 20 minutes is set aside.
    school.says("pays", "hang");
    school.apply("pays", "{mode: auto, triggers: [drift], concurrency: queue, budget: {podHours: 0.5, per: 1d}}").await;
    for model in ["cools", "saves"] {
        school.until_told(model, "retraining.finished", Some("promoted"), 1).await;
        school.data(model, "second");
    }
    for model in ["waits", "stops", "skips", "pays"] {
        until("it is trained", PATIENCE, async || (school.ran(model) == 1).then_some(())).await;
        school.data(model, "second");
    }
    school.kill().await;
    let kept = [("cools", "cooldown"), ("saves", "budget"), ("waits", "queued"), ("skips", "running"), ("pays", "budget")];
    for times in 1..=2 {
        for (model, reason) in kept {
            // In a hurry a cooldown is passed over, and nothing else.
            school.retrain(model, times == 1 && model != "cools").await;
            school.until_told(model, "retraining.skipped", Some(reason), times).await;
        }
        school.kill().await;
    }
    assert_eq!(kept.map(|(model, _)| school.ran(model)), [1; 5]);

    school.says("stops", "passed");
    school.retrain("stops", true).await;
    school.kill().await;
    let stopped = school.until_told("stops", "retraining.finished", Some("cancelled"), 1).await;
    assert!(stopped["podSeconds"].as_u64().unwrap() > 0, "{stopped}");
    school.until_told("stops", "retraining.finished", Some("promoted"), 1).await;
    assert_eq!(school.ran("stops"), 2);
    assert_eq!(school.count("waits", "pipelinerun.queued").await, 1, "one at a time");
    school.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_candidate_that_is_one_becomes_the_champion_and_it_can_be_taken_back() {
    let school = School::open().await;
    school.apply("churn", "{mode: approve, triggers: [drift]}").await;
    let asked = school.until_told("churn", "retraining.requested", None, 1).await;
    assert_eq!((&asked["approval"], asked["run"].as_u64()), (&"needed".into(), Some(1)));
    school.kill().await;
    let status = school.model(&["status"]).await;
    assert!(status.contains("asked") && status.contains("awaiting_approval: run 1 waits since"), "{status}");
    assert!(school.model(&["approve", "churn"]).await.contains("run 1 of churn is approved"));
    school.until_told("churn", "retraining.finished", Some("promoted"), 1).await;
    assert_eq!(school.count("churn", "service.deployed").await, 1);
    let first = school.champion("churn").await;

    school.retrain("churn", true).await;
    school.until_told("churn", "retraining.skipped", Some("no_new_data"), 1).await;
    assert_eq!(school.ran("churn"), 1, "the same data is not trained on twice");

    for (says, outcome, wanted) in [
        ("garbage", "failed", "its result is not one: "),
        ("fail", "failed", "age: 3 is not a number"),
        ("rejected", "rejected", "auc 0.6 is below 0.7"),
    ] {
        school.says("churn", says);
        school.data("churn", says);
        let before = school.count("churn", "retraining.finished").await;
        school.retrain("churn", true).await;
        until("it has ended", PATIENCE, async || (school.count("churn", "retraining.finished").await > before).then_some(()))
            .await;
        let ended = school.record("churn").await.ended.unwrap();
        let reason = ended.reason.unwrap_or_default();
        assert_eq!((ended.outcome.name(), reason.contains(wanted)), (outcome, true), "{reason}");
        assert_eq!(school.champion("churn").await, first, "{says}: the champion is untouched");
    }

    school.says("churn", "passed");
    school.data("churn", "good");
    school.retrain("churn", true).await;
    school.until_told("churn", "retraining.finished", Some("promoted"), 2).await;
    assert_ne!(school.champion("churn").await, first);
    let status = school.model(&["status", "churn"]).await;
    assert!(status.contains("auc 0.9000") && status.contains("before     ") && status.contains(" promoted at "), "{status}");
    let (file, rows) = (school.home.join("churn.yaml"), school.home.join("rows.jsonl"));
    let lines: Vec<_> = (0..2000).map(|n| serde_json::json!({"id": n, "age": n % 100}).to_string()).collect();
    fs::write(&rows, lines.join("\n")).unwrap();
    let replayed = school.model(&["replay", file.to_str().unwrap(), "--from", rows.to_str().unwrap(), "--windows"]).await;
    assert!(replayed.contains("window 2 of 1000 rows") && replayed.contains("2 windows, 0 drifts, 0 trainings"), "{replayed}");
    let replayed = school.model(&["replay", file.to_str().unwrap(), "--since", "1h"]).await;
    assert!(replayed.contains("nothing was seen in that time"), "{replayed}");
    assert!(school.model(&["restore", "churn"]).await.contains(first.as_deref().unwrap()));
    school.until_told("churn", "model.rolledback", None, 1).await;
    school.until_told("churn", "service.rolledback", None, 1).await;
    assert_eq!(school.champion("churn").await, first);
    let pinned = Pinned::read(&school.bus, "churn").await.unwrap().unwrap().0;
    assert_eq!((Some(pinned.run), school.record("churn").await.reference), (first.clone(), first));
    let error = school.model_fails(&["replay", file.to_str().unwrap(), "--since", "3d"]).await;
    assert!(error.contains("--since 3d: stream INFERENCE keeps 1d: what is older is gone"), "{error}");
    let error = school.model_fails(&["replay", file.to_str().unwrap(), "--from", "rows.parquet"]).await;
    assert!(error.contains("rows.parquet: JSON lines are expected"), "{error}");
    school.model(&["feed", "churn", rows.to_str().unwrap()]).await;
    let replayed = school.model(&["replay", file.to_str().unwrap(), "--since", "1h", "--windows"]).await;
    assert!(replayed.contains("window 2 of 1000 rows") && replayed.contains("2 windows, "), "{replayed}");
    school.close().await;
}
