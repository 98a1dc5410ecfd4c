//! API.md's table of errors, line by line.

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::*;

fn reply(status: u16, headers: &[(HeaderName, &str)], body: &str) -> Reply {
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect::<HeaderMap>(),
        body: body.as_bytes().to_vec(),
        cut: None,
    }
}

fn judged(status: u16, body: &str) -> Outcome {
    classify(&CallResult::Reply(reply(status, &[], body)), &Provider::default())
}

/// The kind of an outcome, for tables.
fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Enrolled { .. } => "enrolled",
        Outcome::Refused { .. } => "refused",
        Outcome::Retry { .. } => "retry",
        Outcome::Stop { kind, .. } => kind.reason(),
        Outcome::InDoubt { .. } => "in doubt",
    }
}

/// An escape hides a key in the text of a reply, and shows it once the reply is decoded.
#[test]
fn no_outcome_repeats_a_key_that_the_reply_had_escaped() {
    const KEY: &str = "c0ffee11c0ffee22";
    let escaped = r"\u0063\u0030ffee11c0ffee22";
    for (status, body) in [
        (200, format!(r#"{{"asset_id":"ta_1","group_id":"{escaped}"}}"#)),
        (
            200,
            format!(r#"{{"asset_id":"ta_1","settlement":{{"network":"{escaped}"}}}}"#),
        ),
        (422, format!(r#"{{"error":"{escaped}"}}"#)),
        (
            422,
            format!(r#"{{"error":{{"code":"{escaped}","message":"no"}}}}"#),
        ),
        (429, format!(r#"{{"message":"{escaped}"}}"#)),
        (401, format!(r#"{{"message":"{escaped}"}}"#)),
        (500, format!(r#"{{"message":"{escaped}"}}"#)),
    ] {
        let outcome = judged(status, &body);
        assert!(format!("{outcome:?}").contains(KEY), "{body}");
        let outcome = outcome.without(KEY);
        assert!(!format!("{outcome:?}").contains(KEY), "{outcome:?}");
    }
}

#[test]
fn a_403_is_about_the_key_the_plan_or_the_image() {
    for (body, expected) in [
        (r#"{"error":"forbidden"}"#, "key_refused"),
        (
            r#"{"error":{"code":"SubscriptionRequired","message":"no plan"}}"#,
            "no_plan",
        ),
        (r#"{"message":"An active subscription is needed"}"#, "no_plan"),
        (
            r#"{"error":{"code":"content_policy_violation","message":"no"}}"#,
            "refused",
        ),
        (
            r#"{"error":{"code":"forbidden","message":"The image shows a public figure"}}"#,
            "refused",
        ),
    ] {
        assert_eq!(kind(&judged(403, body)), expected, "{body}");
    }
}

#[test]
fn a_content_filter_behind_a_promise_of_no_charge_is_a_refusal() {
    let judged = |body: &str| {
        let answer = CallResult::Reply(reply(502, &[], body));
        (
            classify(&answer, &Provider::blockrun()),
            classify(&answer, &Provider::jarvisclaw()),
        )
    };
    let (blockrun, jarvisclaw) = judged(r#"{"error":"upstream: content filter triggered"}"#);
    assert_eq!((kind(&blockrun), kind(&jarvisclaw)), ("refused", "in doubt"));
    let (blockrun, _) = judged(r#"{"error":"bad gateway"}"#);
    assert_eq!(kind(&blockrun), "retry");
}

#[test]
fn what_a_call_cost_may_stand_in_a_header() {
    let name = HeaderName::from_static("x-blockrun-cost-usd");
    let priced = |cost: &str, provider: &Provider| {
        let body = r#"{"asset_id":"ta_1","price":0.5}"#;
        match classify(
            &CallResult::Reply(reply(200, &[(name.clone(), cost)], body)),
            provider,
        ) {
            Outcome::Enrolled { price, .. } => price,
            other => panic!("{other:?}"),
        }
    };
    let blockrun = Provider::blockrun();
    assert_eq!(priced("0.0103", &blockrun), Some(Usd::from_micros(10_300)));
    assert_eq!(
        priced("0.011000000000000001", &blockrun),
        Some(Usd::from_micros(11_001))
    );
    assert_eq!(priced("nonsense", &blockrun), Some(Usd::from_micros(500_000)));
    assert_eq!(
        priced("0.0103", &Provider::jarvisclaw()),
        Some(Usd::from_micros(500_000))
    );
}

#[test]
fn every_row_of_the_table() {
    for (status, body, expected) in [
        (
            400,
            r#"{"error":{"code":"invalid_image_url","message":"not public"}}"#,
            "refused",
        ),
        (400, r#"{"error":"session_expired"}"#, "refused"),
        (401, r#"{"error":"bad key"}"#, "key_refused"),
        (403, "", "key_refused"),
        (
            402,
            r#"{"x402Version":2,"accepts":[{}],"error":"Payment required"}"#,
            "no_funds",
        ),
        (402, r#"{"payments":[{}],"price":{}}"#, "no_funds"),
        (402, r#"{"error":"insufficient_balance"}"#, "no_funds"),
        (402, r#"{"code":"PAYMENT_UNFUNDED"}"#, "no_funds"),
        (402, "", "no_funds"),
        (
            402,
            r#"{"error":{"code":"invalid_signature"}}"#,
            "payment_refused",
        ),
        (402, r#"{"error":{"code":"amount_mismatch"}}"#, "payment_refused"),
        (
            402,
            r#"{"error":{"code":"unsupported_network"}}"#,
            "payment_refused",
        ),
        (402, r#"{"error":{"code":"payment_expired"}}"#, "payment_refused"),
        (402, r#"{"error":{"code":"PAYMENT_INVALID"}}"#, "payment_refused"),
        (402, r#"{"error":{"code":"PAYMENT_REPLAY"}}"#, "in doubt"),
        (402, r#"{"message":"nonce_conflict: seen before"}"#, "in doubt"),
        (402, r#"{"code":"chain_timeout","message":"slow"}"#, "in doubt"),
        (402, r#"{"error":"this payment was used already"}"#, "in doubt"),
        (402, "<h1>402 Payment Required</h1>", "in doubt"),
        (404, r#"{"error":{"code":"group_not_found"}}"#, "refused"),
        (404, r#"{"message":"Group does not exist"}"#, "refused"),
        (404, "<h1>404</h1>", "no_api_there"),
        (405, "", "no_api_there"),
        (422, r#"{"error":{"code":"face_match_failed"}}"#, "refused"),
        (422, "<h1>422</h1>", "refused"),
        (425, r#"{"error":{"code":"liveness_incomplete"}}"#, "retry"),
        (429, r#"{"error":"rate_limited"}"#, "retry"),
        (429, "", "retry"),
        (500, r#"{"error":"oops"}"#, "in doubt"),
        (502, "<html>Bad gateway</html>", "in doubt"),
        (503, "", "in doubt"),
        (504, r#"{"error":{"code":"invalid_image_url"}}"#, "in doubt"),
    ] {
        let outcome = judged(status, body);
        assert_eq!(kind(&outcome), expected, "{status} {body}: {outcome:?}");
    }
}

#[test]
fn a_success_needs_an_id_and_nothing_else() {
    for (status, body, expected) in [
        (200, r#"{"asset_id":"ta_1"}"#, "enrolled"),
        (
            201,
            r#"{"asset_id":"ta_pt_1","name":"A","liveness_verified":false,"created_at":"…"}"#,
            "enrolled",
        ),
        (
            200,
            r#"{"asset_id":"ta_pt_1","name":"A","group_id":"g","price":"0.0103"}"#,
            "enrolled",
        ),
        (
            200,
            r#"{"success":true,"data":{"asset_id":"ta_pt_1"}}"#,
            "enrolled",
        ),
        (200, r#"{"error":null,"asset_id":"ta_pt_1"}"#, "enrolled"),
        // An id with an error is better than a lost id.
        (200, r#"{"error":"slow","asset_id":"ta_pt_1"}"#, "enrolled"),
        (200, "", "in doubt"),
        (204, "", "in doubt"),
        (202, r#"{"status":"processing"}"#, "in doubt"),
        (200, "<html>", "in doubt"),
        (200, r#"{"asset_id":"ta_p"#, "in doubt"),
        (200, r#"{"name":"A"}"#, "in doubt"),
        (200, r#"{"asset_id":""}"#, "in doubt"),
        (200, r#"{"asset_id":"ta_"}"#, "in doubt"),
        (200, r#"{"asset_id":"<script>"}"#, "in doubt"),
        (200, r#"{"asset_id":"ta_\u001b[2J"}"#, "in doubt"),
        (200, r#"{"asset_id":7}"#, "in doubt"),
        (
            200,
            r#"{"error":{"code":"upstream","message":"failed"}}"#,
            "in doubt",
        ),
        (200, r#"{"error":{"code":"insufficient_balance"}}"#, "in doubt"),
        (200, r#"{"success":false,"message":"failed"}"#, "in doubt"),
    ] {
        let outcome = judged(status, body);
        assert_eq!(kind(&outcome), expected, "{status} {body}: {outcome:?}");
    }
}

#[test]
fn what_the_table_does_not_know_is_in_doubt() {
    for status in [
        300, 301, 302, 303, 307, 308, 408, 409, 418, 423, 444, 460, 499, 501, 520, 599,
    ] {
        assert_eq!(kind(&judged(status, "")), "in doubt", "{status}");
    }
}

#[test]
fn an_asset_that_is_named_in_an_error_exists() {
    for status in [400, 409, 422, 429, 500] {
        let outcome = judged(status, r#"{"error":"duplicate","asset_id":"ta_pt_9"}"#);
        assert_eq!(kind(&outcome), "in doubt", "{status}");
        assert!(
            outcome.code_and_message().unwrap().1.contains("ta_pt_9"),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_quota_is_not_a_rate_limit() {
    for (status, body, expected) in [
        (429, r#"{"error":{"code":"quota_exceeded"}}"#, "quota_exceeded"),
        (
            429,
            r#"{"error":{"type":"insufficient_quota","message":"…"}}"#,
            "quota_exceeded",
        ),
        (
            403,
            r#"{"error":{"code":"asset_quota_exceeded"}}"#,
            "quota_exceeded",
        ),
        (
            400,
            r#"{"code":"asset_limit_reached","message":"50 of 50"}"#,
            "quota_exceeded",
        ),
        (422, r#"{"message":"asset quota exceeded"}"#, "quota_exceeded"),
        (
            429,
            r#"{"message":"Quota exceeded for requests per minute"}"#,
            "retry",
        ),
        (429, r#"{"code":"rate_limit_reached"}"#, "retry"),
        // After a 5xx the money may have moved.
        (500, r#"{"error":{"code":"quota_exceeded"}}"#, "in doubt"),
    ] {
        let outcome = judged(status, body);
        assert_eq!(kind(&outcome), expected, "{status} {body}: {outcome:?}");
    }
}

#[test]
fn only_what_was_never_sent_may_be_sent_again() {
    let provider = Provider::default();
    let never = CallResult::NotSent {
        message: "connection refused".to_owned(),
    };
    assert_eq!(
        classify(&never, &provider),
        Outcome::Retry {
            code: "unreachable".to_owned(),
            message: "connection refused".to_owned(),
            after: None
        }
    );
    for (timed_out, code) in [(true, "timeout"), (false, "reply_lost")] {
        let lost = CallResult::ResponseLost {
            timed_out,
            message: String::new(),
        };
        assert_eq!(classify(&lost, &provider).code_and_message(), Some((code, "")));
        assert_eq!(kind(&classify(&lost, &provider)), "in doubt");
    }
}

#[test]
fn a_reply_that_breaks_off_is_judged_by_its_status_where_that_suffices() {
    for (status, expected) in [
        (200, "in doubt"),
        (400, "refused"),
        (401, "key_refused"),
        (402, "in doubt"),
        (422, "refused"),
        (429, "retry"),
        (500, "in doubt"),
    ] {
        let mut reply = reply(status, &[], r#"{"asset_id":"ta_pt_1","err"#);
        reply.cut = Some("connection reset".to_owned());
        let outcome = classify(&CallResult::Reply(reply), &Provider::default());
        assert_eq!(kind(&outcome), expected, "{status}: {outcome:?}");
        if status == 200 {
            // The beginning of the reply is kept for the person who must resolve the doubt.
            assert!(
                outcome.code_and_message().unwrap().1.contains("ta_pt_1"),
                "{outcome:?}"
            );
        }
    }
}

#[test]
fn a_provider_may_promise_not_to_charge_for_5xx_and_for_nothing_else() {
    let provider = Provider {
        uncharged: vec![502, 200, 409],
        ..Provider::default()
    };
    let judge = |status| kind(&classify(&CallResult::Reply(reply(status, &[], "")), &provider));
    assert_eq!(judge(502), "retry");
    assert_eq!(judge(500), "in doubt");
    assert_eq!(judge(200), "in doubt");
    assert_eq!(judge(409), "in doubt");
}

#[test]
fn a_429_always_names_a_wait() {
    let after = |headers: &[(HeaderName, &str)], body: &str| {
        let outcome = classify(
            &CallResult::Reply(reply(429, headers, body)),
            &Provider::default(),
        );
        let Outcome::Retry { after, .. } = outcome else {
            panic!("{outcome:?}");
        };
        after
    };
    assert_eq!(after(&[(RETRY_AFTER, "12")], ""), Some(Duration::from_secs(12)));
    assert_eq!(
        after(&[], r#"{"retryAfterSeconds":8}"#),
        Some(Duration::from_secs(8))
    );
    assert_eq!(after(&[], ""), Some(DEFAULT_WAIT));
    assert_eq!(after(&[(RETRY_AFTER, "-1")], ""), Some(DEFAULT_WAIT));
}

#[test]
fn price_and_receipt_are_taken_from_the_reply() {
    for (price, micros) in [
        (r#""0.0103""#, Some(10_300)),
        ("0.011", Some(11_000)),
        (r#""$0.01""#, Some(10_000)),
        (r#"{"amount":0.01,"currency":"USD"}"#, Some(10_000)),
        ("-1", None),
        (r#""cheap""#, None),
        ("null", None),
        // No portrait costs that much.
        ("1000", Some(1_000_000_000)),
        ("1000.000001", None),
        ("9e12", None),
        ("9000000000000", None),
    ] {
        let body = format!(
            r#"{{"asset_id":"ta_1","group_id":"g-1","price":{price},"settlement":{{"tx_hash":"0xab"}}}}"#
        );
        let expected = Outcome::Enrolled {
            asset_id: "ta_1".to_owned(),
            ids: ProviderIds {
                group_id: Some("g-1".to_owned()),
                request_id: None,
            },
            price: micros.map(Usd::from_micros),
            settlement: Some(r#"{"tx_hash":"0xab"}"#.to_owned()),
        };
        assert_eq!(judged(200, &body), expected, "{price}");
    }
    let bare = judged(200, r#"{"asset_id":"ta_1"}"#);
    let expected = Outcome::Enrolled {
        asset_id: "ta_1".to_owned(),
        ids: ProviderIds::default(),
        price: None,
        settlement: None,
    };
    assert_eq!(bare, expected);
}

#[test]
fn the_id_of_a_request_is_kept_with_every_outcome() {
    let name = HeaderName::from_static("x-blockrun-request-id");
    let provider = Provider::blockrun();
    let outcome = |status: u16, body: &str| {
        let reply = reply(status, &[(name.clone(), "req_7f3a")], body);
        classify(&CallResult::Reply(reply), &provider)
    };
    let enrolled = outcome(200, r#"{"asset_id":"ta_1"}"#);
    assert!(
        matches!(&enrolled, Outcome::Enrolled { ids, .. } if ids.request_id.as_deref() == Some("req_7f3a")),
        "{enrolled:?}"
    );
    for (status, body) in [
        (500, "{}"),
        (422, r#"{"error":"image_rejected"}"#),
        (200, "{}"),
        (429, "{}"),
        (401, "{}"),
    ] {
        let outcome = outcome(status, body);
        let (_, message) = outcome.code_and_message().unwrap();
        assert!(message.ends_with("; request req_7f3a"), "{status}: {message}");
    }
}
