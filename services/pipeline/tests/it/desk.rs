//! A model on a desk: its data, its file, its store.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

/// A model of which every part can be written otherwise.
pub(crate) struct Desk {
    folder: TempDir,
    pub(crate) source: String,
    pub(crate) data: String,
    pub(crate) split: String,
    pub(crate) preprocess: String,
    pub(crate) params: String,
    pub(crate) timeout: String,
    pub(crate) train: String,
    pub(crate) predict: Option<String>,
    pub(crate) evaluate: String,
    pub(crate) label: String,
    pub(crate) features: String,
    pub(crate) format: String,
}

/// Trains nothing: the model is the file of parameters.
pub(crate) const TRAIN: &str = r#"cp "$SWITCHYARD_PARAMS" "$SWITCHYARD_MODEL_OUT""#;

/// Predicts by the column `score`, which is the second, held between 0 and 1.
pub(crate) const PREDICT: &str = r#"awk -F, 'NR == 1 { print "id,prediction" } NR > 1 { print $1 "," ($2 < 0 ? 0 : $2 > 1 ? 1 : $2) }' "$SWITCHYARD_TEST" > "$SWITCHYARD_PREDICTIONS""#;

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            source: "rows-*.csv".into(),
            data: String::new(),
            split: "{seed: 7}".into(),
            preprocess: "{score: [none], plan: [{vocabulary: 2}, onehot]}".into(),
            params: "{depth: 6}".into(),
            timeout: "10m".into(),
            train: TRAIN.into(),
            predict: Some(PREDICT.into()),
            evaluate: "{metrics: [auc, logloss], slices: [plan], gate: {metric: auc, min: 0.6}}".into(),
            label: "{column: bought, task: binary}".into(),
            features: "[score, plan]".into(),
            format: String::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Rows of which `score` says much about `bought`: the same for the same numbers.
    pub(crate) fn rows(from: u32, to: u32) -> String {
        let mut text = "id,at,score,plan,bought\n".to_owned();
        for id in from..to {
            let draw = |salt: u32| f64::from((id.wrapping_mul(2_654_435_761).wrapping_add(salt * 40_503) >> 8) % 1000) / 1000.0;
            let score = draw(1);
            let bought = u8::from(draw(2) * 0.6 + score * 0.7 > 0.65);
            let plan = ["free", "basic", "gold"][(id % 7 % 3) as usize];
            writeln!(text, "{id},{},{score},{plan},{bought}", 1_767_225_600 + id * 60).unwrap();
        }
        text
    }

    pub(crate) fn file(&self) -> PathBuf {
        let folder = self.folder.path().display();
        let source = if self.source.contains("://") { self.source.clone() } else { format!("file://{folder}/{}", self.source) };
        let quote = |script: &str| format!("[/bin/sh, -ec, '{}']", script.replace('\'', "''"));
        let predict =
            self.predict.as_ref().map_or_else(String::new, |script| format!("predict: {{command: {}}}\n", quote(script)));
        let text = format!(
            "version: 1\nmodel: shop\nstore: {{url: 'file://{folder}/store'}}\n\
             data: {{source: {{url: '{source}'}}, key: id, eventTime: at, label: {}, features: {}{}}}\n\
             split: {}\npreprocess: {}\n\
             train: {{image: 'r/shop@sha256:{}', command: {}, params: {}, timeout: {}{}}}\n{predict}\
             evaluate: {}\npolicy: {{mode: suggest, triggers: [{{cron: '0 3 * * 0'}}]}}\n",
            self.label,
            self.features,
            self.data,
            self.split,
            self.preprocess,
            "0".repeat(64),
            quote(&self.train),
            self.params,
            self.timeout,
            self.format,
            self.evaluate,
        );
        self.write("model.yaml", &text);
        self.path("model.yaml")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard-pipeline"));
        command.current_dir(self.folder.path()).args(arguments);
        for name in ["SWITCHYARD_MODEL", "SWITCHYARD_RUN"] {
            command.env_remove(name);
        }
        command.env("SWITCHYARD_TERMINATION_LOG", self.path("result.json"));
        command
    }

    /// Runs the model.
    pub(crate) fn output(&self, more: &[&str]) -> Output {
        let file = self.file();
        self.command(&["run", file.to_str().unwrap(), "--json"]).args(more).output().unwrap()
    }

    /// Runs the model, which must come to a result.
    pub(crate) fn run(&self, more: &[&str]) -> Value {
        let output = self.output(more);
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs the model, which must fail, and says what was complained of last. A champion that there is stays as it is.
    pub(crate) fn fails(&self) -> String {
        let before = self.kept("runs");
        let champion = before.first().map(|(path, _)| path.iter().nth(2).unwrap().to_str().unwrap());
        let output = self.output(&champion.map_or_else(Vec::new, |run| vec!["--champion", run]));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}{}", text(&output.stdout));
        assert!(self.kept("runs") == before, "something was handed over, or the champion is another: {said}");
        said.lines().last().unwrap().to_owned()
    }

    pub(crate) fn record(&self, result: &Value) -> Value {
        let path = format!("store/{}", result["manifest"]["path"].as_str().unwrap());
        serde_json::from_slice(&fs::read(self.path(&path)).unwrap()).unwrap()
    }

    /// Everything below a folder of the store, by path.
    pub(crate) fn kept(&self, folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        walk(&self.path("store").join(folder), &mut found);
        let mut found: Vec<_> = found.into_iter().map(|path| (path.clone(), fs::read(&path).unwrap())).collect();
        for (path, _) in &mut found {
            *path = path.strip_prefix(self.folder.path()).unwrap().to_owned();
        }
        found.sort();
        found
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, found) } else { found.push(path) }
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
