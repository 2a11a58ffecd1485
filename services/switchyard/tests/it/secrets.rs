//! Where the token of a Screwdriver build stands: in its Secret, and nowhere else.

use std::{fs, path::Path, time::Duration};

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{Api, api::ListParams};
use serde_json::json;
use switchyard_dev::{ClusterUser, ControlPlane};

use crate::{
    traces::{publish, spans},
    yard::{Yard, until},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_screwdriver_build_is_in_no_trace_event_log_argument_or_pod() {
    let yard = Yard::start(true, 1).await;
    let screwdriver =
        json!({"id": "111", "api": "https://api.example", "store": "https://store.example", "ui": "https://ui.example"});
    let annotations = json!({"dev.switchyard/behave": "hang"});
    let build =
        publish(&yard, &json!({"image": "a", "timeout": "8s", "screwdriver": screwdriver, "annotations": annotations})).await;
    let running = yard.record(&build, "it runs", |record| record.attempts[0].started_at.is_some()).await;

    // While it runs: its Secret, its pod, and whatever processes are told.
    let name = format!("b-{build}-1");
    let admin = yard.stack.control_plane().unwrap().client(ClusterUser::Admin).unwrap();
    let secrets: Api<Secret> = Api::namespaced(admin.clone(), ControlPlane::NAMESPACE);
    let of_the_build = ListParams::default().labels(&format!("switchyard.dev/build={build}"));
    let secret = secrets.list(&of_the_build).await.unwrap().items.remove(0);
    let kept = secret.data.unwrap()["token"].clone();
    let token = String::from_utf8(kept.0.clone()).unwrap();
    let encoded = serde_json::to_value(&kept).unwrap().as_str().unwrap().to_owned();
    let parts: Vec<_> = token.split('.').collect();
    assert!(parts.len() == 3 && parts.iter().all(|part| part.len() > 20), "a token as it should be");
    let pods: Api<Pod> = Api::namespaced(admin, ControlPlane::NAMESPACE);
    let mut places = vec![("the pod".to_owned(), serde_json::to_vec(&pods.get(&name).await.unwrap()).unwrap())];
    places.extend(arguments());

    // After its end: every stream and bucket, every log, every trace.
    yard.record(&build, "it ends", switchyard_events::Record::is_closed).await;
    let trace_id = running.request.trace.split('-').nth(1).unwrap().to_owned();
    spans(&yard.stack, &trace_id, |spans| {
        ["switchyard-router", "switchyard-launcher", "switchyard-reaper"]
            .iter()
            .all(|service| spans.iter().any(|span| span["service"] == *service))
    })
    .await;
    let streams = stored(&yard).await;
    let traces = traced(&yard).await;
    assert!(
        streams.iter().any(|(_, bytes)| holds(bytes, build.as_str())) && traces.iter().any(|(_, bytes)| holds(bytes, &trace_id))
    );
    places.extend(streams);
    places.extend(traces);
    let mut logs = Vec::new();
    files(yard.stack.folder(), &mut logs);
    assert!(logs.iter().any(|(_, bytes)| holds(bytes, build.as_str())), "the services say something of the build");
    places.extend(logs);

    for wanted in [token.as_str(), encoded.as_str(), parts[1], parts[2]] {
        let found: Vec<_> = places.iter().filter(|(_, bytes)| holds(bytes, wanted)).map(|(place, _)| place).collect();
        assert!(found.is_empty(), "the token, or a part of it, is in {found:?}");
    }
    yard.stop().await;
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The arguments and the environment of every process of this user.
fn arguments() -> Vec<(String, Vec<u8>)> {
    let processes =
        fs::read_dir("/proc").unwrap().flatten().filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    let each = processes.flat_map(|entry| ["cmdline", "environ"].map(|name| entry.path().join(name)));
    each.filter_map(|path| Some((path.display().to_string(), fs::read(&path).ok()?))).collect()
}

/// Every message that any stream or bucket holds, with its headers.
async fn stored(yard: &Yard) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let js = yard.bus.jetstream();
    let names: Vec<String> = futures::TryStreamExt::try_collect(js.stream_names()).await.unwrap();
    assert!(names.iter().any(|name| name == "KV_builds") && names.iter().any(|name| name == "TIMERS"), "{names:?}");
    for name in names {
        let stream = js.get_stream(&name).await.unwrap();
        for sequence in 1..=stream.cached_info().state.last_sequence {
            let Ok(message) = stream.get_raw_message(sequence).await else { continue };
            let headers = format!("{:?}", message.headers).into_bytes();
            all.push((format!("{name} {sequence} {}", message.subject), [headers, message.payload.to_vec()].concat()));
        }
    }
    all
}

/// Every trace that Jaeger has, of every service.
async fn traced(yard: &Yard) -> Vec<(String, Vec<u8>)> {
    let query = yard.stack.jaeger().unwrap().query_url();
    let mut all = Vec::new();
    for service in ["switchyard-cli", "switchyard-router", "switchyard-launcher", "switchyard-reaper"] {
        let url = format!("{query}/api/traces?service={service}&limit=1500&lookback=1h");
        let body =
            until("Jaeger answers", Duration::from_mins(1), async || reqwest::get(&url).await.ok()?.text().await.ok()).await;
        all.push((format!("traces of {service}"), body.into_bytes()));
    }
    all
}

/// Every file below a folder that is a log, or that a service was given.
fn files(folder: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        // What etcd and NATS keep is read through them.
        if path.is_dir() && !["etcd", "jetstream"].iter().any(|store| path.to_string_lossy().contains(store)) {
            files(&path, all);
        } else if path.is_file() {
            all.extend(fs::read(&path).ok().map(|bytes| (path.display().to_string(), bytes)));
        }
    }
}
