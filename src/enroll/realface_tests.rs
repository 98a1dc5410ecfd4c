//! Replies to the liveness calls, in both dialects.

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue};

use super::*;

fn reply(status: u16, body: &Value) -> Reply {
    let mut headers = HeaderMap::new();
    headers.insert(DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: body.to_string().into_bytes(),
        cut: None,
    }
}

fn init(body: &Value) -> Option<LivenessSession> {
    session(&reply(200, body), body, SystemTime::now())
}

#[test]
fn a_session_is_read_in_both_dialects() {
    let of_2025 = json!({
        "group_id": "g-1", "name": "Ada", "status": "pending",
        "verification_url": "https://h5.example/g-1", "qr_code_url": "https://h5.example/g-1.png",
        "expires_at": "1994-11-06T08:51:07Z",
    });
    let of_2026 = json!({
        "group_id": "g-1", "h5_link": "https://h5.example/g-1", "status": "pending_validation",
        "expires_in_seconds": 90,
    });
    let expected = LivenessSession {
        group_id: "g-1".to_owned(),
        link: "https://h5.example/g-1".parse().unwrap(),
        expires_in: Duration::from_secs(90),
    };
    assert_eq!(init(&of_2025), Some(expected.clone()));
    assert_eq!(init(&of_2026), Some(expected));
}

#[test]
fn a_link_never_lives_longer_than_120_s() {
    let mut body = json!({ "group_id": "g", "h5_link": "https://h5.example/g" });
    assert_eq!(init(&body).unwrap().expires_in, LINK_LIFE);
    body["expires_in_seconds"] = json!(1e300);
    assert_eq!(init(&body).unwrap().expires_in, LINK_LIFE);
    body["expires_in_seconds"] = json!(3600);
    assert_eq!(init(&body).unwrap().expires_in, LINK_LIFE);
}

#[test]
fn links_that_a_phone_should_not_open_are_not_taken() {
    for link in ["http://h5.example/g", "javascript:alert(1)", "", "intent://x"] {
        assert_eq!(init(&json!({ "group_id": "g", "h5_link": link })), None, "{link}");
    }
    assert_eq!(
        init(&json!({ "group_id": "a\nb", "h5_link": "https://h5.example" })),
        None
    );
    assert_eq!(init(&json!({ "h5_link": "https://h5.example" })), None);
}

#[test]
fn success_has_three_names() {
    for (body, expected) in [
        (json!({ "status": "completed" }), Liveness::Passed),
        (json!({ "status": "active" }), Liveness::Passed),
        (
            json!({ "status": "pending_validation", "ready_to_finalize": true }),
            Liveness::Passed,
        ),
        (
            json!({ "status": "active", "ready_to_finalize": false }),
            Liveness::Passed,
        ),
        (json!({ "status": "pending" }), Liveness::Pending),
        (json!({ "status": "pending_validation" }), Liveness::Pending),
        (json!({ "status": "in_progress" }), Liveness::InProgress),
        (json!({ "status": "expired" }), Liveness::Expired),
        (json!({ "status": "failed" }), Liveness::Failed),
        (json!({ "status": "something new" }), Liveness::Pending),
        (json!({}), Liveness::Pending),
    ] {
        assert_eq!(liveness(&body), expected, "{body}");
    }
}

#[test]
fn a_free_call_is_never_in_doubt() {
    let judge = |answer: &CallResult| free(answer, &Provider::default(), |_, _| Some(())).unwrap_err();
    let lost = CallResult::ResponseLost {
        timed_out: true,
        message: String::new(),
    };
    assert!(matches!(judge(&lost), Outcome::Retry { .. }));
    for (status, body) in [(500, json!({})), (200, json!({ "error": "oops" }))] {
        let outcome = judge(&CallResult::Reply(reply(status, &body)));
        assert!(
            matches!(outcome, Outcome::Retry { .. }),
            "{status} {body}: {outcome:?}"
        );
    }
    let refused = judge(&CallResult::Reply(reply(401, &json!({}))));
    assert!(matches!(
        refused,
        Outcome::Stop {
            kind: StopKind::Key,
            ..
        }
    ));
}

#[test]
fn what_is_about_the_session_may_be_made_again_and_a_wrong_photo_may_not() {
    let judge = |status, body: &Value| {
        let answer = CallResult::Reply(reply(status, body));
        let outcome = session_gone(classify(&answer, &Provider::default()));
        for_session(&answer, outcome)
    };
    for (status, body, expected) in [
        (425, json!(null), "liveness_incomplete"),
        (425, json!({ "error": "too early" }), "liveness_incomplete"),
        (
            400,
            json!({ "error": { "code": "SESSION_EXPIRED" } }),
            "session_expired",
        ),
        (404, json!({ "message": "no such group" }), "group_not_found"),
    ] {
        let outcome = judge(status, &body);
        let Outcome::Retry {
            code, after: None, ..
        } = outcome
        else {
            panic!("{status} {body}: {outcome:?}");
        };
        assert_eq!(code, expected);
        assert!(is_about_session(&code));
    }
    let outcome = judge(
        422,
        &json!({ "error": { "code": "face_match_failed", "message": "no match" } }),
    );
    let Outcome::Refused { code, message } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(code, "face_match_failed");
    assert!(
        message.contains("no match") && message.contains("recent"),
        "{message}"
    );
    assert!(matches!(judge(500, &json!({})), Outcome::InDoubt { .. }));
}

#[test]
fn a_session_that_is_not_found_is_refused_in_every_shape() {
    for body in [
        json!({ "error": { "code": "group_not_found", "message": "gone" } }),
        json!({ "message": "no such group" }),
        json!(null),
    ] {
        let answer = CallResult::Reply(reply(404, &body));
        let outcome = session_gone(classify(&answer, &Provider::default()));
        let Outcome::Refused { code, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(code, "group_not_found");
    }
}
