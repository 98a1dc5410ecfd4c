//! The paying side of x402: quotes in every dialect of API.md, and a bank that checks a payment as the USDC
//! contract and a facilitator would before any money moves.
//!
//! It shares nothing with the client's signing: the typed-data hash is built by hand here, so that both sides can't
//! make the same mistake.

mod challenge;
mod eip712;
mod node;
mod payment;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy_primitives::{Address, U256, address};
use axum::body::Body;
use axum::http::{HeaderMap, Response};
use serde_json::json;

use super::charges::{Charge, ChargeBook};
use super::reply::ApiError;
use crate::enroll::Network;
use crate::util::money::Usd;

pub use challenge::{AmountKey, Challenge, ListKey, NetworkName, Place};
use eip712::Domain;
use payment::Payment;

/// The reply to an authorization that was settled before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replay {
    /// 402 `PAYMENT_REPLAY`: the asset has to be found by other means.
    #[default]
    Refuse,
    /// The first reply again, for the same name and image; nothing is charged.
    SameAsset,
}

/// The options of payment from a wallet. The defaults are Base's USDC, version 2 of x402.
#[derive(Debug, Clone)]
pub struct WalletOptions {
    /// The dialect of the quote.
    pub challenge: Challenge,
    /// The chain id: Base (8453) or Base Sepolia (84532).
    pub chain_id: u64,
    /// The address of the token.
    pub asset: Address,
    /// `name` of the token's EIP-712 domain.
    pub domain_name: String,
    /// `version` of the token's EIP-712 domain.
    pub domain_version: String,
    /// The payee.
    pub pay_to: Address,
    /// `maxTimeoutSeconds` of the quote.
    pub max_timeout_s: u64,
    /// The initial balance of every address.
    pub balance: Usd,
    /// The initial balances of particular addresses.
    pub balances: BTreeMap<Address, Usd>,
    /// The reply to an authorization that was settled before.
    pub replay: Replay,
}

impl Default for WalletOptions {
    fn default() -> Self {
        Self {
            challenge: Challenge::v2(),
            chain_id: 8453,
            // USDC on Base, https://developers.circle.com/stablecoins/usdc-contract-addresses
            asset: address!("833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"),
            domain_name: "USD Coin".to_owned(),
            domain_version: "2".to_owned(),
            // An address without an owner: the word "sandbox" and zeros.
            pay_to: address!("73616e64626f7800000000000000000000000001"),
            max_timeout_s: 60,
            balance: Usd::from_micros(1_000_000_000),
            balances: BTreeMap::new(),
            replay: Replay::default(),
        }
    }
}

impl WalletOptions {
    /// The defaults for a network: Circle's USDC there.
    pub fn on(network: Network) -> Self {
        let base = Self::default();
        match network {
            Network::Base => base,
            Network::BaseSepolia => Self {
                chain_id: network.chain_id(),
                asset: address!("036CbD53842c5426634e7929541eC2318f3dCF7e"),
                domain_name: "USDC".to_owned(),
                ..base
            },
        }
    }
}

/// Balances, and the authorizations that were settled. Both are derived from the charges, so a sandbox that is
/// restarted in its folder still has them.
pub(super) struct Bank {
    options: WalletOptions,
    price: Usd,
    settled: Mutex<Settled>,
}

#[derive(Default)]
struct Settled {
    spent: HashMap<Address, Usd>,
    /// The charge of every authorization, by payer and nonce.
    nonces: HashMap<(Address, U256), Charge>,
}

impl Settled {
    fn note(&mut self, payer: Address, nonce: U256, charge: &Charge) {
        let spent = self.spent.entry(payer).or_default();
        *spent = *spent + charge.price_usd;
        self.nonces.insert((payer, nonce), charge.clone());
    }
}

impl Bank {
    pub(super) fn new(options: WalletOptions, price: Usd, book: &ChargeBook) -> Self {
        let mut settled = Settled::default();
        for charge in book.all() {
            let payer = charge.payer.as_deref().and_then(|payer| payer.parse().ok());
            let nonce = charge.nonce.as_deref().and_then(|nonce| nonce.parse().ok());
            if let (Some(payer), Some(nonce)) = (payer, nonce) {
                settled.note(payer, nonce, &charge);
            }
        }
        Self {
            options,
            price,
            settled: Mutex::new(settled),
        }
    }

