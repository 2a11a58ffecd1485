//! The shell: one routed build after the protocol's steps.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use switchyard_bus::{
    Bus, Delivery, Durable, Events, Ledger, LedgerError, PublishError, Revision, Settle, SettleError, Unreadable, amend,
    current_traceparent, redelivery_from, said, settle,
};
use switchyard_events::{Bound, BuildLaunched, BuildRouted, Decision, EmitError, Heartbeat, Reason, Record, Standing};
use switchyard_executor::{Condition, CreateError, Executor, Launch, Token, Unreachable};
use switchyard_fleet::Fleet;
use tracing::{debug, info, warn};

use crate::{Next, ScrewdriverKey, next};

/// A launcher of one executor's builds.
pub struct Launcher<B, X> {
    bus: B,
    executor: X,
    fleet: Arc<Fleet>,
    now: fn() -> Timestamp,
    key: Option<ScrewdriverKey>,
    next: fn(Option<&Record>, &BuildRouted) -> Next,
}

/// A routed build could not be launched now, or ever.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The message is not what its type promises.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It is an attempt that the ledger does not show: a replica of it is behind, or the record has expired.
    #[error("attempt {attempt} of build {build} is not in the ledger")]
    Unknown {
        /// The build.
        build: String,
        /// The attempt.
        attempt: u32,
    },
    /// The ledger did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Its operator wants the executor empty: nothing new is begun there.
    #[error("executor {0} is drained")]
    Draining(String),
    /// The executor cannot take the build now.
    #[error("create: {0}")]
    Create(CreateError),
    /// The executor did not answer.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The event could not be stored.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The end of a rejected build could not be made known.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// The request holds what no event may hold.
    #[error(transparent)]
    Emit(#[from] EmitError),
}

impl LaunchError {
    /// The same, but where the executor does not say when to come again, `pause` does.
    fn after(self, pause: Option<Duration>) -> Self {
        match (self, pause) {
            (Self::Create(CreateError::Later(why) | CreateError::Unknown(why)), Some(after)) => {
                Self::Create(CreateError::Busy { why, after })
            }
            (error, _) => error,
        }
    }
}

impl From<&LaunchError> for Settle {
    fn from(error: &LaunchError) -> Self {
        match error {
            LaunchError::Unreadable(_) | LaunchError::Emit(_) => Self::Refuse(error.to_string()),
            LaunchError::Create(CreateError::Busy { after, .. }) => Self::After(*after),
            LaunchError::Unknown { .. }
            | LaunchError::Draining(_)
            | LaunchError::Ledger(_)
            | LaunchError::Create(_)
            | LaunchError::Unreachable(_)
            | LaunchError::Publish(_)
            | LaunchError::Settle(_) => Self::Retry,
        }
    }
}

impl<X: Executor> Launcher<Bus, X> {
    /// Launches builds until the service is to stop, at most `at_once` at a time.
    ///
    /// # Errors
    /// None that passes by itself.
    pub async fn run(self, service: switchyard_runtime::Context, at_once: usize) -> anyhow::Result<()> {
        let routed = Durable::routed(self.executor.name());
        if !self.bus.until_provisioned(&[&routed], service.shutdown.requested()).await {
            return Ok(());
        }
        service.health.ready();
        let room = || room(&self.executor.condition(), at_once);
        let stop = || service.shutdown.requested();
        let bus = self.bus.clone();
        let launching = bus.consume_slots(&routed, room, stop(), |delivery| self.handle(delivery));
        tokio::select! {
            done = launching => done?,
            () = self.executor.attend() => {}
            () = self.beat() => {}
        }
        Ok(())
    }

    /// Says now and then how the executor is doing.
    async fn beat(&self) {
        let instance = instance();
        loop {
            let Condition { healthy, why, breaker, slots, free } = self.executor.condition();
            let executor = self.executor.name().to_owned();
            let (service, instance, at) = ("launcher".to_owned(), instance.clone(), (self.now)());
            let draining = self.draining();
            let heartbeat = Heartbeat { executor, service, instance, at, healthy, draining, why, breaker, slots, free };
            if let Err(error) = self.bus.beat(&heartbeat).await {
                debug!(%error, "no heartbeat");
            }
            tokio::time::sleep(BEAT).await;
        }
    }

