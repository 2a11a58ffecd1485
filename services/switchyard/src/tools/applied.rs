//! Files that are kept in the bucket `config` with those before them, as a tool reads and shows them.

use std::{io::Read as _, path::Path};

use anyhow::{Context as _, bail};
use switchyard_bus::Applied;
use switchyard_file::{Invalid, Problem};

use super::term::{self, Cell, Colour, Paint, columns};

/// A kind of file.
pub(super) trait Kept: Sized {
    /// What one is called: `fleet`.
    const WHAT: &'static str;
    /// The subcommand that lists them: `config history`.
    const LIST: &'static str;

    /// Reads one; also says what in it has no effect.
    fn parse(text: &str) -> Result<(Self, Vec<Problem>), Invalid>;

    /// A name for what it says.
    fn revision(&self) -> String;
}

/// The text of a file; `-` is standard input.
pub(super) fn read(path: &Path, what: &str) -> anyhow::Result<String> {
    if path.as_os_str() != "-" {
        return std::fs::read_to_string(path).with_context(|| format!("{what} file {}", path.display()));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input")?;
    Ok(text)
}

/// What a text says; each problem and each warning is a line on standard error.
pub(super) fn checked<T: Kept>(text: &str) -> anyhow::Result<T> {
    match T::parse(text) {
        Ok((kept, warnings)) => {
            for warning in warnings {
                eprintln!("warning: {}", term::line(&warning.to_string()));
            }
            Ok(kept)
        }
        Err(wrong) => {
            for problem in &wrong.problems {
                eprintln!("{}", term::line(&problem.to_string()));
            }
            match wrong.problems.len() {
                1 => bail!("1 problem"),
                n => bail!("{n} problems"),
            }
        }
    }
}

/// The revision of one that can be read.
pub(super) fn revision_of<T: Kept>(applied: &Applied) -> Option<String> {
    T::parse(&applied.text).ok().map(|(kept, _)| kept.revision())
}

/// The newest that can be read: what the services work by.
pub(super) fn holding<T: Kept>(applied: &[Applied]) -> Option<&Applied> {
    applied.iter().rev().find(|applied| revision_of::<T>(applied).is_some())
}

/// The one of that number or revision; of a revision the newest.
pub(super) fn find<'a, T: Kept>(applied: &'a [Applied], which: &str) -> anyhow::Result<&'a Applied> {
    let is = |applied: &&Applied| which == applied.number.to_string() || revision_of::<T>(applied).as_deref() == Some(which);
    let found = applied.iter().rev().find(is);
    found.with_context(|| format!("the bucket has no {} {which}: `switchyard {}` lists them", T::WHAT, T::LIST))
}

/// The newest that says something else than the one that holds.
pub(super) fn before<T: Kept>(applied: &[Applied]) -> Option<&Applied> {
    let holds = revision_of::<T>(holding::<T>(applied)?);
    applied.iter().rev().find(|applied| revision_of::<T>(applied).is_some_and(|revision| Some(revision) != holds))
}

/// All of them, the oldest first, for people or as one JSON object a line.
pub(super) fn history<T: Kept>(applied: &[Applied], json: bool) -> String {
    let holds = holding::<T>(applied).map(|holds| holds.number);
    let rows = applied.iter().map(|applied| (applied, revision_of::<T>(applied), Some(applied.number) == holds));
    if json {
        let line = |(Applied { number, at, .. }, revision, current): (&Applied, Option<String>, bool)| {
            format!("{}\n", serde_json::json!({"number": number, "revision": revision, "at": at, "current": current}))
        };
        return rows.map(line).collect();
    }
    let heading = ["NUMBER", "REVISION", "APPLIED", ""].map(|name| Cell::coloured(name, Colour::Dim)).to_vec();
    let row = |(Applied { number, at, .. }, revision, current): (&Applied, Option<String>, bool)| {
        let state = match (current, &revision) {
            (true, _) => Cell::coloured("holds", Colour::Green),
            (false, None) => Cell::coloured("refused", Colour::Red),
            (false, Some(_)) => Cell::new(""),
        };
        vec![Cell::new(number.to_string()), Cell::new(revision.unwrap_or_default()), Cell::new(format!("{at:.0}")), state]
    };
    columns(&std::iter::once(heading).chain(rows.map(row)).collect::<Vec<_>>(), Paint::stdout())
}
