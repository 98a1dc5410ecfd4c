//! What a 402 asks for, read in every dialect that is out there.

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
/// More offers are not read: one suffices.
const MOST_OFFERS: usize = 32;

/// What a 402 asks for: offers, of which one is to be paid. None of it is believed yet; that is the
/// [`Policy`](super::Policy)'s part.
#[derive(Debug, Clone, PartialEq)]
pub struct Challenge {
    /// `x402Version`, where it is told.
    pub version: Option<u64>,
    /// What is paid for, as it is told, to be repeated in the payment.
    pub resource: Option<Value>,
    /// The offers as they are told, never empty.
    pub offers: Vec<Value>,
    /// Why an earlier payment was not taken, where it is told.
    pub error: Option<String>,
}

/// A reply that is no challenge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the API asks for payment, but not in a way that x402 knows: {0}")]
pub struct ChallengeError(String);

impl Challenge {
    /// Reads the header `PAYMENT-REQUIRED` or `X-Payment-Required` (JSON in base64, or plain), else the body.
    ///
    /// # Errors
    /// None of them has a list of offers.
    pub(in crate::enroll) fn read(reply: &Reply) -> Result<Self, ChallengeError> {
        debug_assert_eq!(reply.status, StatusCode::PAYMENT_REQUIRED);
        let body = || serde_json::from_slice(&reply.body).ok();
        HEADERS
            .iter()
            .filter_map(|name| header_json(&reply.headers, name))
            .find_map(|json| Self::from_json(&json))
            .or_else(|| Self::from_json(&body()?))
            .ok_or_else(|| ChallengeError("it has no list of offers (accepts)".to_owned()))
    }

    /// From the object that holds the list, or from one that holds that object.
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

/// JSON in a header: base64 with or without padding, of either alphabet, or plain.
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
