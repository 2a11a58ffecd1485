//! Waiting for what `switchyard provision` makes.

use std::{collections::BTreeSet, future::Future};

use backoff::backoff::Backoff as _;
use futures::FutureExt as _;
use tracing::warn;

use crate::{Bus, Durable, retry};

impl Bus {
    /// Waits until each of these consumers exists; `false` when `shutdown` was ready first.
    ///
    /// What is missing is said once, not at every try.
    pub async fn until_provisioned(&self, durables: &[&Durable], shutdown: impl Future<Output = ()>) -> bool {
        let mut shutdown = std::pin::pin!(shutdown.fuse());
        let mut backoff = retry::endless();
        let mut said = BTreeSet::new();
        for durable in durables {
            while let Err(error) = self.check(durable).await {
                let error = error.to_string();
                if said.insert(error.clone()) {
                    warn!(error, "waiting for what `switchyard provision` makes");
                }
                let pause = backoff.next_backoff().unwrap_or_default();
                futures::select_biased! {
                    () = shutdown => return false,
                    () = tokio::time::sleep(pause).fuse() => {}
                }
            }
        }
        true
    }
}
