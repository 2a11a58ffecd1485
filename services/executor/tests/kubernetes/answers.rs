//! Every answer of an API server has its own outcome. The real one gives most of them; for those that it gives only in trouble
//! a small server gives exactly that answer.

use std::{fs, path::PathBuf, time::Duration};

use k8s_openapi::api::core::v1::{LimitRange, Namespace, Pod, ResourceQuota};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use switchyard_dev::ClusterUser;
use switchyard_events::BreakerState;
use switchyard_executor::{CreateError, Executor as _, Kubernetes, Unreachable};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::{Instant, timeout},
};

use crate::yard::{Yard, connect, executor, launch, plane, with_kubeconfig};

/// An API server that answers every question the same.
struct Answers {
    folder: TempDir,
}

impl Answers {
    async fn always(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}");
        Self::said("http", answer).await
    }

    /// One that says exactly that to whoever has asked something, and hangs up.
    async fn said(scheme: &str, answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = answer.clone();
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 16384]).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{"name": "a", "cluster": {"server": format!("{scheme}://127.0.0.1:{port}")}}],
            "users": [{"name": "a", "user": {"token": "t"}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}]});
        fs::write(folder.path().join("config"), config.to_string()).unwrap();
        Self { folder }
    }

    async fn executor(&self) -> Kubernetes {
        connect(&with_kubeconfig(&self.folder.path().join("config"), "builds", "")).await
    }

    /// What becomes of a build that is to be created there.
    async fn create(&self) -> CreateError {
        self.executor().await.create(&launch(1)).await.unwrap_err()
    }
}

fn status(code: u16, reason: &str, message: &str) -> String {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message})
        .to_string()
}

/// The launcher's kubeconfig with something else in the place of something.
pub(crate) fn changed(
    folder: &TempDir,
    plane: &switchyard_dev::ControlPlane,
    pointer: &str,
    value: serde_json::Value,
) -> PathBuf {
    let text = fs::read_to_string(plane.kubeconfig(ClusterUser::Launcher)).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    *config.pointer_mut(pointer).unwrap() = value;
    let path = folder.path().join("config");
    fs::write(&path, config.to_string()).unwrap();
    path
}

#[tokio::test]
async fn a_full_quota_waits_and_is_told_before_the_next_build_is_taken() {
    let yard = Yard::new("quota").await;
    let admin = plane().await.client(ClusterUser::Admin).unwrap();
    let quotas: Api<ResourceQuota> = Api::namespaced(admin, "quota");
    let hard = json!({"hard": {"pods": "1", "limits.cpu": "100"}});
    let quota = serde_json::from_value(json!({"metadata": {"name": "q"}, "spec": hard})).unwrap();
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    // No controller-manager runs that would count what is there.
    let counted = json!({"status": {"hard": hard["hard"], "used": {"pods": "0", "limits.cpu": "0"}}});
    quotas.patch_status("q", &PatchParams::default(), &Patch::Merge(counted)).await.unwrap();
    let attended = async {
        until(|| yard.launcher.condition().free == Some(1)).await;
        yard.launcher.create(&launch(1)).await.unwrap();
        let refused = yard.launcher.create(&launch(2)).await.unwrap_err();
        assert!(
            matches!(&refused, CreateError::Busy { why, after } if why.contains("exceeded quota: q") && !after.is_zero()),
            "{refused}"
        );
        let condition = yard.launcher.condition();
        assert!(condition.healthy && condition.free == Some(0), "{condition:?}");
        assert!(condition.why.unwrap().contains("exceeded quota"));
    };
    tokio::select! {
        () = attended => {}
        () = yard.launcher.attend() => {}
    }
}

#[tokio::test]
async fn a_wrong_token_waits_and_opens_the_breaker() {
    let folder = tempfile::tempdir().unwrap();
    let path = changed(&folder, plane().await, "/users/0/user/token", json!("wrong"));
    let launcher = connect(&with_kubeconfig(&path, "builds", "")).await;
    for _ in 0..5 {
        let refused = launcher.create(&launch(1)).await.unwrap_err();
        assert!(matches!(&refused, CreateError::Later(why) if why.starts_with("401 Unauthorized")), "{refused}");
    }
    let refused = launcher.create(&launch(1)).await.unwrap_err();
    assert!(matches!(&refused, CreateError::Busy { why, .. } if why.contains("not asked: 401")), "{refused}");
    let condition = launcher.condition();
    assert_eq!((condition.healthy, condition.breaker), (false, BreakerState::Open));
}

