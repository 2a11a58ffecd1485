//! What the build finds at paths and in variables: the executor's volumes and secrets, and the secrets that the build names.
//!
//! Only names are written here. The values never leave the cluster.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        ConfigMapVolumeSource, EmptyDirVolumeSource, EnvVar, EnvVarSource, KeyToPath, PersistentVolumeClaimVolumeSource,
        ProjectedVolumeSource, SecretKeySelector, SecretProjection, SecretVolumeSource, Volume, VolumeMount, VolumeProjection,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use switchyard_events::{BuildSpec, SecretRef};
use switchyard_fleet::{Executor, SecretFile, Volume as Wanted};

use super::{Unlaunchable, container::from};

/// Variables, volumes and where they are mounted.
#[derive(Clone, Debug, Default)]
pub(super) struct Secrets {
    pub(super) env: Vec<EnvVar>,
    pub(super) volumes: Vec<Volume>,
    pub(super) mounts: Vec<VolumeMount>,
}

pub(super) fn of(executor: &Executor, spec: &BuildSpec) -> Result<Secrets, Unlaunchable> {
    let mut all = Secrets::default();
    for wanted in &executor.volumes {
        all.add(&format!("volume-{}", wanted.name), volume(wanted), &wanted.mount_path, wanted.read_only);
    }
    for SecretFile { name, mount_path, secret, .. } in &executor.kubernetes.build_secrets_file {
        let source = SecretVolumeSource { secret_name: Some(secret.clone()), ..SecretVolumeSource::default() };
        all.add(&format!("secret-{name}"), Volume { secret: Some(source), ..Volume::default() }, mount_path, true);
    }
    for wanted in &executor.kubernetes.build_secrets {
        all.env.push(variable(&wanted.variable, &wanted.secret, &wanted.key));
    }
    let named = |secret: &SecretRef| Some(variable(secret.env.as_ref()?, &secret.name, secret.key.as_ref()?));
    all.env.extend(spec.secrets.iter().filter_map(named));
    for (n, (folder, sources)) in folders(spec)?.into_iter().enumerate() {
        let projected = ProjectedVolumeSource { sources: Some(sources), ..ProjectedVolumeSource::default() };
        all.add(&format!("secrets-{n}"), Volume { projected: Some(projected), ..Volume::default() }, &folder, true);
    }
    Ok(all)
}

impl Secrets {
    fn add(&mut self, name: &str, source: Volume, path: &str, read_only: bool) {
        self.volumes.push(Volume { name: name.to_owned(), ..source });
        self.mounts.push(mount(name, path, read_only));
    }
}

pub(super) fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    let (name, mount_path) = (name.to_owned(), path.to_owned());
    VolumeMount { name, mount_path, read_only: read_only.then_some(true), ..VolumeMount::default() }
}

