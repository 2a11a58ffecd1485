//! The bus on a real broker: provisioned twice, read, retried, buried, timed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_nats::{
    HeaderValue,
    jetstream::consumer::{FromConsumer as _, PullConsumer, pull},
};
use futures::StreamExt as _;
use jiff::Timestamp;
use opentelemetry::global;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use serde_json::json;
use switchyard_bus::{
    ACK_WAIT, Bus, Clocks as _, Delivery, Durable, Events as _, Ledger as _, Published, Settle, Sizes, Window, amend, provision,
    with_trace,
};
use switchyard_dev::{Stack, StackOptions};
use switchyard_events::{Answer, Attempt, Bound, BuildKey, CdEvent, Clock, ClockKind, Outgoing, Record, Request};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    sync::oneshot,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(20);
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A provisioned broker of its own, and a connection that may do anything.
async fn broker() -> (Stack, Bus) {
    let stack = Stack::start(&StackOptions { executors: vec!["k8s".into()], ..StackOptions::default() }).await.unwrap();
    let bus = Bus::new(stack.nats().connect("loadtest").await.unwrap());
    provision(&bus, &["k8s"], &Sizes::default(), 1).await.unwrap();
    (stack, bus)
}

fn answer(id: &str) -> Answer {
    let (subject, event_type) = ("yard.dev.cdevents.build.started.0.3.0.x.1".to_owned(), "dev.cdevents.build.started.0.3.0");
    let (at, trace, data) = (Timestamp::UNIX_EPOCH, TRACE.to_owned(), "{}".into());
    Answer { subject, id: id.to_owned(), event_type, about: "7".to_owned(), at, trace, data }
}

fn event(id: &str) -> Outgoing {
    let event = CdEvent::new("dev.cdevents.build.queued.0.3.0", id, "/ci", Timestamp::UNIX_EPOCH, id).to_cloudevent().unwrap();
    Outgoing { subject: "ci.default.dev.cdevents.build.queued.0.3.0".into(), event, once: false }
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?}")]
struct Failed(Settle);

impl From<&Failed> for Settle {
    fn from(Failed(settle): &Failed) -> Self {
        settle.clone()
    }
}

/// Reads the requests with `handle` until it has answered `enough` times, then stops as a service does.
async fn read(bus: &Bus, enough: usize, handle: impl Fn(&Delivery) -> Result<(), Failed>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let stop = std::sync::Mutex::new(Some(stop));
    let answered = AtomicUsize::new(0);
    let requests = Durable::requests();
    let reading = bus.consume(&requests, Window::default(), async { drop(stopped.await) }, |delivery| {
        let result = handle(&delivery);
        if answered.fetch_add(1, Ordering::SeqCst) + 1 == enough {
            drop(stop.lock().unwrap().take());
        }
        std::future::ready(result)
    });
    timeout(PATIENCE, reading).await.expect("enough is delivered").unwrap();
    bus.jetstream().client().flush().await.unwrap();
}

#[tokio::test]
async fn a_record_is_removed_only_as_it_was_read() {
    let (_stack, bus) = broker().await;
    let build = BuildKey::of("/ci", "removed", "e");
    let record = Record::open(Request::default(), "default".into(), Attempt { n: 1, ..Attempt::default() });
    assert!(bus.create(&build, &record).await.unwrap());
    let (read, old) = bus.read(&build).await.unwrap().unwrap();
    let bound = read.bind(1, Bound { executor: "k8s".into(), uid: "u".into(), at: Timestamp::UNIX_EPOCH }).unwrap();
    assert!(bus.replace(&build, &bound, old).await.unwrap());
    assert!(!bus.remove(&build, old).await.unwrap(), "somebody has written since");
    let (kept, new) = bus.read(&build).await.unwrap().unwrap();
    assert_eq!(kept, bound);
    assert!(bus.remove(&build, new).await.unwrap());
    assert!(!bus.remove(&build, new).await.unwrap(), "it is gone");
    assert_eq!(bus.read(&build).await.unwrap(), None);
    assert_eq!(bus.records().await.unwrap(), []);
    assert!(bus.create(&build, &record).await.unwrap());
}

