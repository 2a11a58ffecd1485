//! Reads what models see. One message in, values out; what cannot be read says why. Pure.
//!
//! | type of the event | what it brings |
//! |---|---|
//! | `org.kubeflow.serving.inference.request` | features, from the logger of `KServe` |
//! | `org.kubeflow.serving.inference.response` | what the model answered; its id and source are those of the request |
//! | `switchyard.inference.rows` | rows, or with `dataref` files of rows |
//! | `switchyard.inference.labels` | what turned out to be true, by the ids of rows |

mod batch;
mod json;
mod kserve;
mod labels;
mod rows;
mod unreadable;
mod value;

#[cfg(test)]
mod tests;

pub use batch::{Batch, Schema};
pub use labels::Labelled;
pub use unreadable::Unreadable;

use cloudevents::{AttributesReader as _, Data, Event, event::ExtensionValue};

/// The logger's requests.
pub const KSERVE_REQUEST: &str = "org.kubeflow.serving.inference.request";
/// The logger's responses.
pub const KSERVE_RESPONSE: &str = "org.kubeflow.serving.inference.response";
/// Batches of rows.
pub const ROWS: &str = "switchyard.inference.rows";
/// Labels.
pub const LABELS: &str = "switchyard.inference.labels";

/// What a message brings.
#[derive(Debug)]
pub enum Brought {
    /// Rows of features.
    Rows(Batch),
    /// What the model answered, one for each row of a request.
    Answers(Vec<Option<String>>),
    /// What turned out to be true.
    Labels(Vec<Labelled>),
    /// Files of rows, which are counted elsewhere.
    Files(Vec<String>),
}

/// Reads an event.
///
/// # Errors
/// Where and why it cannot be read.
pub fn read(schema: &Schema, event: &Event) -> Result<Brought, Unreadable> {
    let bytes = match event.data() {
        Some(Data::Binary(bytes)) => bytes.as_slice(),
        Some(Data::String(text)) => text.as_bytes(),
        Some(Data::Json(_)) | None => &[],
    };
    let text = |bytes| std::str::from_utf8(bytes).map_err(|error| Unreadable::Shape(format!("data: not UTF-8: {error}")));
    match event.ty() {
        KSERVE_REQUEST => kserve::request(schema, text(bytes)?).map(Brought::Rows),
        KSERVE_RESPONSE => kserve::response(text(bytes)?).map(Brought::Answers),
        ROWS => match event.extension("dataref") {
            Some(ExtensionValue::String(url)) if bytes.is_empty() => Ok(Brought::Files(vec![url.clone()])),
            _ => rows::read(schema, text(bytes)?).map(Brought::Rows),
        },
        LABELS => labels::read(text(bytes)?).map(Brought::Labels),
        other => Err(Unreadable::Type(other.to_owned())),
    }
}
