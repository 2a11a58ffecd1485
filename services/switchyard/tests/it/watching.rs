//! The real trainer, two of it, killed again and again while it counts: what windows say and what is kept of them is, bit by bit,
//! what one that nobody disturbs makes of the same stream.

use std::{collections::BTreeMap, time::Duration};

use futures::TryStreamExt as _;
use serde_json::{Value, json};
use switchyard_bus::Bus;
use switchyard_events::{WindowJudged, custom_data};

use crate::{retraining::feed, training::School, yard::until};

const PATIENCE: Duration = Duration::from_mins(2);
const PARTITIONS: u16 = 2;
/// Rows of a message, messages of a partition, and how many fill a partition's half of a window.
const ROWS: u16 = 50;
const MESSAGES: u16 = 150;
const FILL: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn trainers_that_are_killed_while_they_count_change_no_verdict_and_no_bit() {
    let school = School::of(false, 2).await;
    forget_ids(&school.bus).await;
    let monitor = "{input: {format: rows, partitions: 2}, window: {rows: 500}, minSamples: 100}";
    school.apply_watched("churn", monitor, "{mode: suggest, triggers: [drift]}").await;
    school.until_told("churn", "retraining.skipped", Some("suggested"), 1).await;
    school.retrain("churn", true).await;
    school.until_told("churn", "retraining.finished", Some("promoted"), 1).await;
    let feeding = async {
        for n in 0..MESSAGES {
            for partition in 0..PARTITIONS {
                let shift = if n < MESSAGES / 2 { 0 } else { 60 };
                let rows: Vec<Value> =
                    (0..ROWS).map(|row| json!({"age": (n * 37 + row * 13 + partition) % 100 + shift})).collect();
                feed(&school.bus, "churn", partition, &format!("{partition}-{n}"), &json!({"rows": rows})).await;
                if n % 9 == 0 {
                    feed(&school.bus, "churn", partition, &format!("{partition}-{n}"), &json!({"rows": rows})).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let killing = async {
        for n in 0..8 {
            let trainer = school.services.get(&format!("trainer-{}", n % 2)).unwrap();
            trainer.kill().await;
            trainer.restart().await.unwrap();
        }
    };
    futures::join!(feeding, killing);
    let killed = settled(&school).await;
    assert!(killed.0.values().any(|judged| !judged.drifted.is_empty()) && killed.0[&1].drifted.is_empty());
    for replica in ["trainer-0", "trainer-1"] {
        school.services.get(replica).unwrap().kill().await;
    }
    forget(&school).await;
    school.services.get("trainer-0").unwrap().restart().await.unwrap();
    let undisturbed = settled(&school).await;
    assert_eq!(undisturbed.0, killed.0, "what windows say");
    assert!(undisturbed.1 == killed.1, "the states' bytes differ");
    school.services.get("trainer-1").unwrap().restart().await.unwrap();
    school.close().await;
}

type Settled = (BTreeMap<u64, WindowJudged>, Vec<String>);

/// What all windows say, and the states as they are kept, once everything is counted and judged.
async fn settled(school: &School) -> Settled {
    let windows = u64::from(MESSAGES) / FILL;
    until("every window is judged, and none is kept that was", PATIENCE, async || {
        let said = said(&school.bus).await;
        let mut states = Vec::new();
        for partition in 0..PARTITIONS {
            let (bytes, _) = school.bus.state(&format!("window.churn.{partition}")).await.ok()??;
            let state: Value = serde_json::from_slice(&bytes).ok()?;
            (state["closed"] == windows && state["parts"] == json!({})).then_some(())?;
            states.push(String::from_utf8(bytes.to_vec()).ok()?);
        }
        states.push(String::from_utf8(school.bus.state("course.churn").await.ok()??.0.to_vec()).ok()?);
        (said.len() as u64 == windows).then_some((said, states))
    })
    .await
}

/// What windows have said on stream YARD.
async fn said(bus: &Bus) -> BTreeMap<u64, WindowJudged> {
    let stream = bus.jetstream().get_stream("YARD").await.unwrap();
    let state = &stream.cached_info().state;
    let mut said = BTreeMap::new();
    for sequence in state.first_sequence..=state.last_sequence {
        let Ok(Some(delivery)) = bus.fetch("YARD", sequence).await else { continue };
        if delivery.subject.contains("-datawindow.judged.") {
            let judged: WindowJudged = custom_data(&delivery.cdevent().unwrap()).unwrap();
            assert!(said.insert(judged.window, judged).is_none(), "a window is said once");
        }
    }
    said
}

/// What is said once more, after all was forgotten, is to be stored again: the stream's own memory of ids would keep it out.
async fn forget_ids(bus: &Bus) {
    let mut config = bus.jetstream().get_stream("YARD").await.unwrap().cached_info().config.clone();
    config.duplicate_window = Duration::from_millis(200);
    bus.jetstream().update_stream(config).await.unwrap();
}

/// Lets everything that windows have come to be forgotten, but not what they are counted from and weighed against.
async fn forget(school: &School) {
    let js = school.bus.jetstream();
    js.get_stream("YARD").await.unwrap().purge().filter("yard.dev.cdeventsx.switchyard-datawindow.>").await.unwrap();
    let keys: Vec<String> = js.get_key_value("trainer").await.unwrap().keys().await.unwrap().try_collect().await.unwrap();
    for key in keys.iter().filter(|key| key.starts_with("window.") || key.starts_with("course.") || key.starts_with("last.")) {
        school.bus.forget_state(key).await.unwrap();
    }
}
