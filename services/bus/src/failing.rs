//! What becomes of a message that could not be handled: it comes again later, or goes to DEAD.

use std::time::Duration;

use async_nats::{Message, Subject, jetstream::AckKind};
use tracing::warn;

use crate::{Bus, DeadLetter, Durable, Settle, place::Place, retry};

impl Bus {
    /// `error` is why it failed, for the log.
    pub(crate) async fn fail(&self, durable: &Durable, message: &Message, (settle, error): (Settle, String)) {
        let (Some(reply), Some(place)) = (&message.reply, Place::of(message)) else { return };
        match settle {
            Settle::Retry => self.try_again(durable, reply.clone(), None, &error).await,
            Settle::After(delay) => self.try_again(durable, reply.clone(), Some(delay), &error).await,
            Settle::Refuse(reason) => {
                warn!(durable = durable.name, sequence = place.sequence, %reason, "refused");
                self.bury(durable, message, &place, reason).await;
            }
        }
    }

    /// The message that `reply` is of comes again, after so long or the longer the oftener it was delivered.
    pub(crate) async fn try_again(&self, durable: &Durable, reply: Subject, delay: Option<Duration>, error: &str) {
        let Some(Place { sequence, delivered, .. }) = Place::read(&reply) else { return };
        let delay = delay.unwrap_or_else(|| retry::redelivery(delivered));
        warn!(durable = durable.name, sequence, delivered, %error, ?delay, "will be tried again");
        self.tell(reply, AckKind::Nak(Some(delay))).await;
    }

    /// To DEAD, and only then away.
    async fn bury(&self, durable: &Durable, message: &Message, &Place { sequence, delivered, .. }: &Place<'_>, reason: String) {
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
            Ok(()) => self.acknowledge(message, AckKind::Term).await,
            Err(error) => {
                warn!(durable = durable.name, sequence, %error, "cannot be buried yet");
                self.acknowledge(message, AckKind::Nak(Some(retry::redelivery(delivered)))).await;
            }
        }
    }
}