#[tokio::test]
async fn a_server_that_cannot_be_trusted_is_not_asked() {
    let folder = tempfile::tempdir().unwrap();
    // Without the cluster's own authority its certificate is anybody's.
    let path = changed(&folder, plane().await, "/clusters/0/cluster", json!({"server": plane().await.url()}));
    let launcher = connect(&with_kubeconfig(&path, "builds", "")).await;
    let refused = launcher.create(&launch(1)).await.unwrap_err();
    assert!(matches!(&refused, CreateError::Later(why) if why.contains("certificate")), "{refused:?}");
    assert!(matches!(launcher.look(&launch(1).build, 1).await, Err(Unreachable(why)) if why.contains("certificate")));
}

#[tokio::test]
async fn a_bad_request_ends_the_build() {
    let server = Answers::always("400 Bad Request", "", &status(400, "BadRequest", "strict decoding error: unknown field")).await;
    let refused = server.create().await;
    assert!(matches!(&refused, CreateError::Rejected(why) if why.contains("unknown field")), "{refused}");
}

#[tokio::test]
async fn a_server_that_asks_to_be_left_alone_is_left_alone() {
    let server =
        Answers::always("429 Too Many Requests", "retry-after: 9\r\n", "Too many requests, please try again later.").await;
    let executor = server.executor().await;
    let asked = Instant::now();
    let refused = executor.create(&launch(1)).await.unwrap_err();
    assert!(matches!(&refused, CreateError::Busy { after, .. } if *after == Duration::from_secs(9)), "{refused}");
    assert!(asked.elapsed() < Duration::from_secs(5), "the client itself must not wait");
    let next = executor.create(&launch(2)).await.unwrap_err();
    assert!(matches!(&next, CreateError::Busy { why, .. } if why.starts_with("not asked")), "{next}");
    assert_eq!((executor.condition().healthy, executor.condition().free), (true, Some(0)));
}

#[tokio::test]
async fn a_server_that_is_going_is_tried_again_when_it_says() {
    let server =
        Answers::always("503 Service Unavailable", "retry-after: 1\r\n", &status(503, "ServiceUnavailable", "going")).await;
    let refused = server.create().await;
    assert!(matches!(&refused, CreateError::Busy { after, .. } if *after == Duration::from_secs(1)), "{refused}");
    let silent = Answers::always("503 Service Unavailable", "", &status(503, "ServiceUnavailable", "going")).await;
    assert!(matches!(silent.create().await, CreateError::Later(why) if why.starts_with("503")));
}

