//! What touches the network and belongs to no single station: TLS, public addresses, and the guard of local pages.

pub(crate) mod anonymous;
mod hosts;
pub mod loopback_auth;
pub mod public_url;
pub mod tls;
