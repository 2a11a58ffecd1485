//! Builds a module's tools into the user's cache, once, whoever asks how often at once.

use std::fs::{self, File};
use std::io::{IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, io};

use super::module::Module;
use super::{Tool, ToolError, find};
use crate::launch::Launch;
use crate::process::{Exit, Process};

/// How a build goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Somebody waits for it, and is told how far it is.
    Told,
    /// Nobody waits for it: it keeps out of the way.
    Background,
}

/// The binary of a tool in the cache, if it is there.
pub(crate) fn built(tool: Tool) -> Option<PathBuf> {
    Some(cache().ok()?.join(tool.module().key()).join(tool.built_name())).filter(|binary| binary.is_file())
}

/// The binary of a tool in the cache; built if it is not there.
pub(crate) async fn cached(tool: Tool, pace: Pace) -> Result<PathBuf, ToolError> {
    let module = tool.module();
    let cache = cache()?;
    let folder = cache.join(module.key());
    let binary = folder.join(tool.built_name());
    if binary.is_file() {
        return Ok(binary);
    }
    fs::create_dir_all(&cache).map_err(ToolError::file(&cache))?;
    let _alone = lock(cache.join(format!("{}.lock", module.key()))).await?;
    if !binary.is_file() {
        if !find::exists("go") {
            return Err(ToolError::NoGo { tool: tool.name(), version: module.version, variable: tool.variable() });
        }
        build(module, &cache, &folder, pace).await?;
    }
    Ok(binary)
}

fn cache() -> Result<PathBuf, ToolError> {
    let set = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("switchyard").join("tools")).ok_or(ToolError::NoCache)
}

/// Waits for other processes that build the same.
async fn lock(path: PathBuf) -> Result<File, ToolError> {
    let taken = path.clone();
    let take = move || -> io::Result<File> {
        let file = File::create(taken)?;
        file.lock()?;
        Ok(file)
    };
    let joined = tokio::task::spawn_blocking(take).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    joined.map_err(ToolError::file(path))
}

/// Builds beside the final folder and renames: the folder is either whole or not there.
async fn build(module: &'static Module, cache: &Path, folder: &Path, pace: Pace) -> Result<(), ToolError> {
    let work = cache.join(format!("{}.building", module.key()));
    let _ = fs::remove_dir_all(&work);
    let out = work.join("out");
    fs::create_dir_all(&out).map_err(ToolError::file(&out))?;
    for (name, text) in module.files() {
        fs::write(work.join(name), text).map_err(ToolError::file(work.join(name)))?;
    }
    let go = match pace {
        Pace::Told => Launch::new("go-build", "go", &work),
        Pace::Background => Launch::new("go-build", "nice", &work).arguments(["-n", "15", "go"]),
    };
    let go = go
        .arguments(module.arguments())
        .arguments([String::from("-o"), format!("{}/", out.display())])
        .arguments(module.packages.iter().copied())
        .variable("CGO_ENABLED", "0")
        .variable("GOFLAGS", "-mod=readonly")
        .variable("GOWORK", "off");
    let go = Process::start(&go).await.map_err(|error| ToolError::Go(error.to_string()))?;
    let exit = match pace {
        Pace::Told => follow(module, &go).await,
        Pace::Background => go.wait().await,
    };
    if exit.code != Some(0) {
        return Err(ToolError::Build { module: module.name, version: module.version, exit, log: go.log_tail() });
    }
    fs::rename(&out, folder).map_err(ToolError::file(folder))?;
    let _ = fs::remove_dir_all(&work);
    Ok(())
}

/// Waits for the build, and says on stderr what takes so long.
async fn follow(module: &Module, go: &Process) -> Exit {
    let started = Instant::now();
    let terminal = stderr().is_terminal();
    let line = |end: &str| {
        let (name, version) = (module.name, module.version);
        let elapsed = minutes(started.elapsed());
        format!("building {name} {version}, once (usually {} on 2 cores): {elapsed}{end}", minutes(module.usual))
    };
    let mut every = tokio::time::interval(Duration::from_secs(if terminal { 1 } else { 30 }));
    loop {
        tokio::select! {
            exit = go.wait() => {
                let (before, after) = if terminal { ("\r", "\n") } else { ("", "\n") };
                say(&format!("{before}{}{after}", line(if exit.code == Some(0) { ", done" } else { ", failed" })));
                return exit;
            }
            _ = every.tick() => say(&if terminal { format!("\r{}", line("")) } else { format!("{}\n", line("")) }),
        }
    }
}

/// Progress is a courtesy: a closed stderr must not fail the build.
fn say(text: &str) {
    let _ = stderr().write_all(text.as_bytes());
}

fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 { format!("{seconds} s") } else { format!("{} min {:02} s", seconds / 60, seconds % 60) }
}
