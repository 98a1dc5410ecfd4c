//! Shows what happens: events on the terminal, as NDJSON and in the log file; HTML reports.

pub mod fixes;
pub mod html;
mod detached;
mod ndjson;
pub mod sheet;
mod terminal;
pub mod notice;

pub use ndjson::Ndjson;
pub use terminal::{Style, Terminal};
