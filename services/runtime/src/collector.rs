//! How spans reach a collector: HTTP/1.1, with TLS where the endpoint says `https`.
//!
//! The exporter runs on a thread of its own, outside of tokio; a request is handed to the runtime and waited for.
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use async_nats::rustls::crypto::ring;
use async_nats::rustls::pki_types::CertificateDer;
use async_nats::rustls::pki_types::pem::PemObject as _;
use async_nats::rustls::{ClientConfig, RootCertStore};
use axum::body::Bytes;
use axum::http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;
use tracing::warn;

use crate::otel_variables::Transport;
use crate::seldom::Seldom;

/// More than any collector has to answer.
const LONGEST_ANSWER: usize = 64 * 1024;

/// A client that belongs to the tokio runtime in which it was made.
#[derive(Debug)]
pub(crate) struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    runtime: Handle,
    seldom: Seldom,
}

impl Collector {
    /// The system's authorities are read only where they are needed: that takes milliseconds and memory.
    pub(crate) fn new(transport: &Transport) -> io::Result<Self> {
        let config = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let config = match &transport.authorities {
            _ if !transport.tls => config.with_root_certificates(RootCertStore::empty()),
            Some(file) => config.with_root_certificates(authorities(file)?),
            None => config.with_native_roots()?,
        };
        let config = config.with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, timeout: transport.timeout, runtime: Handle::current(), seldom: Seldom::every(Duration::from_mins(1)) })
    }
}

fn authorities(file: &Path) -> io::Result<RootCertStore> {
    let failed = |error: &dyn std::error::Error| io::Error::other(format!("{}: {error}", file.display()));
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| failed(&error))? {
        let certificate = certificate.map_err(|error| failed(&error))?;
        store.add(certificate).map_err(|error| failed(&error))?;
    }
    Ok(store)
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Collector {
    fn send_bytes<'a, 'b>(&'a self, request: Request<Bytes>) -> Answer<'b>
    where
        'a: 'b,
    {
        let answer = self.client.request(request.map(Full::new));
        let answer = within(self.timeout, async move {
            let (head, body) = answer.await?.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER).collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        });
        let answer = self.runtime.spawn(answer);
        Box::pin(async {
            let answer: Result<_, HttpError> = answer.await?;
            if let Err(error) = &answer
                && self.seldom.may_say("", Instant::now()).is_some()
            {
                // The SDK keeps the cause to itself.
                warn!(error = &**error as &(dyn std::error::Error + 'static), "collector not reached");
            }
            answer
        })
    }
}

async fn within(
    timeout: Duration,
    answer: impl Future<Output = Result<Response<Bytes>, HttpError>>,
) -> Result<Response<Bytes>, HttpError> {
    tokio::time::timeout(timeout, answer).await.map_err(|_| format!("no answer within {timeout:?}"))?
}
