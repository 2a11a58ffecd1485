//! Reading no more than there is room for: what cannot be begun stays in the stream, for others.

use std::{fmt::Display, future::Future};

use async_nats::jetstream::AckKind;
use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};

use crate::{Bus, ConsumeError, Delivery, Durable, Settle, pulling::Pulling, reading::SOON};

impl Bus {
    /// Like [`Bus::consume`], but never asks for more messages than `room` says may be in hand: it is asked again all the time.
    /// No message waits in a buffer of this process.
    ///
    /// # Errors
    /// Never for what may pass; it waits for a broker, a stream or a consumer that is missing.
    pub async fn consume_slots<H, F, E>(
        &self,
        durable: &Durable,
        room: impl Fn() -> usize,
        shutdown: impl Future<Output = ()>,
        handle: H,
    ) -> Result<(), ConsumeError>
    where
        H: Fn(Delivery) -> F,
        F: Future<Output = Result<(), E>>,
        E: Display,
        for<'a> Settle: From<&'a E>,
    {
        let mut shutdown = std::pin::pin!(shutdown.fuse());
        let (mut pulling, mut in_hand) = (Pulling::new(self, durable), FuturesUnordered::new());
        loop {
            let wanted = room().saturating_sub(in_hand.len());
            tokio::select! {
                biased;
                Some(()) = in_hand.next(), if !in_hand.is_empty() => {}
                () = &mut shutdown => break,
                message = pulling.next(wanted) => in_hand.extend(message.map(|message| self.settle(durable, message, &handle))),
            }
        }
        while pulling.outstanding() > 0 || !in_hand.is_empty() {
            tokio::select! {
                Some(()) = in_hand.next(), if !in_hand.is_empty() => {}
                message = pulling.next(0) => if let Some(message) = message {
                    self.acknowledge(&message, AckKind::Nak(Some(SOON))).await;
                },
            }
        }
        Ok(())
    }
}
