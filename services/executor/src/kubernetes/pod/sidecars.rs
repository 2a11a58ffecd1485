//! What runs beside a build that asks for it: a Docker daemon, a rootless `BuildKit`. Both only in a virtual machine.
//!
//! They are native sidecars: init containers that go on running, are up before the build begins and end with it.

use k8s_openapi::api::core::v1::{
    AppArmorProfile, Container, EmptyDirVolumeSource, EnvVar, ExecAction, Probe, SeccompProfile, SecurityContext, Volume,
    VolumeMount,
};
use switchyard_events::BuildSpec;
use switchyard_fleet::Executor;

use super::{Unlaunchable, container::text, must_be_isolated, resources, secrets::mount};

const DOCKER_IMAGE: &str = "docker:28-dind";
const BUILDKIT_IMAGE: &str = "moby/buildkit:v0.26.2-rootless";

/// The sidecars, and what the build needs to reach them.
#[derive(Clone, Debug, Default)]
pub(super) struct Sidecars {
    pub(super) containers: Vec<Container>,
    pub(super) env: Vec<EnvVar>,
    pub(super) mounts: Vec<VolumeMount>,
    pub(super) volumes: Vec<Volume>,
}

pub(super) fn of(executor: &Executor, spec: &BuildSpec) -> Result<Sidecars, Unlaunchable> {
    let mut all = Sidecars::default();
    let asked = |name| spec.screwdriver(name) == Some("true");
    if asked("dockerEnabled") {
        if !executor.kubernetes.docker_feature_enabled {
            return Err(Unlaunchable::NotEnabled("dockerEnabled", "dockerFeatureEnabled"));
        }
        must_be_isolated(executor, "annotations.screwdriver.cd/dockerEnabled")?;
        all.docker(executor, spec)?;
    }
    if asked("rootlessBuildkitEnabled") {
        if !executor.kubernetes.rootless_buildkit_feature_enabled {
            return Err(Unlaunchable::NotEnabled("rootlessBuildkitEnabled", "rootlessBuildkitFeatureEnabled"));
        }
        must_be_isolated(executor, "annotations.screwdriver.cd/rootlessBuildkitEnabled")?;
        all.buildkit(executor, spec)?;
    }
    Ok(all)
}

impl Sidecars {
    /// A Docker daemon, spoken to over TLS on the pod's own loopback.
    fn docker(&mut self, executor: &Executor, spec: &BuildSpec) -> Result<(), Unlaunchable> {
        let share = "/opt/sd_dind_share";
        self.containers.push(Container {
            image: Some(DOCKER_IMAGE.to_owned()),
            env: Some(vec![text("DOCKER_TLS_CERTDIR", "/certs")]),
            resources: Some(resources::beside(executor, spec, ["dockerCpu", "dockerRam"])?.limits()),
            // Root in the virtual machine, not on the node.
            security_context: Some(SecurityContext { privileged: Some(true), ..SecurityContext::default() }),
            startup_probe: Some(answers(&["docker", "--host=unix:///var/run/docker.sock", "info"])),
            volume_mounts: Some(vec![
                mount("dind-certs", "/certs/client", false),
                mount("dind-share", share, false),
                mount("dind-data", "/var/lib/docker", false),
            ]),
            ..sidecar("dind", executor)
        });
        self.env.extend([
            text("DOCKER_HOST", "tcp://localhost:2376"),
            text("DOCKER_TLS_VERIFY", "1"),
            text("DOCKER_CERT_PATH", "/certs/client"),
            text("SD_DIND_SHARE_PATH", share),
        ]);
        self.mounts.extend([mount("dind-certs", "/certs/client", true), mount("dind-share", share, false)]);
        self.volumes.extend(["dind-certs", "dind-share", "dind-data"].map(empty));
        Ok(())
    }

    /// A `BuildKit` of an ordinary user. It makes namespaces of its own, which the default profiles forbid.
    fn buildkit(&mut self, executor: &Executor, spec: &BuildSpec) -> Result<(), Unlaunchable> {
        let unconfined = "Unconfined".to_owned();
        self.containers.push(Container {
            image: Some(BUILDKIT_IMAGE.to_owned()),
            args: Some(["--addr=tcp://127.0.0.1:1234", "--oci-worker-no-process-sandbox"].map(str::to_owned).into()),
            resources: Some(resources::beside(executor, spec, ["buildkitCpu", "buildkitRam"])?.limits()),
            security_context: Some(SecurityContext {
                privileged: Some(false),
                run_as_user: Some(1000),
                run_as_group: Some(1000),
                seccomp_profile: Some(SeccompProfile { type_: unconfined.clone(), ..SeccompProfile::default() }),
                app_armor_profile: Some(AppArmorProfile { type_: unconfined, ..AppArmorProfile::default() }),
                ..SecurityContext::default()
            }),
            startup_probe: Some(answers(&["buildctl", "--addr=tcp://127.0.0.1:1234", "debug", "workers"])),
            volume_mounts: Some(vec![mount("buildkit-data", "/home/user/.local/share/buildkit", false)]),
            ..sidecar("buildkitd", executor)
        });
        self.env.push(text("BUILDKIT_HOST", "tcp://127.0.0.1:1234"));
        self.volumes.push(empty("buildkit-data"));
        Ok(())
    }
}

