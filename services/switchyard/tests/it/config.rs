//! The fleet in its bucket: the tool that applies it, and routers that follow it, also while they are killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json};
use switchyard_bus::{Bus, Events as _};
use switchyard_dev::{Services, ServicesOptions, Stack, StackOptions};
use switchyard_events::{BreakerState, BuildKey, BuildRouted, CdEvent, Heartbeat, Outgoing, ci, custom_data};
use tokio::time::Instant;

use crate::yard::{fails, program, says, until};

const PATIENCE: Duration = Duration::from_mins(2);

/// Two executors, of which the first has all of the weight.
const BEFORE: &str = "version: 1\nexecutor: {plugin: k8s, k8s: {weightage: 1}, k8s-vm: {weightage: 0}}\n";

/// The same two, and now the second has it.
const AFTER: &str = "version: 1\nexecutor: {plugin: k8s, k8s: {weightage: 0}, k8s-vm: {weightage: 1}}\n";

/// A broker, and routers over it; nothing else.
struct Routing {
    stack: Stack,
    services: Services,
    bus: Bus,
}

impl Routing {
    async fn start(replicas: usize) -> Self {
        let executors = vec!["k8s".to_owned(), "k8s-vm".to_owned()];
        let options = StackOptions { executors, ..StackOptions::default() };
        let stack = Stack::start(&StackOptions { jaeger: false, control_plane: false, ..options }).await.unwrap();
        let fleet = stack.folder().join("fleet.yaml");
        std::fs::write(&fleet, BEFORE).unwrap();
        let options = ServicesOptions { program: program(), fleet, executors: Vec::new(), replicas, environment: Vec::new() };
        let services = Services::start(&stack, &options).await.unwrap();
        let bus = Bus::new(stack.nats().connect("loadtest").await.unwrap());
        Self { stack, services, bus }
    }

    async fn says(&self, arguments: &[&str], stdin: &str) -> String {
        says(&self.stack, arguments, stdin).await
    }

    async fn fails(&self, arguments: &[&str], stdin: &str) -> String {
        fails(&self.stack, arguments, stdin).await
    }

    async fn request(&self, id: &str) -> BuildKey {
        let event = CdEvent::new("dev.cdevents.build.queued.0.3.0", id, "/ci/test", jiff::Timestamp::now(), id);
        let event = event.custom_data(&json!({"build": {"image": "a"}})).unwrap().to_cloudevent().unwrap();
        let outgoing = Outgoing { subject: ci("default", "dev.cdevents.build.queued.0.3.0"), event, once: false };
        until("the event is stored", PATIENCE, async || self.bus.publish(outgoing.clone()).await.ok()).await;
        BuildKey::of("/ci/test", id, id)
    }

    /// Every stored route: of each build, the executors and revisions it was told of.
    async fn routes(&self) -> BTreeMap<BuildKey, Vec<(String, String)>> {
        let stream = self.bus.jetstream().get_stream("YARD").await.unwrap();
        let mut found = BTreeMap::<_, Vec<_>>::new();
        for sequence in 1..=stream.cached_info().state.last_sequence {
            let Ok(Some(delivery)) = self.bus.fetch("YARD", sequence).await else { continue };
            if delivery.subject.contains(".routed.") {
                let routed: BuildRouted = custom_data(&delivery.cdevent().unwrap()).unwrap();
                found.entry(routed.build).or_default().push((routed.executor, routed.why.revision));
            }
        }
        found
    }

    async fn settled(&self, builds: usize) {
        until("every request is routed and acknowledged", PATIENCE, async || {
            let stream = self.bus.jetstream().get_stream("CI").await.ok()?;
            let info = stream.consumer_info("router").await.ok()?;
            (info.num_pending == 0 && info.num_ack_pending == 0 && info.delivered.stream_sequence >= builds as u64).then_some(())
        })
        .await;
    }

