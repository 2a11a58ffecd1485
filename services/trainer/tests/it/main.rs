//! Windows on a real broker: replicas that are killed at any moment and messages that come again or in another order change nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod yard;

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use switchyard_trainer::Judged;

use yard::{Draw, Message, Yard, until};

const PARTITIONS: u16 = 3;

#[tokio::test]
async fn replicas_that_are_killed_and_messages_that_come_again_change_no_verdict_and_no_state() {
    let mut draw = Draw(20);
    let yard = Yard::start().await;
    for model in ["churn", "other"] {
        yard.apply(model, "{input: {partitions: 3}, window: {rows: 300}, minSamples: 100, performance: {metric: auc, min: 0.6}}")
            .await;
    }
    let dealt: Vec<Vec<Message>> = (0..PARTITIONS).map(|partition| messages(partition, &mut draw)).collect();
    let mut replicas = [yard.replica(), yard.replica()];
    // One model gets them mixed, while replicas are killed.
    let mut left: Vec<_> = dealt.iter().map(|messages| messages.iter()).collect();
    let mut until_kill = 40;
    while left.iter().any(|messages| messages.len() > 0) {
        let partition = draw.below(left.len());
        let Some(message) = left[partition].next() else { continue };
        yard.publish("churn", partition, message).await;
        until_kill -= 1;
        if until_kill == 0 {
            until_kill = 20 + draw.below(60);
            let victim = draw.below(2);
            replicas[victim].kill().await.unwrap();
            tokio::time::sleep(Duration::from_millis(draw.below(700) as u64)).await;
            replicas[victim] = yard.replica();
        }
    }
    // The other gets the partitions one after the other, the last first.
    for (partition, messages) in dealt.iter().enumerate().rev() {
        for message in messages {
            yard.publish("other", partition, message).await;
        }
    }
    let (killed, reordered) = (settled(&yard, "churn").await, settled(&yard, "other").await);
    let states = states(&yard, "churn").await;
    for replica in &mut replicas {
        replica.kill().await.unwrap();
    }
    // Once more from the beginning, by one that nobody disturbs.
    yard.forget(&["window", "course", "told"]).await;
    let _undisturbed = yard.replica();
    let undisturbed = settled(&yard, "churn").await;
    assert_eq!(undisturbed, killed);
    assert_eq!(self::states(&yard, "churn").await, states, "the states' bytes");
    let said = |told: &BTreeMap<u64, Judged>| told.values().map(said).collect::<Vec<Value>>();
    assert_eq!(said(&killed), said(&reordered));
    assert!(killed.values().any(|judged| judged.drifted) && !killed[&1].drifted);
    assert!(killed.values().filter_map(|judged| judged.performance.as_ref()).any(|performed| performed.rows > 0));
    let unreadable: u64 = killed.values().map(|judged| judged.unreadable).sum();
    let letters = yard.bus.dead_letters().await.unwrap();
    let of_churn = letters.iter().filter(|kept| kept.letter.subject.starts_with("inference.churn.")).count();
    assert!(unreadable > 0 && of_churn as u64 >= unreadable, "{of_churn} letters, {unreadable} noted in closed windows");
    yard.stop().await;
}

#[tokio::test]
async fn what_the_stream_has_discarded_is_a_gap_that_the_window_tells() {
    let yard = Yard::start().await;
    yard.apply("churn", "{window: {rows: 100}, minSamples: 50}").await;
    let mut draw = Draw(3);
    let mut replica = yard.replica();
    yard.publish("churn", 0, &Message::rows(&mut draw, "first", 10, 0.0)).await;
    until("the first message is counted", async || (yard.position("churn", 0).await? >= 1).then_some(())).await;
    replica.kill().await.unwrap();
    for n in 0..5 {
        yard.publish("churn", 0, &Message::rows(&mut draw, &format!("lost {n}"), 10, 0.0)).await;
    }
    yard.discard_to(7).await;
    yard.publish("churn", 0, &Message::rows(&mut draw, "last", 90, 0.0)).await;
    let _replica = yard.replica();
    let told = until("the window is judged", async || yard.told("churn").await.remove(&1)).await;
    assert_eq!((told.rows, told.gaps, told.lossy()), (100, 5, true));
    yard.stop().await;
}

