//! A watch of one executor's attempts that never ends.

use std::{collections::HashMap, io, mem, time::Duration};

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::time::sleep;

use super::{bell::Bell, root::Root};
use crate::{Observed, Seen, Unreachable};

/// The longest time between two looks: a supervisor that dies rings, but a kernel that is pressed may drop it.
const EVERY: Duration = Duration::from_secs(2);

/// How soon a folder that could not be read is read again.
const RETRY: Duration = Duration::from_secs(1);

/// Watches the attempts in `root`. Level-triggered: each look sees all, and what differs from the last look is told.
pub(crate) fn watch(root: Root) -> BoxStream<'static, Result<Seen, Unreachable>> {
    let watching = Watching { root, bell: None, known: Known::default() };
    stream::unfold(watching, |mut watching| async { Some((watching.next().await, watching)) }).flat_map(stream::iter).boxed()
}

struct Watching {
    root: Root,
    bell: Option<Bell>,
    known: Known,
}

impl Watching {
    async fn next(&mut self) -> Vec<Result<Seen, Unreachable>> {
        match &self.bell {
            Some(bell) => bell.rung(EVERY).await,
            // Hung before the first look, so that nothing falls between the two.
            None => self.bell = Some(Bell::hang(self.root.folder())),
        }
        let root = self.root.clone();
        let looked = tokio::task::spawn_blocking(move || look(&root)).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        match looked {
            Ok(now) => self.known.see(now).into_iter().map(Ok).collect(),
            Err(error) => {
                self.bell = None;
                self.known.lose();
                sleep(RETRY).await;
                vec![Err(Unreachable(format!("{}: {error}", self.root.folder().display())))]
            }
        }
    }
}

/// Everything that is there; what is over is removed on the way.
fn look(root: &Root) -> io::Result<Vec<Observed>> {
    let mut there = Vec::new();
    for found in root.all()? {
        if !root.bury(&found)? {
            there.push(found.observed());
        }
    }
    Ok(there)
}

/// What was there at the last look.
#[derive(Default)]
struct Known {
    last: HashMap<String, Observed>,
    /// Whether all of it was told since the beginning or the last error.
    synced: bool,
}

impl Known {
    fn lose(&mut self) {
        self.synced = false;
    }

    fn see(&mut self, now: Vec<Observed>) -> Vec<Seen> {
        let mut before = mem::take(&mut self.last);
        let mut told = Vec::new();
        for observed in now {
            if before.remove(&observed.uid).as_ref() != Some(&observed) || !self.synced {
                told.push(Seen::Present(Box::new(observed.clone())));
            }
            self.last.insert(observed.uid.clone(), observed);
        }
        let gone = |(uid, seen): (String, Observed)| Seen::Gone { build: seen.build, attempt: seen.attempt, uid };
        told.extend(before.into_iter().map(gone));
        if !mem::replace(&mut self.synced, true) {
            told.push(Seen::Synced);
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Phase,
        process::{observe::Found, spec::tests::example},
    };

    fn observed(uid: &str, supervised: bool) -> Observed {
        let mut spec = example();
        spec.uid = uid.to_owned();
        Found { spec, deleted_at: None, released: false, supervised, status: None, orphaned: false }.observed()
    }

    fn told(known: &mut Known, now: Vec<Observed>) -> Vec<String> {
        let name = |seen: Seen| match seen {
            Seen::Present(observed) if observed.phase == Phase::Gated => format!("gated {}", observed.uid),
            Seen::Present(observed) => format!("present {}", observed.uid),
            Seen::Gone { uid, .. } => format!("gone {uid}"),
            Seen::Synced => "synced".to_owned(),
        };
        known.see(now).into_iter().map(name).collect()
    }

    #[test]
    fn only_what_differs_is_told_and_everything_again_after_an_error() {
        let mut known = Known::default();
        let (a, b) = (observed("a", false), observed("b", true));
        assert_eq!(told(&mut known, vec![a.clone()]), ["gated a", "synced"]);
        assert_eq!(told(&mut known, vec![a.clone()]), [""; 0]);
        assert_eq!(told(&mut known, vec![observed("a", true), b.clone()]), ["present a", "present b"]);
        assert_eq!(told(&mut known, vec![b.clone()]), ["gone a"]);
        known.lose();
        assert_eq!(told(&mut known, vec![a.clone(), b.clone()]), ["gated a", "present b", "synced"]);
        known.lose();
        assert_eq!(told(&mut known, vec![b]), ["present b", "gone a", "synced"]);
    }
}
