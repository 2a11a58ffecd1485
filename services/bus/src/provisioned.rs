//! Waiting for what `switchyard provision` makes.

use std::{collections::BTreeSet, fmt::Display, future::Future, time::Duration};

use backoff::{ExponentialBackoff, backoff::Backoff as _};
use tracing::warn;

use crate::{Bus, ConsumeError, Durable, retry};

/// Whoever waits for a broker is to be at work within 5 s of its return.
const LONGEST: Duration = Duration::from_secs(2);

/// Asks until there is an answer, however long the broker, its leader or what is asked for is away; `None` when `shutdown` was
/// ready first.
///
/// What it waits for is said once, not at every try.
pub async fn once_provisioned<T, E, F>(mut ask: impl FnMut() -> F, shutdown: impl Future<Output = ()>) -> Option<T>
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let answer = async {
        let mut backoff = ExponentialBackoff { max_interval: LONGEST, ..retry::endless() };
        let mut said = BTreeSet::new();
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(error) => {
                    let error = error.to_string();
                    if said.insert(error.clone()) {
                        warn!(error, "waiting for what `switchyard provision` makes");
                    }
                }
            }
            tokio::time::sleep(backoff.next_backoff().unwrap_or(LONGEST)).await;
        }
    };
    tokio::select! {
        biased;
        () = shutdown => None,
        answer = answer => Some(answer),
    }
}

impl Bus {
    /// Waits until each of these consumers exists; `false` when `shutdown` was ready first.
    pub async fn until_provisioned(&self, durables: &[&Durable], shutdown: impl Future<Output = ()>) -> bool {
        let all = || async {
            for durable in durables {
                self.check(durable).await?;
            }
            Ok::<_, ConsumeError>(())
        };
        once_provisioned(all, shutdown).await.is_some()
    }
}
