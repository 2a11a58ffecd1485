//! What a supervisor is told: `spec.json`, complete, so that it needs no fleet file and no network.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use switchyard_events::{BuildKey, Step, TimeLimit};
use switchyard_fleet::{InvalidSize, ProcessOptions, Resources};
use uuid::Uuid;

use crate::{Launch, script};

/// Every uid of this plugin begins so: it says that nothing isolates what it names.
pub(crate) const UID_PREFIX: &str = "process-";

/// The variable by which every process of a build is known, also when its supervisor is no more.
pub(crate) const MARK: &str = "SWITCHYARD_UID";

/// The kernel takes no longer argument or variable (`MAX_ARG_STRLEN`, with its closing zero).
const LONGEST_TEXT: usize = 128 * 1024 - 1;

/// One attempt, as its supervisor runs it. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spec {
    pub(crate) uid: String,
    pub(crate) executor: String,
    pub(crate) build: BuildKey,
    pub(crate) attempt: u32,
    pub(crate) source: String,
    /// Whose launcher has made it.
    #[serde(default)]
    pub(crate) installation: Option<String>,
    pub(crate) traceparent: String,
    pub(crate) created_at: Timestamp,
    pub(crate) command: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) limits: Limits,
    /// From the supervisor's start; then it ends the build by itself.
    pub(crate) deadline_ms: u64,
    /// From SIGTERM to SIGKILL.
    pub(crate) grace_ms: u64,
}

/// What each process of the build may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Limits {
    /// Bytes of its own data.
    pub(crate) memory: u64,
    /// Bytes of the largest file that it writes.
    pub(crate) file_size: Option<u64>,
    /// Files open at once.
    pub(crate) open_files: Option<u64>,
}

/// A build that cannot be run as a process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unlaunchable {
    #[error(
        "image {image:?}: this executor runs builds as processes of its own machine, without any image and without isolation; \
         send the build to another executor, or set executors.{executor}.ignoreImage: true to run its steps without the image"
    )]
    Image { image: String, executor: String },
    #[error("a build of Screwdriver's runs under Screwdriver's launcher in a pod: send it to an executor of plugin kubernetes")]
    Screwdriver,
    #[error("a build without steps runs its image's entry point, and this executor has no images: give it steps")]
    NoSteps,
    #[error(
        "secret {0:?}: secrets are those of a cluster, and this executor has none: send the build to one of plugin kubernetes"
    )]
    Secret(String),
    #[error("ram: {0}")]
    Memory(InvalidSize),
    #[error("{0} is longer than the {LONGEST_TEXT} bytes that Linux gives a process in one piece")]
    TooLong(String),
}

impl Spec {
    /// What is to be run for `launch`, created now.
    pub(crate) fn of(
        launch: &Launch,
        options: &ProcessOptions,
        resources: &Resources,
        now: Timestamp,
    ) -> Result<Self, Unlaunchable> {
        let spec = &launch.spec;
        if !options.ignore_image && !spec.image.is_empty() {
            return Err(Unlaunchable::Image { image: spec.image.clone(), executor: launch.executor.clone() });
        }
        if spec.screwdriver_build.is_some() {
            return Err(Unlaunchable::Screwdriver);
        }
        if let Some(secret) = spec.secrets.first() {
            return Err(Unlaunchable::Secret(secret.name.clone()));
        }
        let command = script::command(&spec.steps).ok_or(Unlaunchable::NoSteps)?;
        check_lengths(launch)?;
        let memory = resources.memory.get(spec.ram.as_deref().or(spec.screwdriver("ram"))).map_err(Unlaunchable::Memory)?;
        let uid = format!("{UID_PREFIX}{}", Uuid::new_v4());
        let limits = &launch.limits;
        Ok(Self {
            env: environment(launch, &uid),
            uid,
            executor: launch.executor.clone(),
            build: launch.build.clone(),
            attempt: launch.attempt,
            source: launch.source.clone(),
            installation: None,
            traceparent: launch.traceparent.clone(),
            created_at: now,
            command,
            limits: Limits {
                memory: memory.count(),
                file_size: options.limits.file_size.map(switchyard_fleet::Bytes::count),
                open_files: options.limits.open_files.map(|files| files.get().into()),
            },
            deadline_ms: [limits.pending, limits.running_max, limits.grace].into_iter().map(milliseconds).sum(),
            grace_ms: milliseconds(options.termination_grace),
        })
    }

    /// Whether this is what `launch` makes, whatever its uid.
    pub(crate) fn is_for(&self, launch: &Launch) -> bool {
        self.executor == launch.executor
            && self.build == launch.build
            && self.attempt == launch.attempt
            && self.source == launch.source
    }
}

fn milliseconds(limit: TimeLimit) -> u64 {
    u64::try_from(limit.duration().as_millis()).unwrap_or(u64::MAX)
}

/// The build's variables, with ours over them.
fn environment(launch: &Launch, uid: &str) -> BTreeMap<String, String> {
    let ours = [
        ("TRACEPARENT", launch.traceparent.clone()),
        ("SWITCHYARD_BUILD", launch.build.to_string()),
        ("SWITCHYARD_ATTEMPT", launch.attempt.to_string()),
        (MARK, uid.to_owned()),
    ];
    let mut variables = launch.spec.env.clone();
    variables.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    variables
}

