//! Jaeger takes spans over OTLP and gives them back.

use std::time::Duration;

use switchyard_dev::{Stack, StackOptions};

use crate::eventually;

const TRACE: &str = "5b8efff798038103d269b633813fc60c";
const SPAN: &str = r#"{"resourceSpans": [{
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "router"}}]},
    "scopeSpans": [{"spans": [{"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "route",
        "kind": 2, "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": "1544712661000000000"}]}]
}]}"#;

#[tokio::test]
async fn a_span_that_was_sent_can_be_read_and_several_servers_run_at_once() {
    let options = StackOptions { jaeger: true, ..StackOptions::default() };
    let (first, second) = tokio::try_join!(Stack::start(&options), Stack::start(&options)).unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let jaeger = first.jaeger().unwrap();
    let send = http.post(format!("{}/v1/traces", jaeger.otlp_url())).header("content-type", "application/json").body(SPAN);
    assert!(send.send().await.unwrap().status().is_success());
    let read = |base: String| {
        let ask = http.get(format!("{base}/api/traces/{TRACE}"));
        async move { ask.send().await.unwrap().text().await.unwrap() }
    };
    eventually("the span is found", Duration::from_secs(10), || async {
        read(jaeger.query_url()).await.contains("eee19b7ec3c1b174")
    })
    .await;
    assert!(!read(second.jaeger().unwrap().query_url()).await.contains("eee19b7ec3c1b174"));
}
