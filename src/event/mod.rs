//! The stream of events: the boundary between the work and its display.
//!
//! The pipeline and the commands only emit [`Event`]s; the terminal, the NDJSON output and the log file only consume
//! them. The serialized form is a public interface: fields are added, never renamed.

#[cfg(test)]
mod docs_tests;
mod kinds;
mod reporters;
mod summary;

pub(crate) use kinds::messages;
pub use kinds::{Event, Images, LivenessState, SCHEMA, Stage, Summary};
pub use reporters::{Reporter, Reporters};
