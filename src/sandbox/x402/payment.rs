//! The payment in a request.

use alloy_primitives::{Address, Bytes, U256};
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::refuse;
use crate::sandbox::reply::ApiError;

/// The header of version 2, and that of version 1.
const HEADERS: [&str; 2] = ["payment-signature", "x-payment"];

/// A signed `TransferWithAuthorization`, and the fields of the payload around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Payment {
    pub(super) scheme: Option<String>,
    pub(super) network: Option<String>,
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) value: U256,
    pub(super) valid_after: U256,
    pub(super) valid_before: U256,
    pub(super) nonce: U256,
    pub(super) signature: Bytes,
}

/// Whether a payment is attached.
pub(super) fn attached(headers: &HeaderMap) -> bool {
    HEADERS.iter().any(|name| headers.contains_key(*name))
}

impl Payment {
    /// Reads whichever header carries it; both must be the same.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut found: Option<Self> = None;
        for name in HEADERS {
            let Some(header) = headers.get(name) else { continue };
            let payment = parse(header.as_bytes()).ok_or_else(|| {
                refuse(
                    "PAYMENT_INVALID",
                    "the payment must be base64 JSON with a signed authorization",
                )
            })?;
            let same = |first: &Self| {
                (first.from, first.nonce, &first.signature)
                    == (payment.from, payment.nonce, &payment.signature)
            };
            if found.as_ref().is_some_and(|first| !same(first)) {
                return Err(refuse("PAYMENT_INVALID", "the two payment headers differ"));
            }
            found.get_or_insert(payment);
        }
        found.ok_or_else(|| refuse("PAYMENT_INVALID", "no payment is attached"))
    }
}

#[derive(Deserialize)]
struct Payload {
    signature: Bytes,
    authorization: Authorization,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    from: Address,
    to: Address,
    value: Value,
    valid_after: Value,
    valid_before: Value,
    nonce: U256,
}

fn parse(header: &[u8]) -> Option<Payment> {
    let body: Value = serde_json::from_slice(&STANDARD.decode(header).ok()?).ok()?;
    // Version 2 repeats the accepted offer, version 1 only two of its fields.
    let accepted = body.get("accepted").unwrap_or(&body);
    let field = |name: &str| accepted.get(name).and_then(Value::as_str).map(str::to_owned);
    let Payload {
        signature,
        authorization,
    } = Payload::deserialize(body.get("payload")?).ok()?;
    Some(Payment {
        scheme: field("scheme"),
        network: field("network"),
        from: authorization.from,
        to: authorization.to,
        value: number(&authorization.value)?,
        valid_after: number(&authorization.valid_after)?,
        valid_before: number(&authorization.valid_before)?,
        nonce: authorization.nonce,
        signature,
    })
}

/// A decimal number, as text according to the specification, or as a number.
fn number(value: &Value) -> Option<U256> {
    match value {
        Value::String(text) => U256::from_str_radix(text, 10).ok(),
        Value::Number(number) => number.as_u64().map(U256::from),
        _ => None,
    }
}
