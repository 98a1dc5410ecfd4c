//! Guides real actors through their liveness check, one at a time, and enrolls them.
//!
//! [`LivenessFlow`] does the work and emits events; reporters show the actors their codes: [`TerminalQr`] in the
//! terminal, [`Files`] as images in a folder, [`Page`] in a browser on a tablet.

mod files;
mod operator;
mod page;
mod poll_pace;
mod qr;
mod terminal_qr;
mod flow;

pub use files::Files;
pub use flow::{LivenessFlow, LivenessOptions};
pub use operator::{Answer, Operator};
pub use page::Page;
pub use poll_pace::PollPace;
pub use qr::{Code, LinkTooLong, TerminalColors};
pub use terminal_qr::TerminalQr;
