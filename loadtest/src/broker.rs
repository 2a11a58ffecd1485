//! A broker of one's own, as production has it, with nothing in its streams.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_nats::{
    Client, ConnectOptions, HeaderMap,
    jetstream::{self, consumer::PullConsumer, message::PublishMessage},
};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use switchyard_bus::{Bus, Durable, Sizes, provision};
use switchyard_dev::{Nats, Stack, StackOptions};
use switchyard_fleet::Fleet;
use switchyard_runtime::{NatsSettings, Secret};
use tokio::time::{Instant, sleep, timeout};

/// How long a durable consumer may take for everything that waits for it.
const DRAINED_WITHIN: Duration = Duration::from_mins(3);
/// How long one server request may take.
const PATIENCE: Duration = Duration::from_secs(10);
const LOADED_AT_ONCE: usize = 1000;

/// One message, ready to be published.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

/// A running server with all streams and consumers; it ends with the value.
pub(crate) struct Broker(Stack);

impl Broker {
    /// Starts a server and makes the streams and the consumers of a fleet.
    pub(crate) async fn start(fleet: &Fleet) -> anyhow::Result<Self> {
        let executors: Vec<_> = fleet.executors().iter().map(|executor| executor.name.clone()).collect();
        let stack = Stack::start(&StackOptions { executors: executors.clone(), ..StackOptions::default() }).await?;
        let broker = Self(stack);
        let names: Vec<_> = executors.iter().map(String::as_str).collect();
        provision(&Bus::new(broker.connect("provision").await?), &names, &Sizes::default(), 1).await?;
        Ok(broker)
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> i32 {
        self.0.nats().server().pid()
    }

    /// Kills the server, starts it again on its data, and waits until it answers.
    pub(crate) async fn restart(&self) -> anyhow::Result<()> {
        self.0.nats().server().kill().await;
        Ok(self.0.nats().server().restart().await?)
    }

    /// How many bytes of memory the server has now; 0 where there is no `/proc`.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        kib.unwrap_or_default() << 10
    }

    /// How and where one of its users connects.
    pub(crate) fn connection(&self, user: &str) -> anyhow::Result<(ConnectOptions, String)> {
        Ok((self.0.nats().connect_options(user)?, self.0.nats().url()))
    }

    /// Connects as one of its users, with that user's permissions.
    pub(crate) async fn connect(&self, user: &str) -> anyhow::Result<Client> {
        self.0.nats().connect(user).await.with_context(|| format!("cannot connect as {user}"))
    }

    /// Connects as one of the services, the way that services do.
    pub(crate) async fn connect_service(&self, service: &str) -> anyhow::Result<Client> {
        let password = self.0.nats().credentials(service)?.password.clone();
        let settings = NatsSettings {
            nats_urls: self.0.nats().url().split(',').map(str::to_owned).collect(),
            nats_user: Some(service.to_owned()),
            nats_password: Secret(Some(password)),
            nats_password_file: None,
            nats_creds: None,
            nats_nkey_file: None,
            nats_ca: None,
            nats_cert: None,
            nats_key: None,
        };
        Ok(switchyard_runtime::connect(service, &settings).await?)
    }

    /// Connects as the CI system of the default tenant.
    pub(crate) async fn connect_publisher(&self) -> anyhow::Result<Client> {
        self.connect(&Nats::publisher("default")).await
    }

    /// Publishes packets as the default tenant's CI system and waits until all are stored.
    pub(crate) async fn load(&self, packets: impl Iterator<Item = anyhow::Result<Packet>> + Send) -> anyhow::Result<()> {
        self.load_as(&Nats::publisher("default"), packets).await
    }

    /// Publishes packets as one of its users and waits until all are stored.
    pub(crate) async fn load_as(
        &self,
        user: &str,
        packets: impl Iterator<Item = anyhow::Result<Packet>> + Send,
    ) -> anyhow::Result<()> {
        let js = jetstream::new(self.connect(user).await?);
        let mut sent = stream::iter(packets).map(|packet| async { publish(&js, packet?).await }).buffer_unordered(LOADED_AT_ONCE);
        while let Some(stored) = sent.next().await {
            stored?;
        }
        Ok(())
    }

    /// Waits until a consumer has delivered everything and everything is acknowledged; says when that was.
    pub(crate) async fn drained(&self, durable: &Durable) -> anyhow::Result<Instant> {
        let js = jetstream::new(self.connect("loadtest").await?);
        let mut consumer: PullConsumer = js.get_consumer_from_stream(&durable.name, durable.stream).await?;
        let begun = Instant::now();
        loop {
            let info = consumer.info().await?;
            let left = info.num_pending + info.num_ack_pending as u64;
            let now = Instant::now();
            if left == 0 {
                return Ok(now);
            }
            ensure!(now - begun < DRAINED_WITHIN, "{left} messages are left after {DRAINED_WITHIN:?}");
            // Asking costs the server time, so it is asked often only towards the end.
            sleep(Duration::from_millis(if left > 5000 { 50 } else { 2 })).await;
        }
    }

    /// How many messages a stream holds.
    pub(crate) async fn messages(&self, stream: &str) -> anyhow::Result<u64> {
        let js = jetstream::new(self.connect("loadtest").await?);
        Ok(js.get_stream(stream).await?.cached_info().state.messages)
    }

    /// The first message of a stream.
    pub(crate) async fn first(&self, stream: &str) -> anyhow::Result<Packet> {
        let js = jetstream::new(self.connect("loadtest").await?);
        let message = js.get_stream(stream).await?.get_raw_message(1).await?;
        Ok(Packet { subject: message.subject.to_string(), headers: message.headers, payload: message.payload })
    }

    /// Stops the server and removes its files.
    pub(crate) async fn stop(self) {
        self.0.stop().await;
    }
}

/// Publishes a packet and waits until it is stored.
pub(crate) async fn publish(js: &jetstream::Context, packet: Packet) -> anyhow::Result<()> {
    let message = PublishMessage::build().headers(packet.headers).payload(packet.payload);
    let stored = timeout(PATIENCE, async { js.send_publish(packet.subject, message).await?.await }).await;
    stored.context("the server does not answer")??;
    Ok(())
}