#[tokio::test]
async fn how_far_behind_a_consumer_is_and_since_when_can_be_asked() {
    let (_stack, bus) = broker().await;
    let requests = Durable::requests();
    assert_eq!(bus.lag(&requests).await.unwrap(), switchyard_bus::Lag::default());
    for id in ["1", "2", "3"] {
        bus.publish(event(id)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let behind = bus.lag(&requests).await.unwrap();
    assert_eq!((behind.pending, behind.unacknowledged), (3, 0));
    assert!(behind.oldest.unwrap() >= Duration::from_millis(50), "{behind:?}");
    read(&bus, 3, |_| Ok(())).await;
    let caught_up = timeout(PATIENCE, async {
        loop {
            let lag = bus.lag(&requests).await.unwrap();
            if lag.pending + lag.unacknowledged == 0 {
                return lag;
            }
        }
    });
    let caught_up = caught_up.await.unwrap();
    assert_eq!((caught_up.oldest, caught_up.delivered), (None, 3));
    assert_eq!(bus.held("DEAD").await.unwrap(), 0);
}

#[tokio::test]
async fn provisioning_again_changes_nothing_and_says_what_it_mends() {
    let (_stack, bus) = broker().await;
    assert_eq!(provision(&bus, &["k8s"], &Sizes::default(), 1).await.unwrap(), []);
    waiting(&bus, Duration::from_secs(30)).await;
    let smaller = Sizes { ci: 1 << 30, logs: 1 << 20, ..Sizes::default() };
    let changes = provision(&bus, &["k8s", "k8s-vm"], &smaller, 1).await.unwrap();
    let what: Vec<_> = changes.iter().map(|change| change.what.as_str()).collect();
    assert_eq!(
        what,
        [
            "stream CI",
            "bucket logs",
            "consumer CI/router",
            "consumer YARD/launcher-k8s-vm",
            "consumer YARD/reaper-k8s-vm",
            "consumer CI/cancel-k8s-vm",
            "consumer TIMERS/clocks-k8s-vm"
        ]
    );
    assert!(changes[0].how.contains("max_bytes 4294967296 -> 1073741824"), "{}", changes[0].how);
    assert_eq!(changes[2].how, "ack_wait 30s -> 3s", "what an earlier release made");
}

#[tokio::test]
async fn what_builds_have_said_is_kept_once_and_never_more_of_it_than_there_is_room_for() {
    let (_stack, bus) = broker().await;
    let build = |n: usize| BuildKey::of("/ci", &n.to_string(), "e");
    bus.keep_log(&build(0), 1, b"first".to_vec()).await.unwrap();
    bus.keep_log(&build(0), 1, b"second".to_vec()).await.unwrap();
    assert_eq!(bus.log(&build(0), 1).await.unwrap().as_deref(), Some("first"));
    provision(&bus, &["k8s"], &Sizes { logs: 1 << 20, ..Sizes::default() }, 1).await.unwrap();
    for n in 1..=40 {
        bus.keep_log(&build(n), 1, vec![b'x'; 64 << 10]).await.unwrap();
    }
    assert!(bus.log(&build(40), 1).await.unwrap().is_some(), "what was said last");
    assert_eq!(bus.log(&build(0), 1).await.unwrap(), None, "the oldest goes");
    assert!(bus.jetstream().get_stream("KV_logs").await.unwrap().cached_info().state.bytes <= 1 << 20);
}

#[tokio::test]
async fn a_message_that_could_not_become_a_dead_letter_is_refused_to_its_publisher() {
    let (_stack, bus) = broker().await;
    let publish = async |size: usize| bus.jetstream().publish("ci.default.odd", vec![b'x'; size].into()).await.unwrap().await;
    assert!(publish((1 << 20) - (17 << 10)).await.is_ok());
    assert!(publish((1 << 20) - (15 << 10)).await.unwrap_err().to_string().contains("size"));
}

#[tokio::test]
async fn an_event_is_stored_once_however_often_it_is_published() {
    let (_stack, bus) = broker().await;
    assert_eq!(bus.publish(event("1")).await.unwrap(), Published::New);
    assert_eq!(bus.publish(event("1")).await.unwrap(), Published::Already);
    let once = |id| Outgoing { once: true, subject: "yard.dev.cdevents.build.finished.0.3.0.x.1".into(), ..event(id) };
    assert_eq!(bus.publish(once("2")).await.unwrap(), Published::New);
    assert_eq!(bus.publish(once("3")).await.unwrap(), Published::Already, "another event on the same subject");
}

#[tokio::test]
async fn a_question_is_done_with_once_its_answer_is_stored() {
    let (_stack, bus) = broker().await;
    for id in ["answer", "nothing", "astray", "never"] {
        bus.publish(event(id)).await.unwrap();
    }
    let (stop, stopped) = oneshot::channel::<()>();
    let stop = std::sync::Mutex::new(Some(stop));
    let requests = Durable::requests();
    let answering = bus.answer(&requests, Window::default(), async { drop(stopped.await) }, |received, _| {
        match (&*received.event.id, received.delivered) {
            ("nothing", _) => Ok(None),
            ("never", _) => Err(Failed(Settle::Refuse("rule 7".into()))),
            ("astray", 1) => Ok(Some(Answer { subject: "no.stream.takes.this".into(), ..answer("astray") })),
            ("astray", _) => {
                drop(stop.lock().unwrap().take());
                Ok(Some(answer("astray")))
            }
            (id, _) => Ok(Some(answer(id))),
        }
    });
    timeout(PATIENCE, answering).await.expect("everything is answered").unwrap();
    bus.jetstream().client().flush().await.unwrap();
    let yard = bus.jetstream().get_stream("YARD").await.unwrap();
    assert_eq!(yard.cached_info().state.messages, 2, "the answer, and the one that had gone astray");
    let dead = bus.dead_letters().await.unwrap();
    assert_eq!(dead.iter().map(|kept| kept.letter.reason.as_str()).collect::<Vec<_>>(), ["rule 7"]);
    let mut consumer: PullConsumer = bus.jetstream().get_consumer_from_stream(&requests.name, requests.stream).await.unwrap();
    let info = consumer.info().await.unwrap();
    assert_eq!((info.num_pending, info.num_ack_pending), (0, 0));
}

#[tokio::test]
async fn an_answer_is_the_message_that_its_event_is_when_published() {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let (_stack, bus) = broker().await;
    let mut question = event("7");
    question.event.set_extension("traceparent", TRACE);
    bus.publish(question).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stop = std::sync::Mutex::new(Some(stop));
    let requests = Durable::requests();
    let answering = bus.answer(&requests, Window::default(), async { drop(stopped.await) }, |_, _| {
        drop(stop.lock().unwrap().take());
        Ok::<_, Failed>(Some(answer("answered")))
    });
    timeout(PATIENCE, answering).await.expect("it is answered").unwrap();
    with_trace(TRACE, bus.publish(answer("published").outgoing().unwrap())).await.unwrap();
    let yard = bus.jetstream().get_stream("YARD").await.unwrap();
    let consumer = yard.create_consumer(pull::Config::default()).await.unwrap();
    let mut messages = consumer.fetch().max_messages(2).messages().await.unwrap();
    let mut next = async |id: &str| {
        let message = messages.next().await.unwrap().unwrap().message;
        let (own, headers) = ([id, &answer(id).message_id()], message.headers.unwrap());
        let each = headers.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        let mut headers: Vec<_> = each.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        headers.sort();
        let (named, same): (Vec<_>, Vec<_>) = headers.into_iter().partition(|(_, value)| own.contains(&value.as_str()));
        assert_eq!(named.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["Nats-Msg-Id", "ce-id"]);
        (message.subject, same, message.payload)
    };
    let (answered, published) = (next("answered").await, next("published").await);
    assert_eq!(answered.1.len(), 8, "{answered:?}");
    assert!(answered.1.contains(&("traceparent".into(), TRACE.into())), "{answered:?}");
    assert_eq!(answered, published);
}

#[tokio::test]
async fn what_fails_is_delivered_again_and_what_can_never_be_handled_is_kept() {
    let (_stack, bus) = broker().await;
    for id in ["fine", "later", "never"] {
        bus.publish(event(id)).await.unwrap();
    }
    let seen = std::sync::Mutex::new(Vec::new());
    read(&bus, 4, |delivery| {
        let id = cloudevents::AttributesReader::id(&delivery.event).to_owned();
        seen.lock().unwrap().push((id.clone(), delivery.delivered));
        match (id.as_str(), delivery.delivered) {
            ("later", 1) => Err(Failed(Settle::Retry)),
            ("never", _) => Err(Failed(Settle::Refuse("rule 7".into()))),
            _ => Ok(()),
        }
    })
    .await;
    let mut seen = seen.into_inner().unwrap();
    seen.sort();
    assert_eq!(seen, [("fine".into(), 1), ("later".into(), 1), ("later".into(), 2), ("never".into(), 1)]);
    let letter = bus.dead_letter(1).await.unwrap().letter;
    assert_eq!((letter.reason.as_str(), letter.sequence, letter.stream.as_str()), ("rule 7", 3, "CI"));
    let consumer: async_nats::jetstream::consumer::PullConsumer =
        bus.jetstream().get_consumer_from_stream("router", "CI").await.unwrap();
    let state = consumer.cached_info();
    assert_eq!((state.num_pending, state.num_ack_pending), (0, 0), "all is answered");
}

#[tokio::test]
async fn what_was_not_begun_at_shut_down_is_given_back_at_once() {
    let (_stack, bus) = broker().await;
    // Here nothing comes again by itself.
    waiting(&bus, Duration::from_mins(5)).await;
    for n in 0..300 {
        bus.publish(event(&n.to_string())).await.unwrap();
    }
    let handled = AtomicUsize::new(0);
    read(&bus, 10, |_| {
        handled.fetch_add(1, Ordering::SeqCst);
        Ok(())
    })
    .await;
    let first = handled.load(Ordering::SeqCst);
    let begun = std::time::Instant::now();
    read(&bus, 300 - first, |_| Ok(())).await;
    assert!(begun.elapsed() < Duration::from_secs(15), "not only after the ack wait");
}

/// Has the requests wait so long for their acknowledgement.
async fn waiting(bus: &Bus, ack_wait: Duration) {
    let stream = bus.jetstream().get_stream("CI").await.unwrap();
    let config = stream.consumer_info("router").await.unwrap().config;
    let mut config = pull::Config::try_from_consumer_config(config).unwrap();
    config.ack_wait = ack_wait;
    stream.update_consumer(config).await.unwrap();
}

#[tokio::test]
async fn what_a_killed_broker_had_handed_over_comes_again_within_five_seconds_of_its_return() {
    let (stack, bus) = broker().await;
    for n in 0..200 {
        bus.publish(event(&n.to_string())).await.unwrap();
    }
    // Taken by somebody who is never heard of again, as what was in the sockets when the broker died.
    let mut requests: PullConsumer = bus.jetstream().get_consumer_from_stream("router", "CI").await.unwrap();
    let taken = requests.fetch().max_messages(200).messages().await.unwrap();
    assert_eq!(taken.count().await, 200);
    assert_eq!(requests.info().await.unwrap().num_ack_pending, 200);
    // The broker writes down what it has handed over ten times a second; what it has not is no matter: it comes at once.
    tokio::time::sleep(Duration::from_millis(300)).await;
    stack.nats().server().kill().await;
    stack.nats().server().restart().await.unwrap();
    let back = std::time::Instant::now();
    read(&bus, 200, |_| Ok(())).await;
    assert!(back.elapsed() < Duration::from_secs(5), "after {:?}", back.elapsed());
    assert!(back.elapsed() < PATIENCE);
}

#[tokio::test]
async fn an_answer_that_died_with_the_broker_is_given_again_within_five_seconds_of_its_return() {
    let (stack, bus) = broker().await;
    let server = stack.nats().server();
    bus.publish(event("asked")).await.unwrap();
    let answer = answer("answer");
    let (frozen, decided) = (tokio::sync::Notify::new(), AtomicUsize::new(0));
    let (stop, stopped) = oneshot::channel::<()>();
    let requests = Durable::requests();
    let answering = bus.answer(&requests, Window::default(), async { drop(stopped.await) }, |_, _| {
        // The first answer goes to a broker that has stopped to listen, and dies.
        if decided.fetch_add(1, Ordering::SeqCst) == 0 {
            server.pause();
            frozen.notify_one();
        }
        Ok::<_, Failed>(Some(answer.clone()))
    });
    let trouble = async {
        frozen.notified().await;
        server.kill().await;
        server.restart().await.unwrap();
        let back = std::time::Instant::now();
        let stored = async {
            while !matches!(bus.held("YARD").await, Ok(1)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, stored).await.expect("the answer is stored");
        drop(stop);
        back.elapsed()
    };
    let (answered, took) = tokio::join!(timeout(3 * PATIENCE, answering), trouble);
    answered.expect("it ends").unwrap();
    assert!(took < Duration::from_secs(5), "after {took:?}");
}

/// Reads request `n`, lets something happen while nothing arrives, and reads the next.
async fn reads_on<F>(
    (bus, n): (&Bus, usize),
    happens: impl Future<Output = ()>,
    reading: impl FnOnce(Arc<AtomicUsize>, oneshot::Receiver<()>) -> F,
) where
    F: Future<Output = ()>,
{
    let (stop, stopped) = oneshot::channel();
    let last = Arc::new(AtomicUsize::new(0));
    let read = async |n: usize| {
        bus.publish(event(&n.to_string())).await.unwrap();
        while last.load(Ordering::SeqCst) < n {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let story = Box::pin(async {
        timeout(PATIENCE, read(n)).await.expect("the first is read");
        happens.await;
        timeout(PATIENCE, read(n + 1)).await.expect("what comes afterwards is read, too");
        drop(stop);
    });
    tokio::join!(story, Box::pin(reading(last.clone(), stopped)));
}

/// The number in the id of a request of [`reads_on`].
fn number(id: &str) -> usize {
    id.parse().unwrap()
}

/// Reads until it is to stop, as services do that act.
async fn acts(bus: &Bus, last: Arc<AtomicUsize>, stopped: oneshot::Receiver<()>) {
    let requests = Durable::requests();
    let reading = bus.consume(&requests, Window::default(), async { drop(stopped.await) }, |delivery| {
        last.fetch_max(number(cloudevents::AttributesReader::id(&delivery.event)), Ordering::SeqCst);
        std::future::ready(Ok::<_, Failed>(()))
    });
    reading.await.unwrap();
}

#[tokio::test]
async fn a_consumer_that_was_removed_is_read_again_once_it_is_there() {
    let (_stack, bus) = broker().await;
    let (requests, bus) = (&Durable::requests(), &bus);
    let again = || {
        Box::pin(async {
            bus.jetstream().get_stream(requests.stream).await.unwrap().delete_consumer(&requests.name).await.unwrap();
            provision(bus, &["k8s"], &Sizes::default(), 1).await.unwrap();
        })
    };
    reads_on((bus, 1), again(), |last, stopped| acts(bus, last, stopped)).await;
    reads_on((bus, 3), again(), async |last, stopped| {
        let answering = bus.answer(requests, Window::default(), async { drop(stopped.await) }, |received, _| {
            last.fetch_max(number(&received.event.id), Ordering::SeqCst);
            Ok::<_, Failed>(None)
        });
        answering.await.unwrap();
    })
    .await;
    reads_on((bus, 5), again(), async |last, stopped| {
        let handle = async |delivery: Delivery| {
            last.fetch_max(number(cloudevents::AttributesReader::id(&delivery.event)), Ordering::SeqCst);
            Ok::<_, Failed>(())
        };
        bus.consume_slots(requests, || 2, async { drop(stopped.await) }, handle).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_nothing_came_of_is_asked_for_again_when_its_time_is_over() {
    let (_stack, bus) = broker().await;
    // The broker keeps a request for ten seconds.
    let over = tokio::time::sleep(Duration::from_secs(12));
    reads_on((&bus, 1), over, |last, stopped| acts(&bus, last, stopped)).await;
}

#[tokio::test]
async fn what_is_still_worked_on_goes_to_nobody_else() {
    let (_stack, bus) = broker().await;
    bus.publish(event("slow")).await.unwrap();
    let (told, begun) = (AtomicUsize::new(0), std::time::Instant::now());
    let (stop, stopped) = oneshot::channel::<()>();
    let stop = std::sync::Mutex::new(Some(stop));
    let requests = Durable::requests();
    let reading = bus.consume(&requests, Window::default(), async { drop(stopped.await) }, |_| {
        told.fetch_add(1, Ordering::SeqCst);
        let stop = stop.lock().unwrap().take();
        async move {
            tokio::time::sleep(3 * ACK_WAIT).await;
            drop(stop);
            Ok::<_, Failed>(())
        }
    });
    timeout(Duration::from_mins(2), reading).await.expect("it ends").unwrap();
    assert!(begun.elapsed() > 3 * ACK_WAIT);
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

/// Handles one request, lets something happen, and handles ten more; says how many were in hand at once, where there is room for two.
async fn most_at_once(bus: &Bus, happens: impl Future<Output = ()>) -> usize {
    let (at_once, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let (stop, stopped) = oneshot::channel::<()>();
    let (stop, durable) = (std::sync::Mutex::new(Some(stop)), Durable::requests());
    let reading = bus.consume_slots(
        &durable,
        || 2,
        async { drop(stopped.await) },
        async |_| {
            most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            at_once.fetch_sub(1, Ordering::SeqCst);
            if done.fetch_add(1, Ordering::SeqCst) + 1 == 11 {
                drop(stop.lock().unwrap().take());
            }
            Ok::<(), Failed>(())
        },
    );
    let trouble = async {
        bus.publish(event("before")).await.unwrap();
        while done.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        happens.await;
        for n in 0..10 {
            let published = async {
                while bus.publish(event(&n.to_string())).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            timeout(PATIENCE, published).await.expect("the broker is back");
        }
    };
    let (read, ()) = tokio::join!(timeout(3 * PATIENCE, reading), trouble);
    read.expect("all are handled").unwrap();
    most.into_inner()
}

#[tokio::test]
async fn a_broker_that_was_away_is_asked_again_for_no_more_than_before() {
    let (stack, bus) = broker().await;
    // What it was asked for is forgotten, and nobody is told.
    let restart = async {
        stack.nats().server().kill().await;
        stack.nats().server().restart().await.unwrap();
    };
    assert_eq!(most_at_once(&bus, restart).await, 2);
}

#[tokio::test]
async fn a_broker_that_has_kept_what_it_was_asked_for_on_another_connection_brings_no_more_than_before() {
    let (_stack, bus) = broker().await;
    let client = bus.jetstream().client();
    let statistics = client.statistics();
    let (connects, sent) = (|| statistics.connects.load(Ordering::SeqCst), || statistics.out_messages.load(Ordering::SeqCst));
    let reconnect = async {
        until(async || requests_that_wait(&bus).await > 0).await;
        client.force_reconnect().await.unwrap();
        until(async || connects() > 1).await;
        // Only who reads sends anything now: it asks again.
        let before = sent();
        until(async || sent() > before).await;
        until(async || requests_that_wait(&bus).await > 0).await;
    };
    assert_eq!(most_at_once(&bus, Box::pin(reconnect)).await, 2);
}

async fn until(holds: impl AsyncFn() -> bool) {
    let holding = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, holding).await.expect("it comes to hold");
}

/// How many requests for messages the broker keeps.
async fn requests_that_wait(bus: &Bus) -> usize {
    let requests = Durable::requests();
    let consumer = bus.jetstream().get_consumer_from_stream::<pull::Config, _, _>(&requests.name, requests.stream).await;
    consumer.map_or(0, |consumer| consumer.cached_info().num_waiting)
}

#[tokio::test]
async fn no_more_is_taken_than_there_is_room_for() {
    let (_stack, bus) = broker().await;
    for n in 0..20 {
        bus.publish(event(&n.to_string())).await.unwrap();
    }
    let (room, at_once, most, done) = (AtomicUsize::new(3), AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let (stop, stopped) = oneshot::channel::<()>();
    let stop = std::sync::Mutex::new(Some(stop));
    let requests = Durable::requests();
    let reading = bus.consume_slots(
        &requests,
        || room.load(Ordering::SeqCst),
        async { drop(stopped.await) },
        async |_| {
            most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            at_once.fetch_sub(1, Ordering::SeqCst);
            if done.fetch_add(1, Ordering::SeqCst) + 1 == 20 {
                drop(stop.lock().unwrap().take());
            }
            Ok::<(), Failed>(())
        },
    );
    timeout(PATIENCE, reading).await.expect("all are handled").unwrap();
    assert_eq!(most.into_inner(), 3);

    bus.publish(event("later")).await.unwrap();
    let closed = bus.consume_slots(&requests, || 0, tokio::time::sleep(Duration::from_secs(2)), async |_| Ok::<(), Failed>(()));
    closed.await.unwrap();
    let consumer: async_nats::jetstream::consumer::PullConsumer =
        bus.jetstream().get_consumer_from_stream("router", "CI").await.unwrap();
    assert_eq!(consumer.cached_info().num_pending, 1, "without room it stays where others find it");
}

#[tokio::test]
async fn a_heartbeat_is_there_for_others_to_read_and_stops_counting() {
    let (_stack, bus) = broker().await;
    let said = switchyard_events::Heartbeat {
        executor: "k8s".into(),
        service: "launcher".into(),
        instance: "a".into(),
        at: Timestamp::UNIX_EPOCH,
        healthy: true,
        draining: false,
        why: None,
        breaker: switchyard_events::BreakerState::Closed,
        slots: Some(4),
        free: Some(1),
    };
    bus.beat(&said).await.unwrap();
    let bucket = bus.jetstream().get_key_value("executors").await.unwrap();
    let read = bucket.get("k8s.launcher.a").await.unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<switchyard_events::Heartbeat>(&read).unwrap(), said);
    assert_eq!(bucket.status().await.unwrap().max_age(), Duration::from_secs(30), "after that the broker forgets it");
}

#[tokio::test]
async fn the_ledger_lets_only_one_writer_win() {
    let (_stack, bus) = broker().await;
    let build = BuildKey::of("/ci", "1", "1");
    let record = Record::open(Request::default(), "default".into(), Attempt { n: 1, ..Attempt::default() });
    assert!(bus.create(&build, &record).await.unwrap());
    assert!(!bus.create(&build, &record).await.unwrap());
    let (read, revision) = bus.read(&build).await.unwrap().unwrap();
    assert_eq!(read, record);
    assert!(bus.replace(&build, &record, revision).await.unwrap());
    assert!(!bus.replace(&build, &record, revision).await.unwrap(), "the revision is an old one now");

    let binds = (0..8).map(|n| {
        let (bus, build) = (bus.clone(), build.clone());
        async move {
            let bound = Bound { executor: "k8s".into(), uid: n.to_string(), at: Timestamp::UNIX_EPOCH };
            amend(&bus, &build, |record| record.bind(1, bound.clone())).await.unwrap().unwrap()
        }
    });
    let records = futures::future::join_all(binds).await;
    assert!(records.iter().all(|record| record == &records[0]), "all see the same pod bound");
    assert_eq!(bus.records().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_clock_fires_once_can_be_set_again_and_can_be_stopped() {
    let (_stack, bus) = broker().await;
    let clock = |n: &str| Clock { executor: "k8s".into(), kind: ClockKind::Running, build: BuildKey::of("/", n, n), attempt: 1 };
    let soon = || Timestamp::now() + Duration::from_millis(700);
    bus.arm(&clock("again"), Timestamp::now() + Duration::from_hours(1), TRACE).await.unwrap();
    bus.arm(&clock("stopped"), soon(), TRACE).await.unwrap();
    bus.arm(&clock("again"), soon(), TRACE).await.unwrap();
    bus.arm(&clock("past"), Timestamp::UNIX_EPOCH, TRACE).await.unwrap();
    bus.disarm(&clock("stopped")).await.unwrap();
    bus.disarm(&clock("never armed")).await.unwrap();
    bus.arm(&clock("last"), Timestamp::now() + Duration::from_millis(1500), TRACE).await.unwrap();

    let fired = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (stop, stopped) = oneshot::channel::<()>();
    let stop = std::sync::Mutex::new(Some(stop));
    let clocks = Durable::clocks("k8s");
    let reading = bus.consume(&clocks, Window::default(), async { drop(stopped.await) }, |delivery| {
        let clock: Clock = delivery.subject.parse().unwrap();
        assert_eq!(switchyard_events::starting_trace(&delivery.event), TRACE);
        if clock.build == BuildKey::of("/", "last", "last") {
            drop(stop.lock().unwrap().take());
        }
        fired.lock().unwrap().push(clock.build);
        std::future::ready(Ok::<(), Failed>(()))
    });
    timeout(PATIENCE, reading).await.expect("the last clock fires").unwrap();
    let key = |n: &str| BuildKey::of("/", n, n);
    assert_eq!(*fired.lock().unwrap(), [key("past"), key("again"), key("last")]);
}

#[tokio::test]
async fn a_stored_event_is_found_again_by_its_place() {
    let (_stack, bus) = broker().await;
    bus.publish(event("1")).await.unwrap();
    let found = bus.fetch("CI", 1).await.unwrap().unwrap();
    assert_eq!(cloudevents::AttributesReader::id(&found.event), "1");
    assert!(bus.fetch("CI", 2).await.unwrap().is_none());
}

#[tokio::test]
async fn a_state_is_written_by_one_and_kept_whole_however_large_it_is() {
    let (_stack, bus) = broker().await;
    let (small, large) = (bytes::Bytes::from_static(b"{}"), bytes::Bytes::from(vec![b'x'; 300 << 10]));
    assert_eq!(bus.state("window.m.0").await.unwrap(), None);
    let first = bus.keep_state("window.m.0", small.clone(), None).await.unwrap().unwrap();
    assert_eq!(bus.keep_state("window.m.0", large.clone(), None).await.unwrap(), None, "there is one already");
    let second = bus.keep_state("window.m.0", large.clone(), Some(first)).await.unwrap().unwrap();
    assert_eq!(bus.keep_state("window.m.0", small.clone(), Some(first)).await.unwrap(), None, "somebody was faster");
    assert_eq!(bus.state("window.m.0").await.unwrap(), Some((large.clone(), second)));
    assert_eq!(objects(&bus).await, 1);
    bus.keep_state("window.m.0", small.clone(), Some(second)).await.unwrap().unwrap();
    assert_eq!((bus.state("window.m.0").await.unwrap().unwrap().0, objects(&bus).await), (small, 0));
    bus.forget_state("window.m.0").await.unwrap();
    assert_eq!(bus.state("window.m.0").await.unwrap(), None);
    assert!(bus.keep_state("window.m.0", large, None).await.unwrap().is_some());
}

async fn objects(bus: &Bus) -> usize {
    let objects = bus.jetstream().get_object_store("trainer").await.unwrap();
    objects.list().await.unwrap().filter(|object| std::future::ready(object.as_ref().is_ok_and(|o| !o.deleted))).count().await
}

#[tokio::test]
async fn what_models_see_is_read_in_order_from_any_place_and_what_cannot_be_read_is_kept() {
    let (_stack, bus) = broker().await;
    for n in 0..5u8 {
        for partition in [0, 1] {
            bus.jetstream().publish(format!("inference.m.{partition}"), vec![n].into()).await.unwrap().await.unwrap();
        }
    }
    let messages = bus.inferred("inference.m.1", 4).await.unwrap();
    let read: Vec<_> = messages.take(3).map(Result::unwrap).collect().await;
    let seen: Vec<_> = read.iter().map(|message| (message.sequence, message.payload[0], message.pending)).collect();
    assert_eq!(seen, [(6, 2, 2), (8, 3, 1), (10, 4, 0)]);
    assert_eq!(bus.first_inferred().await.unwrap(), 1);
    for _ in 0..2 {
        bus.bury_inferred(&read[0], "no reason".into()).await.unwrap();
    }
    let letters = bus.dead_letters().await.unwrap();
    assert_eq!((letters.len(), letters[0].letter.reason.as_str()), (1, "no reason"));
}

/// Publishes what no client library writes, as the user `loadtest`: on a subject below `ci.default`, payload `{}` behind these headers.
async fn publish_raw(stack: &Stack, messages: &[(&[u8], &[u8])]) {
    let (address, user) = (stack.nats().url(), stack.nats().credentials("loadtest").unwrap());
    let mut socket = BufReader::new(TcpStream::connect(address.trim_start_matches("nats://")).await.unwrap());
    let connect = json!({"user": "loadtest", "pass": user.password, "headers": true, "verbose": false});
    let mut text = format!("CONNECT {connect}\r\n").into_bytes();
    for (subject, block) in messages {
        let sizes = format!(" {} {}\r\n", block.len(), block.len() + 2);
        text.extend([b"HPUB ci.default.", *subject, sizes.as_bytes(), block, b"{}\r\n"].concat());
    }
    socket.write_all(&[&text, &b"PING\r\n"[..]].concat()).await.unwrap();
    let mut lines = socket.lines();
    while lines.next_line().await.unwrap().expect("the server answers") != "PONG" {}
}

#[tokio::test]
async fn what_no_client_can_read_goes_to_dead_and_stops_nobody() {
    let (stack, bus) = broker().await;
    publish_raw(
        &stack,
        &[
            (b"odd", b"NATS/1.0\r\na: b\r\nc: d\re\r\n\r\n"),
            (b"odd", b"NATS/1.0\r\nf g: h\r\n\r\n"),
            (b"odd", b"NATS/1.0\r\ni: \xff\r\n\r\n"),
            (b"\xff", b"NATS/1.0\r\n\r\n"),
            (b"odd", b"NATS/1.0 503\n\n"),
        ],
    )
    .await;
    bus.publish(event("7")).await.unwrap();
    let handled = AtomicUsize::new(0);
    let all = async {
        while handled.load(Ordering::SeqCst) == 0 {
            // The client does not survive the first of them; a service begins again then.
            let bus = Bus::new(stack.nats().connect("loadtest").await.unwrap());
            let broken = async { while bus.jetstream().client().flush().await.is_ok() {} };
            let reading = read(&bus, 1, |_| {
                handled.fetch_add(1, Ordering::SeqCst);
                Ok(())
            });
            tokio::select! {
                () = reading => {}
                () = broken => {}
            }
        }
    };
    timeout(2 * PATIENCE, all).await.expect("the event behind them is handled");
    assert_eq!(handled.load(Ordering::SeqCst), 1);
    all_is_answered(&bus).await;
    let dead = bus.dead_letters().await.unwrap();
    let mut reasons: Vec<_> = dead.iter().map(|kept| (kept.letter.sequence, kept.letter.reason.as_str())).collect();
    reasons.sort_unstable();
    let rules = [
        r#""c: d\re" is no header"#,
        r#""f g: h" is no header"#,
        "its headers are not UTF-8",
        "its subject is not UTF-8",
        "neither a CloudEvent nor a CDEvent",
    ];
    assert_eq!(reasons.len(), rules.len(), "{reasons:?}");
    assert!(std::iter::zip(&reasons, rules).all(|((_, reason), rule)| reason.starts_with(rule)), "{reasons:?}");
    let first = dead.iter().find(|kept| kept.letter.sequence == 1).unwrap();
    assert_eq!(first.letter.headers.get("a").map(HeaderValue::as_str), Some("b"), "what could be read is kept");
    assert_eq!(bus.dead_letter(first.sequence).await.unwrap().letter.payload, "{}");
    let ci = bus.jetstream().get_stream("CI").await.unwrap();
    assert_eq!(ci.cached_info().state.messages, 2, "nobody else is handed those four");
}

#[tokio::test]
async fn a_client_that_only_loses_its_connection_reads_on() {
    let (stack, bus) = broker().await;
    let poison: (&[u8], &[u8]) = (b"odd", b"NATS/1.0\r\nf g: h\r\n\r\n");
    publish_raw(&stack, &[poison]).await;
    bus.publish(event("7")).await.unwrap();
    read(&bus, 1, |_| Ok(())).await;
    publish_raw(&stack, &[poison]).await;
    bus.publish(event("8")).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stop = std::sync::Mutex::new(Some(stop));
    let requests = Durable::requests();
    let answering = bus.answer(&requests, Window::default(), async { drop(stopped.await) }, |received, _| {
        drop(stop.lock().unwrap().take_if(|_| received.event.id == "8"));
        Ok::<_, Failed>(None)
    });
    timeout(PATIENCE, answering).await.expect("the one behind it is answered").unwrap();
    all_is_answered(&bus).await;
    let dead = bus.dead_letters().await.unwrap();
    assert_eq!(dead.iter().map(|kept| kept.letter.sequence).collect::<Vec<_>>(), [1, 3]);
}

/// The requests have been delivered, and each was answered in one way or the other.
async fn all_is_answered(bus: &Bus) {
    let mut consumer: PullConsumer = bus.jetstream().get_consumer_from_stream("router", "CI").await.unwrap();
    let answered = async {
        loop {
            let info = consumer.info().await.unwrap();
            if info.num_pending + info.num_ack_pending as u64 == 0 {
                return;
            }
        }
    };
    timeout(PATIENCE, answered).await.expect("all is answered");
}
