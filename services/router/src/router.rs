//! The shell: reads requests, routes each, publishes where it goes.

use std::{borrow::Cow, fmt::Display, path::PathBuf, sync::Arc};

use bytes::BytesMut;
use futures::FutureExt as _;
use jiff::Timestamp;
use switchyard_bus::{Bus, Delivery, Durable, Events, PublishError, Received, Settle, StoredError, Unreadable, Window, said};
use switchyard_events::{Answer, BuildRefused, BuildRequeued, EmitError, Limits, RoutedView, WhyOf, Words};
use switchyard_fleet::Fleet;
use tracing::debug;

use crate::{Asked, Candidate, Current, Described, Health, Now, Rules, Unbuildable, asked, route, why};

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
        let first = self
            .bus
            .answer(&requests, Window::default(), service.shutdown.requested(), |received, paper| self.request(received, paper));
        let few = Window { at_once: 32, batch: 32 };
        let again = self.bus.consume(&requeued, few, service.shutdown.requested(), |delivery| self.requeued(delivery));
        let ours =
            self.bus.answer(&trainings, few, service.shutdown.requested(), |received, paper| self.request(received, paper));
        futures::future::try_join3(first.boxed(), again.boxed(), ours.boxed()).await?;
        Ok(())
    }

    /// A build is asked for: say where it goes.
    fn request(&self, received: &Received<'_>, paper: &mut BytesMut) -> Result<Option<Answer>, RouteError> {
        let Some(asked) = asked(received)? else { return Ok(None) };
        Ok(Some(answer(asked, 1, &self.current.now(), Timestamp::now(), paper)?))
    }

    /// A build wants its next attempt: read its request again and say where that goes.
    async fn requeued(&self, delivery: Delivery) -> Result<(), RouteError> {
        let BuildRequeued { build, attempt, request, tenant, left, .. } = read(&delivery)?;
        let stored = self.bus.fetch(&request.stream, request.sequence).await?;
        let again = stored.as_ref().map(Delivery::view);
        let found = again.as_ref().map(asked).transpose()?.flatten().filter(|found| found.build == build);
        let gone = || {
            let rule = format!("the request is no longer in stream {}, so attempt {attempt} cannot be routed", request.stream);
            Asked { build, tenant: tenant.into(), request: request.view(), described: Err(Unbuildable::Event(rule)) }
        };
        let answer = self.again(found.unwrap_or_else(gone), attempt, left.as_deref())?;
        self.bus.publish(answer.outgoing()?).await?;
        Ok(())
    }

    fn again(&self, asked: Asked<'_>, attempt: u32, left: Option<&str>) -> Result<Answer, RouteError> {
        let Now { rules, health } = self.current.now();
        let health = left.map_or_else(|| health.clone(), |left| Arc::new(Health::clone(&health).and_left(left)));
        Ok(answer(asked, attempt, &Now { rules, health }, Timestamp::now(), &mut BytesMut::new())?)
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
fn answer(asked: Asked<'_>, attempt: u32, by: &Now, now: Timestamp, paper: &mut BytesMut) -> Result<Answer, EmitError> {
    let decided = asked.described.as_ref().map_err(Refused::of).and_then(|Described { spec, words }| {
        let (executor, why, limits) = decide(&asked.candidate(spec), by)?;
        Ok((executor.into(), why, limits, Words(words)))
    });
    let Asked { build, tenant, request, .. } = asked;
    match decided {
        Ok((executor, why, limits, spec)) => {
            debug!(%build, attempt, %executor, rule = %why.rule, "build routed");
            Ok(RoutedView { build, attempt, executor, request, tenant, spec, limits, at: now, why }.answer(paper))
        }
        Err(Refused(reason)) => {
            let (pipeline, job) = asked.described.map_or((None, None), |Described { spec, .. }| (spec.pipeline, spec.job));
            tracing::info!(%build, attempt, reason, "build refused");
            let (request, tenant) = (request.into_owned(), tenant.into_owned());
            let [pipeline, job] = [pipeline, job].map(|name| name.map(Cow::into_owned));
            BuildRefused { build, attempt, request, tenant, pipeline, job, reason, at: now }.answer()
        }
    }
}

/// Where a build goes, why, and with which limits.
type Decided<'a> = (&'a str, WhyOf<Cow<'a, str>>, Limits);

fn decide<'a>(candidate: &Candidate<'_>, Now { rules, health }: &'a Now) -> Result<Decided<'a>, Refused> {
    let route = route(candidate, rules, health).map_err(Refused::of)?;
    let asked_timeout = candidate.spec.asked_timeout().map_err(Refused::of)?;
    let limits = rules.fleet().limits(route.executor, asked_timeout, candidate.spec.clocks);
    Ok((&route.executor.name, why(&route, candidate, rules, health), limits))
}

/// Why a build is refused, in words.
struct Refused(String);

impl Refused {
    fn of(why: impl Display) -> Self {
        Self(why.to_string())
    }
}
