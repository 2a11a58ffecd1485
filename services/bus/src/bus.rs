//! The connection that everything else here goes through.

use std::time::Duration;

use async_nats::{
    Client,
    jetstream::{self, context::ContextBuilder, kv},
};
use opentelemetry::global::{self, BoxedTracer};
use std::sync::Arc;
use tokio::sync::OnceCell;

use crate::states::Pointers;

/// JetStream, as the services use it. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    pub(crate) client: Client,
    pub(crate) js: jetstream::Context,
    pub(crate) tracer: Arc<BoxedTracer>,
    builds: Arc<OnceCell<kv::Store>>,
    states: Arc<OnceCell<kv::Store>>,
    pub(crate) pointers: Arc<Pointers>,
}

/// How long one request to JetStream may take; after that the message it belongs to is tried again. What was asked of a broker
/// that is killed is never answered, and must be asked again within 5 s of its return.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

impl Bus {
    /// A bus over a connection.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let js = ContextBuilder::new().timeout(PATIENCE).build(client.clone());
        let tracer = Arc::new(global::tracer("switchyard"));
        Self { client, js, tracer, builds: Arc::default(), states: Arc::default(), pointers: Arc::default() }
    }

    /// JetStream itself, for tools that look at streams.
    #[must_use]
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.js
    }

    /// The ledger's bucket; looked up once.
    pub(crate) async fn builds(&self) -> Result<&kv::Store, async_nats::Error> {
        self.builds.get_or_try_init(async || Ok(self.js.get_key_value("builds").await?)).await
    }

    /// The trainer's bucket; looked up once.
    pub(crate) async fn states(&self) -> Result<&kv::Store, async_nats::Error> {
        self.states.get_or_try_init(async || Ok(self.js.get_key_value("trainer").await?)).await
    }
}
