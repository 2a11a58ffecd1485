//! JetStream as the services use it: streams, consumers, publish, dead letters, the ledger store, clocks.
//!
//! A service needs [`Bus`], [`Bus::consume`] and the three traits that its shell is generic over: [`Events`], [`Ledger`] and
//! [`Clocks`]. Streams and consumers are plain functions ([`streams`], [`consumers`]), made by [`provision`] and by nobody else.

mod acknowledged;
mod answer;
mod applied;
mod asked;
mod bus;
mod clocks;
mod consume;
mod consume_slots;
mod dead;
mod delivery;
mod failing;
mod heartbeats;
mod inferred;
mod lag;
mod ledger;
mod lines;
mod malformed;
mod on_the_way;
mod place;
mod provision;
mod provisioned;
mod publish;
mod pull;
mod pulling;
mod reading;
mod recorded;
mod retry;
mod settle;
mod states;
mod stored;
mod topology;
mod trace;

pub use applied::{Applied, ConfigError};
pub use bus::Bus;
pub use clocks::{ClockError, Clocks};
pub use consume::{ConsumeError, Settle, Window};
pub use dead::{DeadLetter, DeadLetterError, Kept};
pub use delivery::{Delivery, Received, Unreadable, said};
pub use heartbeats::HeartbeatError;
pub use inferred::Inferred;
pub use lag::Lag;
pub use ledger::{Ledger, LedgerError, Revision, amend};
pub use provision::{Change, ProvisionError, provision};
pub use provisioned::once_provisioned;
pub use publish::{Events, PublishError, Published};
pub use retry::{endless, redelivery, redelivery_from};
pub use settle::{SettleError, settle};
pub use stored::StoredError;
pub use topology::{ACK_WAIT, BUCKETS, Durable, Sizes, consumers, streams};
pub use trace::{current_traceparent, run_span, with_trace};
