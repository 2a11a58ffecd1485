//! Says where everything is, and leaves a file that other terminals can use.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::PathBuf};

use anyhow::Context as _;
use switchyard_dev::{ClusterUser, Nats, Stack};

use super::Up;

const NOT_YET: &str = "\n            is being built in the background: until it is there, traces are missing";

const NO_ISOLATION: &str =
    "            NO ISOLATION: builds are processes of this machine and may do whatever you may; their images are ignored";

/// Writes the fleet that the services read.
pub(super) fn write_fleet(stack: &Stack, fleet: &str) -> anyhow::Result<PathBuf> {
    let path = stack.folder().join("fleet.yaml");
    fs::write(&path, fleet).with_context(|| path.display().to_string())?;
    Ok(path)
}

/// Prints where everything is. Passwords stand only in a file that nobody else may read.
pub(super) fn announce(up: &Up, demo: bool) -> anyhow::Result<()> {
    let Up { stack, services, traces, local, trains } = up;
    let env = environment(up)?;
    println!("NATS        {}   (a publisher is user {})", stack.nats().url(), Nats::publisher("default"));
    if let Some(query) = traces.query_url() {
        let (otlp, when) = (traces.otlp_url(), if traces.is_there() { "" } else { NOT_YET });
        println!("Jaeger      {query}   (query API; OTLP at {otlp}){when}");
    }
    if let Some(cluster) = stack.control_plane() {
        println!("Kubernetes  {}   (kubeconfig {})", cluster.url(), cluster.kubeconfig(ClusterUser::Admin).display());
    }
    let unisolated = local.executors().collect::<Vec<_>>().join(", ");
    if !unisolated.is_empty() {
        println!(
            "builds      {}   (executors {unisolated}; each says what it does in its output.log)\n{NO_ISOLATION}",
            local.folder()
        );
    }
    println!("services    {}", services.iter().map(|(name, _)| name).collect::<Vec<_>>().join(", "));
    println!("logs        {}", stack.folder().display());
    if let (true, Err(why)) = (demo, trains) {
        println!("skipped     the demo's model, which is not trained: {why}");
    }
    println!("elsewhere   . {}   then: switchyard builds, switchyard publish FILE, switchyard trace ID", env.display());
    Ok(())
}

/// A file of `export`s, for the tools in another terminal.
fn environment(up: &Up) -> anyhow::Result<PathBuf> {
    let Up { stack, traces, local, .. } = up;
    let credentials = stack.nats().credentials("cli")?;
    let mut lines = vec![
        format!("export NATS_URL={}", stack.nats().url()),
        format!("export NATS_USER={}", credentials.user),
        format!("export NATS_PASSWORD={}", credentials.password),
        format!("export SWITCHYARD_BUILDS='{}'", local.folder()),
    ];
    if let Some(query) = traces.query_url() {
        lines.push(format!("export SWITCHYARD_JAEGER_URL={query}"));
        lines.push(format!("export OTEL_EXPORTER_OTLP_ENDPOINT={}", traces.otlp_url()));
    }
    if let Some(cluster) = stack.control_plane() {
        lines.push(format!("export KUBECONFIG={}", cluster.kubeconfig(ClusterUser::Admin).display()));
    }
    let path = stack.folder().join("env");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    writeln!(file, "{}", lines.join("\n"))?;
    Ok(path)
}
