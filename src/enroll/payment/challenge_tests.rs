use axum::body::to_bytes;
use proptest::prelude::*;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::json;

use super::*;
use crate::enroll::Network;
use crate::enroll::payment::Policy;
use crate::sandbox::x402::{Challenge as Quote, WalletOptions};
use crate::util::money::Usd;

fn reply(header: Option<(&'static str, &str)>, body: &[u8]) -> Reply {
    let header = header.map(|(name, value)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_str(value).unwrap())
    });
    Reply {
        status: StatusCode::PAYMENT_REQUIRED,
        headers: header.into_iter().collect(),
        body: body.to_vec(),
        cut: None,
    }
}

#[tokio::test]
async fn every_dialect_is_understood_alike() {
    let options = WalletOptions::default();
    let policy = Policy {
        network: Network::Base,
        payee: Some(options.pay_to),
        max_price: Usd::from_micros(20_000),
    };
    let dialects = Quote::all();
    assert_eq!(dialects.len(), 288);
    for dialect in dialects {
        let message = dialect.reply(&options, Usd::from_micros(10_300), "https://localhost/x");
        let headers = message.headers().clone();
        let body = to_bytes(message.into_body(), 10_000).await.unwrap().to_vec();
        let challenge = Challenge::read(&Reply {
            headers,
            ..reply(None, &body)
        });
        let challenge = challenge.unwrap_or_else(|e| panic!("{dialect:?}: {e}"));
        assert_eq!(challenge.version, dialect.version.map(u64::from), "{dialect:?}");
        assert!(challenge.resource.is_some() || dialect.version == Some(1));
        let accepted = policy
            .choose(&challenge)
            .unwrap_or_else(|e| panic!("{dialect:?}: {e}"));
        assert_eq!(
            (accepted.price, accepted.payee),
            (Usd::from_micros(10_300), options.pay_to)
        );
        assert_eq!(accepted.domain, ("USD Coin".to_owned(), "2".to_owned()));
        assert_eq!(accepted.validity.as_secs(), 60);
    }
}

#[test]
fn a_header_wins_over_the_body_and_may_be_plain_or_without_padding() {
    let offer = |n: u64| json!({ "accepts": [{ "n": n }] }).to_string();
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    for encoded in [
        STANDARD.encode(offer(1)),
        STANDARD_NO_PAD.encode(offer(1)),
        URL_SAFE_NO_PAD.encode(offer(1)),
        offer(1),
    ] {
        let read = Challenge::read(&reply(
            Some(("x-payment-required", &encoded)),
            offer(2).as_bytes(),
        ));
        assert_eq!(read.unwrap().offers, [json!({ "n": 1 })], "{encoded}");
    }
    let broken = reply(Some(("payment-required", "%%%")), offer(2).as_bytes());
    assert_eq!(Challenge::read(&broken).unwrap().offers, [json!({ "n": 2 })]);
}

#[test]
fn a_list_may_be_wrapped_and_an_offer_may_stand_alone() {
    for body in [
        json!({ "data": { "accepts": [{ "n": 1 }] }, "error": "pay" }),
        json!({ "payments": { "n": 1 } }),
        json!({ "accepts": [1, null, { "n": 1 }] }),
    ] {
        let read = Challenge::read(&reply(None, body.to_string().as_bytes()));
        assert_eq!(read.unwrap().offers, [json!({ "n": 1 })], "{body}");
    }
}

#[test]
fn what_is_no_challenge_says_so() {
    for body in [
        "",
        "[]",
        "{}",
        "null",
        "Payment required",
        r#"{"accepts":[]}"#,
        r#"{"accepts":[7]}"#,
    ] {
        assert!(Challenge::read(&reply(None, body.as_bytes())).is_err(), "{body}");
    }
}

proptest! {
    #[test]
    fn whatever_is_sent_is_read_without_trouble(
        header in "[ -~]{0,200}",
        body in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        if let Ok(challenge) = Challenge::read(&reply(Some(("payment-required", &header)), &body)) {
            prop_assert!(!challenge.offers.is_empty());
        }
    }
}
