//! Answering: each message of a consumer is answered with at most one event, which is decided at once.
//!
//! What [`Bus::consume`] is for a service that acts, this is for one that only decides. Until it is stored, an answer is a row
//! in a table: one inbox takes the acknowledgements of all, and none has a future or a timer of its own.

use std::{collections::VecDeque, fmt::Display, future::Future, iter, mem, pin::pin, time::Duration};

use async_nats::{Message, Subject, Subscriber, jetstream::AckKind};
use bytes::BytesMut;
use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use opentelemetry::{
    Context,
    trace::{FutureExt as _, Status, TraceContextExt as _},
};
use switchyard_events::Answer;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::error;

use crate::{
    Bus, ConsumeError, Durable, Received, Settle, Window,
    acknowledged::problem,
    consume::PROGRESS,
    on_the_way::OnTheWay,
    place::Place,
    publish::answered,
    reading::{Messages, Reading, Stop},
    trace,
};

/// How long the broker may take to store an answer; after that the question is delivered again. It is looked only now and then:
/// what was sent to a broker that is killed must be sent again within 5 s of its return.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often it is looked whose patience is over, and the broker is told who still waits.
const LOOK: Duration = PROGRESS;

/// How many messages are decided before their answers are sent: so many share a write to the socket, here and in the broker.
const TOGETHER: usize = 32;

/// How much memory answers share.
const SHEET: usize = 64 * 1024;

/// How many sheets are kept to be written on again: about as many as a full window fills.
const SHEETS: usize = 8;

/// A message that is to be answered: what is left of it once it was read. Its memory is free again while it is still at hand.
struct Question {
    /// Where the broker wants to be told what became of it.
    reply: Subject,
    /// The span in which it is handled.
    context: Context,
}

/// A question and its answer, if there is one to give.
struct Answered {
    question: Question,
    answer: Option<Answer>,
}

/// A question whose answer is on its way to the stream.
struct Sent {
    question: Question,
    /// The span in which the answer is published.
    publishing: Context,
    at: Instant,
}

/// What is to be asked again, or never can be answered.
enum Failed {
    /// A message that cannot be answered, now or ever.
    Undecided { message: Box<Message>, context: Context, settle: Settle, reason: String },
    /// A question whose answer is not stored.
    Unstored { question: Question, reason: String },
}

const TIMED_OUT: &str = "the broker did not say in time that the answer is stored";

impl Bus {
    /// Answers what a durable consumer delivers until `shutdown` is ready; then what it has not begun goes back at once and
    /// what is in flight is finished.
    ///
    /// A message is acknowledged when its answer is stored, or when there is none to give.
    ///
    /// # Errors
    /// Never for what may pass; it waits for a broker, a stream or a consumer that is missing.
    pub async fn answer<D, E>(
        &self,
        durable: &Durable,
        window: Window,
        shutdown: impl Future<Output = ()>,
        decide: D,
    ) -> Result<(), ConsumeError>
    where
        D: Fn(&Received<'_>, &mut BytesMut) -> Result<Option<Answer>, E>,
        E: Display,
        for<'a> Settle: From<&'a E>,
    {
        let inbox = self.client.new_inbox();
        let replies = self.client.subscribe(format!("{inbox}.*")).await.map_err(|error| ConsumeError::of(durable, error))?;
        let decide = |received: &Received<'_>, paper: &mut BytesMut| {
            decide(received, paper).map_err(|error| (Settle::from(&error), error.to_string()))
        };
        let (sent, burst) = (OnTheWay::to(inbox), Vec::with_capacity(TOGETHER));
        let (paper, written) = (BytesMut::new(), iter::repeat_with(BytesMut::new).take(SHEETS).collect());
        let mut desk = Desk { bus: self, durable, replies, decide, sent, paper, written, burst };
        let mut stop = pin!(shutdown.fuse());
        let mut reading = Reading::new(self, durable, window);
        while let Some(mut messages) = reading.open(&mut stop).await {
            if desk.pump(window, &mut messages, &mut stop).await {
                break;
            }
            reading.ended();
        }
        Ok(())
    }
}

