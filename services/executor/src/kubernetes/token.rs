//! The token of a build of Screwdriver's: in a Secret that the pod owns, so that it goes when the pod goes.

use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};

use super::{
    marks,
    pod::{TOKEN_KEY, token_secret},
};
use crate::Launch;

/// The Secret for the attempt's pod of that uid; nothing where the attempt has no token.
pub(crate) fn secret(launch: &Launch, uid: &str) -> Option<Secret> {
    let token = launch.token.as_ref()?;
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
            name: Some(token_secret(&launch.build, launch.attempt)),
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
