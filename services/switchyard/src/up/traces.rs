//! Where traces go: to a collector of the user's, or to a Jaeger of ours, which need not be there before the builds are.

use std::path::Path;

use switchyard_dev::{Jaeger, JaegerAddress, Stack, StartError, Tool, ToolError, Tools};
use tokio::task::JoinHandle;

/// Where traces go.
pub(super) struct Traces {
    otlp: String,
    jaeger: Option<JaegerAddress>,
    /// Holds the server; ends it when it is aborted.
    keeper: Option<JoinHandle<()>>,
    is_there: bool,
}

/// A Jaeger that does not come.
#[derive(Debug, thiserror::Error)]
enum NoJaeger {
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Traces {
    /// Sends traces to a collector that somebody else runs.
    pub(super) fn to(otlp: String) -> Self {
        Self { otlp, jaeger: None, keeper: None, is_there: true }
    }

    /// Starts Jaeger. Where it has to be built first nobody waits for it, unless `patient`: builds run meanwhile, and what
    /// they would have traced is missing.
    pub(super) async fn to_jaeger(stack: &Stack, patient: bool) -> anyhow::Result<Self> {
        let address = JaegerAddress::free()?;
        let folder = stack.folder().join("jaeger");
        let mut traces = Self { otlp: address.otlp_url(), jaeger: Some(address.clone()), keeper: None, is_there: true };
        traces.keeper = Some(if patient || Tools::are_there(&[Tool::Jaeger]).await {
            let jaeger = Jaeger::start_at(address, &Tools::ready(&[Tool::Jaeger]).await?, &folder).await?;
            tokio::spawn(keep(jaeger))
        } else {
            traces.is_there = false;
            tokio::spawn(async move {
                match later(address, &folder).await {
                    Ok(jaeger) => {
                        eprintln!("Jaeger is there: what builds do from now on is traced");
                        keep(jaeger).await;
                    }
                    Err(error) => eprintln!("no traces: {error}"),
                }
            })
        });
        Ok(traces)
    }

    /// The collector's address.
    pub(super) fn otlp_url(&self) -> &str {
        &self.otlp
    }

    /// The address of Jaeger's query API, where it is ours.
    pub(super) fn query_url(&self) -> Option<String> {
        self.jaeger.as_ref().map(JaegerAddress::query_url)
    }

    /// Whether it takes traces already.
    pub(super) fn is_there(&self) -> bool {
        self.is_there
    }

    /// Ends the server, or its building.
    pub(super) async fn stop(self) {
        if let Some(keeper) = self.keeper {
            keeper.abort();
            let _ = keeper.await;
        }
    }
}

async fn later(address: JaegerAddress, folder: &Path) -> Result<Jaeger, NoJaeger> {
    let tools = Tools::ready_in_the_background(&[Tool::Jaeger]).await?;
    Ok(Jaeger::start_at(address, &tools, folder).await?)
}

/// Owns the server until the task is aborted, which drops it.
async fn keep(jaeger: Jaeger) {
    std::future::pending::<()>().await;
    drop(jaeger);
}
