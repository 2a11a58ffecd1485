//! What a build has said, as its node tells it.

use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt as _, api::LogParams};
use tokio::time::timeout;

use super::{Kubernetes, pod::CONTAINER, refusal::with_causes};
use crate::{
    Unreachable,
    mask::{KEPT, is_secret, masked, tail},
};

/// Lines that are asked for: no question can be for the last bytes, and a limit of bytes would cut off the end.
const LINES: i64 = 4096;

/// How much of them is looked at: a secret or a private key may begin before what is kept.
const LOOKED_AT: usize = 1 << 20;

/// The API server asks the node, which may not answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Kubernetes {
    /// The end of the log of the pod of that name, if it is still that uid.
    ///
    /// It is asked beside the breaker: a node that does not answer says nothing about the API server.
    pub(super) async fn log_of(&self, name: &str, uid: &str) -> Result<Option<Vec<u8>>, Unreachable> {
        let Some(pod) = self.get(name).await?.filter(|pod| pod.uid().as_deref() == Some(uid)) else { return Ok(None) };
        let params = LogParams { container: Some(CONTAINER.to_owned()), tail_lines: Some(LINES), ..LogParams::default() };
        let request = self.pods().logs(name, &params).map_err(|error| Unreachable(with_causes(&error)))?;
        let said = async {
            let said = self.client.request_stream(request).await.map_err(|error| with_causes(&error))?;
            last(said, LOOKED_AT).await.map_err(|error| error.to_string())
        };
        let text = match timeout(PATIENCE, said).await {
            Ok(said) => said.map_err(Unreachable)?,
            Err(_) => return Err(Unreachable(format!("no log within {} s", PATIENCE.as_secs()))),
        };
        let text = String::from_utf8_lossy(&text);
        let secrets = secrets(&pod);
        let text = masked(&text, secrets.iter().map(String::as_str));
        Ok((!text.is_empty()).then(|| tail(&text, KEPT).as_bytes().to_vec()))
    }
}

/// The last `most` bytes of what is read to its end, in little more memory than twice as much.
async fn last(mut from: impl AsyncRead + Unpin, most: usize) -> std::io::Result<Vec<u8>> {
    let (mut kept, mut piece) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let read = from.read(&mut piece).await?;
        kept.extend_from_slice(&piece[..read]);
        if read == 0 || kept.len() > 2 * most {
            kept.drain(..kept.len().saturating_sub(most));
        }
        if read == 0 {
            return Ok(kept);
        }
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

    #[tokio::test]
    async fn only_the_last_bytes_are_kept() {
        let long: Vec<_> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
        for (text, most) in [(&long[..], 1000), (&long[..300_001], 100_000), (&long[..10], 1000), (&[][..], 10)] {
            assert_eq!(last(text, most).await.unwrap(), text[text.len().saturating_sub(most)..]);
        }
    }

    #[test]
    fn a_secret_is_looked_for_as_the_build_sees_it() {
        let env = r#"[{"name": "DB_PASSWORD", "value": "pa$$word1"}, {"name": "CI", "value": "true"}]"#;
        let pod = format!(r#"{{"spec": {{"containers": [{{"name": "build", "env": {env}}}]}}}}"#);
        assert_eq!(secrets(&serde_json::from_str(&pod).unwrap()), ["pa$word1"]);
    }
}
