//! Speaks the paid enrollment API: once, paced, or in doubt.

mod client;
mod key;
mod outcome;
mod pace;

pub use client::{ApiSettings, Client, ClientError, EnrollRequest};
pub use key::{ApiKey, KeyError};
pub use outcome::{LONGEST_WAIT, Outcome, StopKind, classify, unanswered};
pub use pace::{Pace, ParseRateError, Rate, Turn};