    async fn handle(&self, delivery: Delivery) -> Result<(), LaunchError> {
        let delivered = delivery.delivered;
        self.read(delivery).await.map_err(|error| error.after(self.pause(delivered)))
    }

    /// How long a build that could not be created stays away: as the executor's `requestretry` says, later and later.
    fn pause(&self, delivered: u64) -> Option<Duration> {
        let retry = &self.fleet.executor(self.executor.name())?.request_retry;
        // So many tries come at that pace; only then they become fewer.
        let slower = delivered.saturating_sub(u64::from(retry.max_attempts)).max(1);
        Some(redelivery_from(retry.retry_delay, slower))
    }

    async fn read(&self, delivery: Delivery) -> Result<(), LaunchError> {
        let again = delivery.delivered > 1;
        let event = delivery.cdevent()?;
        let routed = said(&event)?;
        self.launch(routed, again).await
    }
}

impl<B: Ledger + Events, X: Executor> Launcher<B, X> {
    /// A launcher that creates pods on `executor`.
    pub fn new(bus: B, executor: X, fleet: Arc<Fleet>) -> Self {
        Self { bus, executor, fleet, now: Timestamp::now, key: None, next }
    }

    /// The same launcher, which can launch builds of Screwdriver's too.
    #[must_use]
    pub fn with_key(self, key: Option<ScrewdriverKey>) -> Self {
        Self { key, ..self }
    }

    /// The same launcher, but the time is what `now` says.
    #[must_use]
    pub fn told_the_time_by(self, now: fn() -> Timestamp) -> Self {
        Self { now, ..self }
    }

    /// The same launcher, but this decides. For tests alone, which must see a wrong decision do harm.
    #[doc(hidden)]
    #[must_use]
    pub fn deciding_by(self, next: fn(Option<&Record>, &BuildRouted) -> Next) -> Self {
        Self { next, ..self }
    }

    /// Sees to it that a routed build has its one pod and that it runs. `again`: whether that was tried before.
    ///
    /// # Errors
    /// Whatever stood in the way; doing it again is safe.
    pub async fn launch(&self, routed: BuildRouted, again: bool) -> Result<(), LaunchError> {
        let record = self.bus.read(&routed.build).await?;
        let bound = match (self.next)(record.as_ref().map(|(record, _)| record), &routed) {
            Next::Nothing => return Ok(()),
            Next::Unknown => return Err(LaunchError::Unknown { build: routed.build.to_string(), attempt: routed.attempt }),
            Next::Ungate(bound) => bound,
            Next::Create if self.draining() => return Err(LaunchError::Draining(routed.executor)),
            Next::Create => match self.executor.create(&self.attempt(&routed, again)).await {
                Ok(uid) => match self.bind(&routed, record, uid).await? {
                    Some(bound) => bound,
                    None => return Ok(()),
                },
                Err(CreateError::Rejected(why)) => return self.reject(&routed, record, why).await,
                Err(later @ (CreateError::Later(_) | CreateError::Busy { .. } | CreateError::Unknown(_))) => {
                    return Err(LaunchError::Create(later));
                }
            },
        };
        self.executor.ungate(&routed.build, routed.attempt, &bound.uid).await?;
        let BuildRouted { build, attempt, executor, request, .. } = routed;
        self.bus.publish(BuildLaunched { build, attempt, executor, uid: bound.uid, at: bound.at }.outgoing(&request)?).await?;
        Ok(())
    }

    /// Whether its operator wants the executor empty: what has its pod goes on, and nothing new is begun.
    fn draining(&self) -> bool {
        self.fleet.executor(self.executor.name()).is_some_and(|executor| executor.draining)
    }

    /// Makes `uid` the one pod of the attempt; `None` where another is, or the attempt may not run any more.
    async fn bind(&self, routed: &BuildRouted, known: Known, uid: String) -> Result<Option<Bound>, LaunchError> {
        let bound = Bound { executor: routed.executor.clone(), uid, at: (self.now)() };
        let record = self.write(routed, known, |record| filled(record, routed).bind(routed.attempt, bound.clone())).await?;
        let attempt = record.as_ref().and_then(|record| record.attempt(routed.attempt));
        let won = attempt.filter(|attempt| attempt.standing() == Standing::Bound && attempt.is_bound_to(&bound.uid));
        if won.is_some() {
            info!(build = %routed.build, attempt = routed.attempt, uid = bound.uid, "pod bound");
        } else {
            warn!(build = %routed.build, attempt = routed.attempt, uid = bound.uid, "another is bound, or none may be; it will not run");
        }
        Ok(won.and_then(|attempt| attempt.bound.clone()))
    }

