use std::time::Duration;

use castline::sandbox::faults::{RateLimit, RetryAfter, RetryAfterForm, StopAfter};
use castline::sandbox::{FaultKind, Faults};
use serde_json::json;

use super::{Bench, read};

/// What a client sees of a call.
#[derive(Debug, PartialEq)]
enum Seen {
    Status(u16),
    /// 2xx whose body has no asset id.
    Useless,
    /// A reply that broke off.
    Cut,
    /// No reply at all.
    Nothing,
    TimedOut,
}

async fn see(bench: &Bench, url: &str, patience: Duration) -> Seen {
    // A connection of its own: what happens to it is this call's.
    let http = super::client(&bench.sandbox);
    let reply = http
        .post(format!("{}/portrait/enroll", bench.sandbox.api_base_url()))
        .bearer_auth(bench.sandbox.api_key())
        .timeout(patience)
        .body(json!({ "name": "Ada", "image_url": url }).to_string())
        .send()
        .await;
    match reply {
        Err(e) if e.is_timeout() => Seen::TimedOut,
        Err(_) => Seen::Nothing,
        Ok(reply) if reply.status() == 200 => match reply.bytes().await {
            Err(_) => Seen::Cut,
            Ok(body) => match serde_json::from_slice::<serde_json::Value>(&body) {
                Ok(body) if body["asset_id"].is_string() => Seen::Status(200),
                _ => Seen::Useless,
            },
        },
        Ok(reply) => Seen::Status(reply.status().as_u16()),
    }
}

#[tokio::test]
async fn every_fault_shows_as_it_should_and_charges_as_it_says() {
    use FaultKind::*;
    let bench = Bench::new().await;
    let url = bench.picture("ada.jpg").await;
    for fault in FaultKind::ALL {
        let expected = match fault {
            None | OtherName | SameId => Seen::Status(200),
            Refuse | ResetBeforeRead | ResetBeforeCharge | CloseBeforeCharge => Seen::Nothing,
            ResetAfterCharge | CloseAfterCharge => Seen::Nothing,
            Stall | StallCharged => Seen::TimedOut,
            Http500 | Http500Charged => Seen::Status(500),
            Http502 | Http502Charged => Seen::Status(502),
            Http503 | Http503Charged => Seen::Status(503),
            Http504 | Http504Charged => Seen::Status(504),
            ResetDuringReply | Truncated => Seen::Cut,
            Garbage | Empty | NoAssetId | ErrorIn200 | ErrorIn200Charged => Seen::Useless,
            Redirect => Seen::Status(307),
            RateLimited | Quota => Seen::Status(429),
            Unauthorized => Seen::Status(401),
            Forbidden | QuotaForbidden => Seen::Status(403),
            InsufficientBalance
            | PaymentReplay
            | ChainTimeout
            | InvalidSignature
            | AmountMismatch
            | PaymentUnclear
            | PaymentUnclearCharged => Seen::Status(402),
            InvalidImageUrl | SessionExpired => Seen::Status(400),
            ImageRejected | FaceMatchFailed => Seen::Status(422),
            LivenessIncomplete => Seen::Status(425),
            GroupNotFound => Seen::Status(404),
        };
        let faults = Faults {
            percent: [(*fault, 100.0)].into(),
            ..Faults::default()
        };
        bench.sandbox.set_faults(faults).unwrap();
        let before = bench.sandbox.charges().len();
        let patience = Duration::from_millis(if expected == Seen::TimedOut { 200 } else { 30_000 });
        assert_eq!(see(&bench, &url, patience).await, expected, "{fault}");
        // The caller gives up on a stall, which the sandbox sees a little later.
        let lost = || {
            bench
                .sandbox
                .charges()
                .get(before)
                .is_some_and(|charge| charge.reply_lost)
        };
        while *fault == StallCharged && !lost() {
            tokio::task::yield_now().await;
        }
        let charges = bench.sandbox.charges();
        assert_eq!(charges.len() - before, usize::from(fault.charged()), "{fault}");
        if fault.charged() {
            assert_eq!(charges.last().unwrap().reply_lost, *fault != None, "{fault}");
        }
    }
}

#[tokio::test]
async fn faults_can_be_changed_while_it_runs_and_nonsense_is_refused() {
    let bench = Bench::new().await;
    let url = bench.picture("ada.jpg").await;
    assert_eq!(
        bench
            .control("faults", &json!({ "percent": { "503": 100 } }))
            .await,
        200
    );
    assert_eq!(bench.enroll("Ada", &url).await.unwrap().status(), 503);
    for wrong in [
        json!({ "percent": { "503": 101 } }),
        json!({ "percent": { "x": 1 } }),
        json!({ "speed": 1 }),
    ] {
        assert_eq!(bench.control("faults", &wrong).await, 400, "{wrong}");
    }
    assert_eq!(bench.enroll("Ada", &url).await.unwrap().status(), 503);
    assert_eq!(bench.control("faults", &json!({})).await, 200);
    assert_eq!(bench.enroll("Ada", &url).await.unwrap().status(), 200);
    let requests = bench.sandbox.requests();
    let faults: Vec<_> = requests.iter().filter_map(|r| r.fault).collect();
    assert_eq!(faults, [FaultKind::Http503, FaultKind::Http503]);
}

