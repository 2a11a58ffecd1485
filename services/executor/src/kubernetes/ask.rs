//! One question to the API server: within its time, not more at once than it can bear, and every answer remembered.
//!
//! The client's own calls would hide what is needed here: they keep the header `Retry-After` to themselves.

use http::{Request, header::RETRY_AFTER};
use kube::client::Body;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use super::{
    Kubernetes,
    refusal::{Kind, Refusal, with_causes},
};

/// A request, or why there can be none.
pub(crate) type Question = Result<Request<Vec<u8>>, kube::core::request::Error>;

impl Kubernetes {
    /// Asks the API server one question.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, question: Question) -> Result<T, Refusal> {
        let request = question.map_err(|error| Refusal::new(Kind::BadRequest, with_causes(&error)))?;
        self.pressure.admit(Instant::now())?;
        let limit = self.pressure.timeout();
        let Ok(Ok(_permit)) = timeout(limit, self.permits.acquire()).await else {
            return Err(Refusal::new(Kind::NoConnection, format!("too many questions at once for {} s", limit.as_secs_f32())));
        };
        let answer = match timeout(limit, self.send(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Refusal::new(Kind::Silence, format!("no answer from the API server within {} s", limit.as_secs_f32()))),
        };
        self.pressure.learn(answer.as_ref().err(), Instant::now());
        answer
    }

    /// The same, for something that may not be there.
    pub(crate) async fn ask_for<T: DeserializeOwned>(&self, question: Question) -> Result<Option<T>, Refusal> {
        match self.ask(question).await {
            Ok(found) => Ok(Some(found)),
            Err(refusal) if refusal.kind == Kind::NotFound => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    async fn send<T: DeserializeOwned>(&self, request: Request<Vec<u8>>) -> Result<T, Refusal> {
        let response = self.client.send(request.map(Body::from)).await?;
        let code = response.status().as_u16();
        let after = response.headers().get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok()?.trim().parse().ok());
        let body = response.into_body().collect_bytes().await?;
        if (200..300).contains(&code) {
            let unreadable = |error| Refusal::new(Kind::Broken, format!("{code} with an answer that cannot be read: {error}"));
            serde_json::from_slice(&body).map_err(unreadable)
        } else {
            Err(Refusal::of_answer(code, &body, after))
        }
    }
}