fn check_lengths(launch: &Launch) -> Result<(), Unlaunchable> {
    let steps = launch.spec.steps.iter().enumerate();
    let step = steps.filter(|(_, Step { run, .. })| run.len() > LONGEST_TEXT).map(|(n, _)| format!("steps[{n}].run")).next();
    let variable = launch.spec.env.iter().find(|(name, value)| name.len() + 1 + value.len() > LONGEST_TEXT);
    match step.or_else(|| variable.map(|(name, _)| format!("env.{name}"))) {
        Some(text) => Err(Unlaunchable::TooLong(text)),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use switchyard_events::{BuildSpec, Limits as Times, ScrewdriverBuild, SecretRef};
    use switchyard_fleet::{Executor, Fleet};

    use super::*;

    pub(crate) fn launch() -> Launch {
        let step = |name: &str, run: &str| Step { name: name.to_owned(), run: run.to_owned(), always: false };
        Launch {
            build: BuildKey::of("/ci", "7", "1"),
            attempt: 1,
            again: false,
            token: None,
            executor: "local".to_owned(),
            tenant: "default".to_owned(),
            pipeline: None,
            job: None,
            source: "/ci".to_owned(),
            subject: "7".to_owned(),
            spec: BuildSpec { image: "node:22".into(), steps: vec![step("test", "true")], ..BuildSpec::default() },
            annotations: Vec::new(),
            limits: Times::STANDARD,
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        }
    }

    fn executor(options: &str) -> Executor {
        let yaml =
            format!("version: 1\nexecutor: {{plugin: local, local: {{plugin: process}}}}\nexecutors: {{local: {{{options}}}}}\n");
        Fleet::parse(&yaml).unwrap().default_executor().clone()
    }

    fn spec(options: &str, launch: &Launch) -> Result<Spec, String> {
        let executor = executor(options);
        let made = Spec::of(launch, &executor.process, &executor.kubernetes.resources, Timestamp::UNIX_EPOCH);
        made.map_err(|wrong| wrong.to_string())
    }

    /// A spec, as it stands in its file.
    pub(crate) fn example() -> Spec {
        spec("ignoreImage: true", &launch()).unwrap()
    }

    #[test]
    fn an_image_is_refused_unless_the_executor_ignores_it() {
        let refused = spec("", &launch()).unwrap_err();
        assert!(refused.contains("\"node:22\"") && refused.contains("executors.local.ignoreImage: true"), "{refused}");
        assert!(spec("ignoreImage: true", &launch()).is_ok());
    }

    #[test]
    fn a_build_without_steps_has_nothing_to_run() {
        let mut launch = launch();
        launch.spec.steps.clear();
        assert!(spec("ignoreImage: true", &launch).unwrap_err().contains("give it steps"));
        launch.spec.screwdriver_build = Some(ScrewdriverBuild::default());
        assert!(spec("ignoreImage: true", &launch).unwrap_err().contains("Screwdriver's launcher"));
    }

    #[test]
    fn a_secret_is_never_left_out_in_silence() {
        let mut launch = launch();
        launch.spec.secrets = vec![SecretRef { name: "npm".into(), ..SecretRef::default() }];
        assert!(spec("ignoreImage: true", &launch).unwrap_err().starts_with("secret \"npm\""));
    }

    #[test]
    fn limits_are_those_of_the_build_and_of_the_executor() {
        let mut launch = launch();
        launch.spec.ram = Some("512Mi".into());
        let spec = spec("ignoreImage: true, terminationGrace: 3s, limits: {fileSize: 1Mi, openFiles: 64}", &launch).unwrap();
        let limits = Limits { memory: 512 << 20, file_size: Some(1 << 20), open_files: Some(64) };
        assert_eq!((spec.limits, spec.grace_ms), (limits, 3000));
        let Times { pending, running_max, grace, .. } = launch.limits;
        assert_eq!(u128::from(spec.deadline_ms), (pending.duration() + running_max.duration() + grace.duration()).as_millis());
        launch.spec.ram = Some("500m".into());
        assert!(self::spec("ignoreImage: true", &launch).unwrap_err().starts_with("ram: \"500m\" is not a size"));
    }

    #[test]
    fn nothing_of_the_builds_own_takes_the_place_of_ours() {
        let mut launch = launch();
        launch.spec.env = [(MARK, "mine"), ("TRACEPARENT", "mine"), ("CI", "true")].map(|(k, v)| (k.into(), v.into())).into();
        let spec = spec("ignoreImage: true", &launch).unwrap();
        assert_eq!((&spec.env[MARK], &spec.env["TRACEPARENT"]), (&spec.uid, &launch.traceparent));
        assert_eq!(spec.env["CI"], "true");
    }

    #[test]
    fn a_text_that_linux_would_not_take_is_named() {
        let mut launch = launch();
        launch.spec.steps[0].run = "x".repeat(LONGEST_TEXT + 1);
        assert!(spec("ignoreImage: true", &launch).unwrap_err().starts_with("steps[0].run is longer than"));
    }

    #[test]
    fn two_attempts_never_share_a_uid() {
        assert_ne!(example().uid, example().uid);
        assert!(example().is_for(&launch()) && !example().is_for(&Launch { attempt: 2, ..launch() }));
    }
}
