use alloy_primitives::{Address, B256, Signature, U256};
use alloy_sol_types::{SolStruct, eip712_domain};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use castline::sandbox::x402::{Challenge, Replay, WalletOptions};
use castline::sandbox::{self, FaultKind, Faults, SandboxOptions};
use castline::util::money::Usd;
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};

use super::{Bench, read};

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

fn key(byte: u8) -> SigningKey {
    SigningKey::from_slice(&[byte; 32]).unwrap()
}

fn address_of(key: &SigningKey) -> Address {
    Address::from_private_key(key)
}

/// A signed payment as version 2 sends it, for an offer of version 2.
fn pay(key: &SigningKey, offer: &Value, nonce: u64) -> String {
    let now = jiff::Timestamp::now().as_second() as u64;
    let number = |name: &str| offer[name].as_str().unwrap().parse::<U256>().unwrap();
    let address = |name: &str| offer[name].as_str().unwrap().parse::<Address>().unwrap();
    let transfer = typed::TransferWithAuthorization {
        from: address_of(key),
        to: address("payTo"),
        value: number("amount"),
        validAfter: U256::from(now - 600),
        validBefore: U256::from(now + offer["maxTimeoutSeconds"].as_u64().unwrap()),
        nonce: B256::from(U256::from(nonce)),
    };
    let domain = eip712_domain! {
        name: offer["extra"]["name"].as_str().unwrap().to_owned(),
        version: offer["extra"]["version"].as_str().unwrap().to_owned(),
        chain_id: 8453,
        verifying_contract: address("asset"),
    };
    let hash = transfer.eip712_signing_hash(&domain);
    let signature = Signature::from(key.sign_prehash_recoverable(hash.as_slice()).unwrap());
    let payload = json!({
        "x402Version": 2,
        "accepted": offer,
        "payload": {
            "signature": signature.to_string(),
            "authorization": {
                "from": transfer.from,
                "to": transfer.to,
                "value": transfer.value.to_string(),
                "validAfter": transfer.validAfter.to_string(),
                "validBefore": transfer.validBefore.to_string(),
                "nonce": transfer.nonce,
            },
        },
    });
    STANDARD.encode(payload.to_string())
}

async fn send(
    bench: &Bench,
    name: &str,
    url: &str,
    payment: Option<&str>,
) -> reqwest::Result<reqwest::Response> {
    let body = json!({ "name": name, "image_url": url }).to_string();
    let call = bench
        .http
        .post(format!("{}/portrait/enroll", bench.sandbox.blockrun_base_url()))
        .body(body);
    match payment {
        Some(payment) => call.header("payment-signature", payment).send().await,
        None => call.send().await,
    }
}

async fn offer(bench: &Bench) -> Value {
    let reply = send(bench, "Ada", "", None).await.unwrap();
    assert_eq!(reply.status(), 402);
    let header = STANDARD
        .decode(reply.headers()["payment-required"].as_bytes())
        .unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["accepts"][0].clone()
}

