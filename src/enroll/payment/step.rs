//! What follows after a payment was sent: the same one again, a fresh one, or the end.

use std::time::Duration;

use super::payload::SignedPayment;
use crate::enroll::outcome::StopKind;
use crate::enroll::{Outcome, is_about_session};

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The call is finished, with this outcome.
    Settled(Outcome),
    /// Resend the *same* payment. It can't be charged twice.
    Resend {
        /// How long to wait before that; `None` means to back off.
        after: Option<Duration>,
        /// Whether the earlier answer leaves open that it was charged; pass it to the next step.
        doubt: bool,
        /// The code of the answer.
        code: String,
        /// The human-readable message.
        message: String,
    },
    /// No answer left open whether this payment was charged, and it can't be sent any more: once it has expired, and
    /// so can never be charged, sign a fresh one.
    SignFresh,
}

/// Codes that mean the payment was settled, but don't name its asset: resending it returns the same.
const CLAIMED: [&str; 2] = ["payment_replay", "nonce_conflict"];

/// Decides what to do after `payment` was sent with `outcome`, at `now` in Unix seconds. `doubt` is whether an
/// earlier send of the same payment left open whether it was charged.
pub fn step(outcome: Outcome, payment: &SignedPayment, doubt: bool, now: u64) -> Step {
    let in_doubt = |code: String, message: String| Step::Settled(Outcome::InDoubt { code, message });
    match outcome {
        Outcome::Enrolled { .. } => Step::Settled(outcome),
        // The session has to be fixed first; meanwhile the payment may expire.
        Outcome::Retry { ref code, .. } if !doubt && is_about_session(code) => Step::Settled(outcome),
        Outcome::Retry { code, message, after } if payment.is_alive(now) => Step::Resend {
            after,
            doubt,
            code,
            message,
        },
        // It was refused each time until it expired.
        Outcome::Retry { .. } if !doubt => Step::SignFresh,
        // By whose clock? While it may be valid, a second one could be charged as well.
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
        // A payment that is refused now may have been charged before.
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
