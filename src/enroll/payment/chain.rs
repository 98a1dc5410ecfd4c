//! Asks the chain whether a signed payment was charged: the token contract knows, whoever lost the reply.
//!
//! [EIP-3009](https://eips.ethereum.org/EIPS/eip-3009): `authorizationState(authorizer, nonce)` is true once the nonce was
//! used or canceled, and the events `AuthorizationUsed` and `AuthorizationCanceled` tell which, with the transaction. False
//! at a finalized block after `validBefore` means that it was never charged, and can't be any more.

use std::time::Duration;

use alloy_primitives::{B256, U256, hex, keccak256};
use serde_json::{Value, json};
use url::Url;

use super::payload::Authorization;
use super::token;
use crate::enroll::Network;
use crate::enroll::text::clean;
use crate::net::tls::{self, CertificateError};

/// The time limit of one request.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The longest reply that is read, in bytes.
const LONGEST: usize = 1 << 20;
/// Base makes a block every 2 seconds (<https://docs.base.org/base-chain/network-information/block-building>).
const BLOCK_SECONDS: u64 = 2;
/// How many blocks before and after the validity of a payment are searched: the estimate from the block time is rough.
const MARGIN_BLOCKS: u64 = 300;
/// How many blocks are searched at once: many nodes allow no more.
const BLOCKS_AT_ONCE: u64 = 1_000;

/// What the chain says of a payment that has expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// It was never charged, and never will be.
    Unused,
    /// It was charged, by this transaction; `None` when no node found the event.
    Used(Option<B256>),
    /// The chain has not finalized a block after its expiry yet.
    NotFinal,
}

/// The chain can't be asked, or its answer can't be used. Nothing changes then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("payment.rpc_url: {0}")]
pub struct ChainError(String);

/// A node of the chain that payments are settled on.
#[derive(Debug, Clone)]
pub struct Chain {
    http: reqwest::Client,
    url: Url,
    network: Network,
}

/// A finalized block.
#[derive(Debug, Clone, Copy)]
struct Block {
    number: u64,
    /// Seconds since 1970.
    time: u64,
}

impl Chain {
    /// The node at `url`, which must be of `network`; `ca_pem` is an extra root certificate to trust.
    ///
    /// # Errors
    /// `ca_pem` is not a usable certificate.
    pub fn new(url: Url, network: Network, ca_pem: Option<&[u8]>) -> Result<Self, CertificateError> {
        let http = tls::http(ca_pem)?
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .map_err(CertificateError::refused)?;
        Ok(Self { http, url, network })
    }

    /// What became of a payment.
    ///
    /// # Errors
    /// The node fails, answers something else, or is of another chain.
    pub async fn settlement(&self, authorization: &Authorization) -> Result<Settlement, ChainError> {
        let chain = quantity(&self.call("eth_chainId", json!([])).await?)?;
        if chain != self.network.chain_id() {
            return Err(ChainError(format!(
                "the node is of chain {chain}, not of {} ({})",
                self.network,
                self.network.chain_id()
            )));
        }
        let last = self.finalized().await?;
        if last.time <= authorization.valid_before {
            return Ok(Settlement::NotFinal);
        }
        if !self.is_used(authorization, last).await? {
            return Ok(Settlement::Unused);
        }
        if let Some(transaction) = self.event("AuthorizationUsed", authorization, last).await? {
            return Ok(Settlement::Used(Some(transaction)));
        }
        match self.event("AuthorizationCanceled", authorization, last).await? {
            Some(_) => Ok(Settlement::Unused),
            None => Ok(Settlement::Used(None)),
        }
    }

    async fn finalized(&self) -> Result<Block, ChainError> {
        let block = self
            .call("eth_getBlockByNumber", json!(["finalized", false]))
            .await?;
        Ok(Block {
            number: quantity(&block["number"])?,
            time: quantity(&block["timestamp"])?,
        })
    }

    /// `authorizationState(from, nonce)` at a block.
    async fn is_used(&self, authorization: &Authorization, at: Block) -> Result<bool, ChainError> {
        let mut data = keccak256("authorizationState(address,bytes32)")[..4].to_vec();
        data.extend(authorization.from.into_word());
        data.extend(authorization.nonce);
        let call = json!({ "to": token::usdc(self.network), "data": hex::encode_prefixed(data) });
        let state = self
            .call("eth_call", json!([call, hexadecimal(at.number)]))
            .await?;
        match state.as_str().and_then(|text| text.parse::<U256>().ok()) {
            Some(U256::ZERO) if is_word(&state) => Ok(false),
            Some(U256::ONE) if is_word(&state) => Ok(true),
            _ => Err(unclear(&state)),
        }
    }

    /// The transaction of an event of the token contract about this nonce.
    async fn event(
        &self,
        name: &str,
        authorization: &Authorization,
        last: Block,
    ) -> Result<Option<B256>, ChainError> {
        let near = |time: u64| {
            let ago = last.time.saturating_sub(time) / BLOCK_SECONDS;
            last.number.saturating_sub(ago)
        };
        let first = near(authorization.valid_after).saturating_sub(MARGIN_BLOCKS);
        let end = (near(authorization.valid_before) + MARGIN_BLOCKS).min(last.number);
        let topic = keccak256(format!("{name}(address,bytes32)"));
        let topics = json!([topic, authorization.from.into_word(), authorization.nonce]);
        let mut from = first.min(end);
        while from <= end {
            let to = (from + BLOCKS_AT_ONCE - 1).min(end);
            let wanted = json!([{
                "address": token::usdc(self.network),
                "topics": topics,
                "fromBlock": hexadecimal(from),
                "toBlock": hexadecimal(to),
            }]);
            let logs = self.call("eth_getLogs", wanted).await?;
            let logs = logs.as_array().ok_or_else(|| unclear(&logs))?;
            if let Some(log) = logs.iter().find(|log| log["topics"] == topics) {
                let hash = log["transactionHash"].as_str().and_then(|hash| hash.parse().ok());
                return hash.map(Some).ok_or_else(|| unclear(log));
            }
            from = to + 1;
        }
        Ok(None)
    }

    /// One JSON-RPC request. Its URL, which may hold a key, is in no error.
    async fn call(&self, method: &str, params: Value) -> Result<Value, ChainError> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let failed = |error: reqwest::Error| ChainError(clean(&format!("{method}: {}", error.without_url())));
        let mut reply = self
            .http
            .post(self.url.clone())
            .json(&body)
            .send()
            .await
            .map_err(failed)?;
        let status = reply.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = reply.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LONGEST {
                return Err(ChainError(format!("{method}: the reply is too long")));
            }
        }
        if !status.is_success() {
            return Err(ChainError(format!("{method}: HTTP {}", status.as_u16())));
        }
        let json: Value = serde_json::from_slice(&bytes)
            .map_err(|_| ChainError(format!("{method}: the reply is not JSON")))?;
        match json.get("error").filter(|error| !error.is_null()) {
            Some(error) => Err(ChainError(clean(&format!("{method}: {}", error["message"])))),
            None => Ok(json["result"].clone()),
        }
    }
}

fn hexadecimal(number: u64) -> String {
    format!("{number:#x}")
}

/// Whether a result is one word of 32 bytes, as the return value of a call must be.
fn is_word(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() == 66)
}

/// A quantity of JSON-RPC: `0x2105`.
fn quantity(value: &Value) -> Result<u64, ChainError> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| unclear(value))
}

fn unclear(value: &Value) -> ChainError {
    ChainError(clean(&format!("the node answers {value}")))
}
