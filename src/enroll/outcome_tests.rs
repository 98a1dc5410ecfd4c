//! The API's table of errors, row by row.

use reqwest::header::HeaderValue;

use super::*;

fn reply(status: u16, body: &str) -> Outcome {
    classify(
        StatusCode::from_u16(status).unwrap(),
        &HeaderMap::new(),
        body.as_bytes(),
    )
}

/// The kind of an outcome, for tables.
fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Enrolled { .. } => "enrolled",
        Outcome::Refused { .. } => "refused",
        Outcome::Retry { .. } => "retry",
        Outcome::Stop {
            kind: StopKind::Key, ..
        } => "stop: key",
        Outcome::Stop {
            kind: StopKind::Funds,
            ..
        } => "stop: funds",
        Outcome::Stop {
            kind: StopKind::Quota,
            ..
        } => "stop: quota",
        Outcome::InDoubt { .. } => "in doubt",
    }
}

#[test]
fn each_row_of_the_table_has_its_outcome() {
    for (status, body, expected) in [
        (200, r#"{"asset_id":"ta_pt_1","name":"A"}"#, "enrolled"),
        (
            201,
            r#"{"asset_id":"ta_pt_1","name":"A","group_id":"g","price":"0.0103"}"#,
            "enrolled",
        ),
        (
            400,
            r#"{"error":{"code":"invalid_image_url","message":"not public"}}"#,
            "refused",
        ),
        (401, r#"{"error":"bad key"}"#, "stop: key"),
        (403, "", "stop: key"),
        (402, r#"{"code":"insufficient_balance"}"#, "stop: funds"),
        (402, r#"{"error":"PAYMENT_UNFUNDED"}"#, "stop: funds"),
        (402, r#"{"error":{"code":"invalid_signature"}}"#, "stop: funds"),
        (402, r#"{"error":{"code":"PAYMENT_REPLAY"}}"#, "in doubt"),
        (402, r#"{"error":"nonce_conflict"}"#, "in doubt"),
        (402, r#"{"code":"chain_timeout","message":"…"}"#, "in doubt"),
        (404, r#"{"error":{"code":"group_not_found"}}"#, "refused"),
        (408, "", "in doubt"),
        (422, r#"{"error":{"code":"face_match_failed"}}"#, "refused"),
        (403, r#"{"error":{"code":"asset_quota_exceeded"}}"#, "stop: quota"),
        (429, r#"{"error":{"code":"quota_exceeded"}}"#, "stop: quota"),
        (429, r#"{"error":"rate_limited"}"#, "retry"),
        (429, "", "retry"),
        (500, r#"{"error":"oops"}"#, "in doubt"),
        (502, "<html>Bad gateway</html>", "in doubt"),
        (503, "", "in doubt"),
        (504, "", "in doubt"),
        (302, "", "in doubt"),
        (200, "", "in doubt"),
        (200, r#"{"asset_id":"ta_p"#, "in doubt"),
        (200, r#"{"name":"A"}"#, "in doubt"),
        (200, r#"{"asset_id":"","name":"A"}"#, "in doubt"),
        (200, r#"{"asset_id":"<script>"}"#, "in doubt"),
        (
            200,
            r#"{"error":{"code":"upstream","message":"failed"}}"#,
            "in doubt",
        ),
        (200, r#"{"success":false,"message":"failed"}"#, "in doubt"),
    ] {
        assert_eq!(kind(&reply(status, body)), expected, "{status} {body}");
    }
}

#[test]
fn code_and_message_come_out_of_every_shape_of_error() {
    for (body, code, message) in [
        (
            r#"{"error":{"code":"a_code","message":"Text"}}"#,
            "a_code",
            "Text",
        ),
        (r#"{"error":"some text"}"#, "http_400", "some text"),
        (r#"{"error":"a_code"}"#, "a_code", "a_code"),
        (
            r#"{"error":"Text","code":"a_code","message":"More"}"#,
            "a_code",
            "More",
        ),
        (r#"{"message":"Text"}"#, "http_400", "Text"),
        (r#"{"success":false,"message":"Text"}"#, "http_400", "Text"),
        ("not JSON\u{7}", "http_400", "HTTP 400 Bad Request: not JSON"),
        ("", "http_400", "HTTP 400 Bad Request"),
    ] {
        let refused = Outcome::Refused {
            code: code.to_owned(),
            message: message.to_owned(),
        };
        assert_eq!(reply(400, body), refused, "{body}");
    }
}

#[test]
fn a_price_in_the_reply_is_the_price() {
    for (price, micros) in [(r#""0.0103""#, 10_300), ("0.011", 11_000), (r#""$0.01""#, 10_000)] {
        let body = format!(r#"{{"asset_id":"ta_1","price":{price},"settlement":{{"tx_hash":"0xab"}}}}"#);
        let Outcome::Enrolled {
            price, settlement, ..
        } = reply(200, &body)
        else {
            panic!("enrolled")
        };
        assert_eq!(price, Some(Usd::from_micros(micros)));
        assert_eq!(settlement.as_deref(), Some(r#"{"tx_hash":"0xab"}"#));
    }
}

#[test]
fn a_429_tells_how_long_to_wait_in_many_ways() {
    let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
    let by = |header: Option<&str>, body: &str| {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(RETRY_AFTER, HeaderValue::from_str(header).unwrap());
        }
        let json: Option<Value> = serde_json::from_str(body).ok();
        wait(&headers, json.as_ref(), now).as_secs()
    };
    assert_eq!(by(Some("12"), ""), 12);
    assert_eq!(by(Some("Sun, 06 Nov 1994 08:50:07 GMT"), ""), 30);
    assert_eq!(by(None, r#"{"retry_after":7}"#), 7);
    assert_eq!(by(None, r#"{"retryAfterSeconds":8}"#), 8);
    assert_eq!(by(None, r#"{"error":{"retry_after_seconds":"9"}}"#), 9);
    assert_eq!(by(None, ""), DEFAULT_WAIT.as_secs(), "absent");
    assert_eq!(by(Some("0"), ""), SHORTEST_WAIT.as_secs(), "zero is not now");
    assert_eq!(by(Some("-5"), ""), SHORTEST_WAIT.as_secs());
    assert_eq!(
        by(Some("Sun, 06 Nov 1994 08:00:00 GMT"), ""),
        SHORTEST_WAIT.as_secs(),
        "a date gone by"
    );
    assert_eq!(
        by(Some("99999999999999999999"), ""),
        LONGEST_WAIT.as_secs(),
        "absurd"
    );
    assert_eq!(
        by(Some("soon"), r#"{"retry_after":3}"#),
        3,
        "a header that makes no sense"
    );
}
