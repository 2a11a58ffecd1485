//! An event of ours as the answer to a message: written once, with no event of the SDK's in between.

use std::borrow::Cow;

use bytes::Bytes;
use jiff::Timestamp;

use super::{EmitError, Outgoing, SOURCE};
use crate::{CloudEvent, cdevent::attributes, message_id};

/// An event of ours, ready to be sent. Published as an [`Outgoing`] it is the same message.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The subject that it goes to.
    pub subject: String,
    /// Its id.
    pub id: String,
    /// Its type.
    pub event_type: &'static str,
    /// The subject that it is about.
    pub about: String,
    /// When it happened.
    pub at: Timestamp,
    /// The trace that it belongs to.
    pub trace: String,
    /// The CDEvent.
    pub data: Bytes,
}

impl Answer {
    /// Its headers, the version first. None needs encoding: they hold ids, names of types, a time, a trace context.
    #[must_use]
    pub fn headers(&self) -> [(&'static str, Cow<'_, str>); 8] {
        [
            ("ce-specversion", "1.0".into()),
            ("ce-id", (&*self.id).into()),
            ("ce-source", SOURCE.into()),
            ("ce-type", self.event_type.into()),
            ("ce-subject", (&*self.about).into()),
            ("ce-time", self.at.to_string().into()),
            ("ce-datacontenttype", "application/json".into()),
            ("ce-traceparent", (&*self.trace).into()),
        ]
    }

    /// Its attributes, as a trace shows them.
    #[must_use]
    pub fn event(&self) -> CloudEvent<'_> {
        CloudEvent::named(&self.id, SOURCE, self.event_type, &self.about)
    }

    /// Its `Nats-Msg-Id`.
    #[must_use]
    pub fn message_id(&self) -> String {
        message_id(SOURCE, &self.id, self.event_type)
    }

    /// The same as an event that anybody publishes.
    ///
    /// # Errors
    /// When something in it cannot stand in an event.
    pub fn outgoing(self) -> Result<Outgoing, EmitError> {
        let mut event = attributes(&self.id, SOURCE, self.event_type, &self.about, self.at)?;
        event.set_extension("traceparent", self.trace);
        event.set_data_unchecked(self.data.to_vec());
        Ok(Outgoing { subject: self.subject, event, once: false })
    }
}
