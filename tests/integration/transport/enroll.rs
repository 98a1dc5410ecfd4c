//! The client against the stand-in API: every fault that it can make, in every shape, in both dialects.

use std::time::Duration;

use castline::enroll::{EnrollRequest, InitRequest, Liveness, Outcome, RateLimiter, StopKind};
use castline::net::public_url::PublicUrl;
use castline::publish::object_key;
use castline::sandbox::faults::RateLimit;
use castline::sandbox::{self, Dialect, ErrorShape, FaultKind, Faults};

use super::{Bench, jpeg};

/// A published image under this name.
async fn request(bench: &Bench, name: &str) -> EnrollRequest {
    let publisher = bench.publisher(|_| {}).await;
    let key = object_key("cast", &[7; 32], &[7; 32], "jpg");
    let image_url: PublicUrl = publisher
        .publish(jpeg().into(), "image/jpeg", &key)
        .await
        .unwrap();
    EnrollRequest {
        name: name.to_owned(),
        image_url,
    }
}

#[tokio::test]
async fn a_portrait_is_enrolled_in_both_dialects() {
    for dialect in [Dialect::D2025, Dialect::D2026] {
        let bench = Bench::with(|options| options.dialect = dialect).await;
        let outcome = bench
            .client()
            .enroll_portrait(&request(&bench, "Ada").await)
            .await;
        let Outcome::Enrolled { asset_id, price, .. } = outcome else {
            panic!("{outcome:?}");
        };
        let charges = bench.sandbox.charges();
        assert_eq!(charges.len(), 1);
        assert_eq!((&*charges[0].name, &charges[0].asset_id), ("Ada", &asset_id));
        assert_eq!(price.is_some(), dialect == Dialect::D2026);
    }
}

