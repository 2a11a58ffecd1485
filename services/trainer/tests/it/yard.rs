//! A broker with models that are watched, and replicas that watch them.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use async_nats::HeaderMap;
use futures::TryStreamExt as _;
use serde_json::{Value, json};
use switchyard_bus::{Bus, Sizes, provision};
use switchyard_dev::{Stack, StackOptions};
use switchyard_drift::{Column, Fold, Kind, Profile, Survey, WindowCounts};
use switchyard_trainer::{Judged, Pinned};
use tokio::{
    process::{Child, Command},
    time::Instant,
};

/// A machine that does other things too takes its time.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Yard {
    stack: Stack,
    pub(crate) bus: Bus,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) ty: &'static str,
    pub(crate) data: Value,
}

impl Yard {
    pub(crate) async fn start() -> Self {
        let stack = Stack::start(&StackOptions::default()).await.unwrap();
        let bus = Bus::new(stack.nats().connect("loadtest").await.unwrap());
        provision(&bus, &[], &Sizes::default(), 1).await.unwrap();
        Self { stack, bus }
    }

    /// A model with this `monitor`, and its reference.
    pub(crate) async fn apply(&self, model: &str, monitor: &str) {
        let file = format!(
            "version: 1\nmodel: {model}\nstore: {{url: 'file:///tmp/store'}}\ndata: {{source: {{url: 'file:///tmp/rows.csv'}}, key: id, \
             label: {{column: churned, task: binary}}, features: [age, plan]}}\nsplit: {{seed: 7, folds: {{train: 0.7, eval: 0.15, test: 0.15}}}}\n\
             train: {{image: 'r/churn', command: [python, train.py], cpu: 1, ram: 1Gi, timeout: 1h}}\nmonitor: {monitor}\n"
        );
        switchyard_model::read(&file).unwrap();
        self.bus.apply_model(model, &file, None).await.unwrap().unwrap();
        self.pin(model, "first").await;
    }

    /// Pins a reference of a run, in the place of what was there.
    pub(crate) async fn pin(&self, model: &str, run: &str) {
        let before = Pinned::read(&self.bus, model).await.unwrap().map(|(_, revision)| revision);
        let pinned = Pinned { run: run.into(), sha256: String::new(), profile: profile(), metrics: BTreeMap::new() };
        pinned.pin(&self.bus, model, before).await.unwrap().unwrap();
    }

    /// A replica, as the trainer's own user; it dies with the value.
    pub(crate) fn replica(&self) -> Child {
        self.replica_with(Path::new("/nonexistent"))
    }

    /// A folder that is gone with the yard.
    pub(crate) fn folder(&self) -> &Path {
        self.stack.folder()
    }

