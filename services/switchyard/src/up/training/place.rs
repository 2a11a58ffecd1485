//! What the model of the demo needs: programs that may not be there, and its files.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use switchyard_fleet::{Fleet, Plugin};

/// The folder that the sample's own files name.
const WRITTEN: &str = "/tmp/churn";

const FILES: [(&str, &str); 4] = [
    ("churn.yaml", include_str!("../../../../../deploy/samples/model/churn.yaml")),
    ("generate.py", include_str!("../../../../../deploy/samples/model/generate.py")),
    ("train.py", include_str!("../../../../../deploy/samples/model/train.py")),
    ("predict.py", include_str!("../../../../../deploy/samples/model/predict.py")),
];

/// The program that runs trainings.
const PIPELINE: &str = "switchyard-pipeline";

/// The folder of the program that runs trainings; or what is missing for the demo's model, and what to do.
pub(in crate::up) fn ready(fleet: &Fleet, cluster: bool) -> Result<PathBuf, String> {
    if cluster || !fleet.executors().iter().any(|executor| executor.plugin == Plugin::Process) {
        return Err("simulated pods run nothing: `up --demo` without --cluster trains it".into());
    }
    if on_path("python3").is_none() {
        return Err("python3 is not on PATH: install it".into());
    }
    let beside = env::current_exe().ok().map(|program| program.with_file_name(PIPELINE)).filter(|program| program.is_file());
    let found = beside.or_else(|| on_path(PIPELINE)).and_then(|program| Some(program.parent()?.to_path_buf()));
    found.ok_or_else(|| format!("{PIPELINE} is neither beside this program nor on PATH: build it by `cargo build -p {PIPELINE}`"))
}

fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The search path with a folder before all others.
pub(in crate::up) fn path_with(folder: &Path) -> anyhow::Result<String> {
    let others = env::var_os("PATH").unwrap_or_default();
    let all = env::join_paths([folder.to_path_buf()].into_iter().chain(env::split_paths(&others)))?;
    all.into_string().ok().context("PATH is no text")
}

/// Writes the sample's files to a folder, and into them that folder; the model file's text.
pub(super) fn write(folder: &Path) -> anyhow::Result<String> {
    fs::create_dir_all(folder.join("data"))?;
    let here = folder.display().to_string();
    for (name, text) in FILES {
        fs::write(folder.join(name), text.replace(WRITTEN, &here)).with_context(|| name.to_owned())?;
    }
    Ok(fs::read_to_string(folder.join(FILES[0].0))?)
}
