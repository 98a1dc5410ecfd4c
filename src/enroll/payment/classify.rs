//! The meaning of an answer to a call with a payment.

use serde_json::Value;

use super::challenge::{Challenge, header_json};
use crate::enroll::outcome::{Outcome, StopKind, classify};
use crate::enroll::provider::Provider;
use crate::enroll::text::clean;
use crate::enroll::transport::{CallResult, Reply};

/// The headers that carry the receipt, the more official first.
const RECEIPTS: [&str; 2] = ["payment-response", "x-payment-response"];
/// The longest receipt that is accepted, in bytes.
const LONGEST_RECEIPT: usize = 4096;

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
            group_id,
            price,
            settlement,
        } => Outcome::Enrolled {
            asset_id,
            group_id,
            price,
            settlement: receipt(reply)
                .map(|receipt| receipt.to_string())
                .filter(|text| text.len() <= LONGEST_RECEIPT)
                .or(settlement),
        },
        Outcome::Stop {
            kind: StopKind::Funds,
            code,
            message,
        } if reply.status.as_u16() == 402 => turned_away(reply, code, message),
        outcome => outcome,
    }
}

fn receipt(reply: &Reply) -> Option<Value> {
    RECEIPTS.iter().find_map(|name| header_json(&reply.headers, name))
}

/// Classifies a 402 despite a payment: x402 gives the reason in the challenge's `error`, or in the receipt's
/// `errorReason`.
fn turned_away(reply: &Reply, code: String, message: String) -> Outcome {
    let challenge = Challenge::read(reply).ok();
    let asked_again = challenge.is_some();
    let from_receipt = || Some(receipt(reply)?.get("errorReason")?.as_str()?.to_owned());
    let Some(why) = challenge.and_then(|c| c.error).or_else(from_receipt) else {
        let stop = |kind, message| Outcome::Stop { kind, code, message };
        return match asked_again {
            true => stop(
                StopKind::Payment,
                format!("the API did not accept the payment: {message}"),
            ),
            false => stop(StopKind::Funds, message),
        };
    };
    let why = clean(&why);
    let has = |words: &[&str]| {
        let why = why.to_lowercase();
        words.iter().any(|word| why.contains(word))
    };
    let code = match why.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && why.len() <= 64 {
        true => why.clone(),
        false => code,
    };
    let message = format!("the API did not accept the payment: {why}");
    // A failure during settlement may have settled.
    if has(&[
        "replay",
        "nonce",
        "already",
        "timeout",
        "timed out",
        "pending",
        "settle",
        "transaction",
    ]) {
        return Outcome::InDoubt { code, message };
    }
    let (kind, code) = if has(&["insufficient", "unfunded", "balance"]) {
        (StopKind::Funds, code)
    } else if has(&["expired", "valid_before", "valid_after"]) {
        (StopKind::Payment, "payment_expired".to_owned())
    } else {
        (StopKind::Payment, code)
    };
    Outcome::Stop { kind, code, message }
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
