//! `switchyard model diff`: in what two files of a model differ, with what holds anyway written out.

use std::path::Path;

use anyhow::Context as _;
use switchyard_bus::Bus;
use switchyard_model::{Change, Model, diff as changes};

use super::{
    super::{
        Session,
        applied::{self, Kept as _, before, checked, find, holding},
        term::{self, Colour, Paint},
    },
    of,
};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// A model's name; or a file (`-` is standard input), which is compared with the one that holds of its model.
    #[arg(value_name = "NAME|FILE")]
    what: String,
    /// The older file, by number or revision; without one, the one before that which holds.
    #[arg(value_name = "OLD")]
    old: Option<String>,
    /// The newer file; without one, that which holds.
    #[arg(value_name = "NEW")]
    new: Option<String>,
    /// Print one JSON object per difference: `path`, `before`, `after`.
    #[arg(long)]
    json: bool,
}

pub(super) async fn diff(session: &Session<'_>, args: &Args) -> anyhow::Result<()> {
    let (old, new) = if is_file(&args.what) {
        let new: Model = checked(&applied::read(Path::new(&args.what), Model::WHAT)?)?;
        (of_file(session.bus().await?, args, &new).await?, new)
    } else {
        kept(session.bus().await?, args).await?
    };
    let changes = changes(&old, &new);
    if args.json {
        let line = |Change { path, before, after }: &Change| {
            format!("{}\n", serde_json::json!({"path": path, "before": before, "after": after}))
        };
        return term::say(&changes.iter().map(line).collect::<String>());
    }
    if changes.is_empty() {
        return term::say(&format!("revision {} says the same\n", new.revision()));
    }
    term::say(&told(&changes, Paint::stdout()))
}

/// What is written like a path is one: a model's name has neither a dot nor a slash.
fn is_file(what: &str) -> bool {
    what == "-" || what.contains(['/', '.'])
}

async fn of_file(bus: &Bus, args: &Args, new: &Model) -> anyhow::Result<Model> {
    let applied = of(bus, &new.name).await?;
    let old = match &args.old {
        Some(old) => find::<Model>(&applied, old)?,
        None => holding::<Model>(&applied).context("no file that has been applied can be read")?,
    };
    checked(&old.text)
}

async fn kept(bus: &Bus, args: &Args) -> anyhow::Result<(Model, Model)> {
    let applied = of(bus, &args.what).await?;
    let old = match &args.old {
        Some(old) => find::<Model>(&applied, old)?,
        None => before::<Model>(&applied).context("there is no other file before the one that holds")?,
    };
    let new = match &args.new {
        Some(new) => find::<Model>(&applied, new)?,
        None => holding::<Model>(&applied).context("no file that has been applied can be read")?,
    };
    Ok((checked(&old.text)?, checked(&new.text)?))
}

fn told(changes: &[Change], paint: Paint) -> String {
    let mut text = String::new();
    for Change { path, before, after } in changes {
        for (sign, value, colour) in [("-", before, Colour::Red), ("+", after, Colour::Green)] {
            if let Some(value) = value {
                text.push_str(&paint.on(colour, &term::line(&format!("{sign} {path}: {value}"))));
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_came_went_and_changed_is_told_line_by_line() {
        let change = |path: &str, before, after| Change { path: path.to_owned(), before, after };
        let changes = [
            change("policy.budget", None, Some(json!({"runs": 5}))),
            change("serve", Some(json!({})), None),
            change("train.params.depth", Some(json!(6)), Some(json!(7))),
        ];
        let wanted = "+ policy.budget: {\"runs\":5}\n- serve: {}\n- train.params.depth: 6\n+ train.params.depth: 7\n";
        assert_eq!(told(&changes, Paint::PLAIN), wanted);
    }

    #[test]
    fn a_path_is_no_name() {
        assert!(is_file("churn.yaml") && is_file("./churn") && is_file("-") && !is_file("churn"));
    }
}
