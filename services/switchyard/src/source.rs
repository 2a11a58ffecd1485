//! Where a service has its fleet from: the bucket `config`, and until that holds one, the file.

use std::{path::Path, sync::Arc};

use futures::{Stream, StreamExt as _};
use switchyard_bus::{Applied, Bus, once_provisioned};
use switchyard_fleet::Fleet;
use switchyard_runtime::Shutdown;
use tracing::{error, info, warn};

use crate::services::fleet;

/// A fleet, and its number in the bucket; 0 where it is the file's.
#[derive(Clone)]
pub(crate) struct Sourced {
    pub(crate) fleet: Fleet,
    pub(crate) number: u64,
}

/// The file's fleet, if a file is given.
///
/// # Errors
/// When it cannot be read or is wrong.
pub(crate) fn of_file(path: Option<&Path>) -> anyhow::Result<Option<Fleet>> {
    path.map(fleet).transpose()
}

/// The fleet to begin with: the newest of the bucket that can be read, else the file's, else the first that is applied.
/// `None` when the service is to stop before.
pub(crate) async fn begin(bus: &Bus, file: Option<Fleet>, shutdown: &Shutdown) -> Option<Sourced> {
    // What the bucket has is waited for: who knows only the file might route by what no longer holds.
    let applied = once_provisioned(|| bus.fleets(), shutdown.requested()).await?;
    tokio::select! {
        () = shutdown.requested() => None,
        sourced = first(bus, newest(&applied), file) => Some(sourced),
    }
}

async fn first(bus: &Bus, newest: Option<Sourced>, file: Option<Fleet>) -> Sourced {
    match (newest, file) {
        (Some(sourced), file) => {
            let over = if file.is_some() { ", over the file" } else { "" };
            info!(number = sourced.number, revision = sourced.fleet.revision(), "the fleet is that of the bucket{over}");
            sourced
        }
        (None, Some(fleet)) => {
            info!(revision = fleet.revision(), "the fleet is that of the file, until one is applied");
            Sourced { fleet, number: 0 }
        }
        (None, None) => {
            warn!("there is no fleet: waiting for `switchyard config apply`");
            let mut later = std::pin::pin!(after(bus, 0));
            loop {
                if let Some(sourced) = later.next().await {
                    return sourced;
                }
            }
        }
    }
}

/// The newest that is a fleet. What is newer and none is told.
pub(crate) fn newest(applied: &[Applied]) -> Option<Sourced> {
    applied.iter().rev().find_map(parsed)
}

fn parsed(applied: &Applied) -> Option<Sourced> {
    match Fleet::parse(&applied.text) {
        Ok(fleet) => {
            for warning in fleet.warnings() {
                warn!(number = applied.number, "{warning}");
            }
            Some(Sourced { fleet, number: applied.number })
        }
        Err(problems) => {
            for problem in &problems.problems {
                error!(number = applied.number, "refused, the fleet before it stays: {problem}");
            }
            None
        }
    }
}

/// Every fleet that is applied after that of a number, as long as it can be read.
pub(crate) fn after(bus: &Bus, number: u64) -> impl Stream<Item = Sourced> + Send + use<> {
    let newer = bus.follow_fleets().scan(number, |known, applied| {
        let is_newer = applied.number > *known;
        *known = applied.number.max(*known);
        futures::future::ready(Some(is_newer.then_some(applied)))
    });
    newer.filter_map(|applied| futures::future::ready(applied.as_ref().and_then(parsed)))
}

impl Sourced {
    /// Every fleet that is applied after this one.
    pub(crate) fn successors(&self, bus: &Bus) -> impl Stream<Item = Self> + Send + use<> {
        after(bus, self.number)
    }

    /// As services share it.
    pub(crate) fn shared(&self) -> Arc<Fleet> {
        Arc::new(self.fleet.clone())
    }
}
