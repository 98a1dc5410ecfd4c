use proptest::prelude::*;
use serde_json::json;

use super::*;

const PAYEE: &str = "0x73616E64626F7800000000000000000000000001";
const USDC: &str = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";

fn policy() -> Policy {
    Policy {
        network: Network::Base,
        payee: Some(PAYEE.parse().unwrap()),
        max_price: Usd::from_micros(20_000),
    }
}

fn offer() -> Value {
    json!({
        "scheme": "exact",
        "network": "eip155:8453",
        "asset": USDC,
        "payTo": PAYEE,
        "amount": "10000",
        "maxTimeoutSeconds": 60,
        "extra": { "name": "USD Coin", "version": "2" },
    })
}

fn challenge(offers: Vec<Value>) -> Challenge {
    Challenge {
        version: Some(2),
        resource: None,
        offers,
        error: None,
    }
}

/// The refusal when the offer has this value in place of its own.
fn refused(field: &str, value: Value) -> PolicyError {
    let mut offer = offer();
    offer[field] = value;
    policy().choose(&challenge(vec![offer])).unwrap_err()
}

#[test]
fn what_is_asked_beyond_the_policy_is_refused_and_reported() {
    for (field, value, message) in [
        ("scheme", json!("upto"), "the scheme upto instead of exact"),
        ("scheme", Value::Null, "the scheme nothing instead of exact"),
        ("network", json!("eip155:1"), "on eip155:1 instead of base"),
        (
            "network",
            json!("base-sepolia"),
            "on base-sepolia instead of base",
        ),
        ("network", json!("solana:5eykt4"), "instead of base"),
        (
            "asset",
            json!("0xfde4C96c8593536E31F229EA8f37b2ADa2699bb2"),
            "the token 0xfde4C96c8593536E31F229EA8f37b2ADa2699bb2 instead of USDC",
        ),
        ("asset", Value::Null, "the token nothing instead of USDC"),
        (
            "payTo",
            json!("0x00000000000000000000000000000000000000aa"),
            "instead of 0x73616e64626F7800000000000000000000000001",
        ),
        ("payTo", json!("me"), "to pay me, which is not an address"),
        (
            "amount",
            json!("20001"),
            "$0.020001 for a call, but at most $0.02",
        ),
        ("amount", json!("18446744073709551616"), "can't be read"),
        ("amount", json!("-1"), "can't be read"),
        ("amount", json!(0.01), "can't be read"),
        ("amount", json!("0x2710"), "can't be read"),
        ("amount", json!(""), "can't be read"),
    ] {
        let refused = refused(field, value).to_string().to_lowercase();
        assert!(refused.contains(&message.to_lowercase()), "{field}: {refused}");
        assert!(refused.starts_with("nothing was signed"), "{refused}");
    }
}

#[test]
fn only_a_price_above_the_cap_is_too_dear() {
    assert!(refused("amount", json!("20001")).too_dear);
    assert!(!refused("scheme", json!("upto")).too_dear);
    let most = policy().choose(&challenge(vec![{
        let mut offer = offer();
        offer["amount"] = json!(20_000);
        offer
    }]));
    assert_eq!(most.unwrap().price, Usd::from_micros(20_000));
}

#[test]
fn the_cheapest_of_what_may_be_signed_is_chosen() {
    let with = |changes: &[(&str, &str)]| {
        let mut offer = offer();
        for (field, value) in changes {
            offer[*field] = json!(value);
        }
        offer
    };
    let offers = vec![
        with(&[("amount", "12000")]),
        with(&[("amount", "1"), ("network", "eip155:1")]),
        with(&[("amount", "11000"), ("network", "base")]),
        with(&[("amount", "90000")]),
    ];
    let accepted = policy().choose(&challenge(offers)).unwrap();
    assert_eq!(accepted.price, Usd::from_micros(11_000));
    assert_eq!(accepted.offer["network"], "base");
}

#[test]
fn no_offer_keeps_a_payment_valid_for_long() {
    let validity = |message: Value| {
        let mut offer = offer();
        offer["maxTimeoutSeconds"] = message;
        let accepted = policy().choose(&challenge(vec![offer])).unwrap();
        accepted.validity.as_secs()
    };
    assert_eq!(validity(json!(60)), 60);
    assert_eq!(validity(json!(0)), 30);
    assert_eq!(validity(json!(u64::MAX)), 3600);
    assert_eq!(validity(Value::Null), 300);
}

#[test]
fn without_extra_the_domain_is_that_of_the_network() {
    let mut offer = offer();
    offer.as_object_mut().unwrap().remove("extra");
    offer["network"] = json!("base-sepolia");
    offer["asset"] = json!("0x036cbd53842c5426634e7929541ec2318f3dcf7e");
    let policy = Policy {
        network: Network::BaseSepolia,
        ..policy()
    };
    let accepted = policy.choose(&challenge(vec![offer])).unwrap();
    assert_eq!(accepted.domain, ("USDC".to_owned(), "2".to_owned()));
}

proptest! {
    /// Whatever an API asks: an accepted offer pays the pinned payee in the pinned token, and never more than the cap.
    #[test]
    fn nothing_beyond_the_policy_is_ever_accepted(
        scheme in prop::sample::select(vec!["exact", "Exact", "upto", ""]),
        network in prop::sample::select(vec!["base", "eip155:8453", "eip155:84532", "eip155:8453 ", "ethereum"]),
        asset in prop::sample::select(vec![USDC, "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02914", ""]),
        payee in prop::sample::select(vec![PAYEE, USDC, "0x"]),
        amount in prop_oneof![any::<u64>().prop_map(|n| json!(n.to_string())), (0u64..40_000).prop_map(|n| json!(n))],
    ) {
        let mut offer = offer();
        offer["scheme"] = json!(scheme);
        offer["network"] = json!(network);
        offer["asset"] = json!(asset);
        offer["payTo"] = json!(payee);
        offer["amount"] = amount.clone();
        let chosen = policy().choose(&challenge(vec![offer]));
        let price: u64 = amount.as_u64().or_else(|| amount.as_str()?.parse().ok()).unwrap();
        let may = scheme == "exact" && ["base", "eip155:8453"].contains(&network) && asset == USDC
            && payee == PAYEE && price <= 20_000;
        prop_assert_eq!(chosen.is_ok(), may);
        if let Ok(accepted) = chosen {
            prop_assert_eq!(accepted.price.micros(), price);
            prop_assert_eq!(Some(accepted.payee), policy().payee);
        }
    }
}