#[tokio::test]
async fn another_reference_begins_windows_anew_with_the_next_number() {
    let yard = Yard::start().await;
    yard.apply("churn", "{window: {rows: 50}, minSamples: 50}").await;
    let (mut draw, _replica) = (Draw(4), yard.replica());
    yard.publish("churn", 0, &Message::rows(&mut draw, "a", 70, 0.0)).await;
    until("a window is judged", async || yard.told("churn").await.remove(&1)).await;
    yard.pin("churn", "second").await;
    until("counting has begun anew", async || (yard.open_rows("churn", 0).await? == 0).then_some(())).await;
    yard.publish("churn", 0, &Message::rows(&mut draw, "b", 50, 0.0)).await;
    let told = until("the next window is judged", async || yard.told("churn").await.remove(&2)).await;
    assert_eq!((told.reference.as_str(), told.rows, told.new_rows), ("second", 50, 50));
    yard.stop().await;
}

/// Files are counted by another program; here a few lines of shell stand for it, and what it prints was counted before.
#[tokio::test]
async fn a_file_is_counted_whole_into_one_window_and_one_that_cannot_be_is_kept() {
    let yard = Yard::start().await;
    yard.apply("churn", "{window: {rows: 100}, minSamples: 50}").await;
    let counts = yard.folder().join("counts.json");
    std::fs::write(&counts, serde_json::to_vec(&yard::counts(250)).unwrap()).unwrap();
    let program = yard.program(&format!(
        "#!/bin/sh\n[ \"$1 $2\" = 'count --profile' ] && grep -q columns \"$3\" || exit 2\n\
         [ \"$4\" = s3://lake/a.parquet ] || {{ echo \"$4: there is no such file\" >&2; exit 1; }}\ncat {}\n",
        counts.display()
    ));
    let mut replica = yard.replica_with(&program);
    for (id, url) in [("1", "s3://lake/b.parquet"), ("2", "s3://lake/a.parquet")] {
        yard.publish_file("churn", id, url).await;
    }
    let told = until("the window is judged", async || yard.told("churn").await.remove(&1)).await;
    assert_eq!((told.rows, told.unreadable), (250, 1));
    let letters = yard.bus.dead_letters().await.unwrap();
    assert_eq!(letters[0].letter.reason, "s3://lake/b.parquet: s3://lake/b.parquet: there is no such file");
    replica.kill().await.unwrap();
    yard.stop().await;
}

/// What a window said, without what differs between models and times.
fn said(judged: &Judged) -> Value {
    let mut value = serde_json::to_value(judged).unwrap();
    value["model"] = Value::Null;
    value["at"] = Value::Null;
    value
}

/// What a partition gets: rows that shift half-way, pairs of the logger, labels, what comes twice, what cannot be read.
fn messages(partition: u16, draw: &mut Draw) -> Vec<Message> {
    let mut messages = Vec::new();
    for n in 0..120 {
        let (id, shift) = (format!("{partition}-{n}"), if n < 60 { 0.0 } else { 0.5 });
        match draw.below(8) {
            0 => messages.push(Message { id, ty: "switchyard.inference.rows", data: json!({"rows": [{"age": "old"}]}) }),
            1 | 2 => messages.extend(Message::pair(draw, &id, shift)),
            _ => {
                let rows = 1 + draw.below(25);
                messages.push(Message::rows(draw, &id, rows, shift));
            }
        }
        if draw.below(5) == 0 {
            let again = messages[messages.len() - 1 - draw.below(messages.len().min(10))].clone();
            messages.push(again);
        }
    }
    messages
}

/// Every window that was told, once everything is counted and judged.
async fn settled(yard: &Yard, model: &str) -> BTreeMap<u64, Judged> {
    for partition in 0..PARTITIONS {
        let last = yard.last(model, partition).await;
        let what = format!("partition {partition} of {model} is counted up to {last}, and all windows that can be judged are");
        until(&what, async || (yard.position(model, partition).await? >= last).then_some(())).await;
    }
    until("no window is closed and not judged", async || {
        let closed = yard.closed(model, PARTITIONS).await?;
        let told = yard.told(model).await;
        (told.len() as u64 == closed && yard.judged(model, closed, PARTITIONS).await).then_some(told)
    })
    .await
}

async fn states(yard: &Yard, model: &str) -> Vec<String> {
    let mut states = Vec::new();
    for partition in 0..PARTITIONS {
        states.push(yard.state(model, partition).await.unwrap().to_string());
    }
    states
}
