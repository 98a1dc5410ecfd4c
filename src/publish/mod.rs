//! Gives a prepared image a public HTTPS URL on S3.
//!
//! Keys are content-addressed and can't be guessed ([`object_key`]); [`Publisher::publish`] uploads once and
//! overwrites nothing; [`Fetcher::probe`] looks at the result as a stranger would, before anything is paid for.
//! [`Fetcher::fetch`] gets the images that a cast names by `https://`, under the same rules.

mod check;
mod error;
mod fetch;
mod key;
mod probe;
mod s3;

pub use self::check::AccessCheck;
pub use self::error::PublishError;
pub use self::fetch::{FetchError, Fetcher, MAX_SOURCE_BYTES};
pub use self::key::object_key;
pub use self::probe::ProbeError;
pub use self::s3::{PublishSettings, Publisher, StaticCredentials};
