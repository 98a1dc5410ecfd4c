use alloy_primitives::{B256, Bytes, Signature};
use alloy_sol_types::{SolStruct, eip712_domain};
use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k256::ecdsa::SigningKey;
use serde_json::Value;

use super::*;

mod typed {
    alloy_sol_types::sol! {
        struct TransferWithAuthorization {
            address from;
            address to;
            uint256 value;
            uint256 validAfter;
            uint256 validBefore;
            bytes32 nonce;
        }
    }
}

const NOW: i64 = 1_800_000_000;

fn key(byte: u8) -> SigningKey {
    SigningKey::from_slice(&[byte; 32]).unwrap()
}

fn address_of(key: &SigningKey) -> Address {
    Address::from_private_key(key)
}

/// A payment of one cent that is valid at [`NOW`], signed by the library that wallets use.
fn payment(key: &SigningKey, nonce: u64, change: impl FnOnce(&mut Payment)) -> Payment {
    let options = WalletOptions::default();
    let mut payment = Payment {
        scheme: Some("exact".into()),
        network: Some("eip155:8453".into()),
        from: address_of(key),
        to: options.pay_to,
        value: U256::from(10_000),
        valid_after: U256::from(NOW as u64 - 600),
        valid_before: U256::from(NOW as u64 + 60),
        nonce: U256::from(nonce),
        signature: Bytes::new(),
    };
    change(&mut payment);
    let domain = eip712_domain! {
        name: options.domain_name.clone(),
        version: options.domain_version.clone(),
        chain_id: options.chain_id,
        verifying_contract: options.asset,
    };
    let typed = typed::TransferWithAuthorization {
        from: payment.from,
        to: payment.to,
        value: payment.value,
        validAfter: payment.valid_after,
        validBefore: payment.valid_before,
        nonce: B256::from(payment.nonce),
    };
    let hash = typed.eip712_signing_hash(&domain);
    if payment.signature.is_empty() {
        let signed = key.sign_prehash_recoverable(hash.as_slice()).unwrap();
        payment.signature = Signature::from(signed).as_bytes().into();
    }
    payment
}

fn bank() -> (Bank, ChargeBook, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let book = ChargeBook::open(&dir.path().join("charges.ndjson")).unwrap();
    (
        Bank::new(WalletOptions::default(), Usd::from_micros(10_000), &book),
        book,
        dir,
    )
}

fn verify(payment: &Payment) -> Result<(), &'static str> {
    bank().0.verify(payment, NOW).map_err(|error| error.code())
}

#[test]
fn what_a_wallet_signs_is_what_the_contract_would_check() {
    assert_eq!(verify(&payment(&key(1), 1, |_| {})), Ok(()));
    assert_eq!(
        verify(&payment(&key(1), 2, |p| p.network = Some("base".into()))),
        Ok(())
    );
    assert_eq!(verify(&payment(&key(1), 3, |p| p.network = None)), Ok(()));
}

#[test]
fn every_kind_of_wrong_payment_has_its_code() {
    let refused = |change: fn(&mut Payment)| verify(&payment(&key(1), 1, change)).unwrap_err();
    assert_eq!(refused(|p| p.to = Address::ZERO), "PAYMENT_INVALID");
    assert_eq!(refused(|p| p.scheme = Some("upto".into())), "PAYMENT_INVALID");
    assert_eq!(
        refused(|p| p.network = Some("eip155:1".into())),
        "unsupported_network"
    );
    assert_eq!(refused(|p| p.value = U256::from(9_999)), "amount_mismatch");
    assert_eq!(refused(|p| p.value = U256::from(10_001)), "amount_mismatch");
    assert_eq!(
        refused(|p| p.valid_before = U256::from(NOW as u64)),
        "payment_expired"
    );
    assert_eq!(
        refused(|p| p.valid_after = U256::from(NOW as u64)),
        "payment_expired"
    );
    assert_eq!(refused(|p| p.from = Address::repeat_byte(9)), "invalid_signature");
    assert_eq!(
        refused(|p| p.signature = Bytes::from(vec![1; 65])),
        "invalid_signature"
    );
    assert_eq!(
        refused(|p| p.signature = Bytes::from(vec![1; 64])),
        "invalid_signature"
    );
}

