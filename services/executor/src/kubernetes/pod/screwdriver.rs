//! A build of Screwdriver's runs under Screwdriver's own launcher, which an init container brings along.
//!
//! Screwdriver puts the launcher and the build's files into folders of the node and its token into an argument. Here they are
//! empty folders of the pod, and a Secret of the pod's own that only the launcher reads.

use k8s_openapi::api::core::v1::{
    Container, DownwardAPIVolumeFile, DownwardAPIVolumeSource, EnvVar, Pod, SecretVolumeSource, Volume, VolumeMount,
};
use switchyard_events::ScrewdriverBuild;
use switchyard_fleet::Executor;
use uuid::Uuid;

use super::{
    Unlaunchable,
    container::{field, text},
    resources,
    secrets::mount,
    sidecars::empty,
};
use crate::{Launch, Token, kubernetes::marks};

/// The key of the token in its Secret.
pub(crate) const TOKEN_KEY: &str = "token";

/// Where the launcher finds it.
const TOKEN_FOLDER: &str = "/run/switchyard/screwdriver";

/// Copies the launcher and Habitat out of the image.
const COPY: &str = "cp -a /opt/sd/. /opt/launcher/ && if [ -d /hab ]; then cp -a /hab /opt/launcher/hab; fi";

/// What a build needs to run under the launcher.
#[derive(Clone, Debug, Default)]
pub(super) struct Launcher {
    pub(super) init: Option<Container>,
    pub(super) command: Vec<String>,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<EnvVar>,
    pub(super) mounts: Vec<VolumeMount>,
    pub(super) volumes: Vec<Volume>,
}

/// The volume that the token stands in.
const TOKEN_VOLUME: &str = "sd-token";

/// The Secret of one token. It goes with its pod, but not at once: a pod that takes the place of a deleted one of the same name,
/// with a token made later, must not find that of its predecessor.
fn token_secret(launch: &Launch, token: &Token) -> String {
    let mark = Uuid::new_v5(&Uuid::NAMESPACE_OID, token.0.as_bytes()).simple().to_string();
    format!("{}-screwdriver-{}", marks::pod_name(&launch.build, launch.attempt), &mark[..12])
}

/// The Secret in which a pod looks for its token, where it needs one.
pub(crate) fn token_secret_of(pod: &Pod) -> Option<&str> {
    let token = pod.spec.as_ref()?.volumes.iter().flatten().find(|volume| volume.name == TOKEN_VOLUME)?;
    token.secret.as_ref()?.secret_name.as_deref()
}

/// Nothing for a build that is not Screwdriver's.
pub(super) fn of(executor: &Executor, launch: &Launch) -> Result<Option<Launcher>, Unlaunchable> {
    let Some(build) = &launch.spec.screwdriver_build else { return Ok(None) };
    let token = launch.token.as_ref().ok_or(Unlaunchable::NoToken)?;
    let secret = SecretVolumeSource {
        secret_name: Some(token_secret(launch, token)),
        default_mode: Some(0o444),
        ..SecretVolumeSource::default()
    };
    let token = Volume { name: TOKEN_VOLUME.to_owned(), secret: Some(secret), ..Volume::default() };
    Ok(Some(Launcher {
        init: Some(init(executor, launch)?),
        command: vec!["/opt/sd/launcher_entrypoint.sh".to_owned()],
        args: vec![run(build, launch)],
        env: environment(executor, build),
        mounts: vec![
            mount("sd-launcher", "/opt/sd", true),
            mount("sd-temp", "/opt/sd_tmp", false),
            mount("sd-workspace", "/workspace", false),
            mount("sd-podinfo", "/etc/podinfo", true),
            mount(TOKEN_VOLUME, TOKEN_FOLDER, true),
        ],
        volumes: vec![empty("sd-launcher"), empty("sd-temp"), empty("sd-workspace"), podinfo(), token],
    }))
}

/// Its limits are the build's: it runs before it, so that the virtual machine need not be larger.
fn init(executor: &Executor, launch: &Launch) -> Result<Container, Unlaunchable> {
    let own = &executor.screwdriver;
    Ok(Container {
        name: "launcher".to_owned(),
        image: Some(format!("{}:{}", own.launch_image, own.launch_version)),
        image_pull_policy: Some(executor.kubernetes.image_pull_policy.as_str().to_owned()),
        command: Some(["/bin/sh", "-ec", COPY].map(str::to_owned).into()),
        resources: Some(resources::of(executor, &launch.spec)?.limits()),
        volume_mounts: Some(vec![mount("sd-launcher", "/opt/launcher", false), mount("sd-workspace", "/workspace", false)]),
        ..Container::default()
    })
}