fn sidecar(name: &str, executor: &Executor) -> Container {
    Container {
        name: name.to_owned(),
        image_pull_policy: Some(executor.kubernetes.image_pull_policy.as_str().to_owned()),
        restart_policy: Some("Always".to_owned()),
        ..Container::default()
    }
}

/// The build begins when this command succeeds, within two minutes.
fn answers(command: &[&str]) -> Probe {
    let command = command.iter().map(|&word| word.to_owned()).collect();
    Probe {
        exec: Some(ExecAction { command: Some(command) }),
        period_seconds: Some(2),
        timeout_seconds: Some(5),
        failure_threshold: Some(60),
        ..Probe::default()
    }
}

pub(super) fn empty(name: &str) -> Volume {
    Volume { name: name.to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::pod::{
        pod,
        tests::{executor, launch, without_kata},
    };

    fn asking(annotations: &[(&str, &str)]) -> crate::Launch {
        let mut launch = launch("image: a");
        launch.spec.annotations = annotations.iter().map(|(k, v)| (format!("screwdriver.cd/{k}"), (*v).to_owned())).collect();
        launch
    }

    #[test]
    fn a_docker_daemon_runs_beside_a_build_that_asks_for_it() {
        let asking = asking(&[("dockerEnabled", "true"), ("dockerCpu", "HIGH"), ("dockerRam", "HIGH")]);
        let spec = pod(&executor("dockerFeatureEnabled: true"), &asking).unwrap().spec.unwrap();
        let dind = &spec.init_containers.unwrap()[0];
        assert_eq!((dind.name.as_str(), dind.restart_policy.as_deref()), ("dind", Some("Always")));
        assert_eq!(dind.security_context.as_ref().unwrap().privileged, Some(true));
        let limits = dind.resources.as_ref().unwrap().limits.as_ref().unwrap();
        assert_eq!((limits["cpu"].0.as_str(), limits["memory"].0.as_str()), ("6", "12Gi"));
        let build = &spec.containers[0];
        assert_eq!(build.security_context.as_ref().unwrap().privileged, Some(false));
        let env = build.env.as_ref().unwrap();
        assert!(env.iter().any(|e| e.name == "DOCKER_HOST" && e.value.as_deref() == Some("tcp://localhost:2376")));
        assert!(
            build.volume_mounts.as_ref().unwrap().iter().any(|m| m.mount_path == "/certs/client" && m.read_only == Some(true))
        );
        assert!(spec.volumes.unwrap().iter().all(|volume| volume.host_path.is_none()));
    }

    #[test]
    fn a_rootless_buildkit_is_not_privileged() {
        let spec = pod(&executor(""), &asking(&[("rootlessBuildkitEnabled", "true")])).unwrap().spec.unwrap();
        let buildkit = &spec.init_containers.unwrap()[0];
        let context = buildkit.security_context.as_ref().unwrap();
        assert_eq!((context.privileged, context.run_as_user), (Some(false), Some(1000)));
        assert_eq!(buildkit.resources.as_ref().unwrap().limits.as_ref().unwrap()["cpu"].0, "2");
        assert!(spec.containers[0].env.as_ref().unwrap().iter().any(|e| e.name == "BUILDKIT_HOST"));
    }

    #[test]
    fn no_sidecar_without_the_executors_leave_or_a_virtual_machine() {
        let refused = |executor: &Executor, name| pod(executor, &asking(&[(name, "true")])).unwrap_err().to_string();
        assert!(refused(&executor(""), "dockerEnabled").contains("options.kubernetes.dockerFeatureEnabled is not true"));
        let closed = executor("rootlessBuildkitFeatureEnabled: false");
        assert!(refused(&closed, "rootlessBuildkitEnabled").contains("rootlessBuildkitFeatureEnabled is not true"));
        if let Some(plain) = without_kata("dockerFeatureEnabled: true") {
            for name in ["dockerEnabled", "rootlessBuildkitEnabled"] {
                assert!(refused(&plain, name).contains("needs a virtual machine"));
            }
        }
        assert!(pod(&executor(""), &asking(&[("dockerEnabled", "false")])).unwrap().spec.unwrap().init_containers.is_none());
    }
}
