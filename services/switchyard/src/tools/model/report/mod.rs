//! `switchyard model report`: one page about a model, that anybody can open.
//!
//! `gather.rs` reads what the trainer keeps and has said, `page.rs` writes, `segments.rs` both of parts of the rows, `chart.rs` and `shape.rs` draw. The page needs neither
//! a script nor the network.
#![expect(clippy::cast_precision_loss, reason = "no drawing is as precise as that")]
#![expect(clippy::format_collect, reason = "a page is written once")]

mod chart;
mod gather;
mod page;
mod segments;
mod shape;
mod text;
mod view;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::Context as _;

use super::super::{Session, term};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The model.
    name: String,
    /// Where the page goes; `-` is standard output [default: NAME.html].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn report(session: &Session<'_>, args: &Args) -> anyhow::Result<()> {
    let view = gather::gather(session.bus().await?, &args.name).await?;
    let text = page::page(&view);
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.html", args.name)));
    if out.as_os_str() == "-" {
        return term::say(&text);
    }
    std::fs::write(&out, text).with_context(|| format!("cannot write {}", out.display()))?;
    term::say(&format!("{}\n", out.display()))
}