#[test]
fn nothing_can_be_changed_after_signing() {
    let changes: [fn(&mut Payment); 4] = [
        |p| p.nonce += U256::from(1),
        |p| p.valid_before += U256::from(1),
        |p| p.valid_after -= U256::from(1),
        |p| p.from = address_of(&key(2)),
    ];
    for change in changes {
        let mut payment = payment(&key(1), 1, |_| {});
        change(&mut payment);
        assert_eq!(verify(&payment), Err("invalid_signature"));
    }
}

#[test]
fn the_upper_half_of_s_is_refused_as_by_the_contract() {
    let mut payment = payment(&key(1), 1, |_| {});
    let signature = alloy_primitives::Signature::from_raw(&payment.signature).unwrap();
    let order = U256::from_str_radix(
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        16,
    )
    .unwrap();
    let other = alloy_primitives::Signature::new(signature.r(), order - signature.s(), !signature.v());
    payment.signature = other.as_bytes().into();
    assert_eq!(verify(&payment), Err("invalid_signature"));
}

fn headers(payment: &Payment, name: &'static str) -> HeaderMap {
    let body = json!({
        "x402Version": 2,
        "accepted": { "scheme": payment.scheme, "network": payment.network },
        "payload": {
            "signature": payment.signature,
            "authorization": {
                "from": payment.from,
                "to": payment.to,
                "value": payment.value.to_string(),
                "validAfter": payment.valid_after.to_string(),
                "validBefore": payment.valid_before.to_string(),
                "nonce": B256::from(payment.nonce),
            },
        },
    });
    HeaderMap::from_iter([(name.parse().unwrap(), challenge::encode(&body))])
}

#[test]
fn a_payment_is_read_from_either_header_and_two_must_agree() {
    let (one, other) = (payment(&key(1), 1, |_| {}), payment(&key(1), 2, |_| {}));
    for name in ["payment-signature", "x-payment"] {
        assert_eq!(Payment::read(&headers(&one, name)).unwrap(), one);
    }
    let mut both = headers(&one, "payment-signature");
    both.extend(headers(&one, "x-payment"));
    assert_eq!(Payment::read(&both).unwrap(), one);
    both.insert("x-payment", headers(&other, "x-payment")["x-payment"].clone());
    assert_eq!(Payment::read(&both).unwrap_err().code(), "PAYMENT_INVALID");
    let nonsense = HeaderMap::from_iter([("x-payment".parse().unwrap(), HeaderValue::from_static("!"))]);
    assert_eq!(Payment::read(&nonsense).unwrap_err().code(), "PAYMENT_INVALID");
}

#[test]
fn every_quote_names_the_price_once() {
    let options = WalletOptions::default();
    for challenge in Challenge::all() {
        let reply = challenge.reply(&options, Usd::from_micros(10_300), "https://localhost/x");
        let header = ["payment-required", "x-payment-required"]
            .iter()
            .find_map(|name| reply.headers().get(*name));
        let header = header.map(|h| h.as_bytes().to_owned());
        assert_eq!(header.is_none(), challenge.place == Place::Body);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let body = runtime
            .block_on(axum::body::to_bytes(reply.into_body(), 10_000))
            .unwrap();
        let json: Value = match header {
            Some(header) => serde_json::from_slice(&STANDARD.decode(header).unwrap()).unwrap(),
            None => serde_json::from_slice(&body).unwrap(),
        };
        let offers: Vec<_> = ["accepts", "payments"]
            .iter()
            .filter_map(|key| json[*key].get(0))
            .collect();
        assert_eq!(offers.len(), 1, "{json}");
        let amounts: Vec<_> = ["amount", "maxAmountRequired"]
            .iter()
            .filter_map(|key| offers[0][*key].as_str())
            .collect();
        assert_eq!(amounts, ["10300"], "{json}");
        assert_eq!(json.get("x402Version").is_some(), challenge.version.is_some());
        assert_eq!(offers[0].get("extra").is_some(), challenge.extra);
    }
}
