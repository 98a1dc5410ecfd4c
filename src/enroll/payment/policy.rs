//! What may be signed. Everything is pinned in advance; any other request of an API is refused.

use std::time::Duration;

use alloy_primitives::Address;
use serde_json::Value;

use super::challenge::Challenge;
use super::payload::{Authorization, SignedPayment};
use super::token;
use crate::enroll::Network;
use crate::enroll::text::clean;
use crate::util::money::Usd;

/// How long a payment is valid when an offer doesn't say, and the limits when it does. Long enough to resend it
/// after a lost reply; short, since until then the payee can take it.
const VALIDITY: Duration = Duration::from_secs(300);
const LONGEST_VALIDITY: Duration = Duration::from_secs(3600);
const SHORTEST_VALIDITY: Duration = Duration::from_secs(30);

/// The limits on what may be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The only chain, and with it the only token: its USDC.
    pub network: Network,
    /// The only payee; any when `None`.
    pub payee: Option<Address>,
    /// The most that one call may cost.
    pub max_price: Usd,
}

/// None of the offers may be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing was signed: the API asks {}", .asked.join("; or "))]
pub struct PolicyError {
    /// Why each offer was refused.
    pub asked: Vec<String>,
    /// Whether an offer was refused only for its price.
    pub too_dear: bool,
}

/// An offer that may be signed.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The offer verbatim, to be repeated in the payment.
    pub(super) offer: Value,
    /// The version of the challenge.
    pub(super) version: Option<u64>,
    /// The resource to be paid for.
    pub(super) resource: Option<Value>,
    /// The chain.
    pub network: Network,
    /// The payee.
    pub payee: Address,
    /// The price: one base unit of USDC is one micro-dollar.
    pub price: Usd,
    /// How long the payment is valid.
    pub validity: Duration,
    /// Name and version of the token's EIP-712 domain.
    pub(super) domain: (String, String),
}

impl Policy {
    /// Chooses the cheapest offer that may be signed.
    ///
    /// # Errors
    /// No offer may be signed.
    pub fn choose(&self, challenge: &Challenge) -> Result<Accepted, PolicyError> {
        let mut refused = PolicyError {
            asked: Vec::new(),
            too_dear: false,
        };
        let mut best: Option<Accepted> = None;
        for offer in &challenge.offers {
            match self.judge(challenge, offer) {
                Ok(accepted) if accepted.price > self.max_price => {
                    let (price, most) = (accepted.price, self.max_price);
                    refused.too_dear = true;
                    refused
                        .asked
                        .push(format!("{price} for a call, but at most {most} is allowed"));
                }
                Ok(accepted) if best.as_ref().is_none_or(|best| accepted.price < best.price) => {
                    best = Some(accepted);
                }
                Ok(_) => {}
                Err(asked) => refused.asked.push(asked),
            }
        }
        best.ok_or(refused)
    }

    /// Whether a payment that was signed before would be signed now.
    ///
    /// # Errors
    /// It would not.
    pub fn permits(&self, payment: &SignedPayment) -> Result<(), PolicyError> {
        let accepted = self.choose(&Challenge {
            version: payment.version,
            resource: payment.resource.clone(),
            offers: vec![payment.offer.clone()],
            error: None,
        })?;
        let Authorization { to, value, .. } = &payment.authorization;
        if accepted.payee != *to || accepted.price.micros() != *value {
            return Err(PolicyError {
                asked: vec![format!("{} for {to}", payment.price())],
                too_dear: false,
            });
        }
        Ok(())
    }

    /// Whether an offer may be signed, apart from its price; else what it asks.
    fn judge(&self, challenge: &Challenge, offer: &Value) -> Result<Accepted, String> {
        let text = |name: &str| offer.get(name).and_then(Value::as_str);
        let message = |name: &str| clean(text(name).unwrap_or("nothing"));
        if text("scheme") != Some("exact") {
            return Err(format!("for the scheme {} instead of exact", message("scheme")));
        }
        if !text("network").is_some_and(|name| self.network.is_named(name)) {
            return Err(format!(
                "to be paid on {} instead of {}",
                message("network"),
                self.network
            ));
        }
        let address = |name: &str| text(name).and_then(|text| text.parse::<Address>().ok());
        let usdc = token::usdc(self.network);
        if address("asset") != Some(usdc) {
            return Err(format!(
                "for the token {} instead of USDC, {usdc}",
                message("asset")
            ));
        }
        let payee = address("payTo")
            .ok_or_else(|| format!("to pay {}, which is not an address", message("payTo")))?;
        if let Some(pinned) = self.payee.filter(|pinned| *pinned != payee) {
            return Err(format!("to pay {payee} instead of {pinned}"));
        }
        let amount = offer.get("amount").or_else(|| offer.get("maxAmountRequired"));
        let price = amount
            .and_then(base_units)
            .ok_or_else(|| "for an amount that can't be read".to_owned())?;
        let extra = |name: &str| {
            let text = offer.get("extra")?.get(name)?.as_str()?;
            (!text.is_empty() && text.len() <= 64).then(|| text.to_owned())
        };
        let (name, version) = token::domain(self.network);
        let validity = offer.get("maxTimeoutSeconds").and_then(Value::as_u64);
        Ok(Accepted {
            offer: offer.clone(),
            version: challenge.version,
            // Version 1 has the resource in the offer.
            resource: challenge
                .resource
                .clone()
                .or_else(|| offer.get("resource").cloned()),
            network: self.network,
            payee,
            price,
            validity: validity
                .map_or(VALIDITY, Duration::from_secs)
                .clamp(SHORTEST_VALIDITY, LONGEST_VALIDITY),
            domain: (
                extra("name").unwrap_or_else(|| name.to_owned()),
                extra("version").unwrap_or_else(|| version.to_owned()),
            ),
        })
    }
}

/// A whole number of base units, as text or as a number. Amounts above 2⁶⁴ are not a price of anything.
fn base_units(value: &Value) -> Option<Usd> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
    .map(Usd::from_micros)
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
