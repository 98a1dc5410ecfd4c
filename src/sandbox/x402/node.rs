//! A node of the chain, as far as castline asks one: which authorizations were used, and by which transaction.

use alloy_primitives::{Address, B256, U256, keccak256};
use serde_json::{Value, json};

use super::Bank;
use crate::sandbox::faults::ChainAnswers;

/// Base makes a block every 2 seconds.
const BLOCK_SECONDS: i64 = 2;
/// How far a node that lags is behind, in seconds.
const LAG: i64 = 3600;

impl Bank {
    /// The reply to a JSON-RPC request; `None` where the node answers no request at all.
    pub(in crate::sandbox) fn rpc(&self, request: &Value, answers: ChainAnswers) -> Option<Value> {
        if answers == ChainAnswers::Fails {
            return None;
        }
        let lag = if answers == ChainAnswers::Lags { LAG } else { 0 };
        let time = jiff::Timestamp::now().as_second() - lag;
        let block = time / BLOCK_SECONDS;
        let params = &request["params"];
        let result = match request["method"].as_str().unwrap_or_default() {
            "eth_chainId" => json!(format!(
                "{:#x}",
                match answers {
                    ChainAnswers::OtherChain => 1,
                    _ => self.options.chain_id,
                }
            )),
            "eth_getBlockByNumber" => {
                json!({ "number": format!("{block:#x}"), "timestamp": format!("{time:#x}") })
            }
            "eth_call" => {
                let data = params[0]["data"].as_str().unwrap_or_default();
                let used = self.used_in(data)?;
                json!(format!("{:#066x}", U256::from(u8::from(used))))
            }
            "eth_getLogs" => self.logs(&params[0]),
            _ => {
                return Some(
                    json!({ "jsonrpc": "2.0", "id": request["id"], "error": { "code": -32601, "message": "no such method" } }),
                );
            }
        };
        Some(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }))
    }

    /// `authorizationState(address,bytes32)`, by the data of the call.
    fn used_in(&self, data: &str) -> Option<bool> {
        let selector =
            alloy_primitives::hex::encode_prefixed(&keccak256("authorizationState(address,bytes32)")[..4]);
        let words = data.strip_prefix(&selector)?;
        let (from, nonce) = words.split_at_checked(64)?;
        Some(self.transaction_of(from, nonce).is_some())
    }

    fn logs(&self, wanted: &Value) -> Value {
        let topic = |at: usize| wanted["topics"][at].as_str().unwrap_or_default();
        let used: B256 = keccak256("AuthorizationUsed(address,bytes32)");
        if topic(0) != used.to_string() {
            return json!([]);
        }
        let transaction = self.transaction_of(
            topic(1).trim_start_matches("0x"),
            topic(2).trim_start_matches("0x"),
        );
        match transaction {
            Some((hash, block)) => {
                let number = |name: &str| {
                    let digits = wanted[name].as_str().unwrap_or_default().trim_start_matches("0x");
                    i64::from_str_radix(digits, 16).unwrap_or_default()
                };
                let within = (number("fromBlock")..=number("toBlock")).contains(&block);
                match within {
                    true => json!([{ "topics": wanted["topics"], "transactionHash": hash }]),
                    false => json!([]),
                }
            }
            None => json!([]),
        }
    }

    /// The transaction that settled an authorization, and its block.
    fn transaction_of(&self, from: &str, nonce: &str) -> Option<(String, i64)> {
        let from: Address = format!("0x{}", from.get(24..)?).parse().ok()?;
        let nonce: U256 = format!("0x{nonce}").parse().ok()?;
        let settled = self.settled();
        let charge = settled.nonces.get(&(from, nonce))?;
        let time: jiff::Timestamp = charge.time.parse().ok()?;
        Some((charge.tx_hash.clone()?, time.as_second() / BLOCK_SECONDS))
    }
}
