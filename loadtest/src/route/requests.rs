//! The queued builds that are routed: about a kilobyte each, as a CI system's events are.

use async_nats::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use switchyard_events::{BuildKey, CdEvent, ci, encode, message_id};

use crate::broker::Packet;

const TYPE: &str = "dev.cdevents.build.queued.0.3.0";
const SOURCE: &str = "https://ci.example.org/job/storefront/job/checkout";

/// The request of build `n`, on the subject of the default tenant.
///
/// It carries no trace context: most CI systems send none, and then the router has to derive one.
pub(crate) fn packet(n: u32) -> anyhow::Result<Packet> {
    let event = CdEvent::new(TYPE, event_id(n), SOURCE, Timestamp::now(), subject_id(n))
        .content(&json!({"artifactId": "pkg:oci/checkout@sha256%3A9c1185a5c5e9fc54612808977ee8f548b2258d31"}))?
        .custom_data(&json!({ "build": build() }))?;
    let encoded = encode(&event.to_cloudevent()?)?;
    let mut headers = HeaderMap::new();
    for (name, value) in &encoded.headers {
        headers.insert(name.parse::<HeaderName>()?, value.parse::<HeaderValue>()?);
    }
    headers.insert(header::NATS_MESSAGE_ID, message_id(SOURCE, &event_id(n), TYPE).as_str());
    Ok(Packet { subject: ci("default", TYPE), headers, payload: encoded.payload })
}

/// The key of build `n`.
pub(crate) fn key(n: u32) -> BuildKey {
    BuildKey::of(SOURCE, &subject_id(n), &event_id(n))
}

fn event_id(n: u32) -> String {
    format!("7d0f3a1e-52c4-4b6e-9f1a-{n:012}")
}

fn subject_id(n: u32) -> String {
    format!("job/storefront/job/checkout/{n}")
}

fn build() -> Value {
    json!({
        "image": "registry.example.org/ci/node:20.11.1-bookworm",
        "steps": [
            {"name": "install", "run": "npm ci --prefer-offline --no-audit"},
            {"name": "test", "run": "npm test -- --reporter junit --output reports/"},
            {"name": "package", "run": "npm pack && sha256sum *.tgz > SHA256SUMS"},
        ],
        "env": {"CI": true, "NODE_ENV": "test", "BRANCH": "main", "COMMIT": "4f1d2c9be07a4e7f8f0c3b1d5a6e7f8091a2b3c4"},
        "cpu": "low",
        "ram": "2Gi",
        "timeout": "45m",
        "annotations": {"screwdriver.cd/buildPriority": "normal", "dev.switchyard/run-for": "1s"},
        "pipeline": "storefront",
        "job": "checkout",
    })
}

#[cfg(test)]
mod tests {
    use switchyard_events::{BuildSpec, decode, validate};

    use super::*;

    #[test]
    fn a_request_is_valid_about_a_kilobyte_and_unlike_every_other() {
        let Packet { headers, payload, .. } = packet(7).unwrap();
        let pairs = headers.iter().map(|(name, values)| (name.as_ref(), values[0].as_str()));
        let event = decode(pairs, &payload).unwrap().event;
        let cdevent = CdEvent::from_cloudevent(&event).unwrap();
        assert_eq!(validate(&cdevent), Ok(()));
        let custom: Value = serde_json::from_str(cdevent.custom_data.unwrap().get()).unwrap();
        assert!(BuildSpec::parse(&custom["build"].to_string()).is_ok());
        assert_eq!(BuildKey::of(&cdevent.context.source, &cdevent.subject.id, &cdevent.context.id), key(7));
        assert!((700..1400).contains(&payload.len()), "{}", payload.len());
        assert_ne!(key(7), key(8));
    }
}
