//! The end of a run: its folder in the store, and its result.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use switchyard_model::{Artifact, Gate, Outcome, Rows, RunResult};

use super::{
    Done, Job,
    fetch::Said,
    files::noted,
    rated::Rated,
    record::{Inputs, NAME, Record, Took, path},
};
use crate::{
    cache::{Kept, Made},
    digest,
    error::{Error, Result},
};

impl<'a> Job<'a> {
    pub(super) fn hand_over(&self, done: &Done<'a>, profiled: &Made<'a>, rated: &Rated) -> Result<RunResult> {
        let begun = std::time::Instant::now();
        let artifacts = self.artifacts(done, profiled, rated).map_err(|error| error.at("hand over"))?;
        let record = self.record((done, profiled), rated, artifacts)?;
        // The record comes last: who finds it finds everything.
        let bytes = serde_json::to_vec_pretty(&record).map_err(|error| Error::new(error.to_string()))?;
        self.store.put_bytes(&path(&record.run, NAME), &bytes).map_err(|error| error.at("hand over"))?;
        let what = if rated.failed.is_empty() { "passed".to_owned() } else { format!("rejected: {}", rated.failed.join("; ")) };
        self.progress.done("gate", &what, false, begun.elapsed());
        let manifest = Artifact { path: path(&record.run, NAME), sha256: digest::of_bytes(&bytes) };
        Ok(RunResult {
            run: record.run.clone(),
            outcome: record.outcome,
            metrics: record.metrics.clone(),
            champion: record.champion.clone(),
            compared: record.compared.clone(),
            gate: record.gate.clone(),
            model: record.artifact("model")?,
            preprocessing: record.artifact("preprocessing.json")?,
            profile: record.artifact("profile.json")?,
            manifest,
            rows: record.rows,
        })
    }

    /// Copies what the run made into its folder.
    fn artifacts(&self, done: &Done<'a>, profiled: &Made<'a>, rated: &Rated) -> Result<BTreeMap<String, Kept>> {
        let predictions = self.predictions();
        let predicted = done.predicted.as_ref().unwrap_or(&done.trained);
        let files = [
            ("model", &done.trained),
            ("preprocessing.json", &done.preprocessed),
            ("profile.json", profiled),
            (predictions.as_str(), predicted),
        ];
        let mut artifacts = BTreeMap::new();
        for (name, made) in files {
            self.store.put(&path(&self.request.run, name), &made.file(name)?)?;
            artifacts.insert(name.to_owned(), made.kept(name)?.clone());
        }
        let report = json!({"candidate": rated.candidate, "champion": rated.champion, "failed": rated.failed});
        let bytes = serde_json::to_vec_pretty(&report).map_err(|error| Error::new(error.to_string()))?;
        self.store.put_bytes(&path(&self.request.run, "report.json"), &bytes)?;
        artifacts.insert("report.json".into(), Kept { sha256: digest::of_bytes(&bytes), size: bytes.len() as u64 });
        Ok(artifacts)
    }

    fn record(&self, made: Whole<'_, 'a>, rated: &Rated, artifacts: BTreeMap<String, Kept>) -> Result<Record> {
        let (model, done) = (self.model, made.0);
        let said: Said = done.fetched.note()?;
        let train = &model.train;
        let rows: Rows = done.split.note()?;
        Record {
            version: 1,
            run: self.request.run.clone(),
            model: model.name.clone(),
            declaration: model.digest(),
            seed: model.seed(),
            code: json!({"image": train.image, "code": train.code, "command": train.command}),
            params: noted(&train.params)?,
            data: Inputs {
                manifest: self.request.manifest.clone(),
                files: self.manifest.files.len(),
                source_rows: said.fetched.source_rows,
                rows: said.fetched.rows,
                newest: said.fetched.newest,
            },
            compared: rated.champion.as_ref().and(self.champion()).map(|champion| champion.run.clone()),
            rows,
            outcome: if rated.failed.is_empty() { Outcome::Passed } else { Outcome::Rejected },
            gate: Gate { failed: rated.failed.clone() },
            metrics: rated.candidate.metrics.clone(),
            champion: rated.champion.as_ref().map(|measured| measured.metrics.clone()).unwrap_or_default(),
            artifacts,
            steps: steps(made).map(|(step, made)| (step.to_owned(), made.digests())).collect(),
            digest: String::new(),
            took: took(made, rated),
        }
        .digested()
    }
}

/// All steps, and the one that comes after what is measured.
type Whole<'d, 'a> = (&'d Done<'a>, &'d Made<'a>);

fn steps<'d, 'a>((done, profiled): Whole<'d, 'a>) -> impl Iterator<Item = (&'static str, &'d Made<'a>)> {
    let all = [
        ("fetch", Some(&done.fetched)),
        ("split", Some(&done.split)),
        ("preprocess", Some(&done.preprocessed)),
        ("profile", Some(profiled)),
        ("train", Some(&done.trained)),
        ("predict", done.predicted.as_ref()),
    ];
    all.into_iter().filter_map(|(step, made)| Some((step, made?)))
}

fn took(made: Whole<'_, '_>, rated: &Rated) -> BTreeMap<String, Took> {
    let made = steps(made).map(|(step, made)| (step, made.took, made.cached));
    let all = made.chain(rated.took.iter().copied());
    all.map(|(step, took, cached)| (step.to_owned(), Took { seconds: took.as_secs_f64(), cached })).collect()
}

impl Made<'_> {
    /// The digests of the files of a step.
    fn digests(&self) -> Value {
        json!({"from": self.digest, "files": self.digests_of_files()})
    }
}
