//! What `/readyz` answers: NATS is connected, the service has begun, and each of its checks holds.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_nats::connection::State;
use serde_json::{Value, json};

use crate::Shutdown;

/// The name of the check that [`Health::ready`] passes.
const SERVICE: &str = "service";

/// Whether this process can do its work. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    checks: Mutex<BTreeMap<&'static str, Result<(), String>>>,
    nats: OnceLock<async_nats::Client>,
    shutdown: OnceLock<Shutdown>,
}

impl Health {
    /// Says that the service has begun to work. Until then the process is not ready.
    pub fn ready(&self) {
        self.pass(SERVICE);
    }

    /// Records that the check `name` holds.
    pub fn pass(&self, name: &'static str) {
        self.checks().insert(name, Ok(()));
    }

    /// Records that the check `name` does not hold, and why; the process is not ready until it passes again.
    pub fn fail(&self, name: &'static str, why: impl Into<String>) {
        self.checks().insert(name, Err(why.into()));
    }

    /// Whether every check holds now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.now().values().all(Result::is_ok)
    }

    /// `{"ready": false, "checks": {"nats": {"ok": false, "why": "not connected"}, …}}`
    pub(crate) fn report(&self) -> (bool, Value) {
        let now = self.now();
        let ready = now.values().all(Result::is_ok);
        let checks: serde_json::Map<String, Value> = now
            .into_iter()
            .map(|(name, check)| {
                (name.to_owned(), check.map_or_else(|why| json!({ "ok": false, "why": why }), |()| json!({ "ok": true })))
            })
            .collect();
        (ready, json!({ "ready": ready, "checks": checks }))
    }

    /// From now on, being ready needs this connection.
    pub(crate) fn needs(&self, nats: async_nats::Client) {
        let _ = self.0.nats.set(nats);
    }

    /// From now on, a process that was asked to stop is not ready.
    pub(crate) fn ends_with(&self, shutdown: Shutdown) {
        let _ = self.0.shutdown.set(shutdown);
    }

    fn now(&self) -> BTreeMap<&'static str, Result<(), String>> {
        let mut now = self.checks().clone();
        now.entry(SERVICE).or_insert_with(|| Err("starting".to_owned()));
        let connected = self.0.nats.get().is_some_and(|nats| nats.connection_state() == State::Connected);
        now.insert("nats", if connected { Ok(()) } else { Err("not connected".to_owned()) });
        if self.0.shutdown.get().is_some_and(Shutdown::is_requested) {
            now.insert("shutdown", Err("requested".to_owned()));
        }
        now
    }

    fn checks(&self) -> MutexGuard<'_, BTreeMap<&'static str, Result<(), String>>> {
        self.0.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_not_begun_is_not_ready_and_says_why() {
        let (ready, body) = Health::default().report();
        assert!(!ready);
        assert_eq!(body["checks"]["service"]["why"], "starting");
        assert_eq!(body["checks"]["nats"]["why"], "not connected");
    }

    #[test]
    fn a_failed_check_is_named_with_its_reason_until_it_passes() {
        let health = Health::default();
        health.ready();
        health.fail("pods", "the watch is behind");
        assert_eq!(health.report().1["checks"]["pods"], json!({ "ok": false, "why": "the watch is behind" }));
        health.pass("pods");
        assert_eq!(health.report().1["checks"]["pods"], json!({ "ok": true }));
        assert!(!health.is_ready(), "NATS is not connected");
    }
}
