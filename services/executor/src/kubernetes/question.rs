//! The questions that every build asks the API server: create its pod, and change it. They ask for no more than is read, and say no
//! more than is meant, because the API server's time is what a launch mostly takes.

use http::{
    Request,
    header::{ACCEPT, CONTENT_TYPE},
    request::Builder,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{Resource as _, core::request::Error};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ask::Question;

/// Of an answer only its metadata: the whole pod is several times as large. A server that cannot do that answers with the whole.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json";

/// All that is read of a pod that was created.
#[derive(Debug, Deserialize)]
pub(crate) struct Created {
    metadata: Named,
}

#[derive(Debug, Deserialize)]
struct Named {
    uid: Option<String>,
}

impl Created {
    /// The pod's uid.
    pub(crate) fn uid(self) -> Option<String> {
        self.metadata.uid
    }
}

/// To create `pod`. Strictly: a field that this cluster does not know would be dropped in silence.
pub(crate) fn creation(namespace: &str, pod: &Pod) -> Question {
    let path = format!("{}?fieldValidation=Strict", Pod::url_path(&(), Some(namespace)));
    with_body(Request::post(path).header(CONTENT_TYPE, "application/json"), pod)
}

/// To change the pod of that name by a strategic merge patch. It is ours and has no field that a cluster could fail to know, so
/// nothing is to be compared field by field.
pub(crate) fn change(namespace: &str, name: &str, change: &Value) -> Question {
    let path = format!("{}/{name}?fieldValidation=Ignore", Pod::url_path(&(), Some(namespace)));
    with_body(Request::patch(path).header(CONTENT_TYPE, "application/strategic-merge-patch+json"), change)
}

fn with_body(request: Builder, body: &impl Serialize) -> Question {
    let body = serde_json::to_vec(body).map_err(Error::SerializeBody)?;
    request.header(ACCEPT, METADATA).body(body).map_err(Error::BuildRequest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubernetes::pod::tests::example;

    #[test]
    fn a_pod_is_created_strictly_and_changed_without_being_compared() {
        let create = creation("builds", &example(1)).unwrap();
        assert_eq!((create.method().as_str(), create.uri().query()), ("POST", Some("fieldValidation=Strict")));
        let change = change("builds", "b-1", &json!({})).unwrap();
        assert_eq!(change.uri(), "/api/v1/namespaces/builds/pods/b-1?fieldValidation=Ignore");
        for asked in [create, change] {
            let wanted = asked.headers()[ACCEPT].to_str().unwrap();
            assert!(wanted.contains("as=PartialObjectMetadata") && wanted.ends_with(", application/json"), "{wanted}");
        }
    }

    #[test]
    fn the_uid_is_read_out_of_a_whole_pod_too() {
        for answer in [json!({"kind": "PartialObjectMetadata", "metadata": {"uid": "u"}}), json!(example(1))] {
            assert!(serde_json::from_value::<Created>(answer).unwrap().uid().is_some());
        }
    }
}
