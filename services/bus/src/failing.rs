//! What becomes of a message that could not be handled: it comes again later, or goes to DEAD.

use std::time::Duration;

use async_nats::jetstream::{AckKind, Message};
use tracing::warn;

use crate::{Bus, DeadLetter, Durable, Settle, reading::Place, retry};

impl Bus {
    /// `error` is why it failed, for the log.
    pub(crate) async fn fail(&self, durable: &Durable, message: &Message, place: Place, (settle, error): (Settle, String)) {
        let Place { sequence, delivered } = place;
        match settle {
            Settle::Retry => self.put_off(durable, message, place, (retry::redelivery(delivered), error)).await,
            Settle::After(delay) => self.put_off(durable, message, place, (delay, error)).await,
            Settle::Refuse(reason) => {
                warn!(durable = durable.name, sequence, %reason, "refused");
                self.bury(durable, message, place, reason).await;
            }
        }
    }

    async fn put_off(&self, durable: &Durable, message: &Message, place: Place, (delay, error): (Duration, String)) {
        let Place { sequence, delivered } = place;
        warn!(durable = durable.name, sequence, delivered, %error, ?delay, "will be tried again");
        acknowledge(message, AckKind::Nak(Some(delay))).await;
    }

    /// To DEAD, and only then away.
    async fn bury(&self, durable: &Durable, message: &Message, Place { sequence, delivered }: Place, reason: String) {
        let letter = DeadLetter {
            stream: durable.stream.to_owned(),
            durable: durable.name.clone(),
            subject: message.subject.to_string(),
            sequence,
            reason,
            headers: message.headers.clone().unwrap_or_default(),
            payload: message.payload.clone(),
        };
        match self.write_dead(letter).await {
            Ok(()) => acknowledge(message, AckKind::Term).await,
            Err(error) => {
                warn!(durable = durable.name, sequence, %error, "cannot be buried yet");
                acknowledge(message, AckKind::Nak(Some(retry::redelivery(delivered)))).await;
            }
        }
    }
}

/// Tells the broker what became of a message.
pub(crate) async fn acknowledge(message: &Message, kind: AckKind) {
    if let Err(error) = message.ack_with(kind).await {
        warn!(%error, "the broker will deliver again what it could not be told");
    }
}
