//! General helpers: files, text, money, durations, HTML.

pub(crate) mod duration;
pub mod file_stamp;
pub mod fs;
pub(crate) mod html;
pub mod money;
pub mod provider_ids;
pub mod spreadsheet;
pub mod user;
pub(crate) mod secret;
pub(crate) mod seen_hashes;
pub(crate) mod sha256;
pub(crate) mod shell;
pub mod text;
pub(crate) mod wrap;
