//! A service account's token, as a launcher in the cluster has it, while it is good and when it has expired.

use std::{fs, path::Path};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, ResourceExt as _, api::PostParams};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde_json::{Value, json};
use switchyard_dev::ClusterUser;
use switchyard_events::BreakerState;
use switchyard_executor::{CreateError, Executor as _};

use crate::{
    answers::changed,
    yard::{Yard, connect, launch, plane, with_kubeconfig},
};

/// Signed with the cluster's own key (RFC 7515; the claims are those of Kubernetes' tokens of service accounts).
fn signed(key: &Path, account: &ServiceAccount, until: Timestamp) -> String {
    let key = fs::read_to_string(key).unwrap();
    let der: String = key.lines().filter(|line| !line.starts_with('-')).collect();
    let random = SystemRandom::new();
    let der = BASE64.decode(der.as_bytes()).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &random).unwrap();
    let (namespace, name, uid) = (account.namespace().unwrap(), account.name_any(), account.uid().unwrap());
    let issued = until - SignedDuration::from_hours(1);
    let claims = json!({"iss": "https://dev.switchyard", "aud": ["https://dev.switchyard"],
        "sub": format!("system:serviceaccount:{namespace}:{name}"),
        "iat": issued.as_second(), "nbf": issued.as_second(), "exp": until.as_second(),
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}}});
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let text = format!("{}.{}", part(&json!({"alg": "ES256", "typ": "JWT"})), part(&claims));
    let signature = key.sign(&random, text.as_bytes()).unwrap();
    format!("{text}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
}

#[tokio::test]
async fn an_expired_token_waits_and_opens_the_breaker_and_a_good_one_without_rights_does_not() {
    Yard::new("tokens").await;
    let accounts: Api<ServiceAccount> = Api::namespaced(plane().await.client(ClusterUser::Admin).unwrap(), "tokens");
    let account = serde_json::from_value(json!({"metadata": {"name": "launcher"}})).unwrap();
    let account = accounts.create(&PostParams::default(), &account).await.unwrap();
    let key = plane().await.kubeconfig(ClusterUser::Admin).with_file_name("service-account.key");
    let half = SignedDuration::from_mins(30);
    for (until, wanted, breaker) in [
        (Timestamp::now() + half, "403 Forbidden", BreakerState::Closed),
        (Timestamp::now() - half, "401 Unauthorized", BreakerState::Open),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = changed(&folder, plane().await, "/users/0/user/token", json!(signed(&key, &account, until)));
        let launcher = connect(&with_kubeconfig(&path, "tokens", "")).await;
        for _ in 0..5 {
            let refused = launcher.create(&launch(1)).await.unwrap_err();
            assert!(matches!(&refused, CreateError::Later(why) if why.starts_with(wanted)), "{refused}");
        }
        assert_eq!(launcher.condition().breaker, breaker, "{wanted}");
    }
}
