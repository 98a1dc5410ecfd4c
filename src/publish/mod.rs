//! Gives a prepared picture a public HTTPS URL on S3.

mod fetch;
mod key;
mod s3;
mod url;

pub use self::fetch::{FetchError, Fetcher};
pub use self::key::object_key;
pub use self::s3::{PublishError, PublishSettings, Publisher, StaticCredentials};
pub use self::url::PublicUrl;
