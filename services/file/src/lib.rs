//! Files that people write: YAML, read into typed values; everything that is wrong is said at once, with its line, its key and
//! the nearest known one.
//!
//! [`keys!`] makes a struct whose fields are the keys of a map, [`words!`] a value that is one of a few words. Both give the
//! reader and the JSON Schema. What no key alone can say is told at a [`Desk`]. Pure: it reads no file itself.

mod desk;
mod invalid;
mod macros;
mod problems;
mod read;
mod values;
mod version;
mod written;
mod yaml;

pub use desk::Desk;
pub use invalid::{Invalid, Problem, nearest, no_such, unknown_key};
pub use problems::{Place, Problems};
#[doc(hidden)]
pub use read::required;
pub use read::{Fields, Read, Word, entries, single};
pub use version::Version;
pub use written::canonical;
#[doc(hidden)]
pub use written::{field, fields};
pub use yaml::{Content, Key, Node, parse};
#[doc(hidden)]
pub use {serde, serde_json};
