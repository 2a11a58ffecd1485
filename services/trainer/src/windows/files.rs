//! Files of rows, counted by the program that reads them: `switchyard-pipeline count`. This program links no reader of Parquet.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use switchyard_drift::{Profile, WindowCounts};
use tokio::process::Command;

use crate::ingest::Unreadable;

/// How long one file may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// How much of what it complains about is told.
const TOLD: usize = 500;

/// Counts files against a profile.
pub(crate) async fn count(program: &Path, profile: &Profile, urls: &[String]) -> Result<WindowCounts, Unreadable> {
    let failed = |error: String| Unreadable::File { url: urls.join(", "), error };
    let file = Temporary::write(profile).map_err(|error| failed(format!("the profile cannot be written: {error}")))?;
    let mut command = Command::new(program);
    command.arg("count").arg("--profile").arg(&file.0).args(urls).stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = ended
        .map_err(|_| failed(format!("counting took longer than {PATIENCE:?}")))?
        .map_err(|error| failed(format!("{} cannot be run: {error}", program.display())))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(said.trim().chars().take(TOLD).collect()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(format!("what was counted cannot be read: {error}")))
}

/// Where the program is: as told, beside this one, or on PATH.
pub(crate) fn program(told: Option<&Path>) -> PathBuf {
    const NAME: &str = "switchyard-pipeline";
    let beside = || Some(std::env::current_exe().ok()?.with_file_name(NAME)).filter(|file| file.is_file());
    told.map(Path::to_path_buf).or_else(beside).unwrap_or_else(|| NAME.into())
}

/// A file that is gone with its value.
struct Temporary(PathBuf);

impl Temporary {
    fn write(profile: &Profile) -> std::io::Result<Self> {
        let name = format!("switchyard-profile-{}-{}.json", std::process::id(), &profile.frame()[..16]);
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, serde_json::to_vec(profile)?)?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Whoever cannot remove it leaves it to the system.
        let _ = std::fs::remove_file(&self.0);
    }
}