    /// The executor will never take this build: that is its end.
    async fn reject(&self, routed: &BuildRouted, known: Known, why: String) -> Result<(), LaunchError> {
        let decision = Decision { message: Some(why), ..Decision::new(Reason::Rejected, true) };
        let with = |record: &Record| {
            let unbound = record.attempt(routed.attempt).is_some_and(|attempt| attempt.bound.is_none());
            unbound.then(|| filled(record, routed).decide(routed.attempt, decision.clone(), (self.now)())).flatten()
        };
        if let Some(record) = self.write(routed, known, with).await? {
            settle(&self.bus, &routed.build, &record, routed.attempt).await?;
        }
        Ok(())
    }

    /// Changes the record, also where there is none yet; answers it as it stands. It is not read again where it still is what
    /// it was when it was `known`.
    async fn write(
        &self,
        routed: &BuildRouted,
        known: Known,
        change: impl Fn(&Record) -> Option<Record> + Send,
    ) -> Result<Option<Record>, LaunchError> {
        let first = match &known {
            Some((record, _)) => change(record),
            None => Some(change(&routed.open()).unwrap_or_else(|| routed.open())),
        };
        if let Some(first) = first {
            let written = match known {
                Some((_, revision)) => self.bus.replace(&routed.build, &first, revision).await?,
                None => self.bus.create(&routed.build, &first).await?,
            };
            if written {
                return Ok(Some(first));
            }
        }
        Ok(amend(&self.bus, &routed.build, change).await?)
    }

    /// The token of a build of Screwdriver's, where there is a key to make it with.
    fn token(&self, routed: &BuildRouted) -> Option<Token> {
        let (build, key) = (routed.spec.screwdriver_build.as_ref()?, self.key.as_ref()?);
        match key.token(build, &routed.limits, (self.now)()) {
            Ok(token) => Some(token),
            Err(error) => {
                warn!(build = %routed.build, %error, "no token");
                None
            }
        }
    }

    fn attempt(&self, routed: &BuildRouted, again: bool) -> Launch {
        let allowed = |(key, _): &(&str, &str)| self.fleet.allows_annotation(&routed.tenant, key);
        Launch {
            build: routed.build.clone(),
            attempt: routed.attempt,
            again,
            executor: routed.executor.clone(),
            tenant: routed.tenant.clone(),
            pipeline: routed.spec.pipeline.clone(),
            job: routed.spec.job.clone(),
            source: routed.request.source.clone(),
            subject: routed.request.subject.clone(),
            annotations: routed
                .spec
                .foreign_annotations()
                .filter(allowed)
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            token: self.token(routed),
            spec: routed.spec.clone(),
            limits: routed.limits,
            traceparent: current_traceparent().unwrap_or_else(|| routed.request.trace.clone()),
        }
    }
}

/// The record as it was read, with its revision.
type Known = Option<(Record, Revision)>;

/// How often the executor's state is said: thrice before what was said is too old.
const BEAT: Duration = Duration::from_secs(5);

/// A name for this process among the launchers of its executor: the pod's own, where there is one.
fn instance() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    let plain: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    format!("{}-{}", if plain.is_empty() { "launcher" } else { &plain }, std::process::id())
}

/// How many builds may be in hand: no more than there is room for, nor more than are to be launched at once.
fn room(condition: &Condition, at_once: usize) -> usize {
    let free = condition.free.map_or(usize::MAX, |free| usize::try_from(free).unwrap_or(usize::MAX));
    at_once.min(free)
}

/// The record, with where the attempt was routed to, if nobody has written that down yet.
fn filled(record: &Record, routed: &BuildRouted) -> Record {
    record.routed(routed.attempt, routed.routing()).unwrap_or_else(|| record.clone())
}
