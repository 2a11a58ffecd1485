//! `run`: a whole run, in a build or by hand.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use serde_json::json;
use switchyard_model::{Outcome, RunRequest, RunResult};

use super::told::{line, model, say};
use crate::{
    error::{Error, Result, Tried},
    gate::shown,
    run::{Asked, run as whole},
};

/// The variable with what the trainer asks for.
const RUN: &str = "SWITCHYARD_RUN";

/// The variable with the name of the file for the result, and the file where there is none.
const RESULT: (&str, &str) = ("SWITCHYARD_TERMINATION_LOG", "/dev/termination-log");

/// How long a result may be.
const LONGEST: usize = 4096;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The model file, or `-`; without it, `SWITCHYARD_MODEL` and `SWITCHYARD_RUN` say what to do, as in a build.
    file: Option<PathBuf>,
    /// The run that is to be beaten, by hand.
    #[arg(long, value_name = "RUN", requires = "file")]
    champion: Option<String>,
    /// Print the result as one line of JSON.
    #[arg(long)]
    json: bool,
    /// Say nothing of the steps.
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let done = begin(args);
    match &done {
        Ok(result) => {
            leave(&short(result)?)?;
            if args.json { say(&line(result)?) } else { say(&told(result)) }
        }
        Err(error) => {
            // Best effort: that the run failed is told by its exit code.
            let what: String = error.to_string().chars().take(1000).collect();
            let _ = leave(&line(&json!({"error": what}))?);
            done.map(drop)
        }
    }
}

fn begin(args: &Args) -> Result<RunResult> {
    let model = model(args.file.as_ref())?;
    let asked = match (&args.file, std::env::var(RUN)) {
        (None, Ok(text)) => {
            let request: RunRequest =
                serde_json::from_str(&text).map_err(|error| Error::new(format!("{RUN} is no request for a run: {error}")))?;
            Asked::Build(request)
        }
        (_, _) => Asked::Hand { champion: args.champion.clone() },
    };
    whole(&model, asked, args.quiet)
}

/// Leaves the result where the build's executor looks for it.
fn leave(text: &str) -> Result<()> {
    let path = std::env::var_os(RESULT.0).map_or_else(|| PathBuf::from(RESULT.1), PathBuf::from);
    if std::env::var_os(RESULT.0).is_none() && !Path::new(RESULT.1).exists() {
        return Ok(());
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).open(&path).tried("open", path.display())?;
    file.write_all(text.as_bytes()).tried("write", path.display())
}

/// The result in at most 4 KiB: what is cut short stands whole in the run's folder.
fn short(result: &RunResult) -> Result<String> {
    let mut result = result.clone();
    if line(&result)?.len() > LONGEST {
        result.gate.failed.truncate(3);
        result.gate.failed.iter_mut().for_each(|why| *why = why.chars().take(200).collect());
    }
    while line(&result)?.len() > LONGEST {
        let longest = result.metrics.keys().max_by_key(|name| name.len()).cloned();
        let Some(name) = longest else { return Err(Error::new("the result is longer than 4 KiB; measure less")) };
        result.metrics.remove(&name);
        result.champion.remove(&name);
    }
    line(&result)
}

fn told(result: &RunResult) -> String {
    let mut lines = vec![format!("run {}", result.run)];
    lines.push(match result.outcome {
        Outcome::Passed => "passed".to_owned(),
        Outcome::Rejected => format!("rejected: {}", result.gate.failed.join("; ")),
    });
    for (name, value) in &result.metrics {
        let before = result.champion.get(name).map(|value| format!("   champion {}", shown(*value))).unwrap_or_default();
        lines.push(format!("  {name:<12} {}{before}", shown(*value)));
    }
    lines.push(format!("  rows         train {}, eval {}, test {}", result.rows.train, result.rows.eval, result.rows.test));
    lines.push(format!("  folder       runs/{}", result.run));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use switchyard_model::{Artifact, Gate, Rows};

    use super::*;

    #[test]
    fn a_result_always_fits_into_a_termination_message() {
        let artifact = || Artifact { path: "runs/x/model".into(), sha256: "0".repeat(64) };
        let result = RunResult {
            run: "x".into(),
            outcome: Outcome::Rejected,
            metrics: (0..500).map(|n| (format!("metric {n}"), 1.0 / f64::from(n + 1))).collect(),
            champion: [].into(),
            compared: None,
            gate: Gate { failed: vec!["w".repeat(3000); 5] },
            model: artifact(),
            preprocessing: artifact(),
            profile: artifact(),
            manifest: artifact(),
            rows: Rows::default(),
        };
        let text = short(&result).unwrap();
        assert!(text.len() <= LONGEST);
        assert_eq!(serde_json::from_str::<RunResult>(&text).unwrap().model, artifact());
    }
}
