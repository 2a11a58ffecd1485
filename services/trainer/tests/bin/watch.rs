//! A replica that only watches: what windows say it writes down, each once. It can be killed at any moment.

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use switchyard_bus::Bus;
use switchyard_runtime::{Settings, run};
use switchyard_trainer::{Decide, Judged, Monitor};

/// Watches.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// The program that counts files.
    #[arg(long)]
    pipeline: Option<std::path::PathBuf>,
}

/// Writes down each window under `told.<model>.<window>`, and fails where it was told something else before.
struct Diary(Bus);

impl Decide for Diary {
    async fn see(&self, judged: &Judged) -> anyhow::Result<()> {
        let key = format!("told.{}.{}", judged.model, judged.window);
        let text = serde_json::to_vec(judged)?;
        if self.0.keep_state(&key, text.into(), None).await?.is_some() {
            return Ok(());
        }
        let kept = self.0.state(&key).await?.map(|(bytes, _)| bytes).unwrap_or_default();
        let kept: Judged = serde_json::from_slice(&kept)?;
        anyhow::ensure!(kept.rows == judged.rows && kept.at == judged.at, "window {} was told otherwise", judged.window);
        Ok(())
    }
}

fn main() -> ExitCode {
    let Arguments { settings, pipeline } = Arguments::parse();
    run("trainer", &settings, |service| async move {
        let bus = Bus::new(service.nats.clone());
        service.health.ready();
        let monitor = Monitor::new(bus.clone(), Arc::new(Diary(bus)), service.metrics.clone(), pipeline.as_deref());
        tokio::select! {
            () = monitor.run() => {}
            () = service.shutdown.requested() => {}
        }
        Ok(())
    })
}
