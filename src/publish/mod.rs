//! Publishes prepared images on S3 under public HTTPS URLs.
//!
//! Keys are content-addressed and can't be guessed ([`object_key`]); [`Publisher::publish`] uploads once and
//! overwrites nothing; [`Fetcher::probe`] requests the result as an anonymous client, before anything is paid for.
//! [`Fetcher::fetch`] downloads the images that a cast gives as `https://` URLs, under the same rules.

mod bucket;
mod check;
mod error;
mod fetch;
mod key;
mod probe;
mod s3;

pub use self::bucket::Stored;
pub use self::check::AccessCheck;
pub use self::error::PublishError;
pub use self::fetch::{FetchError, Fetcher, MAX_SOURCE_BYTES};
pub use self::key::object_key;
pub use self::probe::ProbeError;
pub use self::s3::{PublishSettings, Publisher, StaticCredentials};
