//! The client of the paid enrollment API: each call is sent once, at a limited rate, or left in doubt.
//!
//! Enrolling costs money, is permanent, and has no idempotency key, so a repeated call can be paid for twice. Hence,
//! from the bottom up:
//!
//! - [`Client`] sends a paid call as exactly one HTTP request, on a connection of its own;
//! - [`classify`] turns any reply, or its absence, into an [`Outcome`]: one pure function that follows the API's
//!   table of errors line by line. What may have been charged is [`Outcome::InDoubt`];
//! - [`RateLimiter`] releases calls one by one, never faster than the [`Rate`], and pauses all of them when the API
//!   asks.

mod transport;
mod backoff;
mod client;
mod departures;
mod ping;
mod key;
mod listing;
mod network;
mod outcome;
mod rate_limiter;
mod rolling_window;
pub mod payment;
mod portrait;
mod provider;
mod rate;
mod realface;
mod text;
mod error_body;
mod retry_after;
mod settlement;
#[cfg(test)]
pub(crate) mod shared_pace_tests;

pub use backoff::backoff;
pub use client::{ApiSettings, Client, ClientError};
pub use departures::Departures;
pub use key::{ApiKey, KeyError, VARIABLE as KEY_VARIABLE};
pub use listing::{Listed, ListingError, Match, find as find_listed, find_paid_by, unmatchable};
pub use network::{Network, ParseNetworkError};
pub use outcome::{Outcome, StopKind, classify};
pub use ping::PingResult;
pub use portrait::EnrollRequest;
pub use provider::{PaymentMode, Provider, ProviderError};
pub use rate::{ParseRateError, Rate};
pub use rate_limiter::{Permit, RateLimiter, SharedPace, Spacing};
pub use realface::{InitRequest, Liveness, LivenessSession, is_about_session};
pub use retry_after::{LONGEST_WAIT, SHORTEST_WAIT};
pub use rolling_window::departure_window;
pub use transport::{CallResult, Reply};
