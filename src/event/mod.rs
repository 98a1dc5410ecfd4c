//! What happens, as a stream: the seam between doing and showing.
//!
//! The pipeline and the commands only emit [`Event`]s; the terminal, the NDJSON output and the log file only consume
//! them. The serialized form is an interface: fields are added, never renamed.

mod kinds;
mod reporters;
mod summary;

pub use kinds::{Event, Images, LivenessState, SCHEMA, Stage, Summary};
pub use reporters::{Reporter, Reporters};
