//! Who may do what on NATS: the one table.
//!
//! A service may consume only the durables that are its own and write only what is its to say. In particular no publisher can write
//! to `yard.>`, so none can forge a `routed` or a `finished`; and the ledger (`builds`) is closed to the router.
//! NATS knows no pattern inside a token, so what is one set per executor is written out for each executor.

use serde_json::{Value, json};

/// What a user may publish and subscribe to.
#[derive(Clone, Debug)]
pub(crate) struct Permissions {
    pub(crate) user: String,
    publish: Vec<String>,
    subscribe: Vec<String>,
}

impl Permissions {
    /// As the server's configuration wants it.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "publish": { "allow": self.publish }, "subscribe": { "allow": self.subscribe } })
    }
}

/// The prefix under which a user, and nobody else but full users, may listen for replies.
pub(crate) fn inbox(user: &str) -> String {
    format!("_INBOX_{user}")
}

/// The table.
pub(crate) fn table(executors: &[String], tenants: &[String]) -> Vec<Permissions> {
    let mut table = vec![
        full("provision"),
        full("loadtest"),
        router(executors),
        launcher(executors),
        reaper(executors),
        trainer(),
        operator(),
        model_servers(),
    ];
    table.extend(tenants.iter().map(|tenant| publisher(tenant)));
    table
}

/// The name of the user that publishes for a tenant.
pub(crate) fn publisher_of(tenant: &str) -> String {
    format!("publisher-{tenant}")
}

/// Everything: streams and consumers are made by `provision`, and `loadtest` measures with streams of its own.
fn full(user: &str) -> Permissions {
    Permissions { user: user.to_owned(), publish: vec![">".to_owned()], subscribe: vec![">".to_owned()] }
}

/// It reads what is asked for, follows fleet and health, and tells how far behind everybody is.
fn router(executors: &[String]) -> Permissions {
    User::new("router")
        .consumes("CI", ["router"])
        .removes("CI")
        .consumes("YARD", ["router-requeued", "router-trainings"])
        .measures("CI", each("cancel", executors))
        .measures("CI", ["trainer"])
        .measures("YARD", each("launcher", executors))
        .measures("YARD", each("reaper", executors))
        .measures("YARD", ["reaper", "trainer"])
        .measures("TIMERS", each("clocks", executors))
        .gets("CI")
        .gets("YARD")
        .gets("TIMERS")
        .lists("config")
        .reads("config")
        .lists("executors")
        .reads("executors")
        .publishes(["yard.>", "dead.>"])
        .done()
}

/// It reads what is routed, and writes ledger and heartbeats.
fn launcher(executors: &[String]) -> Permissions {
    User::new("launcher")
        .consumes("YARD", each("launcher", executors))
        .gets("YARD")
        .reads("config")
        .lists("config")
        .writes("builds")
        .writes("executors")
        .publishes(["yard.>", "dead.>"])
        .done()
}

/// It reads what is to end, decides in the ledger, and keeps clocks and logs.
fn reaper(executors: &[String]) -> Permissions {
    User::new("reaper")
        .consumes("CI", each("cancel", executors))
        .removes("CI")
        .consumes("YARD", each("reaper", executors))
        .consumes("YARD", ["reaper"])
        .consumes("TIMERS", each("clocks", executors))
        .measures("CI", ["router", "trainer"])
        .measures("YARD", each("launcher", executors))
        .measures("YARD", ["router-requeued", "router-trainings", "trainer"])
        .gets("TIMERS")
        .gets("YARD")
        .gets("CI")
        .reads("config")
        .lists("config")
        .writes("logs")
        .sees("DEAD")
        .publishes(["$JS.API.STREAM.PURGE.TIMERS"])
        .writes("builds")
        .lists("builds")
        .reads("executors")
        .lists("executors")
        .publishes(["yard.>", "timer.>", "dead.>"])
        .done()
}

/// It reads what models see and what people ask, keeps its own buckets, asks for trainings and has its own ones stopped.
fn trainer() -> Permissions {
    User::new("trainer")
        .consumes("YARD", ["trainer"])
        .consumes("CI", ["trainer"])
        .gets("CI")
        .removes("CI")
        .gets("INFERENCE")
        .follows("INFERENCE")
        .reads("config")
        .lists("config")
        .reads("builds")
        .writes("trainer")
        .lists("trainer")
        .objects("trainer")
        .publishes(["yard.>", "dead.>", "ci.trainer.dev.cdeventsx.switchyard-build.cancelrequested.>"])
        .done()
}

/// A CI system: it may say what happened at its tenant, and nothing else.
fn publisher(tenant: &str) -> Permissions {
    let user = publisher_of(tenant);
    Permissions { publish: vec![format!("ci.{tenant}.>")], subscribe: vec![format!("{}.>", inbox(&user))], user }
}