    /// Where a new build goes, once it is told.
    async fn goes_to(&self, id: &str) -> String {
        let build = self.request(id).await;
        until("the build is routed", PATIENCE, async || self.routes().await.get(&build).map(|routes| routes[0].0.clone())).await
    }

    async fn stop(self) {
        assert!(self.services.stop().await.is_empty(), "the routers end by themselves");
        self.stack.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_is_checked_applied_followed_and_rolled_back() {
    let yard = Routing::start(2).await;
    let wrong = "version: 1\nexecutor: {plugin: k8x, k8s: {weigthage: 1}}\n";
    let problems = yard.fails(&["config", "apply", "-"], wrong).await;
    assert!(problems.contains("did you mean \"weightage\"?") && problems.contains("did you mean \"k8s\"?"), "{problems}");
    assert!(problems.contains("error: 2 problems"), "{problems}");
    assert_eq!(yard.fails(&["config", "check", "-"], wrong).await, problems);
    let schema: Value = serde_json::from_str(&yard.says(&["config", "schema"], "").await).unwrap();
    assert!(schema["properties"]["executor"]["additionalProperties"]["properties"]["weightage"].is_object());
    assert!(yard.fails(&["config", "show"], "").await.contains("no fleet has been applied"));
    let unknown = AFTER.replace("k8s-vm", "k8s-new");
    assert!(yard.fails(&["config", "apply", "-"], &unknown).await.contains("executor k8s-new has no consumers yet"));

    assert_eq!(yard.goes_to("by-the-file").await, "k8s");
    assert!(yard.says(&["config", "apply", "-"], AFTER).await.contains("holds from now on"));
    switched(&yard, "k8s-vm", "after").await;
    assert!(yard.says(&["config", "apply", "-"], &format!("# the same\n{AFTER}")).await.contains("holds already"));
    assert_eq!(yard.says(&["config", "show"], "").await, AFTER);

    // What is no fleet can only come there past the tool: it is refused, and the old one stays.
    let number = yard.bus.fleets().await.unwrap().last().unwrap().number;
    yard.bus.apply_fleet("version: 7\n", Some(number)).await.unwrap().unwrap();
    assert_eq!(yard.goes_to("beside-the-broken-one").await, "k8s-vm");
    assert!(yard.says(&["config", "history"], "").await.contains("refused"));
    let router = yard.services.get("router-0").unwrap();
    router.kill().await;
    router.restart().await.unwrap();
    assert_eq!(yard.goes_to("after-a-restart").await, "k8s-vm");

    assert!(yard.says(&["config", "apply", "-"], BEFORE).await.contains("holds from now on"));
    switched(&yard, "k8s", "before").await;
    assert!(yard.says(&["config", "rollback"], "").await.contains("holds from now on"));
    switched(&yard, "k8s-vm", "rolled-back").await;
    let history = yard.says(&["config", "history", "--json"], "").await;
    let history: Vec<Value> = history.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(history.len(), 4);
    assert_eq!((&history[0]["revision"], &history[3]["current"]), (&history[3]["revision"], &json!(true)));
    let by_revision = yard.says(&["config", "show", history[2]["revision"].as_str().unwrap()], "").await;
    assert_eq!(by_revision, BEFORE);
    yard.stop().await;
}

/// Every replica has switched once none routes elsewhere any more: 20 builds in a row, of which both take their share.
async fn switched(yard: &Routing, to: &str, name: &str) {
    let mut round = 0;
    loop {
        round += 1;
        let mut builds = Vec::new();
        for n in 0..20 {
            builds.push(yard.request(&format!("{name}-{round}-{n}")).await);
        }
        let routes = until("they are routed", PATIENCE, async || {
            let routes = yard.routes().await;
            builds.iter().map(|build| Some(routes.get(build)?[0].0.clone())).collect::<Option<BTreeSet<_>>>()
        })
        .await;
        if routes == BTreeSet::from([to.to_owned()]) {
            return;
        }
        assert!(round < 50, "not every replica routes to {to}");
    }
}

/// So many requests, a thousand a second.
async fn flood(yard: &Routing, events: usize) -> Vec<BuildKey> {
    const AT_ONCE: usize = 20;
    let started = Instant::now();
    let mut builds = Vec::with_capacity(events);
    for first in (0..events).step_by(AT_ONCE) {
        tokio::time::sleep_until(started + Duration::from_millis(first as u64)).await;
        let ids: Vec<_> = (first..first + AT_ONCE).map(|n| format!("b-{n}")).collect();
        builds.extend(futures::future::join_all(ids.iter().map(|id| yard.request(id))).await);
    }
    println!("{events} requests in {:?}", started.elapsed());
    builds
}

/// While they come, each router is killed and started again, and between these another fleet is applied.
async fn trouble(yard: &Routing, events: usize) {
    let come = async |n: usize| {
        until("so many have come", PATIENCE, async || {
            let stream = yard.bus.jetstream().get_stream("CI").await.ok()?;
            (stream.cached_info().state.messages >= n as u64).then_some(())
        })
        .await;
    };
    for (n, router) in ["router-0", "router-1", "router-0"].into_iter().enumerate() {
        come(events * (n + 1) / 5).await;
        let router = yard.services.get(router).unwrap();
        router.kill().await;
        if n == 1 {
            yard.says(&["config", "apply", "-"], AFTER).await;
        }
        router.restart().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_router_and_a_changed_fleet_lose_nothing_and_route_nothing_twice() {
    const EVENTS: usize = 6000;
    let yard = Routing::start(2).await;
    let (builds, ()) = futures::future::join(flood(&yard, EVENTS), trouble(&yard, EVENTS)).await;
    yard.settled(EVENTS).await;
    let routes = yard.routes().await;
    assert_eq!(routes.len(), EVENTS, "a build is lost");
    for build in &builds {
        assert_eq!(routes[build].len(), 1, "build {build} was routed more than once: {:?}", routes[build]);
    }
    let by: BTreeMap<_, BTreeSet<_>> = routes.values().flatten().fold(BTreeMap::new(), |mut by, (executor, revision)| {
        by.entry(revision).or_insert_with(BTreeSet::new).insert(executor);
        by
    });
    assert_eq!(by.len(), 2, "both fleets have routed");
    assert!(by.values().all(|executors| executors.len() == 1), "each route is what its revision says: {by:?}");
    yard.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_explained_and_a_change_is_tried_without_a_word() {
    let yard = Routing::start(1).await;
    let file = |name: &str, text: &str| {
        let path = yard.stack.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (before, after) = (file("before.yaml", BEFORE), file("after.yaml", AFTER));
    let halves = "version: 1\nexecutor: {plugin: k8s, k8s: {weightage: 1, exclusion: [rhel6]}, k8s-vm: {weightage: 1}}\n";
    let halves = file("halves.yaml", halves);
    let json = |text: String| -> Value { serde_json::from_str(&text).unwrap() };

    // A file: nothing is published, and with --config no broker is needed.
    let build = file("web.yaml", "image: reg/rhel6:1\n");
    let told = json(yard.says(&["explain", &build, "--config", &halves, "--json"], "").await);
    assert_eq!((&told["executor"], &told["rule"]), (&json!("k8s-vm"), &json!("weight")));
    assert_eq!(told["executors"][0]["against"], "image reg/rhel6:1 matches exclusion \"rhel6\"");
    assert!(told["executors"][1]["score"].as_f64().unwrap() > 0.0 && told["executors"][1]["wins"] == true);
    let text = yard.says(&["explain", &build, "--config", &halves], "").await;
    assert!(text.contains("goes to   k8s-vm, by weight") && text.contains("wins"), "{text}");
    assert!(yard.fails(&["explain", &build], "").await.contains("no fleet has been applied"));

    // A past build: what was decided then, and drawn again where that fleet is known.
    let mut builds = Vec::new();
    for n in 0..40 {
        builds.push(yard.request(&format!("x-{n}")).await);
    }
    yard.settled(40).await;
    let id = builds[0].to_string();
    let told = json(yard.says(&["explain", &id, "--json"], "").await);
    assert_eq!((&told["executor"], &told["attempt"]), (&json!("k8s"), &json!(1)));
    assert!(told["note"].as_str().unwrap().contains("is not kept"), "{told}");
    let told = json(yard.says(&["explain", &id, "--json", "--config", &before], "").await);
    assert!(told["note"].is_null() && told["executors"][0]["score"].is_number(), "{told}");
    yard.says(&["config", "apply", &before], "").await;
    yard.says(&["config", "apply", &after], "").await;
    let told = json(yard.says(&["explain", &id, "--json"], "").await);
    assert_eq!((&told["executor"], told["note"].is_null()), (&json!("k8s"), true), "the fleet of then, not that of now");
    let unknown = BuildKey::of("a", "b", "c").to_string();
    assert!(yard.fails(&["explain", &unknown], "").await.contains("has no decision about build"));

    // What would move.
    let stored = async || {
        let js = yard.bus.jetstream();
        let (ci, yard) = (js.get_stream("CI").await.unwrap(), js.get_stream("YARD").await.unwrap());
        (ci.cached_info().state.last_sequence, yard.cached_info().state.last_sequence)
    };
    let at = stored().await;
    let told = json(yard.says(&["simulate", "--config", &before, "--json"], "").await);
    assert_eq!((&told["requests"], told["moved"].as_array().unwrap().len()), (&json!(40), 40));
    assert_eq!((&told["executors"]["k8s"]["new"], &told["executors"]["k8s-vm"]["old"]), (&json!(40), &json!(40)));
    let told = json(yard.says(&["simulate", "--config", &halves, "--old", &before, "--since", "1h", "--json"], "").await);
    let moved = told["moved"].as_array().unwrap().len();
    assert!((5..35).contains(&moved) && told["executors"]["k8s-vm"]["new"] == moved, "{told}");
    let text = yard.says(&["simulate", "--config", &before, "--list", "3"], "").await;
    assert!(text.starts_with("40 requests, 40 of them move") && text.contains("and 37 more"), "{text}");
    let same = yard.says(&["simulate", "--config", &after], "").await;
    assert!(same.starts_with("40 requests, 0 of them move"), "{same}");
    assert_eq!(stored().await, at, "nothing was published");
    yard.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_whose_launchers_are_unwell_is_passed_over_until_they_are_well() {
    let yard = Routing::start(2).await;
    let halves = "version: 1\nexecutor: {plugin: k8s, k8s: {weightage: 1}, k8s-vm: {weightage: 1}}\n";
    yard.says(&["config", "apply", "-"], halves).await;
    let say = async |healthy: bool| {
        let (executor, service, instance) = ("k8s".to_owned(), "launcher".to_owned(), "a".to_owned());
        let why = (!healthy).then(|| "the API server does not answer".to_owned());
        let at = jiff::Timestamp::now();
        let beat = Heartbeat {
            draining: false,
            executor,
            service,
            instance,
            at,
            healthy,
            why,
            breaker: BreakerState::default(),
            slots: None,
            free: None,
        };
        yard.bus.beat(&beat).await.unwrap();
    };
    say(false).await;
    switched(&yard, "k8s-vm", "unwell").await;
    let build = yard.request("explained").await;
    until("it is routed", PATIENCE, async || yard.routes().await.get(&build).map(drop)).await;
    let told: Value = serde_json::from_str(&yard.says(&["explain", &build.to_string(), "--json"], "").await).unwrap();
    assert_eq!((&told["executor"], told["note"].is_null()), (&json!("k8s-vm"), true), "{told}");
    assert_eq!(told["executors"][0]["against"], "unwell: the API server does not answer");
    say(true).await;
    until("builds go to both again", PATIENCE, async || {
        let name = format!("well-{}", yard.routes().await.len());
        (yard.goes_to(&name).await == "k8s").then_some(())
    })
    .await;
    yard.stop().await;
}
