//! The build of a training, and what serving is told of its model.

use std::collections::BTreeMap;

use switchyard_events::{ArtifactPublished, BuildSpec, Change, Says, SecretRef, ServiceChanged, Step};
use switchyard_model::{Artifact, Champion, Model, RunRequest, run_key};

use crate::{policy::Resolved, registry::Crown};

/// What a Secret of a store or a source holds.
const KEYS: [&str; 4] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"];

/// The run that this data makes of a model, against its champion.
pub(crate) fn resolved(model: &Model, manifest: Artifact, champion: Option<Champion>) -> Result<Resolved, serde_json::Error> {
    let key = run_key(model, &manifest.sha256, "");
    let rival = champion.as_ref().map(|champion| champion.run.clone());
    let request = RunRequest { run: key.clone(), manifest, champion };
    let env = BTreeMap::from([
        ("SWITCHYARD_MODEL".to_owned(), model.canonical()),
        ("SWITCHYARD_RUN".to_owned(), serde_json::to_string(&request)?),
    ]);
    let train = &model.train;
    let step = Step { name: "pipeline".into(), run: "exec switchyard-pipeline run".into(), always: false };
    let spec = BuildSpec {
        image: train.image.clone(),
        steps: vec![step],
        env,
        cpu: train.cpu.clone(),
        ram: train.ram.clone(),
        timeout: train.timeout,
        secrets: secrets(model),
        pipeline: Some(model.name.clone()),
        job: Some("train".into()),
        ..BuildSpec::default()
    };
    Ok(Resolved { key, champion: rival, spec })
}

/// The keys of the store and of the source, each under its own prefix.
fn secrets(model: &Model) -> Vec<SecretRef> {
    let of = [("STORE_", &model.store.secret), ("SOURCE_", &model.data.source.secret)];
    let named = of.into_iter().filter_map(|(prefix, secret)| Some((prefix, secret.as_ref()?)));
    let each = |(prefix, name): (&'static str, &String)| {
        let name = name.clone();
        KEYS.map(|key| SecretRef { name: name.clone(), key: Some(key.into()), env: Some(format!("{prefix}{key}")), path: None })
    };
    named.flat_map(each).collect()
}

/// What serving is told of a new champion, where the model file says so.
pub(crate) fn serving(model: &Model, crown: &Crown, came: Change) -> Vec<Says> {
    let Some(serve) = &model.serve else { return Vec::new() };
    let (sha256, run) = (crown.model.sha256.clone(), crown.run.clone());
    let artifact = format!("pkg:generic/{}@{run}?checksum=sha256:{sha256}", model.name);
    let location = format!("{}/{}", model.store.url.trim_end_matches('/'), crown.model.path);
    let published = serve.artifact.then(|| {
        let (artifact, run, location) = (artifact.clone(), run.clone(), location.clone());
        Says::Published(ArtifactPublished { artifact, run, location, sha256 })
    });
    let changed = serve.service.as_ref().map(|service| {
        let (service, environment) = (service.id.clone(), service.environment.clone());
        Says::Service(ServiceChanged { change: came, service, environment, artifact, run })
    });
    published.into_iter().chain(changed).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn model(rest: &str) -> Model {
        let file = format!(
            "{{version: 1, model: churn, store: {{url: 's3://ml/churn', secret: ml-rw}}, data: {{source: {{url: 's3://lake/*.csv', \
             secret: lake-ro}}, key: id, label: {{column: y, task: binary}}, features: [age]}}, split: {{seed: 1, folds: {{train: \
             0.7, eval: 0.1, test: 0.2}}}}, train: {{image: a, command: [t], timeout: 1h, cpu: 2}}, evaluate: {{metrics: [auc], \
             gate: {{metric: auc}}}}{rest}}}"
        );
        switchyard_model::read(&file).unwrap_or_else(|wrong| panic!("{wrong}")).0
    }

    fn artifact(path: &str) -> Artifact {
        Artifact { path: path.into(), sha256: "ab".into() }
    }

    #[test]
    fn the_build_is_one_that_the_router_takes_and_carries_names_of_secrets_only() {
        let champion = Champion { run: "champ".into(), model: artifact("m"), preprocessing: artifact("p") };
        let found = resolved(&model(""), artifact("manifests/ab.json"), Some(champion)).unwrap();
        let spec = BuildSpec::parse(&serde_json::to_string(&found.spec).unwrap()).unwrap();
        assert_eq!(
            (spec.pipeline.as_deref(), spec.job.as_deref(), found.champion.as_deref()),
            (Some("churn"), Some("train"), Some("champ"))
        );
        let request: RunRequest = serde_json::from_str(&spec.env["SWITCHYARD_RUN"]).unwrap();
        assert_eq!(request.run, found.key);
        assert_eq!(Model::from_canonical(&spec.env["SWITCHYARD_MODEL"]).unwrap(), model(""));
        let names: Vec<_> = spec.secrets.iter().filter_map(|secret| secret.env.as_deref()).collect();
        assert!(names.contains(&"STORE_AWS_ACCESS_KEY_ID") && names.contains(&"SOURCE_AWS_REGION"), "{names:?}");
    }

    #[test]
    fn serving_hears_what_the_file_says() {
        let serve = ", serve: {event: model.promoted, artifact: true, service: {id: scorer, environment: production}}";
        let crown = Crown {
            run: "r".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
            replaced: None,
            metrics: BTreeMap::new(),
            model: artifact("runs/r/model"),
            preprocessing: artifact("p"),
            profile: artifact("p"),
            manifest: artifact("m"),
        };
        let says = serving(&model(serve), &crown, Change::Deployed);
        assert!(matches!(&says[0], Says::Published(published) if published.location == "s3://ml/churn/runs/r/model"));
        assert!(matches!(&says[1], Says::Service(changed) if changed.service == "scorer"));
        assert!(serving(&model(""), &crown, Change::Deployed).is_empty());
    }
}