#[tokio::test]
async fn a_broken_answer_leaves_it_open_whether_the_pod_exists() {
    let server =
        Answers::always("500 Internal Server Error", "", &status(500, "", "Unavailable: connection reset by peer")).await;
    assert!(matches!(server.create().await, CreateError::Unknown(why) if why.contains("connection reset")));
    let cut = Answers::always("201 Created", "", "{\"kind\": \"Po").await;
    assert!(matches!(cut.create().await, CreateError::Unknown(_)));
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_question_leaves_it_open_whether_the_pod_exists() {
    for answer in ["", "HTTP/1.1 201 Cre", "HTTP/1.1 201 Created\r\ncontent-length: 900\r\n\r\n{\"metadata\": {"] {
        let refused = Answers::said("http", answer.to_owned()).await.create().await;
        assert!(matches!(refused, CreateError::Unknown(_)), "{answer:?}: {refused:?}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_not_asked() {
    let server = Answers::said("https", "HTTP/1.1 400 Bad Request\r\n\r\n".to_owned()).await;
    let executor = server.executor().await;
    for _ in 0..5 {
        let refused = executor.create(&launch(1)).await.unwrap_err();
        assert!(matches!(refused, CreateError::Later(_)), "{refused:?}");
    }
    assert_eq!(executor.condition().breaker, BreakerState::Open, "each counted as a failure");
}

#[tokio::test]
async fn what_the_namespace_forbids_ends_the_build() {
    let admin = plane().await.client(ClusterUser::Admin).unwrap();
    let strict = Yard::new("strict").await;
    let label = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    let namespaces: Api<Namespace> = Api::all(admin.clone());
    namespaces.patch("strict", &PatchParams::default(), &Patch::Merge(label)).await.unwrap();
    let refused = strict.launcher.create(&launch(1)).await.unwrap_err();
    assert!(matches!(&refused, CreateError::Rejected(why) if why.contains("violates PodSecurity \"restricted")), "{refused}");

    let small = Yard::new("small").await;
    let range = json!({"metadata": {"name": "r"}, "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}});
    let ranges: Api<LimitRange> = Api::namespaced(admin, "small");
    ranges.create(&PostParams::default(), &serde_json::from_value(range).unwrap()).await.unwrap();
    let refused = small.launcher.create(&launch(1)).await.unwrap_err();
    assert!(matches!(&refused, CreateError::Rejected(why) if why.contains("maximum cpu usage per Container is 1")), "{refused}");
}

/// What becomes of a build, without the words.
#[derive(Debug, PartialEq)]
enum Outcome {
    Ends,
    Later,
    Looks,
}

#[tokio::test]
async fn every_other_answer_has_its_outcome_too() {
    let pods = "pods \"x\" is forbidden: ";
    let namespace = json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": "namespaces \"builds\" not found",
        "details": {"name": "builds", "kind": "namespaces"}})
    .to_string();
    let answers = [
        ("401 Unauthorized", status(401, "Unauthorized", "Unauthorized"), Outcome::Later),
        ("403 Forbidden", status(403, "Forbidden", &format!("{pods}User \"launcher\" cannot create resource")), Outcome::Later),
        ("403 Forbidden", status(403, "Forbidden", &format!("{pods}violates PodSecurity \"restricted\"")), Outcome::Ends),
        ("403 Forbidden", status(403, "Forbidden", &format!("{pods}pod rejected: RuntimeClass \"k\" not found")), Outcome::Ends),
        ("403 Forbidden", status(403, "Forbidden", &format!("{pods}maximum cpu usage per Container is 1")), Outcome::Ends),
        ("404 Not Found", namespace, Outcome::Ends),
        ("404 Not Found", status(404, "NotFound", "the server could not find the requested resource"), Outcome::Later),
        ("404 Not Found", "default backend - 404".to_owned(), Outcome::Looks),
        ("409 Conflict", status(409, "Conflict", "cannot be fulfilled on resourcequotas \"q\""), Outcome::Later),
        ("413 Payload Too Large", status(413, "RequestEntityTooLarge", "limit is 3145728"), Outcome::Ends),
        ("422 Unprocessable Entity", status(422, "Invalid", "spec.containers[0].image: Required value"), Outcome::Ends),
        ("502 Bad Gateway", "<html>bad gateway</html>".to_owned(), Outcome::Looks),
        ("504 Gateway Timeout", status(504, "Timeout", "request did not complete"), Outcome::Looks),
        ("418 I'm a teapot", String::new(), Outcome::Looks),
    ];
    for (code, body, wanted) in answers {
        let refused = Answers::always(code, "", &body).await.create().await;
        let outcome = match &refused {
            CreateError::Rejected(_) => Outcome::Ends,
            CreateError::Later(_) | CreateError::Busy { .. } => Outcome::Later,
            CreateError::Unknown(_) => Outcome::Looks,
        };
        assert_eq!(outcome, wanted, "{code} {body}");
        let words = refused.to_string();
        assert!(words.contains(&code[..3]), "what was said is not lost: {words}");
    }
}

#[tokio::test]
async fn what_may_exist_is_looked_for_before_it_is_created_again() {
    let yard = Yard::new("again").await;
    let first = launch(1);
    let uid = yard.launcher.create(&first).await.unwrap();
    let again = switchyard_executor::Launch { again: true, ..first.clone() };
    assert_eq!(yard.launcher.create(&again).await.unwrap(), uid);
    // With a spec that the server would refuse, only looking finds it.
    let refused = connect(&executor(plane().await, ClusterUser::Launcher, "again", "runtimeClass: nope")).await;
    assert_eq!(refused.create(&again).await.unwrap(), uid);
    let absent = switchyard_executor::Launch { again: true, ..launch(2) };
    let pods: &Api<Pod> = &yard.pods;
    yard.launcher.create(&absent).await.unwrap();
    assert_eq!(pods.list(&kube::api::ListParams::default()).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn a_missing_runtime_class_is_known_before_a_build_is_taken() {
    let launcher = connect(&executor(plane().await, ClusterUser::Launcher, "builds", "runtimeClass: nope")).await;
    let seen = async {
        until(|| !launcher.condition().healthy).await;
        let refused = launcher.create(&launch(1)).await.unwrap_err();
        assert!(
            matches!(&refused, CreateError::Rejected(why) if why == "there is no runtime class \"nope\" in the cluster"),
            "{refused}"
        );
    };
    tokio::select! {
        () = seen => {}
        () = launcher.attend() => {}
    }
}

async fn until(reached: impl Fn() -> bool) {
    let reached = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_mins(1), reached).await.expect("it gets there");
}