async fn code(reply: reqwest::Result<reqwest::Response>) -> (u16, String) {
    let (status, body) = read(reply.unwrap()).await;
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

async fn bench(change: impl FnOnce(&mut WalletOptions)) -> Bench {
    let mut wallet = WalletOptions::default();
    change(&mut wallet);
    Bench::with(|options| options.wallet = Some(wallet)).await
}

#[tokio::test]
async fn a_quote_costs_nothing_and_a_signed_payment_enrolls_once() {
    let bench = bench(|wallet| wallet.balance = Usd::from_micros(25_000)).await;
    let (url, payer) = (bench.picture("ada.jpg").await, key(1));
    let offer = offer(&bench).await;
    assert_eq!(bench.sandbox.charges(), []);
    let payment = pay(&payer, &offer, 1);
    let reply = send(&bench, "Ada", &url, Some(&payment)).await.unwrap();
    assert_eq!(reply.status(), 200);
    let receipt = STANDARD
        .decode(reply.headers()["payment-response"].as_bytes())
        .unwrap();
    let receipt: Value = serde_json::from_slice(&receipt).unwrap();
    let body: Value = serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap();
    let charge = &bench.sandbox.charges()[0];
    assert_eq!(body["asset_id"], charge.asset_id.as_str());
    assert_eq!(body["settlement"]["tx_hash"], receipt["transaction"]);
    assert_eq!(receipt["transaction"].as_str(), charge.tx_hash.as_deref());
    assert_eq!(
        bench.sandbox.balance(address_of(&payer)),
        Usd::from_micros(15_000)
    );
    let again = send(&bench, "Ada", &url, Some(&payment)).await;
    assert_eq!(code(again).await, (402, "PAYMENT_REPLAY".into()));
    assert_eq!(
        bench.sandbox.balance(address_of(&payer)),
        Usd::from_micros(15_000)
    );
    assert_eq!(
        send(&bench, "Bo", &url, Some(&pay(&payer, &offer, 2)))
            .await
            .unwrap()
            .status(),
        200
    );
    let third = send(&bench, "Cy", &url, Some(&pay(&payer, &offer, 3))).await;
    assert_eq!(code(third).await, (402, "PAYMENT_UNFUNDED".into()));
    let (_, listed) = bench
        .get(&format!("/api/v1/wallet/{}/portraits", address_of(&payer)))
        .await;
    assert_eq!(listed["portraits"].as_array().unwrap().len(), 2);
    let (_, other) = bench
        .get(&format!("/api/v1/wallet/{}/portraits", address_of(&key(2))))
        .await;
    assert_eq!(other["portraits"], json!([]));
    let (_, balance) = bench
        .get(&format!("/_sandbox/balances/{}", address_of(&payer)))
        .await;
    assert_eq!(balance, json!({ "balance_usd": 0.005 }));
}

#[tokio::test]
async fn the_same_authorization_after_a_lost_reply_gives_the_same_asset_where_the_provider_does_so() {
    let bench = bench(|wallet| wallet.replay = Replay::SameAsset).await;
    let (url, payer) = (bench.picture("ada.jpg").await, key(1));
    let payment = pay(&payer, &offer(&bench).await, 7);
    let faults = Faults {
        script: vec![FaultKind::CloseAfterCharge],
        ..Faults::default()
    };
    bench.sandbox.set_faults(faults).unwrap();
    assert!(send(&bench, "Ada", &url, Some(&payment)).await.is_err());
    assert!(bench.sandbox.charges()[0].reply_lost);
    let (status, body) = read(send(&bench, "Ada", &url, Some(&payment)).await.unwrap()).await;
    let charges = bench.sandbox.charges();
    assert_eq!((status, charges.len(), charges[0].reply_lost), (200, 1, false));
    assert_eq!(body["asset_id"], charges[0].asset_id.as_str());
    let elsewhere = send(&bench, "Bo", &url, Some(&payment)).await;
    assert_eq!(code(elsewhere).await, (402, "PAYMENT_REPLAY".into()));
}

#[tokio::test]
async fn one_authorization_sent_many_times_at_once_is_settled_once() {
    let bench = bench(|_| {}).await;
    let url = bench.picture("ada.jpg").await;
    let payment = pay(&key(1), &offer(&bench).await, 7);
    let sends = (0..8).map(|_| send(&bench, "Ada", &url, Some(&payment)));
    let replies = futures_util::future::join_all(sends).await;
    let paid = replies
        .iter()
        .filter(|reply| reply.as_ref().unwrap().status() == 200)
        .count();
    assert_eq!((paid, bench.sandbox.charges().len()), (1, 1));
}

#[tokio::test]
async fn a_refused_picture_costs_the_wallet_nothing_and_the_payment_is_still_good() {
    let bench = bench(|_| {}).await;
    let url = bench.picture("ada.jpg").await;
    let payment = pay(&key(1), &offer(&bench).await, 1);
    let missing = send(&bench, "Ada", &url.replace("ada", "bo"), Some(&payment)).await;
    assert_eq!(code(missing).await, (400, "invalid_image_url".into()));
    assert_eq!(
        send(&bench, "Ada", &url, Some(&payment)).await.unwrap().status(),
        200
    );
}

#[tokio::test]
async fn a_sandbox_that_goes_on_in_its_folder_still_knows_what_was_settled() {
    let wallet = WalletOptions {
        balance: Usd::from_micros(10_000),
        ..WalletOptions::default()
    };
    let first = bench(|options| *options = wallet.clone()).await;
    let url = first.picture("ada.jpg").await;
    let payment = pay(&key(1), &offer(&first).await, 1);
    assert_eq!(
        send(&first, "Ada", &url, Some(&payment)).await.unwrap().status(),
        200
    );
    let Bench {
        sandbox, _dir: dir, ..
    } = first;
    sandbox.stop().await;
    let mut options = SandboxOptions::new(dir.path());
    options.wallet = Some(wallet);
    let sandbox = sandbox::start(options).await.unwrap();
    assert_eq!(sandbox.balance(address_of(&key(1))), Usd::ZERO);
    let http = super::client(&sandbox);
    let bench = Bench {
        sandbox,
        http,
        _dir: dir,
    };
    let url = bench.picture("ada.jpg").await;
    let again = send(&bench, "Ada", &url, Some(&payment)).await;
    assert_eq!(code(again).await, (402, "PAYMENT_REPLAY".into()));
}

#[tokio::test]
async fn a_quote_comes_in_the_dialect_asked_for_and_asks_for_no_key() {
    let bench = bench(|wallet| wallet.challenge = Challenge::odd()).await;
    let (status, body) = read(send(&bench, "Ada", "", None).await.unwrap()).await;
    assert_eq!(status, 402);
    assert_eq!(body["payments"][0]["amount"], "10000");
    assert!(
        body.get("x402Version").is_none() && body["paymentInfo"].is_object(),
        "{body}"
    );
}
