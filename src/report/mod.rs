//! Shows what happens: events for the terminal, NDJSON and the log file; pages for people.

pub mod html;
mod ndjson;
pub mod sheet;
mod terminal;
pub mod webhook;

pub use ndjson::Ndjson;
pub use terminal::{Style, Terminal};
