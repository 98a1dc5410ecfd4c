//! The meaning of an answer to a call with a payment.

use serde_json::Value;

use super::challenge::{Challenge, header_json};
use crate::enroll::outcome::{Outcome, StopKind, classify};
use crate::enroll::provider::Provider;
use crate::enroll::settlement::known_fields;
use crate::enroll::text::clean;
use crate::enroll::transport::{CallResult, Reply};

/// The headers that carry the receipt, the more official first.
const RECEIPTS: [&str; 2] = ["payment-response", "x-payment-response"];

/// As [`classify`], and in addition takes the receipt from its header, and from a 402 that asks again the reason why
/// the payment was not accepted.
pub(super) fn classify_payment(answer: &CallResult, provider: &Provider) -> Outcome {
    let outcome = classify(answer, provider);
    let CallResult::Reply(reply) = answer else {
        return outcome;
    };
    match outcome {
        Outcome::Enrolled {
            asset_id,
            ids,
            price,
            settlement,
        } => Outcome::Enrolled {
            asset_id,
            ids,
            price,
            settlement: receipt(reply)
                .and_then(|receipt| known_fields(&receipt))
                .or(settlement),
        },
        Outcome::Stop { code, message, .. } if reply.status.as_u16() == 402 => {
            turned_away(reply, code, message)
        }
        outcome => outcome,
    }
}

fn receipt(reply: &Reply) -> Option<Value> {
    RECEIPTS.iter().find_map(|name| header_json(&reply.headers, name))
}

/// Reasons that only the verification of a payment gives, before anything is settled: those of API.md, and of the
/// x402 specification (`specs/x402-specification.md`, "Error Handling"; the prefix [`EVM`] is its scheme's).
const NOT_FUNDED: [&str; 3] = ["insufficient_balance", "insufficient_funds", "payment_unfunded"];
const EXPIRED: [&str; 3] = [
    "payment_expired",
    "invalid_exact_evm_payload_authorization_valid_before",
    "invalid_exact_evm_payload_authorization_valid_after",
];
const NOT_VERIFIED: [&str; 10] = [
    "amount_mismatch",
    "invalid_network",
    "invalid_payload",
    "invalid_payment_requirements",
    "invalid_scheme",
    "invalid_signature",
    "invalid_x402_version",
    "payment_invalid",
    "unsupported_network",
    "unsupported_scheme",
];
const EVM: &str = "invalid_exact_evm_payload_";

/// What the verification of a payment found, by the words of its reason; `None` for any other reason.
fn verification(reason: &str) -> Option<StopKind> {
    let reason = reason.trim().to_lowercase();
    let is_one_of = |words: &[&str]| words.contains(&&*reason);
    if is_one_of(&NOT_FUNDED) {
        return Some(StopKind::Funds);
    }
    (is_one_of(&EXPIRED) || is_one_of(&NOT_VERIFIED) || reason.starts_with(EVM)).then_some(StopKind::Payment)
}

/// Classifies a 402 despite a payment: x402 gives the reason in the challenge's `error`, or in the receipt's
/// `errorReason`.
///
/// Only what the verification itself found means that nothing was settled. A middleware that lost its facilitator's
/// reply answers with an empty object, with its own words, or by asking again: the payment may have been broadcast.
fn turned_away(reply: &Reply, code: String, message: String) -> Outcome {
    let from_challenge = || Challenge::read(reply).ok()?.error;
    let from_receipt = || Some(receipt(reply)?.get("errorReason")?.as_str()?.to_owned());
    let reason = from_challenge()
        .or_else(from_receipt)
        .map(|reason| clean(&reason));
    let (code, message) = match reason {
        Some(reason) => (
            if is_code(&reason) { reason.clone() } else { code },
            format!("the API did not accept the payment: {reason}"),
        ),
        None => (code, message),
    };
    match verification(&code) {
        Some(_) if EXPIRED.contains(&&*code.to_lowercase()) => Outcome::Stop {
            kind: StopKind::Payment,
            code: "payment_expired".to_owned(),
            message,
        },
        Some(kind) => Outcome::Stop { kind, code, message },
        None => Outcome::InDoubt { code, message },
    }
}

fn is_code(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
