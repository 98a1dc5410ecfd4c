//! The receipt of a payment, reduced to what is known to belong there.

use serde_json::{Map, Value};

/// The fields that are kept, by their names in x402's headers and in the gateways' bodies.
const FIELDS: [&str; 11] = [
    "success",
    "transaction",
    "tx_hash",
    "txHash",
    "transactionHash",
    "network",
    "payer",
    "amount",
    "asset",
    "payTo",
    "blockNumber",
];
/// The longest value that is kept: a transaction's hash has 66 characters, in some networks 88.
const LONGEST: usize = 100;

/// The known fields of a receipt as JSON text; `None` when there are none. A reply may repeat anything, a key included:
/// only what has the form of a hash, an address, a network or a number is kept, so that nothing else reaches ledgers and
/// manifests.
pub(super) fn known_fields(receipt: &Value) -> Option<String> {
    let kept: Map<String, Value> = FIELDS
        .iter()
        .filter_map(|name| Some((*name, receipt.get(name)?)))
        .filter(|(_, value)| is_plain(value))
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    (!kept.is_empty()).then(|| Value::Object(kept).to_string())
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => {
            let hexadecimal = text
                .strip_prefix("0x")
                .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
            let network =
                |part: &str| part.len() <= 32 && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            // `base-sepolia`, `eip155:8453`: the names of networks begin with letters and hold no long words.
            let short = text.len() <= 32 && !text.starts_with("sk-") && text.split(':').all(network);
            text.len() <= LONGEST && (hexadecimal || short)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hashes_addresses_and_networks_are_kept() {
        let hash = format!("0x{}", "ab".repeat(32));
        let receipt = json!({
            "success": true, "transaction": hash, "network": "eip155:8453", "payer": "0x00aa", "amount": "10000",
        });
        let kept: Value = serde_json::from_str(&known_fields(&receipt).unwrap()).unwrap();
        assert_eq!(kept, receipt);
    }

    #[test]
    fn what_a_reply_repeats_is_not_kept() {
        let key = "brk_live_c0ffee11c0ffee22c0ffee33c0ffee44";
        let receipt = json!({
            "transaction": key, "payer": format!("0x{key}"), "note": key, "headers": { "authorization": key },
            "network": "sk-c0ffee11c0ffee22",
        });
        assert_eq!(known_fields(&receipt), None);
        assert_eq!(known_fields(&json!("text")), None);
    }
}
