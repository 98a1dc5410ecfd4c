use std::process::Command;

use alloy_primitives::{Signature, address};
use serde_json::json;

use super::*;
use crate::enroll::Network;
use crate::util::money::Usd;

/// The first account of well-known test wallets; its key is public.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const ADDRESS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

fn accepted() -> Accepted {
    Accepted {
        offer: json!({ "scheme": "exact", "network": "eip155:8453" }),
        version: Some(2),
        resource: None,
        network: Network::Base,
        payee: address!("73616e64626f7800000000000000000000000001"),
        price: Usd::from_micros(10_300),
        validity: Duration::from_secs(60),
        domain: ("USD Coin".to_owned(), "2".to_owned()),
    }
}

/// A payment of 1.03 cents that is signed at `now` and valid for a minute.
pub(in crate::enroll::payment) fn payment(now: u64) -> SignedPayment {
    Wallet::new(KEY)
        .unwrap()
        .sign_at(&accepted(), now, B256::repeat_byte(7))
}

#[test]
fn a_key_has_its_address_with_or_without_0x() {
    for text in [KEY, &KEY[2..], &format!(" {KEY}\n")] {
        assert_eq!(Wallet::new(text).unwrap().address().to_string(), ADDRESS);
    }
}

#[test]
fn what_is_no_key_is_reported_and_not_repeated() {
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    for text in [
        "",
        "canary",
        &KEY[..40],
        &format!("{KEY}00"),
        &"0".repeat(64),
        order,
    ] {
        let error = Wallet::new(text).unwrap_err();
        let message = format!("{error} {error:?}");
        assert!(message.contains("64 hexadecimal digits"), "{message}");
        assert!(text.is_empty() || !message.contains(text), "{message}");
    }
}

#[test]
fn a_key_is_never_shown_not_even_by_a_panic() {
    let wallet = Wallet::new(KEY).unwrap();
    let payment = wallet.sign(&accepted());
    let shown = format!("{wallet:?} {wallet:#?} {payment:?} {payment:#?}");
    assert!(shown.contains(ADDRESS), "{shown}");
    for secret in [&KEY[2..], &hex::encode(payment.signature)] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let panicked = std::panic::catch_unwind(|| panic!("a panic that shows its {wallet:?}"));
    let message = panicked.unwrap_err().downcast::<String>().unwrap();
    assert!(
        message.contains("Wallet(") && !message.contains(&KEY[2..]),
        "{message}"
    );
}

#[test]
fn each_payment_has_its_own_nonce_and_the_validity_that_was_asked() {
    let wallet = Wallet::new(KEY).unwrap();
    let (one, other) = (wallet.sign(&accepted()), wallet.sign(&accepted()));
    assert_ne!(one.authorization.nonce, other.authorization.nonce);
    let signed = payment(1_000).authorization;
    assert_eq!((signed.valid_after, signed.valid_before), (400, 1_060));
    assert_eq!(signed.value, 10_300);
}

#[test]
fn the_ledger_keeps_a_payment_as_it_is() {
    let payment = payment(1_000);
    let text = serde_json::to_string(&payment).unwrap();
    assert_eq!(serde_json::from_str::<SignedPayment>(&text).unwrap(), payment);
}

#[test]
fn the_payer_can_be_recovered_from_what_is_signed() {
    let payment = payment(1_000);
    let signature = Signature::from_raw(payment.signature.as_slice()).unwrap();
    assert!(signature.normalize_s().is_none(), "the contract takes low s only");
    let hash = signing_hash(&accepted().domain, Network::Base, &payment.authorization);
    assert_eq!(
        signature.recover_address_from_prehash(&hash).unwrap().to_string(),
        ADDRESS
    );
}

/// Signs the same with Python's eth-account: `pip install eth-account`.
const SECOND: &str = r#"
import json, sys
try:
    from eth_account import Account
except ImportError:
    sys.exit(77)
asked = json.load(sys.stdin)
types = {"TransferWithAuthorization": [
    {"name": "from", "type": "address"}, {"name": "to", "type": "address"},
    {"name": "value", "type": "uint256"}, {"name": "validAfter", "type": "uint256"},
    {"name": "validBefore", "type": "uint256"}, {"name": "nonce", "type": "bytes32"}]}
signed = Account.sign_typed_data(asked["key"], asked["domain"], types, asked["message"])
print(json.dumps({"hash": signed.message_hash.hex(), "signature": signed.signature.hex()}))
"#;

#[test]
fn a_second_implementation_signs_the_same() {
    for (network, domain) in [(Network::Base, "USD Coin"), (Network::BaseSepolia, "USDC")] {
        let accepted = Accepted {
            network,
            domain: (domain.to_owned(), "2".to_owned()),
            ..accepted()
        };
        let payment = Wallet::new(KEY)
            .unwrap()
            .sign_at(&accepted, 1_800_000_000, B256::repeat_byte(0xa7));
        let signed = &payment.authorization;
        let asked = json!({
            "key": KEY,
            "domain": {
                "name": domain,
                "version": "2",
                "chainId": network.chain_id(),
                "verifyingContract": crate::enroll::payment::token::usdc(network).to_string(),
            },
            "message": {
                "from": signed.from.to_string(),
                "to": signed.to.to_string(),
                "value": signed.value,
                "validAfter": signed.valid_after,
                "validBefore": signed.valid_before,
                "nonce": signed.nonce.to_string(),
            },
        });
        let python = std::env::var("CASTLINE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let Some(text) = second(&python, &asked.to_string()) else {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI needs eth-account in CASTLINE_TEST_PYTHON"
            );
            println!(
                "skipped: no {python} with eth-account; pip install eth-account to compare signatures with it"
            );
            return;
        };
        let text: serde_json::Value = serde_json::from_str(&text).unwrap();
        let same = |name: &str, ours: String| {
            let theirs = text[name].as_str().unwrap().trim_start_matches("0x").to_owned();
            assert_eq!(theirs, ours, "{name} on {network}");
        };
        same(
            "hash",
            hex::encode(signing_hash(&accepted.domain, network, signed)),
        );
        same("signature", hex::encode(payment.signature));
        println!("{network}: eth-account signs the same");
    }
}

/// The output of the second implementation; `None` if it is not installed.
fn second(python: &str, asked: &str) -> Option<String> {
    use std::io::Write;
    use std::process::Stdio;
    let mut process = Command::new(python)
        .args(["-c", SECOND])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    // It may have exited before it reads.
    let _ = process.stdin.take()?.write_all(asked.as_bytes());
    let output = process.wait_with_output().ok()?;
    if output.status.code() == Some(77) {
        return None;
    }
    assert!(output.status.success(), "the second implementation fails");
    String::from_utf8(output.stdout).ok()
}
