//! The payment challenge of a 402, in every dialect in use.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::enroll::transport::Reply;

/// The headers that may carry the challenge, the more official first.
const HEADERS: [&str; 2] = ["payment-required", "x-payment-required"];
/// The names of the list of offers.
const LISTS: [&str; 2] = ["accepts", "payments"];
/// The most offers that are read: one is enough.
const MOST_OFFERS: usize = 32;

/// The payment challenge of a 402: offers, one of which is to be paid. It is not validated yet; that is the job of
/// [`Policy`](super::Policy).
#[derive(Debug, Clone, PartialEq)]
pub struct Challenge {
    /// The `x402Version`, if given.
    pub version: Option<u64>,
    /// The resource to be paid for, verbatim, to be repeated in the payment.
    pub resource: Option<Value>,
    /// The offers, verbatim; never empty.
    pub offers: Vec<Value>,
    /// Why an earlier payment was not accepted, if given.
    pub error: Option<String>,
}

/// The reply is not a challenge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the API asks for payment, but not by x402: {0}")]
pub struct ChallengeError(String);

impl Challenge {
    /// Reads the header `PAYMENT-REQUIRED` or `X-Payment-Required` (JSON in base64, or plain), else the body.
    ///
    /// # Errors
    /// None of them contains a list of offers.
    pub fn read(reply: &Reply) -> Result<Self, ChallengeError> {
        debug_assert_eq!(reply.status, StatusCode::PAYMENT_REQUIRED);
        let body = || serde_json::from_slice(&reply.body).ok();
        HEADERS
            .iter()
            .filter_map(|name| header_json(&reply.headers, name))
            .find_map(|json| Self::from_json(&json))
            .or_else(|| Self::from_json(&body()?))
            .ok_or_else(|| ChallengeError("the reply has no list of offers (accepts)".to_owned()))
    }

    /// Reads the object that holds the list, or an object that wraps it.
    fn from_json(json: &Value) -> Option<Self> {
        let inside = json.as_object()?.values().filter(|value| value.is_object());
        std::iter::once(json).chain(inside).find_map(|json| {
            let offers = match LISTS.iter().find_map(|name| json.get(name))? {
                Value::Array(list) => list
                    .iter()
                    .filter(|o| o.is_object())
                    .take(MOST_OFFERS)
                    .cloned()
                    .collect(),
                one @ Value::Object(_) => vec![one.clone()],
                _ => Vec::new(),
            };
            (!offers.is_empty()).then(|| Self {
                version: json.get("x402Version").and_then(Value::as_u64),
                resource: json
                    .get("resource")
                    .filter(|resource| !resource.is_null())
                    .cloned(),
                offers,
                error: json.get("error").and_then(Value::as_str).map(str::to_owned),
            })
        })
    }
}

/// Decodes JSON in a header: base64 with or without padding, of either alphabet, or plain.
pub(in crate::enroll) fn header_json(headers: &HeaderMap, name: &str) -> Option<Value> {
    let value = headers.get(name)?.as_bytes();
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decoded = [base64::alphabet::STANDARD, base64::alphabet::URL_SAFE]
        .iter()
        .find_map(|alphabet| {
            GeneralPurpose::new(alphabet, config)
                .decode(value.trim_ascii())
                .ok()
        });
    serde_json::from_slice(decoded.as_deref().unwrap_or(value)).ok()
}

#[cfg(test)]
#[path = "challenge_tests.rs"]
mod tests;