    fn settled(&self) -> MutexGuard<'_, Settled> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The 402 that asks for a payment, unless one is attached.
    pub(super) fn quote(&self, headers: &HeaderMap, resource: &str) -> Option<Response<Body>> {
        if payment::attached(headers) {
            return None;
        }
        Some(self.options.challenge.reply(&self.options, self.price, resource))
    }

    /// Checks the payment and, if it is valid, moves the money and records the charge, in one step.
    pub(super) fn settle(
        &self,
        headers: &HeaderMap,
        mut charge: Charge,
        book: &ChargeBook,
    ) -> Result<Charge, ApiError> {
        let payment = Payment::read(headers)?;
        self.verify(&payment, jiff::Timestamp::now().as_second())?;
        let mut settled = self.settled();
        if let Some(first) = settled.nonces.get(&(payment.from, payment.nonce)) {
            let same = first.name == charge.name && first.image_url == charge.image_url;
            if self.options.replay == Replay::SameAsset && same {
                book.lost(first.seq, charge.reply_lost);
                return Ok(first.clone());
            }
            return Err(refuse("PAYMENT_REPLAY", "this authorization was settled before"));
        }
        let holds = self
            .options
            .balances
            .get(&payment.from)
            .copied()
            .unwrap_or(self.options.balance);
        let spent = settled.spent.get(&payment.from).copied().unwrap_or_default();
        if holds.saturating_sub(spent) < self.price {
            return Err(refuse("PAYMENT_UNFUNDED", "the wallet does not hold enough USDC"));
        }
        charge.payer = Some(format!("{:#x}", payment.from));
        charge.nonce = Some(format!("{:#066x}", payment.nonce));
        charge.tx_hash = Some(format!("0x{}", super::random_hex::<32>()));
        let charge = book
            .add(charge)
            .map_err(|e| ApiError::new(500, "internal", e.to_string()))?;
        settled.note(payment.from, payment.nonce, &charge);
        Ok(charge)
    }

    /// The checks of a payment by itself, at a time in Unix seconds.
    fn verify(&self, payment: &Payment, now: i64) -> Result<(), ApiError> {
        let options = &self.options;
        if payment.scheme.as_deref().is_some_and(|scheme| scheme != "exact") {
            return Err(refuse("PAYMENT_INVALID", "the scheme must be exact"));
        }
        let networks = NetworkName::both(options.chain_id);
        if payment
            .network
            .as_ref()
            .is_some_and(|network| !networks.contains(network))
        {
            return Err(refuse(
                "unsupported_network",
                "the payment is for another network",
            ));
        }
        if payment.to != options.pay_to {
            return Err(refuse("PAYMENT_INVALID", "the payment is to another address"));
        }
        if payment.value != U256::from(self.price.micros()) {
            return Err(refuse("amount_mismatch", "the amount differs from the price"));
        }
        let now = U256::from(u64::try_from(now).unwrap_or_default());
        // The contract's own comparisons: now > validAfter and now < validBefore.
        if now <= payment.valid_after || now >= payment.valid_before {
            return Err(refuse(
                "payment_expired",
                "the authorization is not valid at this time",
            ));
        }
        let domain = Domain {
            name: &options.domain_name,
            version: &options.domain_version,
            chain_id: options.chain_id,
            contract: options.asset,
        };
        match eip712::recover(&domain, payment) {
            Some(signer) if signer == payment.from => Ok(()),
            _ => Err(refuse("invalid_signature", "the signature is not the payer's")),
        }
    }

    /// Adds the receipt to a reply.
    pub(super) fn receipt(&self, charge: &Charge, reply: &mut Response<Body>) {
        let receipt = json!({
            "success": true,
            "transaction": charge.tx_hash,
            "network": self.options.challenge.network.of(self.options.chain_id),
            "payer": charge.payer,
        });
        for name in ["payment-response", "x-payment-response"] {
            reply.headers_mut().insert(name, challenge::encode(&receipt));
        }
    }

    /// The current balance of an address.
    pub(super) fn balance(&self, address: Address) -> Usd {
        let settled = self.settled();
        let holds = self
            .options
            .balances
            .get(&address)
            .copied()
            .unwrap_or(self.options.balance);
        holds.saturating_sub(settled.spent.get(&address).copied().unwrap_or_default())
    }
}

fn refuse(code: &'static str, message: &str) -> ApiError {
    ApiError::new(402, code, message)
}

#[cfg(test)]
mod tests;
