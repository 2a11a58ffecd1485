//! The pod of one attempt, field by field. `docs/launcher.md` has a table of what becomes of each option.

mod container;
mod metadata;
mod place;
mod resources;
mod screwdriver;
mod secrets;
mod sidecars;
#[cfg(test)]
mod table;

use k8s_openapi::api::core::v1::{LocalObjectReference, Pod, PodSchedulingGate, PodSpec};
use switchyard_events::InvalidBuild;
use switchyard_fleet::{Executor, InvalidSize};

use super::marks;
use crate::Launch;
pub(crate) use screwdriver::{TOKEN_KEY, token_secret_of};

/// The container that runs the build.
pub(crate) const CONTAINER: &str = "build";

/// The longest grace that a build may ask for, unless its executor gives more by itself.
const LONGEST_GRACE: u32 = 120;

/// A build of which no pod can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unlaunchable {
    #[error("cpu: {0}")]
    Cpu(InvalidSize),
    #[error("ram: {0}")]
    Memory(InvalidSize),
    #[error("annotations.screwdriver.cd/{0}: {1}")]
    Size(&'static str, InvalidSize),
    #[error("{0} is longer than the {limit} bytes that Linux gives a process in one piece", limit = container::LONGEST_TEXT)]
    TooLong(String),
    #[error("{0} needs a virtual machine, but the executor's runtimeClass is {1}, not kata or kata-…")]
    NotIsolated(&'static str, String),
    #[error("annotations.screwdriver.cd/{0}: the executor's options.kubernetes.{1} is not true")]
    NotEnabled(&'static str, &'static str),
    #[error("annotations.{0}: no build may set it; of io.katacontainers.* there are {list}", list = metadata::KATA.join(", "))]
    Annotation(String),
    #[error("annotations.screwdriver.cd/terminationGracePeriodSeconds: {0:?} is no number of seconds")]
    Grace(String),
    #[error("secrets: a file in / cannot be mounted; name one in a folder of its own")]
    SecretInRoot,
    #[error("screwdriver: its token cannot be made; this launcher was given no --screwdriver-key")]
    NoToken,
    #[error(transparent)]
    Spec(#[from] InvalidBuild),
}

/// The pod of `launch`: gated, held, limited, and with nothing of the build's own in the place of ours.
pub(crate) fn pod(executor: &Executor, launch: &Launch) -> Result<Pod, Unlaunchable> {
    let options = &executor.kubernetes;
    container::check_lengths(&launch.spec)?;
    let sidecars = sidecars::of(executor, &launch.spec)?;
    let secrets = secrets::of(executor, &launch.spec)?;
    let launcher = screwdriver::of(executor, launch)?;
    let container = container::build(executor, launch, (&sidecars, &secrets, launcher.as_ref()))?;
    let launcher = launcher.unwrap_or_default();
    let init: Vec<_> = launcher.init.into_iter().chain(sidecars.containers).collect();
    let volumes: Vec<_> = [secrets.volumes, launcher.volumes, sidecars.volumes].concat();
    let pull: Vec<_> = pull_secrets(executor).map(|name| LocalObjectReference { name: name.clone() }).collect();
    let spec = PodSpec {
        scheduling_gates: Some(vec![PodSchedulingGate { name: marks::GATE.to_owned() }]),
        runtime_class_name: options.runtime_class.clone(),
        node_selector: (!options.node_selectors.is_empty()).then(|| options.node_selectors.clone()),
        affinity: place::affinity(options, &launch.spec),
        tolerations: Some(place::tolerations(executor, &launch.spec)),
        restart_policy: Some("Never".to_owned()),
        active_deadline_seconds: Some(deadline_seconds(launch)),
        termination_grace_period_seconds: Some(grace(executor, launch)?.into()),
        service_account_name: Some(options.service_account.clone()),
        automount_service_account_token: Some(options.automount_service_account_token),
        enable_service_links: Some(false),
        dns_policy: Some(options.dns_policy.as_str().to_owned()),
        image_pull_secrets: (!pull.is_empty()).then_some(pull),
        init_containers: (!init.is_empty()).then_some(init),
        containers: vec![container],
        volumes: (!volumes.is_empty()).then_some(volumes),
        ..PodSpec::default()
    };
    Ok(Pod { metadata: metadata::of(executor, launch)?, spec: Some(spec), status: None })
}

fn pull_secrets(executor: &Executor) -> impl Iterator<Item = &String> {
    let named = executor.kubernetes.image_pull_secret.as_ref().filter(|name| !name.is_empty());
    let more = executor.image_pull_secrets.iter().filter(move |name| Some(*name) != named);
    named.into_iter().chain(more)
}

/// When the node itself ends the pod. It counts from the pod's start there, image pull included, and cannot be prolonged.
fn deadline_seconds(launch: &Launch) -> i64 {
    let limits = &launch.limits;
    [limits.pending, limits.running_max, limits.grace]
        .into_iter()
        .map(switchyard_events::TimeLimit::whole_seconds)
        .sum::<i64>()
        .max(1)
}

/// How long the build may take to end once it was told: as in Screwdriver, the longer of what it asks for and what the executor
/// gives; but what it asks for is limited.
fn grace(executor: &Executor, launch: &Launch) -> Result<u32, Unlaunchable> {
    let given = executor.kubernetes.termination_grace_period_seconds;
    let Some(asked) = launch.spec.screwdriver("terminationGracePeriodSeconds") else { return Ok(given) };
    let asked: u32 = asked.parse().map_err(|_| Unlaunchable::Grace(asked.to_owned()))?;
    Ok(given.max(asked.min(LONGEST_GRACE)))
}

/// Whether pods of the executor run in virtual machines of their own.
fn is_isolated(executor: &Executor) -> bool {
    executor.kubernetes.runtime_class.as_deref().is_some_and(|class| class == "kata" || class.starts_with("kata-"))
}

/// `what` is possible only in a virtual machine: beside other pods it would be root on the node.
fn must_be_isolated(executor: &Executor, what: &'static str) -> Result<(), Unlaunchable> {
    if is_isolated(executor) {
        return Ok(());
    }
    let class = executor.kubernetes.runtime_class.as_deref().unwrap_or("not set");
    Err(Unlaunchable::NotIsolated(what, class.to_owned()))
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use switchyard_events::{BuildKey, Limits, TimeLimit};
    use switchyard_fleet::Fleet;

    use super::*;

    /// The pod of an attempt, as the API server would give it back.
    pub(crate) fn example(attempt: u32) -> Pod {
        let mut pod = pod(&executor(""), &Launch { attempt, ..launch("image: node:20") }).unwrap();
        pod.metadata.uid = Some("uid-1".to_owned());
        pod.metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        pod
    }

    /// An executor with these keys under `options.kubernetes`.
    pub(crate) fn executor(kubernetes: &str) -> Executor {
        executor_with(kubernetes, "")
    }

    /// The same, with these keys under `executors.k8s`.
    pub(crate) fn executor_with(kubernetes: &str, addition: &str) -> Executor {
        parsed(&format!("kubernetes: {{runtimeClass: kata, {SELECTOR}, {kubernetes}}}"), addition).unwrap()
    }

    /// An executor with these keys under `options`.
    pub(crate) fn with_options(options: &str) -> Executor {
        parsed(
            &format!(
                "{options}{comma}kubernetes: {{runtimeClass: kata, {SELECTOR}}}",
                comma = if options.is_empty() { "" } else { ", " }
            ),
            "",
        )
        .unwrap()
    }

    /// One whose pods are no virtual machines; nothing where the fleet file refuses that already.
    pub(crate) fn without_kata(kubernetes: &str) -> Option<Executor> {
        parsed(&format!("kubernetes: {{runtimeClass: runc, {kubernetes}}}"), "").ok()
    }

    const SELECTOR: &str = "nodeSelectors: {dedicated: screwdriver-kata}";

    pub(crate) fn parsed(options: &str, addition: &str) -> Result<Executor, switchyard_fleet::InvalidFleet> {
        let yaml = format!(
            "version: 1\nexecutor: {{plugin: k8s, k8s: {{options: {{{options}}}}}}}\nexecutors: {{k8s: {{{addition}}}}}\n"
        );
        Ok(Fleet::parse(&yaml)?.default_executor().clone())
    }

    pub(crate) fn launch(spec: &str) -> Launch {
        Launch {
            build: BuildKey::of("/ci", "7", "1"),
            attempt: 1,
            again: false,
            executor: "k8s".to_owned(),
            tenant: "default".to_owned(),
            pipeline: Some("shop".to_owned()),
            job: None,
            source: "/ci".to_owned(),
            subject: "7".to_owned(),
            spec: serde_json::from_value(json_of(spec)).unwrap(),
            token: None,
            annotations: vec![("dev.switchyard/run-for".to_owned(), "1s".to_owned())],
            limits: Limits {
                reroute_after: None,
                queued: TimeLimit::minutes(10),
                pending: TimeLimit::minutes(2),
                running: TimeLimit::seconds(20),
                running_max: TimeLimit::minutes(120),
                teardown: TimeLimit::seconds(30),
                grace: "10s1ms".parse().unwrap(),
                linger: TimeLimit::seconds(2),
            },
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        }
    }

    /// `image: a, cpu: 2` as JSON.
    fn json_of(fields: &str) -> serde_json::Value {
        let fields = fields.split(", ").map(|field| field.split_once(": ").unwrap());
        fields.map(|(key, value)| (key.to_owned(), serde_json::Value::from(value))).collect()
    }

    pub(crate) fn spec_of(launch: &Launch) -> PodSpec {
        pod(&executor(""), launch).unwrap().spec.unwrap()
    }

    #[test]
    fn a_pod_cannot_run_before_it_is_bound_and_stays_until_it_is_released() {
        let pod = example(2);
        assert_eq!(pod.spec.as_ref().unwrap().scheduling_gates.as_ref().unwrap()[0].name, "switchyard.dev/bound");
        assert_eq!(pod.metadata.finalizers.as_deref(), Some(&["switchyard.dev/reaper".to_owned()][..]));
        assert_eq!(pod.metadata.name, Some(format!("b-{}-2", BuildKey::of("/ci", "7", "1"))));
        assert_eq!(pod.metadata.labels.as_ref().unwrap()["switchyard.dev/attempt"], "2");
    }

    #[test]
    fn a_pod_is_what_the_executor_says() {
        let spec = spec_of(&launch("image: node:20"));
        assert_eq!(spec.runtime_class_name.as_deref(), Some("kata"));
        assert_eq!(spec.node_selector.unwrap()["dedicated"], "screwdriver-kata");
        let toleration = &spec.tolerations.unwrap()[0];
        assert_eq!((toleration.key.as_deref(), toleration.effect.as_deref()), (Some("dedicated"), Some("NoSchedule")));
        assert_eq!(spec.restart_policy.as_deref(), Some("Never"));
        assert_eq!(spec.automount_service_account_token, Some(false));
        assert_eq!(spec.active_deadline_seconds, Some(2 * 60 + 120 * 60 + 11));
        assert_eq!(spec.termination_grace_period_seconds, Some(30));
        assert_eq!((spec.service_account_name.as_deref(), spec.dns_policy.as_deref()), (Some("default"), Some("ClusterFirst")));
        assert_eq!(spec.containers[0].image_pull_policy.as_deref(), Some("Always"));
        assert!(spec.volumes.is_none() && spec.host_network.is_none() && spec.image_pull_secrets.is_none());
    }

    #[test]
    fn who_it_is_and_how_it_finds_names_and_images_is_the_executors_to_say() {
        let executor = executor_with(
            "serviceAccount: builder, automountServiceAccountToken: true, dnsPolicy: Default, imagePullPolicy: IfNotPresent, imagePullSecretName: hub",
            "imagePullSecrets: [hub, quay]",
        );
        let spec = pod(&executor, &launch("image: a")).unwrap().spec.unwrap();
        assert_eq!((spec.service_account_name.as_deref(), spec.automount_service_account_token), (Some("builder"), Some(true)));
        assert_eq!(spec.dns_policy.as_deref(), Some("Default"));
        assert_eq!(spec.containers[0].image_pull_policy.as_deref(), Some("IfNotPresent"));
        let secrets: Vec<_> = spec.image_pull_secrets.unwrap().into_iter().map(|secret| secret.name).collect();
        assert_eq!(secrets, ["hub", "quay"]);
    }

    #[test]
    fn a_build_may_ask_for_more_time_to_end_but_not_for_ever() {
        let asked = |seconds: &str| {
            let mut launch = launch("image: a");
            launch.spec.annotations = [("screwdriver.cd/terminationGracePeriodSeconds".to_owned(), seconds.to_owned())].into();
            pod(&executor(""), &launch).map(|pod| {
                let mut spec = pod.spec.unwrap();
                let env = spec.containers.remove(0).env.unwrap();
                let told = env.into_iter().find(|variable| variable.name == "SD_TERMINATION_GRACE_PERIOD_SECONDS").unwrap().value;
                let grace = spec.termination_grace_period_seconds.unwrap();
                assert_eq!(told, Some(grace.to_string()), "the build is told what it has");
                grace
            })
        };
        assert_eq!((asked("5").unwrap(), asked("60").unwrap(), asked("9999").unwrap()), (30, 60, 120));
        assert!(asked("soon").unwrap_err().to_string().contains("\"soon\" is no number of seconds"));
    }
}
