//! Jaeger with its store in memory: an OTLP endpoint to write spans to, and a query API to read them from.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::launch::Launch;
use crate::ready::Ready;
use crate::server::Server;
use crate::tools::{Tool, Tools};
use crate::{StartError, port};

const STOP_WITHIN: Duration = Duration::from_secs(2);
/// Old traces make room for new ones: a load test must not fill the memory.
const KEEP_TRACES: u32 = 100_000;
/// Listeners that nobody here uses; each takes a port of its own choice, so that several servers can run at once.
const UNUSED: [&str; 8] = [
    "collector.grpc-server.host-port",
    "collector.http-server.host-port",
    "collector.otlp.grpc.host-port",
    "http-server.host-port",
    "query.grpc-server.host-port",
    "processor.jaeger-binary.server-host-port",
    "processor.jaeger-compact.server-host-port",
    "processor.zipkin-compact.server-host-port",
];

/// Where a server will be: known before it runs, or is even built.
#[derive(Clone, Debug)]
pub struct JaegerAddress {
    admin: u16,
    otlp: u16,
    query: u16,
}

impl JaegerAddress {
    /// Takes free ports.
    ///
    /// # Errors
    /// When there are none.
    pub fn free() -> Result<Self, StartError> {
        Ok(Self { admin: port::free()?, otlp: port::free()?, query: port::free()? })
    }

    /// The base address for OTLP over HTTP, as `OTEL_EXPORTER_OTLP_ENDPOINT` wants it (without `/v1/traces`).
    #[must_use]
    pub fn otlp_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.otlp)
    }

    /// The base address of the query API (`/api/traces/<trace id>`).
    #[must_use]
    pub fn query_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.query)
    }
}

/// A running server. A restart empties it.
#[derive(Debug)]
pub struct Jaeger {
    server: Server,
    address: JaegerAddress,
}

impl Jaeger {
    /// Starts a server, its log in `folder`, and waits until it takes spans.
    ///
    /// # Errors
    /// When the folder cannot be made, or the server does not become ready.
    pub async fn start(tools: &Tools, folder: &Path) -> Result<Self, StartError> {
        Self::start_at(JaegerAddress::free()?, tools, folder).await
    }

    /// The same, where its address was taken before.
    ///
    /// # Errors
    /// When the folder cannot be made, or the server does not become ready.
    pub async fn start_at(address: JaegerAddress, tools: &Tools, folder: &Path) -> Result<Self, StartError> {
        fs::create_dir_all(folder).map_err(StartError::file(folder))?;
        let JaegerAddress { admin, otlp, query } = address;
        let used =
            [("admin.http.host-port", admin), ("collector.otlp.http.host-port", otlp), ("query.http-server.host-port", query)];
        let listeners = used.into_iter().chain(UNUSED.map(|name| (name, 0)));
        let launch = Launch::new("jaeger", tools.path(Tool::Jaeger), folder)
            .arguments(listeners.map(|(name, port)| format!("--{name}=127.0.0.1:{port}")))
            .arguments(["--log-level=warn".to_owned(), format!("--memory.max-traces={KEEP_TRACES}")])
            .variable("SPAN_STORAGE_TYPE", "memory")
            // It would send spans about itself to whatever listens on the standard port.
            .variable("OTEL_TRACES_SAMPLER", "always_off");
        let ready = Ready::Http(format!("http://127.0.0.1:{admin}/"));
        Ok(Self { server: Server::start(launch, ready).await?, address })
    }

    /// The base address for OTLP over HTTP, as `OTEL_EXPORTER_OTLP_ENDPOINT` wants it (without `/v1/traces`).
    #[must_use]
    pub fn otlp_url(&self) -> String {
        self.address.otlp_url()
    }

    /// The base address of the query API (`/api/traces/<trace id>`).
    #[must_use]
    pub fn query_url(&self) -> String {
        self.address.query_url()
    }

    /// The server itself: to be killed, frozen, restarted.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Stops it, and waits for the end.
    pub async fn stop(&self) {
        self.server.stop(STOP_WITHIN).await;
    }
}
