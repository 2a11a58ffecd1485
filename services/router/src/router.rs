//! The shell: reads requests, routes each, publishes where it goes.

use std::{path::PathBuf, sync::Arc};

use futures::FutureExt as _;
use jiff::Timestamp;
use switchyard_bus::{Bus, Delivery, Durable, Events, PublishError, Settle, StoredError, Unreadable, Window, said};
use switchyard_events::{BuildRefused, BuildRequeued, BuildRouted, EmitError, InvalidBuild, Outgoing};
use switchyard_fleet::Fleet;
use tracing::debug;

use crate::{Asked, Candidate, Current, Described, Health, Now, Refusal, Rules, Unbuildable, asked, route, why};

/// Settings of a router.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The fleet file, for as long as none is applied.
    #[arg(long, env = "SWITCHYARD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// A router over a fleet.
pub struct Router {
    bus: Bus,
    current: Current,
}

/// A request could not be routed now, or ever.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The message is not what its type promises.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The request holds what no event may hold.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// The answer could not be stored.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The original request could not be looked up.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

impl From<&RouteError> for Settle {
    fn from(error: &RouteError) -> Self {
        match error {
            RouteError::Unreadable(why) => Self::Refuse(why.to_string()),
            RouteError::Emit(why) => Self::Refuse(why.to_string()),
            RouteError::Publish(_) | RouteError::Stored(_) => Self::Retry,
        }
    }
}

impl Router {
    /// A router over a fleet.
    #[must_use]
    pub fn new(bus: Bus, fleet: Fleet) -> Self {
        Self::following(bus, Current::new(Rules::new(fleet)))
    }

    /// A router by what somebody else keeps current.
    #[must_use]
    pub const fn following(bus: Bus, current: Current) -> Self {
        Self { bus, current }
    }

    /// Routes until the service is to stop.
    ///
    /// # Errors
    /// None that passes by itself.
    pub async fn run(self, service: switchyard_runtime::Context) -> anyhow::Result<()> {
        let (requests, requeued, trainings) = (Durable::requests(), Durable::requeued(), Durable::training_requests());
        if !self.bus.until_provisioned(&[&requests, &requeued, &trainings], service.shutdown.requested()).await {
            return Ok(());
        }
        service.health.ready();
        let first =
            self.bus.answer(&requests, Window::default(), service.shutdown.requested(), |delivery| self.request(delivery));
        let few = Window { at_once: 32, batch: 32 };
        let again = self.bus.consume(&requeued, few, service.shutdown.requested(), |delivery| self.requeued(delivery));
        let ours = self.bus.answer(&trainings, few, service.shutdown.requested(), |delivery| self.request(delivery));
        futures::future::try_join3(first.boxed(), again.boxed(), ours.boxed()).await?;
        Ok(())
    }

    /// A build is asked for: say where it goes.
    fn request(&self, delivery: &Delivery) -> Result<Option<Outgoing>, RouteError> {
        let Some(asked) = asked(delivery)? else { return Ok(None) };
        Ok(Some(answer(asked, 1, &self.current.now(), Timestamp::now())?))
    }

    /// A build wants its next attempt: read its request again and say where that goes.
    async fn requeued(&self, delivery: Delivery) -> Result<(), RouteError> {
        let BuildRequeued { build, attempt, request, tenant, left, .. } = read(&delivery)?;
        let stored = self.bus.fetch(&request.stream, request.sequence).await?;
        let found = stored.as_ref().map(asked).transpose()?.flatten().filter(|found| found.build == build);
        let gone = || {
            let rule = format!("the request is no longer in stream {}, so attempt {attempt} cannot be routed", request.stream);
            Asked { build, tenant, request: request.clone(), described: Err(Unbuildable::Event(rule)) }
        };
        self.answer(found.unwrap_or_else(gone), attempt, left.as_deref()).await
    }

    async fn answer(&self, asked: Asked, attempt: u32, left: Option<&str>) -> Result<(), RouteError> {
        let Now { rules, health } = self.current.now();
        let health = left.map_or_else(|| health.clone(), |left| Arc::new(Health::clone(&health).and_left(left)));
        let outgoing = answer(asked, attempt, &Now { rules, health }, Timestamp::now())?;
        self.bus.publish(outgoing).await?;
        Ok(())
    }
}

fn read(delivery: &Delivery) -> Result<BuildRequeued, Unreadable> {
    let event = delivery.cdevent()?;
    said(&event)
}

/// The router's whole answer to a request: the event to publish.
///
/// # Errors
/// When the request holds what no event may hold.
pub(crate) fn answer(asked: Asked, attempt: u32, by: &Now, now: Timestamp) -> Result<Outgoing, EmitError> {
    let Asked { build, tenant, request, described } = asked;
    let named = described.as_ref().ok().map(|Described { spec, .. }| (spec.pipeline.clone(), spec.job.clone()));
    let routed = described.map_err(Refused::from).and_then(|Described { spec, words }| {
        let candidate = Candidate { build: &build, spec: &spec, tenant: &tenant, request: &request };
        let (rules, health) = (&by.rules, &by.health);
        let route = route(&candidate, rules, health)?;
        let limits = rules.fleet().limits(route.executor, spec.asked_timeout()?, spec.clocks);
        Ok((route.executor.name.clone(), why(&route, &candidate, rules, health), limits, words))
    });
    match routed {
        Ok((executor, why, limits, spec)) => {
            debug!(%build, attempt, executor, rule = why.rule, "build routed");
            BuildRouted { build, attempt, executor, request, tenant, spec, limits, at: now, why }.outgoing()
        }
        Err(Refused(reason)) => {
            let (pipeline, job) = named.unwrap_or_default();
            tracing::info!(%build, attempt, reason, "build refused");
            BuildRefused { build, attempt, request, tenant, pipeline, job, reason, at: now }.outgoing()
        }
    }
}

/// Why a build is refused, in words.
struct Refused(String);

impl From<Unbuildable> for Refused {
    fn from(why: Unbuildable) -> Self {
        Self(why.to_string())
    }
}

impl From<Refusal> for Refused {
    fn from(why: Refusal) -> Self {
        Self(why.to_string())
    }
}

impl From<InvalidBuild> for Refused {
    fn from(why: InvalidBuild) -> Self {
        Self(why.to_string())
    }
}
