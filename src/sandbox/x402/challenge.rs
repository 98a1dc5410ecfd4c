//! The 402 that states the price, in all dialects in use.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::WalletOptions;
use crate::sandbox::reply::json_reply;
use crate::util::money::Usd;

/// The place of the requirements in the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Header `PAYMENT-REQUIRED`, base64 JSON.
    PaymentRequired,
    /// Header `X-Payment-Required`, base64 JSON.
    XPaymentRequired,
    /// The body.
    Body,
}

/// The name of the list of requirements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKey {
    /// `accepts`
    Accepts,
    /// `payments`
    Payments,
}

/// The name of the amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmountKey {
    /// `amount`
    Amount,
    /// `maxAmountRequired`
    MaxAmountRequired,
}

/// The notation of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkName {
    /// `eip155:8453`
    Caip2,
    /// `base`, `base-sepolia`
    Word,
}

impl NetworkName {
    /// The name of a chain.
    pub(super) fn of(self, chain_id: u64) -> String {
        match (self, chain_id) {
            (Self::Word, 8453) => "base".to_owned(),
            (Self::Word, 84532) => "base-sepolia".to_owned(),
            _ => format!("eip155:{chain_id}"),
        }
    }

    pub(super) fn both(chain_id: u64) -> [String; 2] {
        [Self::Caip2.of(chain_id), Self::Word.of(chain_id)]
    }
}

/// The dialect of a quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The place of the requirements.
    pub place: Place,
    /// The name of the list.
    pub list: ListKey,
    /// The name of the amount.
    pub amount: AmountKey,
    /// The notation of the network.
    pub network: NetworkName,
    /// The `x402Version`; omitted when `None`.
    pub version: Option<u8>,
    /// Whether `extra` names the EIP-712 domain.
    pub extra: bool,
    /// Whether it has keys that a strict parser doesn't know (`price`, `paymentInfo`, …).
    pub more_keys: bool,
}

impl Challenge {
    /// Version 2, as in its specification.
    pub fn v2() -> Self {
        Self {
            place: Place::PaymentRequired,
            list: ListKey::Accepts,
            amount: AmountKey::Amount,
            network: NetworkName::Caip2,
            version: Some(2),
            extra: true,
            more_keys: false,
        }
    }

    /// Version 1, as in its specification.
    pub fn v1() -> Self {
        Self {
            place: Place::Body,
            amount: AmountKey::MaxAmountRequired,
            network: NetworkName::Word,
            version: Some(1),
            ..Self::v2()
        }
    }

    /// The sparsest and oddest dialect: no version, no `extra`, `payments`, and keys of its own.
    pub fn odd() -> Self {
        Self {
            place: Place::Body,
            list: ListKey::Payments,
            version: None,
            extra: false,
            more_keys: true,
            ..Self::v2()
        }
    }

    /// Every combination of the above.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for place in [Place::PaymentRequired, Place::XPaymentRequired, Place::Body] {
            for list in [ListKey::Accepts, ListKey::Payments] {
                for amount in [AmountKey::Amount, AmountKey::MaxAmountRequired] {
                    for network in [NetworkName::Caip2, NetworkName::Word] {
                        for version in [None, Some(1), Some(2)] {
                            for (extra, more_keys) in
                                [(false, false), (false, true), (true, false), (true, true)]
                            {
                                all.push(Self {
                                    place,
                                    list,
                                    amount,
                                    network,
                                    version,
                                    extra,
                                    more_keys,
                                });
                            }
                        }
                    }
                }
            }
        }
        all
    }

    pub(crate) fn reply(&self, wallet: &WalletOptions, price: Usd, resource: &str) -> Response<Body> {
        let requirement = self.requirement(wallet, price, resource);
        let mut body = match self.place {
            Place::Body => requirement.clone(),
            _ => json!({ "error": "Payment required" }),
        };
        if self.more_keys {
            body["price"] = json!({ "amount": price, "currency": "USD" });
            body["paymentInfo"] = json!({ "network": "base", "asset": "USDC", "x402Version": 2 });
        }
        let mut reply = json_reply(StatusCode::PAYMENT_REQUIRED, &body);
        let header = match self.place {
            Place::PaymentRequired => "payment-required",
            Place::XPaymentRequired => "x-payment-required",
            Place::Body => return reply,
        };
        reply.headers_mut().insert(header, encode(&requirement));
        reply
    }

    fn requirement(&self, wallet: &WalletOptions, price: Usd, resource: &str) -> Value {
        let mut offer = json!({
            "scheme": "exact",
            "network": self.network.of(wallet.chain_id),
            "asset": wallet.asset.to_string(),
            "payTo": wallet.pay_to.to_string(),
            "maxTimeoutSeconds": wallet.max_timeout_s,
        });
        let amount = match self.amount {
            AmountKey::Amount => "amount",
            AmountKey::MaxAmountRequired => "maxAmountRequired",
        };
        // One micro-dollar is one base unit of USDC.
        offer[amount] = json!(price.micros().to_string());
        if self.extra {
            offer["extra"] = json!({ "name": wallet.domain_name, "version": wallet.domain_version });
        }
        if self.more_keys {
            offer["extensions"] = json!({ "bazaar": {} });
        }
        let list = match self.list {
            ListKey::Accepts => "accepts",
            ListKey::Payments => "payments",
        };
        let mut body = json!({ "error": "Payment required" });
        match self.version {
            Some(1) => {
                offer["resource"] = json!(resource);
                offer["description"] = json!("Enroll a portrait");
                offer["mimeType"] = json!("application/json");
                body["x402Version"] = json!(1);
            }
            version => {
                body["resource"] = json!({
                    "url": resource,
                    "description": "Enroll a portrait",
                    "mimeType": "application/json",
                });
                if let Some(version) = version {
                    body["x402Version"] = json!(version);
                }
            }
        }
        body[list] = json!([offer]);
        body
    }
}

/// Base64 of JSON, the form of every x402 header.
pub(super) fn encode(value: &Value) -> HeaderValue {
    HeaderValue::try_from(STANDARD.encode(value.to_string())).expect("base64 is printable")
}
