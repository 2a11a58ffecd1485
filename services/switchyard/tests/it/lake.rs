//! A model that is really trained by `switchyard-pipeline`, out of rows by a formula; and the same rows as they are served.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use async_nats::HeaderMap;
use serde_json::{Value, json};
use switchyard_events::{WindowJudged, custom_data};

use crate::{local::build_pipeline, training::School, yard::until};

pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// The model's name.
pub(crate) const SHOP: &str = "shop";

/// Trains nothing: the model is the file of parameters. `$0` does something else before, where it is there.
const TRAIN: &str = r#"[ ! -e "$0" ] || . "$0"; cp "$SWITCHYARD_PARAMS" "$SWITCHYARD_MODEL_OUT""#;

/// Answers with the column `score`.
const PREDICT: &str = r#"awk -F, 'NR == 1 { print "id,prediction" } NR > 1 { print $1 "," ($2 < 0 ? 0 : $2 > 1 ? 1 : $2) }' "$SWITCHYARD_TEST" > "$SWITCHYARD_PREDICTIONS""#;

/// One row.
pub(crate) struct Row {
    pub(crate) id: u32,
    /// Even between 0 and 1.
    pub(crate) score: f64,
    pub(crate) plan: &'static str,
    /// Likelier the greater the score is.
    pub(crate) bought: u8,
}

/// Row `id`: always the same.
pub(crate) fn row(id: u32) -> Row {
    let draw = |salt: u32| f64::from((id.wrapping_mul(2_654_435_761).wrapping_add(salt * 40_503) >> 8) % 1000) / 1000.0;
    let score = draw(1);
    let bought = u8::from(draw(2) * 0.6 + score * 0.7 > 0.65);
    Row { id, score, plan: ["free", "basic", "gold"][(id % 7 % 3) as usize], bought }
}

/// Rows as a file of them, with scores that are greater by `gold` where the plan is that.
pub(crate) fn csv(ids: std::ops::Range<u32>, gold: f64) -> String {
    let mut text = "id,at,score,plan,bought\n".to_owned();
    for Row { id, score, plan, bought } in ids.map(row) {
        let score = if plan == "gold" { score + gold } else { score };
        writeln!(text, "{id},{},{score},{plan},{bought}", 1_767_225_600 + id * 60).unwrap();
    }
    text
}

/// The model's file, over the files `rows-*.csv` of a folder.
fn file(home: &Path, monitor: &str, policy: &str) -> String {
    let quoted =
        |script: &str| format!("[/bin/sh, -ec, '{}', '{}']", script.replace('\'', "''"), home.join("before.sh").display());
    format!(
        "version: 1\nmodel: {SHOP}\nstore: {{url: 'file://{home}/store'}}\n\
         data: {{source: {{url: 'file://{home}/rows-*.csv'}}, key: id, eventTime: at, label: {{column: bought, task: binary}}, \
         features: [score, plan]}}\nsplit: {{seed: 7}}\npreprocess: {{score: [none], plan: [{{vocabulary: 3}}, onehot]}}\n\
         train: {{image: a, command: {}, params: {{depth: 6}}, ram: 256Mi, timeout: 30s}}\npredict: {{command: {}}}\n\
         evaluate: {{metrics: [auc], gate: {{metric: auc, min: 0.6}}}}\nmonitor: {monitor}\npolicy: {policy}\n",
        quoted(TRAIN),
        quoted(PREDICT),
        home = home.display(),
    )
}

impl School {
    /// The first model of the shop, made of 2,000 rows.
    pub(crate) async fn shop(monitor: &str, policy: &str) -> Self {
        let school = Self::real().await;
        fs::write(school.home.join("rows-1.csv"), csv(0..2000, 0.0)).unwrap();
        school.declare(monitor, policy).await;
        school.until_told(SHOP, "retraining.finished", Some("promoted"), 1).await;
        school
    }

    /// Applies the shop's file.
    pub(crate) async fn declare(&self, monitor: &str, policy: &str) {
        let text = file(&self.home, monitor, policy);
        let (model, _) = switchyard_model::read(&text).unwrap_or_else(|wrong| panic!("{wrong}"));
        let before = self.bus.models(SHOP).await.unwrap().last().map(|applied| applied.number);
        self.bus.apply_model(&model.name, &text, before).await.unwrap().unwrap();
    }

