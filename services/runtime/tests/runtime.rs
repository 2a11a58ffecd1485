//! A real process on real servers: what it says, how it is ready, how it stops.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::Value;
use switchyard_dev::{Exit, Launch, Nats, Process, Stack, StackOptions, Tool, Tools};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OnceCell;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_service_is_ready_at_once_and_stops_on_sigterm_with_nothing_lost() {
    let nats = stack().await.nats();
    let client = nats.connect("loadtest").await.unwrap();
    let mut last = client.subscribe("probe.last").await.unwrap();
    client.flush().await.unwrap();
    let probe = Probe::start("idle", &[], &as_user(nats, "loadtest")).await;
    assert_eq!(
        probe.get("/readyz").await,
        (200, r#"{"checks":{"nats":{"ok":true},"service":{"ok":true}},"ready":true}"#.to_owned())
    );
    assert_eq!(probe.get("/livez").await.0, 200);
    let (status, metrics) = probe.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("probe_begun_total{what=\"yes\"} 1\n"), "{metrics}");
    assert!(metrics.contains("switchyard_build_info{service=\"probe\",version="), "{metrics}");
    probe.process.terminate();
    assert_eq!(probe.process.wait().await, code(0), "{}", probe.log());
    for n in 0..100 {
        let message = tokio::time::timeout(PATIENCE, last.next()).await.expect("every message arrives").unwrap();
        assert_eq!(message.payload, n.to_string());
    }
}

#[tokio::test]
async fn a_service_waits_for_nats_with_a_clear_line_and_is_ready_when_nats_is() {
    let own = Stack::start(&StackOptions::default()).await.unwrap();
    let nats = own.nats();
    nats.server().kill().await;
    let probe = Probe::start("idle", &[], &as_user(nats, "loadtest")).await;
    let line = format!("waiting for NATS at {}: Connection refused", nats.url());
    probe.says(&line).await;
    assert_eq!(probe.get("/livez").await.0, 200);
    let (status, body) = probe.get("/readyz").await;
    assert_eq!(status, 503);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["checks"]["nats"]["why"], "not connected");
    for _ in 0..2 {
        nats.server().restart().await.unwrap();
        probe.answers("/readyz", 200).await;
        nats.server().kill().await;
        probe.answers("/readyz", 503).await;
    }
    assert_eq!(probe.log().matches(&line).count(), 1, "said once, not at every attempt: {}", probe.log());
    probe.says("connection to NATS is lost").await;
    let stopping = Instant::now();
    probe.process.terminate();
    assert_eq!(probe.process.wait().await, code(0), "{}", probe.log());
    assert!(stopping.elapsed() < Duration::from_secs(10), "it does not wait for NATS to come back");
    own.stop().await;
}

#[tokio::test]
async fn wrong_credentials_end_a_service_at_once() {
    let nats = stack().await.nats();
    let mut settings = as_user(nats, "router");
    settings.push(("NATS_PASSWORD", "wrong".to_owned()));
    let probe = Probe::launch("idle", &[], &settings).await;
    let line = format!("error: NATS at {} refused us: authorization violation (user router)", nats.url());
    probe.ends_with(1, &line).await;
}

#[tokio::test]
async fn a_server_without_jetstream_ends_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let tools = Tools::ready(&[Tool::NatsServer]).await.unwrap();
    let server = Launch::new("nats", tools.path(Tool::NatsServer), folder.path());
    let _server = Process::start(&server.arguments(["-a", "127.0.0.1", "-p", &port.to_string()])).await.unwrap();
    let probe = Probe::launch("idle", &[], &[("NATS_URL", format!("127.0.0.1:{port}"))]).await;
    probe.ends_with(1, &format!("error: JetStream is not enabled on NATS at 127.0.0.1:{port}: start nats-server with -js")).await;
}

#[tokio::test]
async fn what_nats_does_not_permit_is_named() {
    let probe = Probe::start("forbidden", &[], &as_user(stack().await.nats(), "publisher-default")).await;
    probe.says("NATS does not permit this operation=Publish subject=yard.forged").await;
}

#[tokio::test]
async fn the_password_can_be_in_a_file() {
    let nats = stack().await.nats();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, format!("{}\n", nats.credentials("router").unwrap().password)).unwrap();
    let mut settings = as_user(nats, "router");
    settings.retain(|(name, _)| *name != "NATS_PASSWORD");
    settings.push(("NATS_PASSWORD_FILE", file.path().display().to_string()));
    let probe = Probe::start("idle", &[], &settings).await;
    probe.answers("/readyz", 200).await;
}

