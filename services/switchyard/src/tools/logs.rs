//! `switchyard logs`: the end of what a build has said, kept when it ended, or read from where it runs.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use switchyard_bus::Ledger as _;
use switchyard_events::{Attempt, BuildKey};
use switchyard_executor::{Executor as _, Place};

use super::{Session, Told, find::find, run, term};
use crate::services::{Builds, fleet, named, place};

/// Settings of `logs`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The build: its key, or the beginning of one that is unique in the ledger.
    #[arg(value_name = "ID")]
    id: String,
    /// Which attempt of it; without it, the latest.
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Go on until the build has ended.
    #[arg(long, short)]
    follow: bool,
    /// The fleet file, to read where the build runs; without it, only what was kept of an ended build is shown.
    #[arg(long, env = "SWITCHYARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    builds: Builds,
}

const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(crate) fn logs(told: &Told<Args>) -> ExitCode {
    let args = &told.args;
    run(&told.nats, async |session: &Session<'_>| {
        let bus = session.bus().await?;
        let Some((build, record)) = find(bus, &args.id).await? else { bail!("no build {} in the ledger", args.id) };
        let n = args.attempt.or_else(|| record.latest().map(|attempt| attempt.n)).context("the build has no attempt")?;
        let mut shown = String::new();
        let mut place = None;
        loop {
            let record = bus.read(&build).await?.with_context(|| format!("build {build} is no longer in the ledger"))?.0;
            let attempt = record.attempt(n).with_context(|| format!("build {build} has no attempt {n}"))?;
            let text = match bus.log(&build, n).await? {
                Some(kept) => Some(kept),
                None => live(args, &mut place, &build, attempt).await?,
            };
            if let Some(text) = &text {
                term::say(news(&shown, text))?;
                shown.clone_from(text);
            }
            if attempt.closed || !args.follow {
                return told_all(text.is_some(), args, attempt);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })
}

fn told_all(said: bool, args: &Args, attempt: &Attempt) -> anyhow::Result<()> {
    match (said, attempt.closed, &args.config) {
        (true, ..) => Ok(()),
        (false, true, _) => bail!("nothing was kept of what the build said: its pod was gone, or could not be read"),
        (false, false, None) => bail!("the build has not ended yet; --config FILE reads where it runs"),
        (false, false, Some(_)) => bail!("the build has not said anything yet"),
    }
}

/// What the build says where it runs.
async fn live(args: &Args, connected: &mut Option<Place>, build: &BuildKey, attempt: &Attempt) -> anyhow::Result<Option<String>> {
    let (Some(config), Some(bound)) = (&args.config, &attempt.bound) else { return Ok(None) };
    if connected.is_none() {
        *connected = Some(place(named(&fleet(config)?, &bound.executor)?, args.builds.folder.as_deref(), None).await?);
    }
    let Some(place) = connected else { return Ok(None) };
    let text = place.log(build, attempt.n, &bound.uid).await?;
    Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()))
}

/// What of `text` was not shown yet; both are ends of one log.
fn news<'a>(shown: &str, text: &'a str) -> &'a str {
    if let Some(news) = text.strip_prefix(shown) {
        return news;
    }
    let last = &shown[shown.ceil_char_boundary(shown.len().saturating_sub(256))..];
    text.rfind(last).map_or(text, |at| &text[at + last.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_shown_is_not_shown_again() {
        assert_eq!(news("", "a\nb\n"), "a\nb\n");
        assert_eq!(news("a\nb\n", "a\nb\nc\n"), "c\n");
        let (long, moved) = (format!("{}end\n", "x".repeat(300)), format!("{}end\nmore\n", "x".repeat(280)));
        assert_eq!(news(&long, &moved), "more\n");
        assert_eq!(news("quite another\n", "a\n"), "a\n");
    }
}
