//! What a build has said, as its node tells it.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt as _, api::LogParams};
use tokio::time::timeout;

use super::{Kubernetes, pod::CONTAINER, refusal::with_causes};
use crate::{
    Unreachable,
    mask::{KEPT, is_secret, masked, tail},
};

/// Lines that are asked for, and the most bytes of them: no question can be for the last bytes.
const LINES: i64 = 2000;
const MOST: i64 = 4 << 20;

/// The API server asks the node, which may not answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Kubernetes {
    /// The end of the log of the pod of that name, if it is still that uid.
    ///
    /// It is asked beside the breaker: a node that does not answer says nothing about the API server.
    pub(super) async fn log_of(&self, name: &str, uid: &str) -> Result<Option<Vec<u8>>, Unreachable> {
        let Some(pod) = self.get(name).await?.filter(|pod| pod.uid().as_deref() == Some(uid)) else { return Ok(None) };
        let params = LogParams {
            container: Some(CONTAINER.to_owned()),
            tail_lines: Some(LINES),
            limit_bytes: Some(MOST),
            ..LogParams::default()
        };
        let request = self.pods().logs(name, &params).map_err(|error| Unreachable(with_causes(&error)))?;
        let text = match timeout(PATIENCE, self.client.request_text(request)).await {
            Ok(Ok(text)) => text,
            Ok(Err(error)) => return Err(Unreachable(with_causes(&error))),
            Err(_) => return Err(Unreachable(format!("no log within {} s", PATIENCE.as_secs()))),
        };
        let secrets = secrets(&pod);
        let text = masked(&text, secrets.iter().map(String::as_str));
        Ok((!text.is_empty()).then(|| tail(&text, KEPT).as_bytes().to_vec()))
    }
}

/// The values of the pod's variables that look like secrets, as the build sees them: `$$` stands for `$`. Those of Secrets are
/// not in it: they are not ours to read.
fn secrets(pod: &Pod) -> Vec<String> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let variables = containers.flat_map(|container| container.env.iter().flatten());
    let values = variables.filter(|variable| is_secret(&variable.name)).filter_map(|variable| variable.value.as_deref());
    values.map(|value| value.replace("$$", "$")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_looked_for_as_the_build_sees_it() {
        let env = r#"[{"name": "DB_PASSWORD", "value": "pa$$word1"}, {"name": "CI", "value": "true"}]"#;
        let pod = format!(r#"{{"spec": {{"containers": [{{"name": "build", "env": {env}}}]}}}}"#);
        assert_eq!(secrets(&serde_json::from_str(&pod).unwrap()), ["pa$word1"]);
    }
}
