//! The CDEvents vocabulary, and whether an event keeps to it.
//!
//! A table in code, written from the specification (0.5.1) and proved against its JSON schemas by the corpus tests.
//! Fields and types that the table does not know are no errors: a newer emitter is always right about itself.

mod check;
mod event_type;
mod table;

#[cfg(test)]
mod tests;

pub use check::validate;
pub use event_type::{EventType, Version};
pub use table::{Definition, Field, Kind, definitions};