/// Decides, and keeps what is on its way.
struct Desk<'a, D> {
    bus: &'a Bus,
    durable: &'a Durable,
    replies: Subscriber,
    decide: D,
    sent: OnTheWay<Sent>,
    /// What answers are written in: a piece of memory for many of them.
    paper: BytesMut,
    /// The pieces before it, the oldest first.
    written: VecDeque<BytesMut>,
    /// What was decided and is not sent yet; empty between bursts, but its memory is kept.
    burst: Vec<Result<Answered, Failed>>,
}

impl<D> Desk<'_, D>
where
    D: Fn(&Received<'_>, &mut BytesMut) -> Result<Option<Answer>, (Settle, String)>,
{
    /// Answers whether shut-down was asked for.
    async fn pump(&mut self, window: Window, messages: &mut Messages<'_>, stop: &mut Stop<'_, impl Future<Output = ()>>) -> bool {
        let (bus, durable) = (self.bus, self.durable);
        let mut failing = FuturesUnordered::new();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reading = None;
        while reading.is_none() || self.sent.len() > 0 || !failing.is_empty() {
            let room = window.at_once.saturating_sub(self.sent.len() + failing.len());
            let failed = tokio::select! {
                biased;
                Some(reply) = self.replies.next() => self.hear(reply).await,
                Some(()) = failing.next(), if !failing.is_empty() => Vec::new(),
                () = &mut *stop, if reading.is_none() => {
                    messages.give_back(bus).await;
                    reading = Some(true);
                    Vec::new()
                }
                message = messages.next(), if reading.is_none() && room > 0 => if let Some(first) = message {
                    self.ask(first, messages, room.min(TOGETHER)).await
                } else {
                    reading = Some(false);
                    Vec::new()
                },
                _ = look.tick() => {
                    let failed = self.overdue();
                    self.still_waiting().await;
                    failed
                }
            };
            failing.extend(failed.into_iter().map(|failed| failed.end(bus, durable)));
        }
        reading == Some(true)
    }

    /// Decides what has arrived, up to so many messages, and sends the answers on their way.
    async fn ask(&mut self, first: Message, messages: &mut Messages<'_>, most: usize) -> Vec<Failed> {
        let more = iter::from_fn(|| messages.at_hand());
        let mut burst = mem::take(&mut self.burst);
        burst.extend(iter::once(first).chain(more).take(most).filter_map(|message| self.weigh(message)));
        let (mut failed, now) = (Vec::new(), Instant::now());
        for answered in burst.drain(..) {
            failed.extend(match answered {
                Ok(answered) => self.send(answered, now).await,
                Err(failed) => Some(failed),
            });
        }
        self.burst = burst;
        failed
    }

    /// Reads and decides a message; `None` where there is none to decide.
    fn weigh(&mut self, message: Message) -> Option<Result<Answered, Failed>> {
        let Some(place) = Place::of(&message) else {
            error!(subject = %message.subject, "a message without a place in a stream");
            return None;
        };
        let (context, decided) = match self.bus.receive(self.durable, &message, &place) {
            Ok((received, context)) => {
                let decided = self.decided(&received, &context);
                (context, decided)
            }
            Err(error) => (Context::new(), Err((Settle::Refuse(error.to_string()), String::new()))),
        };
        Some(match decided {
            Ok(answer) => Ok(Answered { question: Question { reply: message.reply?, context }, answer }),
            Err((settle, reason)) => Err(Failed::Undecided { message: Box::new(message), context, settle, reason }),
        })
    }

    fn decided(&mut self, received: &Received<'_>, context: &Context) -> Result<Option<Answer>, (Settle, String)> {
        let _current = context.clone().attach();
        if self.paper.capacity() < SHEET / 8 {
            let full = mem::replace(&mut self.paper, self.written.pop_front().unwrap_or_default());
            self.written.push_back(full);
            // What was written there has mostly been sent since; if not, that sheet is let go with the last of its answers.
            if !self.paper.try_reclaim(SHEET) {
                self.paper = BytesMut::with_capacity(SHEET);
            }
        }
        (self.decide)(received, &mut self.paper)
    }

    async fn send(&mut self, Answered { question, answer }: Answered, at: Instant) -> Option<Failed> {
        let Some(answer) = answer else {
            question.done(self.bus).await;
            return None;
        };
        let publishing = self.bus.publish_span(&question.context, &answer.subject, || answer.event());
        let reply = self.sent.next();
        if let Err(reason) = self.publish(answer, reply, &publishing).await {
            trace::end(&publishing);
            return Some(Failed::Unstored { question, reason });
        }
        self.sent.put(Sent { question, publishing, at });
        None
    }

    async fn publish(&self, answer: Answer, reply: Subject, context: &Context) -> Result<(), String> {
        let (subject, headers, payload) = answered(answer, context).map_err(|error| error.to_string())?;
        let sent = self.bus.client.publish_with_reply_and_headers(subject, reply, headers, payload).await;
        sent.map_err(|error| error.to_string())
    }

    /// Takes the broker's words about answers, as many as are there.
    async fn hear(&mut self, first: Message) -> Vec<Failed> {
        let mut failed = Vec::from_iter(self.stored(&first).await);
        while let Some(reply) = self.replies.next().now_or_never().flatten() {
            failed.extend(self.stored(&reply).await);
        }
        failed
    }

    /// An answer is stored: its question is done with. What comes too late has been given up already.
    async fn stored(&mut self, reply: &Message) -> Option<Failed> {
        let Sent { question, publishing, .. } = self.sent.take(&reply.subject)?;
        let problem = problem(reply);
        if let Some(reason) = &problem {
            publishing.span().set_status(Status::error(reason.clone()));
        }
        trace::end(&publishing);
        if let Some(reason) = problem {
            return Some(Failed::Unstored { question, reason });
        }
        question.done(self.bus).await;
        None
    }

    /// Tells the broker that the questions of answers that take long to be stored are not forgotten.
    async fn still_waiting(&self) {
        for sent in self.sent.iter().filter(|sent| sent.at.elapsed() > LOOK) {
            self.bus.tell(sent.question.reply.clone(), AckKind::Progress).await;
        }
    }

    /// The answers of which nobody has said for too long that they are stored.
    fn overdue(&mut self) -> Vec<Failed> {
        let mut failed = Vec::new();
        for sent in self.sent.give_up(|sent| sent.at.elapsed() > PATIENCE) {
            let Sent { question, publishing, .. } = sent;
            publishing.span().set_status(Status::error(TIMED_OUT));
            trace::end(&publishing);
            failed.push(Failed::Unstored { question, reason: TIMED_OUT.into() });
        }
        failed
    }
}

impl Question {
    /// Its answer is stored, or there was none to give.
    async fn done(self, bus: &Bus) {
        bus.tell(self.reply, AckKind::Ack).await;
        trace::end(&self.context);
    }
}

impl Failed {
    /// Sees to it that the question is asked again, or kept among the dead letters.
    async fn end(self, bus: &Bus, durable: &Durable) {
        let context = match self {
            Self::Undecided { message, context, settle, reason } => {
                context.span().set_status(Status::error(reason.clone()));
                bus.fail(durable, &message, (settle, reason)).with_context(context.clone()).await;
                context
            }
            Self::Unstored { question: Question { reply, context }, reason } => {
                context.span().set_status(Status::error(reason.clone()));
                bus.try_again(durable, reply, None, &reason).with_context(context.clone()).await;
                context
            }
        };
        trace::end(&context);
    }
}