#[tokio::test]
async fn after_so_many_charges_nothing_goes_through() {
    let bench = Bench::with(|options| {
        options.faults.stop_after = Some(StopAfter {
            charges: 2,
            kind: FaultKind::InsufficientBalance,
        });
    })
    .await;
    let url = bench.picture("ada.jpg").await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(bench.enroll("Ada", &url).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 402, 402]);
}

#[tokio::test]
async fn its_own_limit_lets_so_many_through_and_tells_the_wait() {
    let bench = Bench::with(|options| {
        options.faults.rate = Some(RateLimit {
            count: 3,
            window_s: 60.0,
        });
        options.faults.retry_after = RetryAfter {
            form: RetryAfterForm::BodySeconds,
            seconds: 0,
        };
    })
    .await;
    let url = bench.picture("ada.jpg").await;
    for _ in 0..3 {
        assert_eq!(bench.enroll("Ada", &url).await.unwrap().status(), 200);
    }
    let (status, body) = read(bench.enroll("Ada", &url).await.unwrap()).await;
    assert_eq!(status, 429);
    let wait = body["retry_after_seconds"].as_u64().unwrap();
    assert!((50..=60).contains(&wait), "{wait}");
    assert_eq!(bench.sandbox.charges().len(), 3);
}

#[tokio::test]
async fn a_429_tells_the_wait_in_the_form_asked_for() {
    let bench = Bench::new().await;
    let url = bench.picture("ada.jpg").await;
    let forms = [
        "header-seconds",
        "header-date",
        "body-snake",
        "body-camel",
        "absent",
        "nonsense",
    ];
    for form in forms {
        let faults = json!({ "percent": { "429": 100 }, "retry_after": { "form": form, "seconds": 5 } });
        assert_eq!(bench.control("faults", &faults).await, 200);
        let reply = bench.enroll("Ada", &url).await.unwrap();
        assert_eq!(reply.status(), 429);
        let header = reply
            .headers()
            .get("retry-after")
            .map(|v| v.to_str().unwrap().to_owned());
        let body: serde_json::Value = serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap();
        match form {
            "header-seconds" => assert_eq!(header.as_deref(), Some("5")),
            "header-date" => assert!(header.unwrap().ends_with("GMT")),
            "body-snake" => assert_eq!(body["retry_after"], 5),
            "body-camel" => assert_eq!(body["retryAfterSeconds"], 5),
            "absent" => assert_eq!(header, None),
            _ => assert!(header.unwrap().parse::<u64>().is_err()),
        }
    }
}

#[tokio::test]
async fn a_stall_ends_with_the_reply_after_all() {
    let bench = Bench::with(|options| {
        options.faults.script = vec![FaultKind::StallCharged];
        options.faults.stall_s = 0.01;
    })
    .await;
    let url = bench.picture("ada.jpg").await;
    assert_eq!(bench.enroll("Ada", &url).await.unwrap().status(), 200);
    assert!(!bench.sandbox.charges()[0].reply_lost);
}

#[tokio::test]
async fn a_call_that_has_arrived_is_carried_out_although_its_caller_has_gone() {
    let bench = Bench::with(|options| options.faults.latency_ms = 300).await;
    let url = bench.picture("ada.jpg").await;
    let http = super::client(&bench.sandbox);
    let call = http
        .post(format!("{}/portrait/enroll", bench.sandbox.api_base_url()))
        .bearer_auth(bench.sandbox.api_key())
        .timeout(Duration::from_millis(150))
        .body(json!({ "name": "Ada", "image_url": url }).to_string());
    assert!(call.send().await.unwrap_err().is_timeout());
    drop(http);
    while bench
        .sandbox
        .charges()
        .first()
        .is_none_or(|charge| !charge.reply_lost)
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.sandbox.charges().len(), 1);
}

#[tokio::test]
async fn s3_can_be_asked_to_slow_down() {
    let bench = Bench::with(|options| options.faults.s3_percent = 100.0).await;
    let url = format!("{}{}/a.jpg", bench.sandbox.s3_endpoint(), bench.sandbox.bucket());
    let reply = bench.http.get(url).send().await.unwrap();
    assert_eq!(reply.status(), 503);
    assert!(reply.text().await.unwrap().contains("SlowDown"));
}
