//! The container that runs the build.

use k8s_openapi::{
    api::core::v1::{
        Container, EnvVar, EnvVarSource, ExecAction, HTTPGetAction, Lifecycle, LifecycleHandler, ObjectFieldSelector,
        ResourceFieldSelector, SecurityContext,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use switchyard_events::{BuildSpec, Step};
use switchyard_fleet::{Executor, Hook, KubernetesOptions};

use super::{
    CONTAINER, Unlaunchable, grace, must_be_isolated, resources, screwdriver::Launcher, secrets::Secrets, sidecars::Sidecars,
};
use crate::{Launch, script};

/// The kernel takes no longer argument or variable (`MAX_ARG_STRLEN`, with its closing zero).
pub(super) const LONGEST_TEXT: usize = 128 * 1024 - 1;

pub(super) fn build(
    executor: &Executor,
    launch: &Launch,
    (sidecars, secrets, launcher): (&Sidecars, &Secrets, Option<&Launcher>),
) -> Result<Container, Unlaunchable> {
    let options = &executor.kubernetes;
    if options.privileged {
        must_be_isolated(executor, "privileged")?;
    }
    let (command, args) = command(launch, launcher);
    let mounts: Vec<_> =
        [&secrets.mounts, &sidecars.mounts].into_iter().chain(launcher.map(|own| &own.mounts)).flatten().collect();
    Ok(Container {
        name: CONTAINER.to_owned(),
        image: Some(launch.spec.image.clone()),
        image_pull_policy: Some(options.image_pull_policy.as_str().to_owned()),
        command,
        args,
        env: Some(environment(grace(executor, launch)?, launch, (sidecars, secrets, launcher))),
        resources: Some(resources::of(executor, &launch.spec)?.limits()),
        security_context: Some(SecurityContext { privileged: Some(options.privileged), ..SecurityContext::default() }),
        lifecycle: lifecycle(options),
        volume_mounts: (!mounts.is_empty()).then(|| mounts.into_iter().cloned().collect()),
        ..Container::default()
    })
}

/// Screwdriver's launcher, else the steps, else the image's own entry point.
fn command(launch: &Launch, launcher: Option<&Launcher>) -> (Option<Vec<String>>, Option<Vec<String>>) {
    let literally = |words: &[String]| words.iter().map(|word| literal(word)).collect::<Vec<_>>();
    if let Some(launcher) = launcher {
        return (Some(literally(&launcher.command)), Some(literally(&launcher.args)));
    }
    let mut command = script::command(&launch.spec.steps).map(|words| literally(&words));
    let args = command.as_mut().map(|words| words.split_off(script::SHELL));
    (command, args)
}

/// The build's variables, then those of the executor and ours: a name that comes again hides the one before it.
fn environment(
    grace: u32,
    launch: &Launch,
    (sidecars, secrets, launcher): (&Sidecars, &Secrets, Option<&Launcher>),
) -> Vec<EnvVar> {
    let own = launch.spec.env.iter().map(|(name, value)| text(name, value));
    let ours = [
        text("TRACEPARENT", &launch.traceparent),
        text("SWITCHYARD_BUILD", launch.build.as_str()),
        text("SWITCHYARD_ATTEMPT", &launch.attempt.to_string()),
        text("CONTAINER_IMAGE", &launch.spec.image),
        text("SD_TERMINATION_GRACE_PERIOD_SECONDS", &grace.to_string()),
        from("NODE_ID", EnvVarSource { field_ref: Some(field("spec.nodeName")), ..EnvVarSource::default() }),
        from("CONTAINER_CPU_LIMIT", EnvVarSource { resource_field_ref: Some(limit("limits.cpu")), ..EnvVarSource::default() }),
        from(
            "CONTAINER_MEMORY_LIMIT",
            EnvVarSource { resource_field_ref: Some(limit("limits.memory")), ..EnvVarSource::default() },
        ),
    ];
    let more = launcher.map(|launcher| &launcher.env).into_iter().chain([&sidecars.env, &secrets.env]).flatten().cloned();
    let mut all: Vec<EnvVar> = Vec::new();
    for variable in own.chain(more).chain(ours) {
        all.retain(|other| other.name != variable.name);
        all.push(variable);
    }
    all
}

pub(super) fn text(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(literal(value)), ..EnvVar::default() }
}

pub(super) fn from(name: &str, source: EnvVarSource) -> EnvVar {
    EnvVar { name: name.to_owned(), value_from: Some(source), ..EnvVar::default() }
}

pub(super) fn field(path: &str) -> ObjectFieldSelector {
    ObjectFieldSelector { field_path: path.to_owned(), ..ObjectFieldSelector::default() }
}

fn limit(resource: &str) -> ResourceFieldSelector {
    ResourceFieldSelector { resource: resource.to_owned(), ..ResourceFieldSelector::default() }
}

/// Kubernetes replaces `$(NAME)` in commands and variables and turns `$$` into `$`; a shell's text must arrive as it is.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

fn lifecycle(options: &KubernetesOptions) -> Option<Lifecycle> {
    let hooks = &options.lifecycle_hooks;
    (hooks.post_start.is_some() || hooks.pre_stop.is_some()).then(|| Lifecycle {
        post_start: hooks.post_start.as_ref().map(handler),
        pre_stop: hooks.pre_stop.as_ref().map(handler),
        ..Lifecycle::default()
    })
}

fn handler(hook: &Hook) -> LifecycleHandler {
    LifecycleHandler {
        exec: hook.exec.as_ref().map(|exec| ExecAction { command: Some(exec.command.clone()) }),
        http_get: hook.http_get.as_ref().map(|get| HTTPGetAction {
            host: get.host.clone(),
            path: Some(get.path.clone()),
            port: IntOrString::Int(i32::try_from(get.port).unwrap_or(i32::MAX)),
            scheme: get.scheme.clone(),
            ..HTTPGetAction::default()
        }),
        ..LifecycleHandler::default()
    }
}

pub(super) fn check_lengths(spec: &BuildSpec) -> Result<(), Unlaunchable> {
    let step = spec.steps.iter().position(|Step { run, .. }| run.len() > LONGEST_TEXT).map(|n| format!("steps[{n}].run"));
    let variable = spec.env.iter().find(|(name, value)| name.len() + 1 + value.len() > LONGEST_TEXT);
    match step.or_else(|| variable.map(|(name, _)| format!("env.{name}"))) {
        Some(text) => Err(Unlaunchable::TooLong(text)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubernetes::pod::{
        pod,
        tests::{executor, launch, spec_of, without_kata},
    };

    #[test]
    fn a_shells_text_arrives_as_it_is() {
        let mut launch = launch("image: a");
        launch.spec.steps = vec![Step { name: "x".into(), run: "echo $$ $(HOME) $1".into(), always: true }];
        launch.spec.env = [("PRICE".to_owned(), "$(CI)".to_owned())].into();
        let container = spec_of(&launch).containers.remove(0);
        assert_eq!(container.command.unwrap()[..2], ["/bin/sh", "-ec"]);
        assert_eq!(container.args.unwrap(), ["x", "\"x\"", "always", "echo $$$$ $$(HOME) $$1"]);
        assert_eq!(container.env.unwrap().iter().find(|e| e.name == "PRICE").unwrap().value.as_deref(), Some("$$(CI)"));
    }

    #[test]
    fn a_build_without_steps_runs_the_images_own_entry_point() {
        let container = spec_of(&launch("image: a")).containers.remove(0);
        assert_eq!((container.command, container.args), (None, None));
    }

    #[test]
    fn a_text_that_no_process_can_be_given_is_refused_by_name() {
        let mut launch = launch("image: a");
        launch.spec.steps = vec![Step { name: "x".into(), run: "x".repeat(LONGEST_TEXT + 1), always: false }];
        assert!(pod(&executor(""), &launch).unwrap_err().to_string().starts_with("steps[0].run is longer"));
    }

    #[test]
    fn a_build_finds_out_where_it_runs_and_how_much_it_has() {
        let env = spec_of(&launch("image: node:20")).containers.remove(0).env.unwrap();
        let of = |name: &str| serde_json::to_value(env.iter().find(|variable| variable.name == name).unwrap()).unwrap();
        assert_eq!(of("CONTAINER_IMAGE")["value"], "node:20");
        assert_eq!(of("CONTAINER_CPU_LIMIT")["valueFrom"], json!({"resourceFieldRef": {"resource": "limits.cpu"}}));
        assert_eq!(of("CONTAINER_MEMORY_LIMIT")["valueFrom"], json!({"resourceFieldRef": {"resource": "limits.memory"}}));
        assert_eq!(of("NODE_ID")["valueFrom"], json!({"fieldRef": {"fieldPath": "spec.nodeName"}}));
        assert_eq!(of("SD_TERMINATION_GRACE_PERIOD_SECONDS")["value"], "30");
    }

    #[test]
    fn privileged_is_for_virtual_machines_only() {
        let privileged = |executor: &Executor| {
            let container = pod(executor, &launch("image: a"))?.spec.unwrap().containers.remove(0);
            Ok::<_, Unlaunchable>(container.security_context.unwrap().privileged.unwrap())
        };
        assert!(!privileged(&executor("")).unwrap());
        assert!(privileged(&executor("privileged: true")).unwrap());
        let Some(unsafe_executor) = without_kata("privileged: true") else { return };
        let refused = privileged(&unsafe_executor).unwrap_err().to_string();
        assert!(refused.starts_with("privileged needs a virtual machine"), "{refused}");
    }

    #[test]
    fn hooks_run_as_they_are_written() {
        let hooks =
            "lifecycleHooks: {postStart: {exec: {command: [/bin/warm, a]}}, preStop: {httpGet: {path: /bye, port: 8080}}}";
        let lifecycle = pod(&executor(hooks), &launch("image: a")).unwrap().spec.unwrap().containers.remove(0).lifecycle;
        let wanted = json!({"postStart": {"exec": {"command": ["/bin/warm", "a"]}}, "preStop": {"httpGet": {"path": "/bye", "port": 8080}}});
        assert_eq!(serde_json::to_value(lifecycle).unwrap(), wanted);
        assert_eq!(spec_of(&launch("image: a")).containers[0].lifecycle, None);
    }
}
