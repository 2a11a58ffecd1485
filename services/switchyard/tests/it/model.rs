//! Model files in their bucket: the tool that checks, applies, shows and compares them, and whoever follows them.

use std::time::Duration;

use futures::StreamExt as _;
use serde_json::Value;
use switchyard_bus::{Bus, Events as _, Sizes, provision};
use switchyard_dev::{Stack, StackOptions};
use switchyard_events::{ColumnJudged, WindowJudged};

use crate::yard::{fails, says};

const PATIENCE: Duration = Duration::from_mins(2);

const CHURN: &str = "
version: 1
model: churn
store: {url: 'file:///var/ml'}
data: {source: {url: 'file:///lake/*.csv'}, key: id, label: {column: churned, task: binary}, features: [age, plan]}
train: {image: 'r/churn@sha256:00', command: [python3, train.py], params: {depth: 6}}
predict: {command: [python3, predict.py]}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_checked_applied_compared_followed_and_rolled_back() {
    let stack = Stack::start(&StackOptions { jaeger: false, control_plane: false, ..StackOptions::default() }).await.unwrap();
    let bus = Bus::new(stack.nats().connect("loadtest").await.unwrap());
    provision(&bus, &[], &Sizes::default(), 1).await.unwrap();
    let mut followed = Box::pin(bus.follow_models());

    let wrong = CHURN.replace("key: id", "kye: id").replace("depth: 6", "depth: .nan");
    let problems = fails(&stack, &["model", "apply", "-"], &wrong).await;
    assert!(problems.contains("line 5, data.kye: unknown key \"kye\": did you mean \"key\"?"), "{problems}");
    assert!(problems.contains("line 6, train.params.depth: .nan cannot be handed on"), "{problems}");
    assert!(problems.contains("error: 3 problems"), "{problems}");
    assert_eq!(fails(&stack, &["model", "check", "-"], &wrong).await, problems);
    let unknown = fails(&stack, &["model", "show", "churn"], "").await;
    assert!(unknown.contains("there is no model \"churn\""), "{unknown}");
    assert_eq!(says(&stack, &["model", "list", "--json"], "").await, "");
    let schema: Value = serde_json::from_str(&says(&stack, &["model", "schema"], "").await).unwrap();
    assert!(schema["properties"]["data"]["properties"]["where"].is_object());

    assert!(says(&stack, &["model", "apply", "-"], CHURN).await.contains("of churn holds from now on"));
    assert!(says(&stack, &["model", "apply", "-"], &format!("# the same\n{CHURN}")).await.contains("holds already"));
    let (name, first) = tokio::time::timeout(PATIENCE, followed.next()).await.unwrap().unwrap();
    assert_eq!((name.as_str(), first.text.as_str()), ("churn", CHURN));
    assert!(fails(&stack, &["model", "show", "chrun"], "").await.contains("did you mean \"churn\"?"));
    assert!(fails(&stack, &["model", "rollback", "churn"], "").await.contains("there is no other file before this one"));

    let deeper = CHURN.replace("depth: 6", "depth: 7");
    let file = stack.folder().join("churn.yaml");
    std::fs::write(&file, &deeper).unwrap();
    let changed = "- train.params.depth: 6\n+ train.params.depth: 7\n";
    assert_eq!(says(&stack, &["model", "diff", file.to_str().unwrap()], "").await, changed);
    says(&stack, &["model", "apply", file.to_str().unwrap()], "").await;
    assert_eq!(says(&stack, &["model", "diff", "churn"], "").await, changed);
    assert!(says(&stack, &["model", "diff", "-"], &deeper).await.contains("says the same"));
    let told: Value = serde_json::from_str(&says(&stack, &["model", "diff", "churn", "--json"], "").await).unwrap();
    assert_eq!((&told["path"], &told["before"], &told["after"]), (&"train.params.depth".into(), &6.into(), &7.into()));
    let (_, second) = tokio::time::timeout(PATIENCE, followed.next()).await.unwrap().unwrap();
    assert_eq!(second.text, deeper);

    says(&stack, &["model", "rollback", "churn"], "").await;
    assert_eq!(says(&stack, &["model", "show", "churn"], "").await, CHURN);
    assert_eq!(says(&stack, &["model", "show", "churn", &second.number.to_string()], "").await, deeper);
    let history = says(&stack, &["model", "history", "churn", "--json"], "").await;
    let history: Vec<Value> = history.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(history.iter().map(|row| row["current"].as_bool().unwrap()).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(history[0]["revision"], history[2]["revision"]);
    let listed: Value = serde_json::from_str(&says(&stack, &["model", "list", "--json"], "").await).unwrap();
    assert_eq!((&listed["model"], &listed["revision"]), (&"churn".into(), &history[0]["revision"]));

    let rows = "{\"id\": 7, \"age\": 41.5, \"plan\": \"pro\", \"prediction\": 0.25}\n{\"id\": 7, \"churned\": 1}\n";
    assert_eq!(says(&stack, &["model", "feed", "churn"], rows).await, "1 rows and 1 labels in 2 events\n");
    let inference = bus.jetstream().get_stream("INFERENCE").await.unwrap();
    let stored = inference.get_raw_message(1).await.unwrap();
    assert_eq!(stored.subject.as_str(), "inference.churn.0");
    assert_eq!(stored.payload, r#"{"rows":[{"age":41.5,"id":7,"plan":"pro","prediction":0.25}]}"#);
    assert_eq!(inference.get_raw_message(2).await.unwrap().payload, r#"{"labels":[{"id":"7","label":1}]}"#);
    let wrong = fails(&stack, &["model", "feed", "churn"], "\n{\"id\": 7}\n").await;
    assert!(wrong.contains("line 2: the row has no feature of the model, and no label"), "{wrong}");

    assert!(says(&stack, &["model", "report", "churn", "--out", "-"], "").await.contains("No window has been judged yet."));
    let column =
        |effect, drifted| ColumnJudged { measure: "ks".into(), effect, threshold: 0.1, p: 0.0, drifted, why: "so".into() };
    let judged = WindowJudged {
        model: "churn".into(),
        window: 1,
        reference: "r".into(),
        at: jiff::Timestamp::UNIX_EPOCH,
        rows: 5000,
        gaps: 3,
        unreadable: 0,
        late: 0,
        drifted: vec!["age".into()],
        columns: [("age".to_owned(), column(0.25, true)), ("plan".to_owned(), column(0.01, false))].into(),
        performance: None,
    };
    bus.publish(judged.outgoing().unwrap()).await.unwrap();
    let page = stack.folder().join("churn.html");
    says(&stack, &["model", "report", "churn", "--out", page.to_str().unwrap()], "").await;
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("1 of 2 columns that are watched have drifted: age.") && page.contains("KS distance 0.250"), "{page}");
    stack.stop().await;
}
