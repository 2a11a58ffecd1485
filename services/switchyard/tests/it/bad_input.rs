//! What is wrong is named: a readable request is refused and finishes, everything else is kept among the dead letters.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::json;
use switchyard_bus::DeadLetter;
use switchyard_events::{Outcome, Reason};

use crate::yard::{Yard, until};

#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_is_refused_or_kept_with_field_and_rule() {
    let yard = Yard::start(false, 1).await;
    refused(&yard).await;
    dead(&yard).await;
    yard.stop().await;
}

/// Requests that can be read but not run: each finishes with outcome error and a reason that names field and rule.
async fn refused(yard: &Yard) {
    let cases = [
        ("unknown-key", json!({"image": "a", "imag": "b"}), "customData.build.imag: unknown field"),
        ("no-image", json!({}), "missing field `image`"),
        (
            "bad-timeout",
            json!({"image": "a", "annotations": {"screwdriver.cd/timeout": "soon"}}),
            "annotations.screwdriver.cd/timeout: \"soon\"",
        ),
        ("bad-size", json!({"image": "a", "cpu": "lots"}), "customData.build.cpu: \"lots\" is neither a class"),
        (
            "annotation",
            json!({"image": "a", "annotations": {"io.katacontainers.x": "y"}}),
            "annotation io.katacontainers.x is not allowed to tenant default",
        ),
        (
            "unknown-executor",
            json!({"image": "a", "annotations": {"screwdriver.cd/executor": "hyperd"}}),
            "there is no executor \"hyperd\"; there are k8s, k8s-vm",
        ),
        (
            "excluded",
            json!({"image": "x/rhel6", "annotations": {"screwdriver.cd/executor": "k8s"}}),
            "matches exclusion \"rhel6\"",
        ),
    ];
    for (id, build, why) in cases {
        let build = yard.publish(id, build).await;
        let record = yard.record(&build, id, switchyard_events::Record::is_closed).await;
        let decided = record.latest().unwrap().decided.clone().unwrap();
        assert_eq!((decided.outcome, decided.reason), (Outcome::Error, Reason::Refused), "{id}");
        let message = decided.message.unwrap();
        assert!(message.contains(why), "{id}: {message}");
    }
    let finished = yard.finished().await;
    assert_eq!(finished.len(), 7, "each refused build finishes, once");
}

/// What is no event: kept byte for byte.
async fn dead(yard: &Yard) {
    let large = format!(r#"{{"specversion":"1.0","id":"1","source":"/a","type":"t","data":"{}"}}"#, "x".repeat(600 * 1024));
    let cases: [(&str, Bytes, &str); 4] = [
        ("garbage", Bytes::from_static(b"\xff\x00 not an event"), "neither a CloudEvent nor a CDEvent"),
        ("no id", Bytes::from_static(br#"{"specversion":"1.0","source":"/a","type":"t"}"#), "id"),
        ("too large", Bytes::from(large), "524288"),
        (
            "claims to be queued",
            Bytes::from_static(
                br#"{"specversion":"1.0","id":"1","source":"/a","type":"dev.cdevents.build.queued.0.3.0","data":{"context":{}}}"#,
            ),
            "CDEvent subject: required",
        ),
    ];
    for (name, bytes, why) in cases {
        let sent = yard.bus.jetstream().publish_with_headers("ci.default.odd", HeaderMap::new(), bytes.clone()).await.unwrap();
        sent.await.unwrap();
        let letter =
            until(name, Duration::from_secs(30), async || letters(yard).await.into_iter().find(|letter| letter.payload == bytes))
                .await;
        assert!(letter.reason.contains(why), "{name}: {}", letter.reason);
        assert_eq!(letter.subject, "ci.default.odd");
    }
}

async fn letters(yard: &Yard) -> Vec<DeadLetter> {
    let stream = yard.bus.jetstream().get_stream("DEAD").await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let messages = futures::stream::iter(1..=last).then(|sequence| stream.get_raw_message(sequence));
    messages
        .filter_map(async |message| message.ok().and_then(|message| DeadLetter::of(message.headers, message.payload)))
        .collect()
        .await
}