#[tokio::test]
async fn a_url_with_a_password_is_refused_and_not_shown() {
    let probe = Probe::launch("idle", &[], &[("NATS_URL", "nats://router:hunter2@127.0.0.1:4222".to_owned())]).await;
    probe
        .ends_with(
            1,
            "error: the URL of NATS (127.0.0.1:4222) must not hold credentials: use NATS_USER and NATS_PASSWORD, or a file",
        )
        .await;
    assert!(!probe.log().contains("hunter2"), "{}", probe.log());
}

#[tokio::test]
async fn a_second_signal_aborts_at_once() {
    for (second, exit) in [("TERM", 143), ("INT", 130)] {
        let probe = Probe::start("stubborn", &[], &as_user(stack().await.nats(), "loadtest")).await;
        probe.process.terminate();
        probe.says("stopping signal=SIGTERM").await;
        // The same signal again, at once, is the same request; a later one is not.
        probe.process.terminate();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(probe.process.exited(), None);
        assert_eq!(probe.get("/readyz").await.0, 503);
        let sent = Command::new("kill").args(["-s", second, &probe.process.pid().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(probe.process.wait().await, code(exit), "{}", probe.log());
    }
}

#[tokio::test]
async fn a_service_that_does_not_stop_is_given_up_after_the_grace_period() {
    let probe = Probe::start("stubborn", &["--shutdown-grace", "200ms"], &as_user(stack().await.nats(), "loadtest")).await;
    probe.process.terminate();
    probe.ends_with(1, "error: the service did not stop within 200ms").await;
}

#[tokio::test]
async fn a_failed_service_says_why_on_one_line() {
    let probe = Probe::launch("fails", &[], &as_user(stack().await.nats(), "loadtest")).await;
    probe.ends_with(1, "error: cannot write the ledger: the disk is full").await;
    let probe = Probe::launch("panics", &[], &as_user(stack().await.nats(), "loadtest")).await;
    probe.ends_with(1, "error: the service panicked").await;
    assert!(probe.log().contains("panicked: the probe panics place="), "{}", probe.log());
    let json = Probe::launch("fails", &["--log-format", "json"], &as_user(stack().await.nats(), "loadtest")).await;
    assert_eq!(json.process.wait().await, code(1));
    let last: Value = serde_json::from_str(json.log().lines().last().unwrap()).unwrap();
    assert_eq!((&last["level"], &last["message"]), (&"error".into(), &"cannot write the ledger: the disk is full".into()));
}

#[tokio::test]
async fn a_service_that_is_done_ends_well() {
    let probe = Probe::launch("done", &[], &as_user(stack().await.nats(), "loadtest")).await;
    assert_eq!(probe.process.wait().await, code(0), "{}", probe.log());
}

#[tokio::test]
async fn a_service_ends_with_the_client_of_nats_to_be_started_again() {
    let probe = Probe::launch("alone", &[], &as_user(stack().await.nats(), "loadtest")).await;
    probe.ends_with(1, "error: the client of NATS has broken down; the service has to begin again").await;
}

#[tokio::test]
async fn a_service_does_not_need_a_reader_of_its_log() {
    let settings = as_user(stack().await.nats(), "loadtest");
    let probe = env!("CARGO_BIN_EXE_switchyard-probe");
    let mut probe = Command::new(probe).arg("done").envs(settings).stderr(Stdio::piped()).spawn().unwrap();
    drop(probe.stderr.take());
    let ended = tokio::task::spawn_blocking(move || probe.wait());
    let ended = tokio::time::timeout(PATIENCE, ended).await.expect("it ends").unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let probe = Probe::launch("idle", &["--listen", &address], &[]).await;
    probe.ends_with(1, &format!("error: cannot listen on {address}: Address already in use")).await;
}

#[tokio::test]
async fn an_exporter_that_does_not_exist_is_named() {
    let probe = Probe::launch("idle", &[], &[("OTEL_TRACES_EXPORTER", "zipkin".to_owned())]).await;
    probe.ends_with(1, "error: OTEL_TRACES_EXPORTER=\"zipkin\" is not supported: use otlp, console or none").await;
}

#[tokio::test]
async fn the_last_spans_are_exported_on_sigterm_and_log_lines_carry_their_trace() {
    let jaeger = stack().await.jaeger().unwrap();
    let mut settings = as_user(stack().await.nats(), "loadtest");
    settings.push(("OTEL_EXPORTER_OTLP_ENDPOINT", jaeger.otlp_url()));
    settings.push(("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test".to_owned()));
    let probe = Probe::start("span", &["--log-format", "json"], &settings).await;
    probe.says("working").await;
    let line: Value = serde_json::from_str(probe.log().lines().find(|line| line.contains("working")).unwrap()).unwrap();
    let (trace, span) = (line["trace_id"].as_str().unwrap(), line["span_id"].as_str().unwrap());
    probe.process.terminate();
    assert_eq!(probe.process.wait().await, code(0), "{}", probe.log());
    let address = jaeger.query_url().replace("http://", "");
    let mut found = Value::Null;
    eventually(async || {
        let (status, body) = get(&address, &format!("/api/traces/{trace}")).await;
        found = serde_json::from_str(&body).unwrap_or_default();
        status == 200
    })
    .await;
    assert_eq!(found["data"][0]["spans"][0]["spanID"], span);
    assert_eq!(found["data"][0]["processes"]["p1"]["serviceName"], "switchyard-probe");
    let tags = found["data"][0]["processes"]["p1"]["tags"].to_string();
    for tag in ["service.instance.id", "service.version", "host.name", "process.pid", "deployment.environment.name"] {
        assert!(tags.contains(tag), "{tag} in {tags}");
    }
}

#[tokio::test]
async fn a_collector_that_is_away_is_said_once_and_harms_nothing() {
    let mut settings = as_user(stack().await.nats(), "loadtest");
    settings.push(("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1".to_owned()));
    let probe = Probe::start("span", &[], &settings).await;
    probe.says("working").await;
    probe.process.terminate();
    assert_eq!(probe.process.wait().await, code(0), "{}", probe.log());
    for line in
        ["collector not reached error=\"client error (Connect): tcp connect error: Connection refused", "spans not exported"]
    {
        assert_eq!(probe.log().matches(line).count(), 1, "{}", probe.log());
    }
}

/// `tests/bin/probe.rs` as a process of its own.
struct Probe {
    process: Process,
    _folder: TempDir,
}

impl Probe {
    async fn launch(what: &str, arguments: &[&str], environment: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut launch =
            Launch::new("probe", env!("CARGO_BIN_EXE_switchyard-probe"), folder.path()).arguments([what]).arguments(arguments);
        for (name, value) in environment {
            launch = launch.variable(name, value);
        }
        Self { process: Process::start(&launch).await.unwrap(), _folder: folder }
    }

    /// Launches it and waits until it listens, and, where NATS is up, until it is ready.
    async fn start(what: &str, arguments: &[&str], environment: &[(&str, String)]) -> Self {
        let probe = Self::launch(what, arguments, environment).await;
        probe.says("listening").await;
        eventually(async || probe.log().contains("waiting for NATS") || probe.get("/readyz").await.0 == 200).await;
        probe
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.process.log()).unwrap()
    }

    async fn says(&self, text: &str) {
        eventually(async || self.log().contains(text)).await;
    }

    async fn answers(&self, path: &str, status: u16) {
        eventually(async || self.get(path).await.0 == status).await;
    }

    /// Ends with this exit code, and its last line begins so.
    async fn ends_with(&self, exit: i32, line: &str) {
        assert_eq!(tokio::time::timeout(PATIENCE, self.process.wait()).await.expect("it ends"), code(exit), "{}", self.log());
        let log = self.log();
        assert!(log.lines().last().unwrap().starts_with(line), "{log}");
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("listening")).unwrap();
        let address = line.split("127.0.0.1:").nth(1).unwrap().trim_end_matches(['"', '}']);
        get(&format!("127.0.0.1:{address}"), path).await
    }
}

/// Status and body of one HTTP request.
async fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        body.trim_end_matches('\n').to_owned() + if path == "/metrics" { "\n" } else { "" },
    )
}

async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "it did not come true within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn as_user(nats: &Nats, user: &str) -> Vec<(&'static str, String)> {
    let credentials = nats.credentials(user).unwrap().clone();
    vec![("NATS_URL", nats.url()), ("NATS_USER", credentials.user), ("NATS_PASSWORD", credentials.password)]
}

fn code(code: i32) -> Exit {
    Exit { code: Some(code) }
}

async fn stack() -> &'static Stack {
    static STACK: OnceCell<Stack> = OnceCell::const_new();
    let options = StackOptions { jaeger: true, ..StackOptions::default() };
    STACK.get_or_init(|| async { Stack::start(&options).await.unwrap() }).await
}
