//! What comes after a payment was sent: the same one again, a fresh one, or the end.

use std::time::Duration;

use super::payload::SignedPayment;
use crate::enroll::outcome::StopKind;
use crate::enroll::{Outcome, is_about_session};

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This is what came of it.
    Settled(Outcome),
    /// Send the *same* payment again. It can't be charged twice.
    Resend {
        /// How long to wait before; if not told, back off.
        after: Option<Duration>,
        /// The earlier answer leaves open whether it was charged: say so in the next step.
        doubt: bool,
        /// Why.
        code: String,
        /// For people.
        message: String,
    },
    /// No answer left open whether this payment was charged, and it can't be sent any more: once it has expired, and
    /// so never can be charged, sign a fresh one.
    SignFresh,
}

/// Codes by which the payment was settled, but its asset is not told: sending it again says the same.
const CLAIMED: [&str; 2] = ["payment_replay", "nonce_conflict"];

/// What to do after `payment` was sent, and `outcome` came of it, at `now` in Unix seconds. `doubt` is whether
/// an earlier send of the same payment left open whether it was charged.
pub fn step(outcome: Outcome, payment: &SignedPayment, doubt: bool, now: u64) -> Step {
    let in_doubt = |code: String, message: String| Step::Settled(Outcome::InDoubt { code, message });
    match outcome {
        Outcome::Enrolled { .. } => Step::Settled(outcome),
        // The session has to be mended first; meanwhile the payment may expire.
        Outcome::Retry { ref code, .. } if !doubt && is_about_session(code) => Step::Settled(outcome),
        Outcome::Retry { code, message, after } if payment.is_alive(now) => Step::Resend {
            after,
            doubt,
            code,
            message,
        },
        // Refused each time until it expired.
        Outcome::Retry { .. } if !doubt => Step::SignFresh,
        // By whose clock? While it may be valid, another one beside it could be charged, too.
        Outcome::Stop {
            kind: StopKind::Payment,
            code,
            message,
        } if !doubt && code == "payment_expired" => match payment.is_alive(now) {
            true => Step::Resend {
                after: None,
                doubt: false,
                code,
                message,
            },
            false => Step::SignFresh,
        },
        Outcome::Refused { .. } | Outcome::Stop { .. } if !doubt => Step::Settled(outcome),
        // What is refused now may have been charged before.
        Outcome::Refused { code, message }
        | Outcome::Stop { code, message, .. }
        | Outcome::Retry { code, message, .. } => in_doubt(code, message),
        Outcome::InDoubt { code, message } => {
            let claimed = CLAIMED.contains(&&*code.to_ascii_lowercase());
            if claimed || !payment.is_alive(now) {
                return in_doubt(code, message);
            }
            Step::Resend {
                after: None,
                doubt: true,
                code,
                message,
            }
        }
    }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
