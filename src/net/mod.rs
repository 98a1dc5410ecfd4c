//! Network code shared by several stages: TLS, public URLs, and the guard of local pages.

pub(crate) mod anonymous;
pub(crate) mod hosts;
pub mod loopback_auth;
pub mod public_url;
pub mod tls;