/// Model servers and their loggers: they say what models see, and nothing else.
fn model_servers() -> Permissions {
    let user = "models".to_owned();
    Permissions { publish: vec!["inference.>".to_owned()], subscribe: vec![format!("{}.>", inbox(&user))], user }
}

/// The command line: reads everything, asks for builds and cancels, applies fleets and models, feeds these, empties DEAD.
fn operator() -> Permissions {
    let reads = ["STREAM.NAMES", "STREAM.LIST", "STREAM.INFO.>", "STREAM.MSG.GET.>", "DIRECT.GET.>", "CONSUMER.NAMES.>"]
        .into_iter()
        .chain(["CONSUMER.LIST.>", "CONSUMER.INFO.>", "STREAM.PURGE.DEAD", "STREAM.MSG.DELETE.DEAD"]);
    let mut user = User::new("cli").publishes(reads.map(|call| format!("$JS.API.{call}"))).publishes([
        "ci.>",
        "inference.>",
        "$KV.config.>",
    ]);
    for stream in [
        "CI",
        "YARD",
        "TIMERS",
        "INFERENCE",
        "DEAD",
        "KV_builds",
        "KV_executors",
        "KV_config",
        "KV_logs",
        "KV_trainer",
        "OBJ_trainer",
    ] {
        user = user.follows(stream);
    }
    let mut permissions = user.done();
    permissions.subscribe.extend(["ci.>", "yard.>", "inference.>", "timer.>", "fire.>", "dead.>"].map(str::to_owned));
    permissions
}

fn each(durable: &str, executors: &[String]) -> Vec<String> {
    executors.iter().map(|executor| format!("{durable}-{executor}")).collect()
}

struct User(Permissions);

impl User {
    fn new(user: &str) -> Self {
        let subscribe = vec![format!("{}.>", inbox(user))];
        Self(Permissions { user: user.to_owned(), publish: Vec::new(), subscribe }).publishes(["$JS.API.INFO"])
    }

    fn publishes(mut self, subjects: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.0.publish.extend(subjects.into_iter().map(Into::into));
        self
    }

    /// Reads the state of a stream.
    fn sees(self, stream: &str) -> Self {
        self.publishes([format!("$JS.API.STREAM.INFO.{stream}")])
    }

    /// Asks how far durables of other services are; what waits there is looked at in streams that it `gets`.
    fn measures<D: AsRef<str>>(self, stream: &str, durables: impl IntoIterator<Item = D>) -> Self {
        let info = |durable: D| format!("$JS.API.CONSUMER.INFO.{stream}.{}", durable.as_ref());
        self.publishes(durables.into_iter().map(info))
    }

    /// Consumes durables that somebody else made.
    fn consumes<D: AsRef<str>>(self, stream: &str, durables: impl IntoIterator<Item = D>) -> Self {
        durables.into_iter().fold(self.sees(stream), |user, durable| {
            let durable = durable.as_ref();
            user.publishes([
                format!("$JS.API.CONSUMER.INFO.{stream}.{durable}"),
                format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"),
                format!("$JS.ACK.{stream}.{durable}.>"),
            ])
        })
    }

    /// Fetches single messages, by sequence or the last of a subject.
    fn gets(self, stream: &str) -> Self {
        self.sees(stream).publishes([
            format!("$JS.API.DIRECT.GET.{stream}"),
            format!("$JS.API.DIRECT.GET.{stream}.>"),
            format!("$JS.API.STREAM.MSG.GET.{stream}"),
        ])
    }

    /// Takes single messages off a stream: what nobody can read.
    fn removes(self, stream: &str) -> Self {
        self.publishes([format!("$JS.API.STREAM.MSG.DELETE.{stream}")])
    }

    /// Reads keys of a bucket.
    fn reads(self, bucket: &str) -> Self {
        self.gets(&format!("KV_{bucket}"))
    }

    /// Reads and writes keys of a bucket.
    fn writes(self, bucket: &str) -> Self {
        self.reads(bucket).publishes([format!("$KV.{bucket}.>")])
    }

    /// Lists the keys of a bucket, or watches them.
    fn lists(self, bucket: &str) -> Self {
        self.follows(&format!("KV_{bucket}"))
    }

    /// Reads and writes a bucket of objects.
    fn objects(self, bucket: &str) -> Self {
        let stream = format!("OBJ_{bucket}");
        self.gets(&stream).follows(&stream).publishes([format!("$O.{bucket}.>"), format!("$JS.API.STREAM.PURGE.{stream}")])
    }

