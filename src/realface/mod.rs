//! Leads real actors through their liveness check, one at a time, and enrolls them.
//!
//! [`Walk`] does it, and tells what happens as events; how the actors see their codes is what the reporters here
//! are for: [`Screen`] in the terminal, [`Files`] as pictures in a folder, [`Page`] in a browser on a tablet.

mod files;
mod operator;
mod page;
mod qr;
mod screen;
mod walk;

pub use files::Files;
pub use operator::{Answer, Operator};
pub use page::Page;
pub use qr::{Code, Ink, LinkTooLong};
pub use screen::Screen;
pub use walk::{Asking, Walk};
