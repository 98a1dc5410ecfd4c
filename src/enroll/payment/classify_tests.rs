use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::json;

use super::*;

fn judge(status: u16, headers: &[(&'static str, Value)], body: &Value) -> Outcome {
    let header = |(name, json): &(&'static str, Value)| {
        let value = HeaderValue::try_from(STANDARD.encode(json.to_string())).unwrap();
        (HeaderName::from_static(name), value)
    };
    let reply = Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers: headers.iter().map(header).collect(),
        body: body.to_string().into_bytes(),
        cut: None,
    };
    classify_payment(&CallResult::Reply(reply), &Provider::default())
}

fn settlement(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Enrolled { settlement, .. } => settlement.as_deref(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_receipt_is_taken_from_either_header_or_from_the_body() {
    let receipt = json!({ "success": true, "transaction": "0xabc" });
    let body = json!({ "asset_id": "ta_1", "settlement": { "tx_hash": "0xabc" } });
    for name in RECEIPTS {
        let outcome = judge(200, &[(name, receipt.clone())], &body);
        assert_eq!(settlement(&outcome), Some(receipt.to_string().as_str()));
    }
    assert_eq!(
        settlement(&judge(200, &[], &body)),
        Some(r#"{"tx_hash":"0xabc"}"#)
    );
    assert_eq!(settlement(&judge(200, &[], &json!({ "asset_id": "ta_1" }))), None);
}

#[test]
fn a_challenge_in_answer_to_a_payment_says_why_it_was_not_taken() {
    let challenge =
        |error: &str| json!({ "x402Version": 2, "error": error, "accepts": [{ "scheme": "exact" }] });
    let stopped = |error: &str| match judge(402, &[("payment-required", challenge(error))], &json!({})) {
        Outcome::Stop { kind, code, .. } => (kind, code),
        other => panic!("{error}: {other:?}"),
    };
    assert_eq!(
        stopped("insufficient_funds"),
        (StopKind::Funds, "insufficient_funds".to_owned())
    );
    assert_eq!(
        stopped("invalid_exact_evm_payload_authorization_valid_before"),
        (StopKind::Payment, "payment_expired".to_owned())
    );
    assert_eq!(
        stopped("invalid_exact_evm_payload_signature"),
        (
            StopKind::Payment,
            "invalid_exact_evm_payload_signature".to_owned()
        )
    );
    for error in [
        "Payment required",
        "fetch failed",
        "facilitator_unavailable",
        "unexpected_verify_error",
        "insufficient funds for gas * price + value",
        "unexpected_settle_error",
        "invalid_transaction_state",
        "nonce already used",
    ] {
        let outcome = judge(402, &[], &challenge(error));
        assert!(matches!(outcome, Outcome::InDoubt { .. }), "{error}: {outcome:?}");
    }
}

#[test]
fn only_the_verification_of_a_payment_says_that_it_was_not_charged() {
    for body in [
        json!({ "error": {} }),
        json!({ "error": "facilitator_unavailable" }),
        json!({ "error": "fetch failed" }),
        json!({ "code": "something_new" }),
        json!({}),
        json!(""),
    ] {
        let outcome = judge(402, &[], &body);
        assert!(matches!(outcome, Outcome::InDoubt { .. }), "{body}: {outcome:?}");
    }
    for code in NOT_FUNDED.iter().chain(&EXPIRED).chain(&NOT_VERIFIED) {
        for code in [(*code).to_owned(), code.to_uppercase()] {
            let outcome = judge(402, &[], &json!({ "error": { "code": code } }));
            assert!(matches!(outcome, Outcome::Stop { .. }), "{code}: {outcome:?}");
        }
    }
}

#[test]
fn a_failed_settlement_tells_its_reason_in_the_receipt() {
    let receipt = |reason: &str| {
        [(
            "payment-response",
            json!({ "success": false, "errorReason": reason }),
        )]
    };
    let funds = judge(402, &receipt("insufficient_funds"), &json!({ "error": "no" }));
    assert!(
        matches!(
            funds,
            Outcome::Stop {
                kind: StopKind::Funds,
                ..
            }
        ),
        "{funds:?}"
    );
    let doubt = judge(
        402,
        &receipt("unexpected_settle_error"),
        &json!({ "error": "no" }),
    );
    assert!(matches!(doubt, Outcome::InDoubt { .. }), "{doubt:?}");
}

#[test]
fn everything_else_means_what_it_means_by_key() {
    for (status, body) in [
        (400, json!({ "error": "invalid_image_url" })),
        (402, json!({ "code": "PAYMENT_REPLAY" })),
        (402, json!({ "code": "PAYMENT_UNFUNDED" })),
        (402, json!({ "code": "payment_expired" })),
        (429, json!({})),
        (500, json!({})),
    ] {
        let reply = Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: Default::default(),
            body: body.to_string().into_bytes(),
            cut: None,
        };
        let by_key = classify(&CallResult::Reply(reply), &Provider::default());
        assert_eq!(judge(status, &[], &body), by_key, "{status} {body}");
    }
}
