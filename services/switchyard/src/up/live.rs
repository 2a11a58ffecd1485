//! The live view: what changes about any build is shown as it changes, and services that end are started again.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use switchyard_bus::Bus;
use switchyard_dev::Services;
use switchyard_events::{BuildKey, Record, Standing};

const EVERY: Duration = Duration::from_millis(500);

/// No build is open for so long, and none has come: idle.
const IDLE: Duration = Duration::from_secs(3);

/// Builds are open, but nothing has happened for so long: the demo has failed.
const STUCK: Duration = Duration::from_secs(60);

/// What was last shown.
pub(super) struct Live {
    /// Idle only once so many builds have ended; `None`: never.
    until_idle: Option<usize>,
    shown: BTreeMap<BuildKey, String>,
    changed: Instant,
}

impl Live {
    pub(super) fn new(until_idle: Option<usize>) -> Self {
        Self { until_idle, shown: BTreeMap::new(), changed: Instant::now() }
    }

    /// Shows what happens until it is stopped, or, if so asked, until nothing happens any more.
    pub(super) async fn follow(&mut self, bus: &Bus, services: &Services) -> anyhow::Result<()> {
        loop {
            for (name, service) in services.iter() {
                if let Some(exit) = service.exited() {
                    eprintln!("{name} ended with {exit}; starting it again");
                    service.restart().await?;
                }
            }
            match bus.records().await {
                Ok(records) => {
                    self.show(&records);
                    let ended = records.iter().filter(|(_, record)| record.is_closed()).count();
                    if self.until_idle.is_some_and(|builds| ended >= builds && ended == records.len())
                        && self.changed.elapsed() > IDLE
                    {
                        return Ok(());
                    }
                }
                Err(error) => eprintln!("cannot read the ledger now: {error}"),
            }
            if self.until_idle.is_some() && self.changed.elapsed() > STUCK {
                return Ok(());
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    fn show(&mut self, records: &[(BuildKey, Record)]) {
        for (build, record) in records {
            let line = line(build, record);
            if self.shown.get(build) != Some(&line) {
                println!("{line}");
                self.shown.insert(build.clone(), line);
                self.changed = Instant::now();
            }
        }
    }
}

fn line(build: &BuildKey, record: &Record) -> String {
    let Some(attempt) = record.latest() else { return build.to_string() };
    let executor = attempt.executor.as_deref().unwrap_or("-");
    let state = match (&attempt.decided, attempt.started_at, attempt.standing()) {
        (Some(decided), _, _) => format!("{} {}", decided.outcome.name(), decided.reason),
        (None, Some(_), Standing::Bound) => "running".to_owned(),
        (None, _, standing) => format!("{standing:?}").to_lowercase(),
    };
    format!("{build}  {:32} {executor:8} #{} {state}", record.request.subject, attempt.n)
}