    /// Rows as Parquet: what `switchyard-pipeline` keeps of a file that it has fetched, with these features.
    pub(crate) async fn parquet(&self, name: &str, rows: &str, features: &str) -> PathBuf {
        let home = self.home.join(name);
        fs::create_dir_all(&home).unwrap();
        fs::write(home.join("rows-1.csv"), rows).unwrap();
        let model = file(&home, "{}", "{}").replace("[score, plan]", features).replace(", plan: [{vocabulary: 3}, onehot]", "");
        fs::write(home.join("model.yaml"), model).unwrap();
        let mut run = tokio::process::Command::new(build_pipeline().await);
        let ran = run.args(["run", "--quiet"]).arg(home.join("model.yaml")).output().await.unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let mut steps = fs::read_dir(home.join("store/cache")).unwrap().flatten().map(|step| step.path().join("rows.parquet"));
        let file = self.home.join(format!("{name}.parquet"));
        fs::copy(steps.find(|file| file.is_file()).unwrap(), &file).unwrap();
        file
    }

    /// Publishes an event as model servers do that set no `Nats-Msg-Id`.
    pub(crate) async fn seen(&self, partition: u32, ty: &str, id: &str, more: &[(&str, &str)], data: &str) {
        let mut headers = HeaderMap::new();
        let attributes = [("specversion", "1.0"), ("id", id), ("source", "/models/shop"), ("type", ty)];
        for (name, value) in attributes.iter().chain(more) {
            headers.insert(format!("ce-{name}").as_str(), *value);
        }
        let subject = format!("inference.{SHOP}.{partition}");
        let sent = self.bus.jetstream().publish_with_headers(subject, headers, data.to_owned().into()).await.unwrap();
        sent.await.unwrap();
    }

    /// A file of rows, by reference.
    pub(crate) async fn seen_file(&self, id: &str, path: &Path) {
        self.seen(0, "switchyard.inference.rows", id, &[("dataref", &format!("file://{}", path.display()))], "").await;
    }

    /// The request and the response of one row, as `KServe`'s logger sends them: they share their id. The response comes twice, as
    /// of a logger that tries again.
    pub(crate) async fn asked(&self, Row { id, score, plan, .. }: &Row, answer: f64) {
        let tensor = |name: &str, kind: &str, data: Value| json!({"name": name, "shape": [1], "datatype": kind, "data": [data]});
        let request = json!({"inputs": [tensor("score", "FP64", json!(score)), tensor("plan", "BYTES", json!(plan))]});
        let response = json!({"outputs": [tensor("p", "FP64", json!(answer))]});
        let (partition, name) = (id % 2, id.to_string());
        self.seen(partition, "org.kubeflow.serving.inference.request", &name, &[], &request.to_string()).await;
        for _ in 0..2 {
            self.seen(partition, "org.kubeflow.serving.inference.response", &name, &[], &response.to_string()).await;
        }
    }

    /// What has become of rows, some time later.
    pub(crate) async fn labelled(&self, rows: &[Row], truth: impl Fn(&Row) -> u8) {
        for partition in 0..2 {
            let of = rows.iter().filter(|row| row.id % 2 == partition);
            let labels: Vec<Value> = of.map(|row| json!({"id": row.id.to_string(), "label": truth(row)})).collect();
            let id = format!("labels {} {partition}", rows[0].id);
            self.seen(partition, "switchyard.inference.labels", &id, &[], &json!({"labels": labels}).to_string()).await;
        }
    }

    /// Waits until everything that was seen is counted and kept.
    pub(crate) async fn counted(&self) {
        let inference = self.bus.jetstream().get_stream("INFERENCE").await.unwrap();
        for partition in 0..2 {
            let last =
                inference.get_last_raw_message_by_subject(&format!("inference.{SHOP}.{partition}")).await.unwrap().sequence;
            until("a partition is counted", PATIENCE, async || {
                let (bytes, _) = self.bus.state(&format!("window.{SHOP}.{partition}")).await.unwrap()?;
                let state: Value = serde_json::from_slice(&bytes).unwrap();
                (state["position"].as_u64()? >= last).then_some(())
            })
            .await;
        }
    }

    /// What window `number` says.
    pub(crate) async fn window(&self, number: u64) -> WindowJudged {
        until(&format!("window {number} is judged"), PATIENCE, async || self.windows().await.remove(&number)).await
    }

    async fn windows(&self) -> BTreeMap<u64, WindowJudged> {
        let mut said = BTreeMap::new();
        let filter = format!("yard.dev.cdeventsx.*.*.*.*.*.{SHOP}.*");
        let hear = |delivery: switchyard_bus::Delivery| {
            if delivery.subject.contains("-datawindow.judged.") {
                let judged: WindowJudged = custom_data(&delivery.cdevent().unwrap()).unwrap();
                said.insert(judged.window, judged);
            }
        };
        self.bus.recorded("YARD", &filter, None, hear).await.unwrap();
        said
    }

    /// Everything that was handed over, by path.
    pub(crate) fn handed_over(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        for run in fs::read_dir(self.home.join("store/runs")).unwrap().flatten() {
            for file in fs::read_dir(run.path()).unwrap().flatten() {
                found.insert(file.path(), fs::read(file.path()).unwrap());
            }
        }
        found
    }
}
