//! `switchyard-pipeline` as a child process: it alone reads data and the models' stores.

use std::{path::PathBuf, process::Stdio, time::Duration};

use serde::Deserialize;
use switchyard_model::{Artifact, Model};
use tokio::{io::AsyncWriteExt as _, process::Command};

/// How long it may take to list a source and to digest its files.
const MANIFEST: Duration = Duration::from_mins(30);

/// How long it may take to read one artifact.
const GET: Duration = Duration::from_mins(2);

/// The most of what it says on standard error that becomes part of a reason.
const SAID: usize = 600;

/// The program.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    program: PathBuf,
}

impl Pipeline {
    /// The program of that path; without one, that beside this program, else whichever PATH has.
    pub(crate) fn at(path: Option<PathBuf>) -> Self {
        const NAME: &str = "switchyard-pipeline";
        let beside = || Some(std::env::current_exe().ok()?.with_file_name(NAME)).filter(|path| path.is_file());
        Self { program: path.or_else(beside).unwrap_or_else(|| NAME.into()) }
    }

    /// The data that the model's source has now, listed in its store.
    pub(crate) async fn manifest(&self, model: &Model) -> Result<Artifact, String> {
        #[derive(Deserialize)]
        struct Line {
            path: String,
            sha256: String,
        }
        let printed = self.run(&["manifest", "-"], model, MANIFEST).await?;
        let Line { path, sha256 } =
            serde_json::from_slice(&printed).map_err(|error| format!("switchyard-pipeline manifest: {error}"))?;
        Ok(Artifact { path, sha256 })
    }

    /// The bytes of an artifact of the model's store, as its digest says.
    pub(crate) async fn get(&self, model: &Model, artifact: &Artifact) -> Result<Vec<u8>, String> {
        let bytes = self.run(&["get", &artifact.path], model, GET).await?;
        let digest = switchyard_events::content_digest(&bytes);
        if digest == artifact.sha256 {
            return Ok(bytes);
        }
        Err(format!("{} has digest {digest}, not {}", artifact.path, artifact.sha256))
    }

    /// Runs it with the model's file on standard input; what it prints.
    async fn run(&self, arguments: &[&str], model: &Model, patience: Duration) -> Result<Vec<u8>, String> {
        let what = format!("switchyard-pipeline {}", arguments[0]);
        let canonical = model.canonical();
        let mut command = Command::new(&self.program);
        command.args(arguments).env("SWITCHYARD_MODEL", &canonical).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |error: std::io::Error| format!("{what} ({}): {error}", self.program.display());
        let mut child = command.spawn().map_err(failed)?;
        let input = child.stdin.take();
        let fed = async {
            if let Some(mut input) = input {
                // A child that does not want it closes it.
                let _ = input.write_all(canonical.as_bytes()).await;
            }
        };
        let both = async { tokio::join!(fed, child.wait_with_output()).1 };
        let output = tokio::time::timeout(patience, both).await.map_err(|_| format!("{what}: not within {patience:?}"))?;
        let output = output.map_err(failed)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(format!("{what}: {}: {}", output.status, last_words(&output.stderr)))
    }
}

fn last_words(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let text = text.trim();
    let from = text.char_indices().rev().nth(SAID).map_or(0, |(at, _)| at);
    text[from..].to_owned()
}
