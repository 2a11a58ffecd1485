//! The token of a build of Screwdriver's: in a Secret that the pod owns, so that it goes when the pod goes.

use k8s_openapi::{
    ByteString,
    api::core::v1::{Pod, Secret},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};

use super::{
    marks,
    pod::{TOKEN_KEY, token_secret_of},
};
use crate::Launch;

/// The Secret that the attempt's pod, which has that uid, waits for; nothing where the attempt has no token.
pub(crate) fn secret(launch: &Launch, pod: &Pod, uid: &str) -> Option<Secret> {
    let (token, name) = (launch.token.as_ref()?, token_secret_of(pod)?);
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: marks::pod_name(&launch.build, launch.attempt),
        uid: uid.to_owned(),
        ..OwnerReference::default()
    };
    let labels = [(marks::BUILD, launch.build.to_string()), (marks::ATTEMPT, launch.attempt.to_string())];
    Some(Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value)).into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some([(TOKEN_KEY.to_owned(), ByteString(token.0.clone().into_bytes()))].into()),
        immutable: Some(true),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    })
}
