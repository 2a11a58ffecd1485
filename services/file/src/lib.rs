//! Files that people write: YAML, read into typed values; everything that is wrong is said at once, with its line, its key and
//! the nearest known one.
//!
//! [`keys!`] makes a struct whose fields are the keys of a map, [`words!`] a value that is one of a few words. Both give the
//! reader and the JSON Schema. What no key alone can say is told at a [`Desk`]. Pure: it reads no file itself.

mod desk;
mod invalid;
mod macros;
mod read;
mod yaml;

pub use desk::Desk;
pub use invalid::{Invalid, Problem, nearest, no_such, unknown_key};
pub use read::{Fields, Place, Problems, Read, Word, entries};
#[doc(hidden)]
pub use serde_json;
pub use yaml::{Content, Key, Node, parse};