/// What the entry point gives to a shell. The token is read there; it is in no argument of the pod.
fn run(build: &ScrewdriverBuild, launch: &Launch) -> String {
    let minutes = launch.limits.running.whole_seconds().div_euclid(60).max(1).to_string();
    let words = [&build.api, &build.store, &minutes, &build.id, &build.ui].map(|word| quoted(word));
    format!("/opt/sd/run.sh \"$(cat {TOKEN_FOLDER}/{TOKEN_KEY})\" {}", words.join(" "))
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// What Screwdriver builds expect beside what every build gets.
fn environment(executor: &Executor, build: &ScrewdriverBuild) -> Vec<EnvVar> {
    let own = &executor.screwdriver;
    let class = executor.kubernetes.runtime_class.as_deref();
    let mut env = vec![
        text("SD_HAB_ENABLED", if own.hab_enabled { "true" } else { "false" }),
        text("SD_BUILD_PREFIX", &own.prefix),
        text("SD_BASE_COMMAND_PATH", "/sd/commands/"),
        text("SD_TEMP", "/opt/sd_tmp"),
    ];
    env.extend(class.map(|class| text("SD_RUNTIME_CLASS", class)));
    env.extend(build.pipeline.as_deref().map(|id| text("SD_PIPELINE_ID", id)));
    env
}

fn podinfo() -> Volume {
    let file = |name: &str| DownwardAPIVolumeFile {
        path: name.to_owned(),
        field_ref: Some(field(&format!("metadata.{name}"))),
        ..DownwardAPIVolumeFile::default()
    };
    let source =
        DownwardAPIVolumeSource { items: Some(["labels", "annotations"].map(file).into()), ..DownwardAPIVolumeSource::default() };
    Volume { name: "sd-podinfo".to_owned(), downward_api: Some(source), ..Volume::default() }
}

#[cfg(test)]
mod tests {
    use switchyard_events::BuildSpec;

    use super::*;
    use crate::kubernetes::pod::{
        pod,
        tests::{launch, with_options},
    };

    fn screwdrivers() -> Launch {
        let text = r#"{"image": "node:20", "screwdriver": {"id": "111", "api": "https://api.example", "store": "https://store.example",
            "ui": "https://ui.example/it's", "pipeline": "7", "job": "8", "event": "9"}}"#;
        Launch { spec: BuildSpec::parse(text).unwrap(), token: Some(Token("t0p".to_owned())), ..launch("image: a") }
    }

    #[test]
    fn a_screwdriver_build_runs_under_the_launcher_that_the_fleet_names() {
        let executor = with_options("launchImage: registry.example/launcher, launchVersion: v6, prefix: beta-");
        let pod = pod(&executor, &screwdrivers()).unwrap();
        let spec = pod.spec.unwrap();
        let init = &spec.init_containers.unwrap()[0];
        assert_eq!(init.image.as_deref(), Some("registry.example/launcher:v6"));
        let container = &spec.containers[0];
        assert_eq!(container.command.as_ref().unwrap(), &["/opt/sd/launcher_entrypoint.sh"]);
        let shell = container.args.as_ref().unwrap()[0].replace("$$", "$");
        let wanted = r#"/opt/sd/run.sh "$(cat /run/switchyard/screwdriver/token)" 'https://api.example' 'https://store.example' '1' '111' 'https://ui.example/it'\''s'"#;
        assert_eq!(shell, wanted);
        assert_eq!(pod.metadata.labels.unwrap()["sdbuild"], "beta-111");
        let env = container.env.as_ref().unwrap();
        let value = |name: &str| env.iter().find(|e| e.name == name).and_then(|e| e.value.clone()).unwrap();
        let values =
            ["SD_HAB_ENABLED", "SD_RUNTIME_CLASS", "SD_PIPELINE_ID", "SD_BUILD_PREFIX", "SD_BASE_COMMAND_PATH", "SD_TEMP"]
                .map(value);
        assert_eq!(values, ["true", "kata", "7", "beta-", "/sd/commands/", "/opt/sd_tmp"]);
    }

    #[test]
    fn nothing_of_it_is_on_the_node_and_the_token_is_in_a_secret_of_the_pods_own() {
        let launch = screwdrivers();
        let spec = pod(&with_options(""), &launch).unwrap().spec.unwrap();
        assert!(spec.volumes.as_ref().unwrap().iter().all(|volume| volume.host_path.is_none()));
        let secret = |launch: &Launch| token_secret_of(&pod(&with_options(""), launch).unwrap()).unwrap().to_owned();
        assert!(secret(&launch).starts_with(&format!("b-{}-1-screwdriver-", launch.build)));
        let later = Launch { token: Some(Token("t1".to_owned())), ..launch.clone() };
        assert_ne!(secret(&later), secret(&launch), "a token that was made later is in another Secret");
        let everything = serde_json::to_string(&pod(&with_options(""), &launch).unwrap()).unwrap();
        assert!(!everything.contains("t0p") && !format!("{launch:?}").contains("t0p"), "the token itself is nowhere");
        let without = Launch { token: None, ..launch.clone() };
        assert_eq!(pod(&with_options(""), &without).unwrap_err(), Unlaunchable::NoToken);
        let at = |name: &str| {
            spec.containers[0].volume_mounts.as_ref().unwrap().iter().find(|m| m.name == name).unwrap().mount_path.clone()
        };
        assert_eq!(
            ["sd-launcher", "sd-workspace", "sd-temp", "sd-podinfo"].map(at),
            ["/opt/sd", "/workspace", "/opt/sd_tmp", "/etc/podinfo"]
        );
    }

    #[test]
    fn other_builds_know_nothing_of_it() {
        let spec = pod(&with_options(""), &launch("image: a")).unwrap().spec.unwrap();
        assert!(spec.init_containers.is_none() && spec.volumes.is_none());
        assert!(!spec.containers[0].env.as_ref().unwrap().iter().any(|e| e.name == "SD_TEMP"));
    }
}