/// A volume without its name. There is no kind that reaches the node's own files.
fn volume(wanted: &Wanted) -> Volume {
    Volume {
        empty_dir: wanted
            .empty
            .map(|most| EmptyDirVolumeSource { size_limit: Some(Quantity(most.to_string())), ..EmptyDirVolumeSource::default() }),
        persistent_volume_claim: wanted
            .claim
            .clone()
            .map(|claim_name| PersistentVolumeClaimVolumeSource { claim_name, read_only: wanted.read_only.then_some(true) }),
        secret: wanted.secret.clone().map(|name| SecretVolumeSource { secret_name: Some(name), ..SecretVolumeSource::default() }),
        config_map: wanted.config_map.clone().map(|name| ConfigMapVolumeSource { name, ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    }
}

fn variable(name: &str, secret: &str, key: &str) -> EnvVar {
    let key = SecretKeySelector { name: secret.to_owned(), key: key.to_owned(), optional: None };
    from(name, EnvVarSource { secret_key_ref: Some(key), ..EnvVarSource::default() })
}

/// Files by the folder that they are in. Kata mounts no single files, so each folder is a volume, of all that is named in it.
fn folders(spec: &BuildSpec) -> Result<BTreeMap<String, Vec<VolumeProjection>>, Unlaunchable> {
    let mut folders = BTreeMap::<_, Vec<_>>::new();
    for secret in &spec.secrets {
        let Some(path) = &secret.path else { continue };
        let (folder, items) = match &secret.key {
            None => (path.trim_end_matches('/'), None),
            Some(key) => {
                let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
                (folder, Some(vec![KeyToPath { key: key.clone(), path: file.to_owned(), ..KeyToPath::default() }]))
            }
        };
        if folder.is_empty() {
            return Err(Unlaunchable::SecretInRoot);
        }
        let secret = SecretProjection { name: secret.name.clone(), items, optional: None };
        let source = VolumeProjection { secret: Some(secret), ..VolumeProjection::default() };
        folders.entry(folder.to_owned()).or_default().push(source);
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubernetes::pod::tests::{executor, executor_with, launch};

    fn seen(secrets: &Secrets) -> serde_json::Value {
        json!({"env": secrets.env, "volumes": secrets.volumes, "mounts": secrets.mounts})
    }

    #[test]
    fn volumes_are_folders_claims_secrets_and_config_maps() {
        let executor = executor_with(
            "",
            "volumes: [{name: a, mountPath: /a, empty: 1Gi}, {name: b, mountPath: /b, claim: cache, readOnly: true}, \
            {name: c, mountPath: /c, secret: s}, {name: d, mountPath: /d, configMap: m}]",
        );
        let secrets = of(&executor, &launch("image: a").spec).unwrap();
        assert_eq!(
            seen(&secrets),
            json!({"env": [], "volumes": [
                {"name": "volume-a", "emptyDir": {"sizeLimit": "1Gi"}},
                {"name": "volume-b", "persistentVolumeClaim": {"claimName": "cache", "readOnly": true}},
                {"name": "volume-c", "secret": {"secretName": "s"}},
                {"name": "volume-d", "configMap": {"name": "m"}}
            ], "mounts": [
                {"name": "volume-a", "mountPath": "/a"},
                {"name": "volume-b", "mountPath": "/b", "readOnly": true},
                {"name": "volume-c", "mountPath": "/c"},
                {"name": "volume-d", "mountPath": "/d"}
            ]})
        );
    }

    #[test]
    fn the_executors_secrets_are_named_never_told() {
        let executor = executor(
            "buildSecrets: [{secret_env: TOKEN, secret_name: npm, secret_key: token}], \
             buildSecretsFile: [{name: ca, mountPath: /etc/ca, secretName: authority}]",
        );
        let secrets = of(&executor, &launch("image: a").spec).unwrap();
        assert_eq!(
            seen(&secrets),
            json!({
                "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "npm", "key": "token"}}}],
                "volumes": [{"name": "secret-ca", "secret": {"secretName": "authority"}}],
                "mounts": [{"name": "secret-ca", "mountPath": "/etc/ca", "readOnly": true}]
            })
        );
    }

    #[test]
    fn a_builds_own_secrets_are_variables_and_files() {
        let mut spec = launch("image: a").spec;
        let secret = |name: &str, key: Option<&str>, env: Option<&str>, path: Option<&str>| SecretRef {
            name: name.into(),
            key: key.map(Into::into),
            env: env.map(Into::into),
            path: path.map(Into::into),
        };
        spec.secrets = vec![
            secret("npm", Some("token"), Some("NPM_TOKEN"), None),
            secret("npm", Some("rc"), None, Some("/run/npm/npmrc")),
            secret("ca", Some("pem"), None, Some("/run/npm/ca.pem")),
            secret("all", None, None, Some("/run/all/")),
        ];
        let secrets = of(&executor(""), &spec).unwrap();
        assert_eq!(
            serde_json::to_value(&secrets.env).unwrap()[0]["valueFrom"]["secretKeyRef"],
            json!({"name": "npm", "key": "token"})
        );
        assert_eq!(
            serde_json::to_value(&secrets.volumes).unwrap(),
            json!([
                {"name": "secrets-0", "projected": {"sources": [{"secret": {"name": "all"}}]}},
                {"name": "secrets-1", "projected": {"sources": [
                    {"secret": {"name": "npm", "items": [{"key": "rc", "path": "npmrc"}]}},
                    {"secret": {"name": "ca", "items": [{"key": "pem", "path": "ca.pem"}]}}
                ]}}
            ])
        );
        spec.secrets = vec![secret("npm", Some("rc"), None, Some("/npmrc"))];
        assert_eq!(of(&executor(""), &spec).unwrap_err(), Unlaunchable::SecretInRoot);
    }
}