    /// Reads a stream in order, by a consumer that the client makes for itself.
    fn follows(self, stream: &str) -> Self {
        self.publishes([
            format!("$JS.API.CONSUMER.CREATE.{stream}"),
            format!("$JS.API.CONSUMER.CREATE.{stream}.>"),
            format!("$JS.API.CONSUMER.DELETE.{stream}.>"),
            format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.>"),
            format!("$JS.FC.{stream}.>"),
        ])
    }

    fn done(mut self) -> Permissions {
        self.0.publish.sort();
        self.0.publish.dedup();
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::table;

    fn may_publish(user: &str, subject: &str) -> bool {
        let table = table(&["k8s".to_owned()], &["default".to_owned()]);
        let permissions = table.iter().find(|row| row.user == user).expect("user");
        permissions
            .publish
            .iter()
            .any(|pattern| pattern == subject || pattern.strip_suffix('>').is_some_and(|prefix| subject.starts_with(prefix)))
    }

    #[test]
    fn only_our_services_write_what_happened() {
        for service in ["router", "launcher", "reaper", "trainer"] {
            assert!(may_publish(service, "yard.dev.cdevents.build.finished.0.3.0.b.1"), "{service}");
            assert!(!may_publish(service, "ci.default.dev.cdevents.build.queued.0.3.0"), "{service}");
        }
        assert!(!may_publish("publisher-default", "yard.x"));
        assert!(!may_publish("cli", "yard.x"));
    }

    #[test]
    fn a_publisher_writes_only_for_its_own_tenant() {
        assert!(may_publish("publisher-default", "ci.default.dev.cdevents.build.queued.0.3.0"));
        assert!(!may_publish("publisher-default", "ci.other.dev.cdevents.build.queued.0.3.0"));
        assert!(!may_publish("publisher-default", "$JS.API.STREAM.INFO.CI"));
    }

    #[test]
    fn model_servers_say_what_models_see_and_nothing_else() {
        assert!(may_publish("models", "inference.churn.0"));
        for subject in ["ci.default.x", "yard.x", "$KV.trainer.window.churn.0", "dead.x"] {
            assert!(!may_publish("models", subject), "{subject}");
        }
        assert!(!may_publish("publisher-default", "inference.churn.0"));
    }

    #[test]
    fn only_the_operator_changes_the_fleet() {
        assert!(may_publish("cli", "$KV.config.fleet"));
        for user in ["router", "launcher", "reaper", "trainer", "publisher-default"] {
            assert!(!may_publish(user, "$KV.config.fleet"), "{user}");
        }
    }

    #[test]
    fn the_ledger_is_closed_to_the_router_and_the_clocks_to_the_launcher() {
        assert!(!may_publish("router", "$KV.builds.b"));
        assert!(may_publish("launcher", "$KV.builds.b"));
        assert!(may_publish("reaper", "$KV.builds.b"));
        assert!(!may_publish("launcher", "timer.k8s.queued.b.1"));
        assert!(may_publish("reaper", "timer.k8s.queued.b.1"));
    }

    #[test]
    fn the_trainer_has_builds_stopped_and_writes_no_ledger() {
        assert!(may_publish("trainer", "ci.trainer.dev.cdeventsx.switchyard-build.cancelrequested.0.1.0"));
        assert!(!may_publish("trainer", "ci.default.dev.cdeventsx.switchyard-build.cancelrequested.0.1.0"));
        assert!(!may_publish("trainer", "ci.trainer.dev.cdeventsx.switchyard-retraining.approved.0.1.0"));
        assert!(!may_publish("trainer", "$KV.builds.b"));
        assert!(may_publish("trainer", "$KV.trainer.policy.churn"));
        assert!(!may_publish("publisher-default", "ci.trainer.dev.cdeventsx.switchyard-retraining.approved.0.1.0"));
    }

    #[test]
    fn a_service_takes_only_from_its_own_durables() {
        assert!(may_publish("launcher", "$JS.API.CONSUMER.MSG.NEXT.YARD.launcher-k8s"));
        assert!(!may_publish("launcher", "$JS.API.CONSUMER.MSG.NEXT.YARD.reaper-k8s"));
        // How far others' are, they may ask.
        assert!(may_publish("router", "$JS.API.CONSUMER.INFO.YARD.reaper-k8s"));
        assert!(!may_publish("router", "$JS.API.CONSUMER.MSG.NEXT.YARD.reaper-k8s"));
        assert!(may_publish("reaper", "$JS.API.CONSUMER.INFO.CI.router"));
        assert!(!may_publish("reaper", "$JS.API.CONSUMER.MSG.NEXT.CI.router"));
        assert!(!may_publish("router", "$JS.API.CONSUMER.CREATE.CI.router"));
    }
}
