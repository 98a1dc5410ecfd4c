//! A signed payment, as the ledger keeps it and as the API receives it.

use std::fmt;
use std::time::Duration;

use alloy_primitives::{Address, B256, FixedBytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::util::money::Usd;

/// How much of its validity a payment must have left to be sent: the time that a settlement takes. Also how much
/// later it counts as expired.
const MARGIN: Duration = Duration::from_secs(10);

/// An EIP-3009 `TransferWithAuthorization`. Times are Unix seconds, the value is base units of USDC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// The payer.
    pub from: Address,
    /// The payee.
    pub to: Address,
    /// The amount in base units of USDC, which are micro-dollars.
    pub value: u64,
    /// Valid after this time.
    pub valid_after: u64,
    /// Valid before this time.
    pub valid_before: u64,
    /// A random number that the contract settles once.
    pub nonce: B256,
}

/// A signed payment. It is stored as JSON in the ledger before it is sent, and resent unchanged.
///
/// Until it expires, anyone who holds it can have the payee paid, once: `Debug` doesn't show the signature.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct SignedPayment {
    /// The version of the challenge that it answers.
    pub(super) version: Option<u64>,
    /// The resource to be paid for, as in the challenge.
    pub(super) resource: Option<Value>,
    /// The offer, as in the challenge.
    pub(super) offer: Value,
    /// The authorization that is signed.
    pub authorization: Authorization,
    /// The payer's signature, `r ‖ s ‖ v`, 65 bytes.
    pub(super) signature: FixedBytes<65>,
}

impl SignedPayment {
    /// The amount that it moves.
    pub fn price(&self) -> Usd {
        Usd::from_micros(self.authorization.value)
    }

    /// Whether it can still be sent at `now`, in Unix seconds.
    pub fn is_alive(&self, now: u64) -> bool {
        now.saturating_add(MARGIN.as_secs()) < self.authorization.valid_before
    }

    /// Whether it can't be settled any more at `now`, in Unix seconds, allowing for clocks that differ by some seconds.
    pub fn has_expired(&self, now: u64) -> bool {
        now >= self.authorization.valid_before.saturating_add(MARGIN.as_secs())
    }

    /// The headers that carry it: `PAYMENT-SIGNATURE` for version 2, `X-PAYMENT` for version 1, and both if the
    /// challenge gave no version.
    pub(super) fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let signed = json!({
            "signature": self.signature.to_string(),
            "authorization": {
                "from": self.authorization.from.to_string(),
                "to": self.authorization.to.to_string(),
                "value": self.authorization.value.to_string(),
                "validAfter": self.authorization.valid_after.to_string(),
                "validBefore": self.authorization.valid_before.to_string(),
                "nonce": self.authorization.nonce.to_string(),
            },
        });
        let mut headers = Vec::new();
        if self.version != Some(1) {
            let mut payload = json!({ "x402Version": 2 });
            if let Some(resource) = &self.resource {
                payload["resource"] = resource.clone();
            }
            payload["accepted"] = self.offer.clone();
            payload["payload"] = signed.clone();
            payload["extensions"] = json!({});
            headers.push((HeaderName::from_static("payment-signature"), encode(&payload)));
        }
        if self.version.is_none_or(|version| version == 1) {
            let payload = json!({
                "x402Version": 1,
                "scheme": self.offer["scheme"],
                "network": self.offer["network"],
                "payload": signed,
            });
            headers.push((HeaderName::from_static("x-payment"), encode(&payload)));
        }
        headers
    }
}

fn encode(payload: &Value) -> HeaderValue {
    let mut value = HeaderValue::try_from(STANDARD.encode(payload.to_string())).expect("base64 is printable");
    value.set_sensitive(true);
    value
}

impl fmt::Debug for SignedPayment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedPayment")
            .field("authorization", &self.authorization)
            .field("signature", &"***")
            .finish_non_exhaustive()
    }
}