    /// A program of this text.
    pub(crate) fn program(&self, text: &str) -> PathBuf {
        let path = self.folder().join("program");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A replica that has files counted by a program.
    pub(crate) fn replica_with(&self, pipeline: &Path) -> Child {
        let user = self.stack.nats().credentials("trainer").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard-watch-probe"));
        command.env("NATS_URL", self.stack.nats().url()).env("NATS_USER", &user.user).env("NATS_PASSWORD", &user.password);
        command.args(["--listen", "off", "--pipeline"]).arg(pipeline).stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap()
    }

    /// Publishes as a model server does that sets no `Nats-Msg-Id`.
    pub(crate) async fn publish(&self, model: &str, partition: usize, message: &Message) {
        let mut headers = HeaderMap::new();
        for (name, value) in [("specversion", "1.0"), ("id", message.id.as_str()), ("source", "/models"), ("type", message.ty)] {
            headers.insert(format!("ce-{name}").as_str(), value);
        }
        let subject = format!("inference.{model}.{partition}");
        let sent = self.bus.jetstream().publish_with_headers(subject, headers, message.data.to_string().into()).await;
        sent.unwrap().await.unwrap();
    }

    /// Says where a file of rows is.
    pub(crate) async fn publish_file(&self, model: &str, id: &str, url: &str) {
        let mut headers = HeaderMap::new();
        let attributes =
            [("specversion", "1.0"), ("id", id), ("source", "/lake"), ("type", "switchyard.inference.rows"), ("dataref", url)];
        for (name, value) in attributes {
            headers.insert(format!("ce-{name}").as_str(), value);
        }
        let sent = self.bus.jetstream().publish_with_headers(format!("inference.{model}.0"), headers, "".into()).await;
        sent.unwrap().await.unwrap();
    }

    /// Lets the stream discard everything before that sequence.
    pub(crate) async fn discard_to(&self, sequence: u64) {
        let stream = self.bus.jetstream().get_stream("INFERENCE").await.unwrap();
        stream.purge().sequence(sequence).await.unwrap();
    }

    /// The last sequence of a partition.
    pub(crate) async fn last(&self, model: &str, partition: u16) -> u64 {
        let stream = self.bus.jetstream().get_stream("INFERENCE").await.unwrap();
        stream.get_last_raw_message_by_subject(&format!("inference.{model}.{partition}")).await.unwrap().sequence
    }

    pub(crate) async fn state(&self, model: &str, partition: u16) -> Option<Value> {
        let (bytes, _) = self.bus.state(&format!("window.{model}.{partition}")).await.unwrap()?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }

    pub(crate) async fn position(&self, model: &str, partition: u16) -> Option<u64> {
        self.state(model, partition).await?["position"].as_u64()
    }

    /// How many rows are in windows that are open.
    pub(crate) async fn open_rows(&self, model: &str, partition: u16) -> Option<u64> {
        let state = self.state(model, partition).await?;
        Some(state["open"].as_object()?.values().filter_map(|part| part["counts"]["rows"].as_u64()).sum())
    }

    /// How many windows every partition has closed.
    pub(crate) async fn closed(&self, model: &str, partitions: u16) -> Option<u64> {
        let mut least = u64::MAX;
        for partition in 0..partitions {
            least = least.min(self.state(model, partition).await?["closed"].as_u64()?);
        }
        Some(least)
    }

    /// Whether no partition holds a window any more that was judged.
    pub(crate) async fn judged(&self, model: &str, windows: u64, partitions: u16) -> bool {
        let mut held = BTreeSet::new();
        for partition in 0..partitions {
            let Some(state) = self.state(model, partition).await else { return false };
            held.extend(
                state["parts"].as_object().into_iter().flat_map(|parts| parts.keys().filter_map(|key| key.parse::<u64>().ok())),
            );
        }
        held.first().is_none_or(|first| *first >= windows)
    }

    /// What was told of a model, by the windows' numbers.
    pub(crate) async fn told(&self, model: &str) -> BTreeMap<u64, Judged> {
        let mut told = BTreeMap::new();
        for window in 1.. {
            let Some((bytes, _)) = self.bus.state(&format!("told.{model}.{window}")).await.unwrap() else { break };
            told.insert(window, serde_json::from_slice(&bytes).unwrap());
        }
        told
    }

    /// Forgets all keys that begin so.
    pub(crate) async fn forget(&self, kinds: &[&str]) {
        let bucket = self.bus.jetstream().get_key_value("trainer").await.unwrap();
        let keys: Vec<String> = bucket.keys().await.unwrap().try_collect().await.unwrap();
        for key in keys.iter().filter(|key| kinds.contains(&key.split('.').next().unwrap_or_default())) {
            self.bus.forget_state(key).await.unwrap();
        }
    }

    pub(crate) async fn stop(self) {
        self.stack.stop().await;
    }
}

impl Message {
    /// So many rows like the reference's, their age shifted.
    pub(crate) fn rows(draw: &mut Draw, id: &str, rows: usize, shift: f64) -> Self {
        let rows: Vec<Value> = (0..rows).map(|_| json!({"age": draw.uniform() + shift, "plan": draw.plan()})).collect();
        Self { id: id.to_owned(), ty: "switchyard.inference.rows", data: json!({"rows": rows}) }
    }

    /// A request, its response and its label.
    pub(crate) fn pair(draw: &mut Draw, id: &str, shift: f64) -> [Self; 3] {
        let (score, of) = (draw.uniform(), |ty, data| Self { id: id.to_owned(), ty, data });
        let label = u8::from(draw.uniform() < score);
        [
            of("org.kubeflow.serving.inference.request", json!({"instances": [[draw.uniform() + shift, draw.plan()]]})),
            of("org.kubeflow.serving.inference.response", json!({"predictions": [score]})),
            of("switchyard.inference.labels", json!({"labels": [{"id": id, "label": label}]})),
        ]
    }
}

/// Numbers drawn from a seed (`SplitMix64`, Steele, Lea and Flood 2014).
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.bits() % end as u64).unwrap()
    }

    pub(crate) fn uniform(&mut self) -> f64 {
        f64::from(u32::try_from(self.bits() >> 32).unwrap()) / f64::from(u32::MAX)
    }

    fn plan(&mut self) -> &'static str {
        ["free", "pro", "team"][self.below(3)]
    }
}

/// Waits for something, for as long as it takes on a busy machine.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// So many rows like the reference's, counted.
pub(crate) fn counts(rows: usize) -> WindowCounts {
    let (mut draw, fold) = (Draw(9), Fold::new(&profile()));
    let mut counts = fold.window();
    for _ in 0..rows {
        fold.count(&mut counts, &[Column::Numbers(&[draw.uniform()]), Column::Names(&[Some(draw.plan())])], 1).unwrap();
    }
    counts
}

fn profile() -> Profile {
    let mut draw = Draw(1);
    let rows: Vec<(f64, &str)> = (0..5000).map(|_| (draw.uniform(), draw.plan())).collect();
    let numbers: Vec<f64> = rows.iter().map(|row| row.0).collect();
    let names: Vec<Option<&str>> = rows.iter().map(|row| Some(row.1)).collect();
    let columns = [Column::Numbers(&numbers), Column::Names(&names)];
    let kinds = BTreeMap::from([("age".to_owned(), Kind::Numbers), ("plan".to_owned(), Kind::Names)]);
    let mut survey = Survey::new(&kinds, &[""; 0], NonZeroUsize::new(1024).unwrap()).unwrap();
    survey.see(&columns, rows.len()).unwrap();
    let frame = survey.frame().unwrap();
    let fold = Fold::new(&frame);
    let mut counts = fold.window();
    fold.count(&mut counts, &columns, rows.len()).unwrap();
    frame.filled(&counts).unwrap()
}