#[tokio::test]
async fn whatever_goes_wrong_only_doubt_may_have_cost_something() {
    use ErrorShape::{Flat, Message, Nested, Plain, Success, Text};
    for shape in [Nested, Flat, Text, Message, Success, Plain] {
        let bench = Bench::with(|options| options.errors = Some(shape)).await;
        let (request, client) = (request(&bench, "Ada").await, bench.impatient_client());
        for fault in FaultKind::ALL {
            let stall = matches!(fault, FaultKind::Stall | FaultKind::StallCharged);
            // An answer to a signed payment, where by key nothing is attached that could be charged; and what only the
            // ledger can tell.
            let elsewhere = matches!(fault, FaultKind::PaymentUnclearCharged | FaultKind::SameId);
            if elsewhere || stall && shape != Nested {
                continue;
            }
            let before = bench.sandbox.charges().len();
            let script = vec![*fault];
            bench
                .sandbox
                .set_faults(Faults {
                    script,
                    ..Faults::default()
                })
                .unwrap();
            let patient = bench.client();
            let outcome = if stall { &client } else { &patient }
                .enroll_portrait(&request)
                .await;
            let charged = bench.sandbox.charges().len() - before;
            assert!(charged <= 1, "{fault} {shape:?}");
            match &outcome {
                Outcome::Enrolled { .. } => assert_eq!(*fault, FaultKind::None, "{shape:?}"),
                Outcome::InDoubt { .. } => {}
                outcome => {
                    assert_eq!(charged, 0, "{fault} {shape:?} was charged, but is {outcome:?}");
                    let (_, message) = outcome.code_and_message().unwrap();
                    assert!(!message.is_empty(), "{fault} {shape:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_that_costs_nothing_is_known_as_such() {
    use FaultKind as F;
    // In the shapes that name a code; without one a status says less.
    for shape in [
        ErrorShape::Nested,
        ErrorShape::Flat,
        ErrorShape::Text,
        ErrorShape::Success,
    ] {
        let bench = Bench::with(|options| options.errors = Some(shape)).await;
        let (request, client) = (request(&bench, "Ada").await, bench.client());
        for (fault, code) in [
            (F::InvalidImageUrl, "refused: invalid_image_url"),
            (F::ImageRejected, "refused: image_rejected"),
            (F::RateLimited, "retry: rate_limited"),
            (F::Unauthorized, "key_refused"),
            (F::Forbidden, "key_refused"),
            (F::InsufficientBalance, "no_funds"),
            (F::Quota, "quota_exceeded"),
            (F::QuotaForbidden, "quota_exceeded"),
        ] {
            let script = vec![fault];
            bench
                .sandbox
                .set_faults(Faults {
                    script,
                    ..Faults::default()
                })
                .unwrap();
            let outcome = client.enroll_portrait(&request).await;
            let message = match &outcome {
                Outcome::Refused { code, .. } => format!("refused: {code}"),
                Outcome::Retry { code, .. } => format!("retry: {code}"),
                Outcome::Stop { kind, .. } => kind.reason().to_owned(),
                outcome => format!("{outcome:?}"),
            };
            assert_eq!(message, code, "{fault} {shape:?}: {outcome:?}");
        }
        assert_eq!(bench.sandbox.charges(), []);
    }
}

#[tokio::test]
async fn a_wrong_address_of_the_api_stops_as_that() {
    let bench = Bench::new().await;
    let request = request(&bench, "Ada").await;
    let client = castline::enroll::Client::new(castline::enroll::ApiSettings {
        base_url: bench.sandbox.api_base_url().join("/v2/").unwrap(),
        key: Some(castline::enroll::ApiKey::new(bench.sandbox.api_key()).unwrap()),
        provider: castline::enroll::Provider::default(),
        timeout: Duration::from_secs(20),
        ca_pem: Some(bench.sandbox.ca_pem().to_vec()),
    });
    let outcome = client.unwrap().enroll_portrait(&request).await;
    let stopped = matches!(
        outcome,
        Outcome::Stop {
            kind: StopKind::Address,
            ..
        }
    );
    assert!(stopped, "{outcome:?}");
}

#[tokio::test]
async fn an_actor_is_led_through_liveness_in_both_dialects() {
    for dialect in [Dialect::D2025, Dialect::D2026] {
        let bench = Bench::with(|options| options.dialect = dialect).await;
        let (client, ada) = (bench.client(), request(&bench, "Ada").await);
        let init = InitRequest {
            name: "Ada".to_owned(),
            redirect_url: Some("https://studio.example/thanks".parse().unwrap()),
            webhook_url: None,
            group_id: None,
        };
        let session = client.realface_init(&init).await.unwrap();
        assert!(session.link.path().contains(&session.group_id), "{session:?}");
        assert!(session.expires_in > Duration::from_secs(100), "{session:?}");
        let ask = || client.realface_status(&session.group_id);
        assert_eq!(ask().await, Ok(Liveness::Pending));

        // Too early: keep asking.
        let early = client.enroll_realface(&ada, &session.group_id).await;
        assert!(
            matches!(&early, Outcome::Retry { code, .. } if code == "liveness_incomplete"),
            "{early:?}"
        );

        complete(&bench, &session.group_id).await;
        assert_eq!(ask().await, Ok(Liveness::Passed));
        let done = client.enroll_realface(&ada, &session.group_id).await;
        let Outcome::Enrolled { asset_id, ids, .. } = done else {
            panic!("{done:?}");
        };
        assert_eq!(ids.group_id.as_deref(), Some(&*session.group_id));
        assert_eq!(bench.sandbox.charges()[0].asset_id, asset_id);
    }
}

/// What the actor's phone does.
async fn complete(bench: &Bench, group_id: &str) {
    let trust = reqwest::Certificate::from_pem(bench.sandbox.ca_pem()).unwrap();
    let http = reqwest::Client::builder()
        .tls_certs_only([trust])
        .build()
        .unwrap();
    let url = format!("{}/liveness/{group_id}", bench.sandbox.control_url());
    let reply = http
        .post(url)
        .body(r#"{"status":"completed"}"#)
        .send()
        .await
        .unwrap();
    assert!(reply.status().is_success(), "{}", reply.status());
}

#[tokio::test]
async fn a_session_that_is_not_there_must_begin_again_in_every_shape() {
    for shape in [ErrorShape::Nested, ErrorShape::Message, ErrorShape::Plain] {
        let bench = Bench::with(|options| options.errors = Some(shape)).await;
        let (client, ada) = (bench.client(), request(&bench, "Ada").await);
        let status = client.realface_status("no-such-group").await.unwrap_err();
        let refused = matches!(&status, Outcome::Refused { code, .. } if code == "group_not_found");
        assert!(refused, "{shape:?}: {status:?}");
        // Nothing was charged: it may be made again, in another session.
        let enroll = client.enroll_realface(&ada, "no-such-group").await;
        let again = matches!(&enroll, Outcome::Retry { code, .. } if code == "group_not_found");
        assert!(again, "{shape:?}: {enroll:?}");
    }
}

#[tokio::test]
async fn init_has_ten_an_hour_and_says_when_the_next_is() {
    let bench = Bench::new().await;
    let client = bench.client();
    for actor in 0..10 {
        let init = InitRequest {
            name: format!("Actor {actor}"),
            ..InitRequest::default()
        };
        client.realface_init(&init).await.unwrap();
    }
    let refused = client
        .realface_init(&InitRequest {
            name: "Eleven".to_owned(),
            ..InitRequest::default()
        })
        .await;
    let Err(Outcome::Retry {
        after: Some(after), ..
    }) = refused
    else {
        panic!("{refused:?}");
    };
    assert!(after >= Duration::from_secs(60), "{after:?}");
}

#[tokio::test]
async fn the_server_never_sees_more_than_its_rate() {
    // A server that refuses what comes too soon. Its windows are a little shorter than ours, by what the
    // machine under test may be late.
    let bench = Bench::with(|options| {
        options.faults.rate = Some(RateLimit {
            count: 10,
            window_s: 0.8,
        });
    })
    .await;
    let (client, ada) = (bench.client(), request(&bench, "Ada").await);
    let pace = RateLimiter::new("10/s".parse().unwrap(), 4);
    let calls = (0..25).map(|_| async {
        let _turn = pace.acquire().await;
        client.enroll_portrait(&ada).await
    });
    let outcomes = futures_util::future::join_all(calls).await;
    let enrolled = outcomes
        .iter()
        .filter(|o| matches!(o, Outcome::Enrolled { .. }))
        .count();
    assert_eq!(enrolled, 25, "{outcomes:?}");
    let requests: Vec<_> = bench
        .sandbox
        .requests()
        .into_iter()
        .filter(|r| r.method == "POST")
        .collect();
    assert!(sandbox::busiest(&requests, Duration::from_millis(800)) <= 10);
}
