use castline::sandbox::{self, Dialect, ErrorShape, SandboxOptions};
use castline::util::money::Usd;
use serde_json::{Value, json};

use super::{Bench, client, jpeg, read};

#[tokio::test]
async fn a_portrait_is_enrolled_in_both_dialects() {
    for (dialect, has, has_not) in [
        (Dialect::D2025, ["liveness_verified", "created_at"], "price"),
        (Dialect::D2026, ["group_id", "price"], "created_at"),
    ] {
        let bench = Bench::with(|options| options.dialect = dialect).await;
        let url = bench.picture("ada.jpg").await;
        let (status, body) = read(bench.enroll("Ada", &url).await.unwrap()).await;
        assert_eq!(status, 200, "{body}");
        assert!(body["asset_id"].as_str().unwrap().starts_with("ta_pt_sandbox_"));
        assert_eq!(body["name"], "Ada");
        assert!(
            has.iter().all(|field| body.get(field).is_some()) && body.get(has_not).is_none(),
            "{body}"
        );
    }
}

#[tokio::test]
async fn every_call_is_charged_and_makes_another_asset() {
    let price = Usd::from_micros(10_300);
    let bench = Bench::with(|options| options.price = price).await;
    let url = bench.picture("ada.jpg").await;
    for name in ["Ada", "Ada", "Bo"] {
        assert_eq!(bench.enroll(name, &url).await.unwrap().status(), 200);
    }
    let charges = bench.sandbox.charges();
    assert_eq!(
        charges.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
        ["Ada", "Ada", "Bo"]
    );
    assert!(
        charges
            .iter()
            .all(|c| c.price_usd == price && c.image_url == url && !c.reply_lost)
    );
    assert_ne!(charges[0].asset_id, charges[1].asset_id);
    let listed = read(
        bench
            .http
            .get(format!("{}/charges", bench.sandbox.control_url()))
            .send()
            .await
            .unwrap(),
    );
    assert_eq!(listed.await.1, serde_json::to_value(&charges).unwrap());
}

#[tokio::test]
async fn charges_outlive_the_sandbox_in_its_folder() {
    let bench = Bench::new().await;
    let url = bench.picture("ada.jpg").await;
    bench.enroll("Ada", &url).await.unwrap();
    let charges = bench.sandbox.charges();
    bench.sandbox.stop().await;
    let again = sandbox::start(SandboxOptions::new(bench._dir.path()))
        .await
        .unwrap();
    assert_eq!(again.charges(), charges);
}

#[tokio::test]
async fn calls_without_the_key_are_refused() {
    let bench = Bench::new().await;
    let url = format!("{}/portrait/enroll", bench.sandbox.api_base_url());
    let body = json!({ "name": "Ada", "image_url": bench.picture("a.jpg").await }).to_string();
    let post = || bench.http.post(&url).body(body.clone());
    assert_eq!(post().send().await.unwrap().status(), 401);
    assert_eq!(post().bearer_auth("sk-wrong").send().await.unwrap().status(), 401);
    let key = bench.sandbox.api_key();
    assert_eq!(
        post().header("authorization", key).send().await.unwrap().status(),
        401
    );
    assert_eq!(bench.sandbox.charges(), []);
    let log = std::fs::read_to_string(bench._dir.path().join("requests.ndjson")).unwrap();
    assert!(
        log.contains(r#""status":401"#) && !log.contains(key) && !log.contains("sk-wrong"),
        "{log}"
    );
}

#[tokio::test]
async fn what_cannot_be_enrolled_is_refused_and_free() {
    let bench = Bench::new().await;
    let good = bench.picture("good.jpg").await;
    let small = bench.add_reason("small.jpg", "image/jpeg", jpeg(299, 400)).await;
    let wide = bench.add_reason("wide.jpg", "image/jpeg", jpeg(1000, 390)).await;
    let text = bench.add_reason("text.jpg", "text/html", jpeg(400, 400)).await;
    let fake = bench
        .add_reason("fake.jpg", "image/jpeg", b"<html>".to_vec())
        .await;
    let mut large = jpeg(400, 400);
    large.resize(10 * 1024 * 1024 + 1, 0);
    let large = bench.add_reason("large.jpg", "image/jpeg", large).await;
    let missing = good.replace("good", "missing");
    let long_url = format!("{good}?{}", "x".repeat(2048));
    let long_name = "é".repeat(65);
    let cases: &[(&str, &str, &str)] = &[
        ("", &good, "invalid_name"),
        (&long_name, &good, "invalid_name"),
        ("Ada", &missing, "invalid_image_url"),
        ("Ada", &small, "invalid_image_url"),
        ("Ada", &wide, "invalid_image_url"),
        ("Ada", &text, "invalid_image_url"),
        ("Ada", &fake, "invalid_image_url"),
        ("Ada", &large, "invalid_image_url"),
        ("Ada", &long_url, "invalid_image_url"),
        ("Ada", &good.replace("https", "http"), "invalid_image_url"),
        ("Ada", "https://example.com/a.jpg", "invalid_image_url"),
        ("Ada", "https://localhost:1/a.jpg", "invalid_image_url"),
    ];
    for (name, url, code) in cases {
        let (status, body) = read(bench.enroll(name, url).await.unwrap()).await;
        assert_eq!(
            (status, body["code"].as_str()),
            (400, Some(*code)),
            "{name} {url}: {body}"
        );
    }
    for body in [
        json!([]),
        json!({ "name": "Ada" }),
        json!({ "name": 7, "image_url": good }),
    ] {
        assert_eq!(bench.post("portrait/enroll", &body).await.unwrap().status(), 400);
    }
    assert_eq!(bench.sandbox.charges(), []);
    assert_eq!(bench.enroll(&"é".repeat(64), &good).await.unwrap().status(), 200);
}

#[tokio::test]
async fn errors_come_in_the_shape_that_was_asked_for() {
    let body = async |shape| {
        let bench = Bench::with(|options| options.errors = Some(shape)).await;
        let reply = bench.enroll("", "").await.unwrap();
        assert_eq!(reply.status(), 400);
        reply.text().await.unwrap()
    };
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(
        json(&body(ErrorShape::Nested).await)["error"]["code"],
        "invalid_name"
    );
    assert_eq!(json(&body(ErrorShape::Flat).await)["code"], "invalid_name");
    assert!(
        json(&body(ErrorShape::Text).await)["error"]
            .as_str()
            .unwrap()
            .contains("invalid_name")
    );
    assert!(json(&body(ErrorShape::Message).await)["message"].is_string());
    assert_eq!(json(&body(ErrorShape::Success).await)["success"], false);
    assert!(body(ErrorShape::Plain).await.contains("<html>"));
}

#[tokio::test]
async fn what_the_key_has_enrolled_can_be_listed_as_blockrun_does() {
    let bench = Bench::new().await;
    let url = bench.picture("ada.jpg").await;
    bench.enroll("Ada", &url).await.unwrap();
    for path in ["/v1/wallet/0xabc/portraits", "/api/v1/wallet/0xabc/portraits"] {
        let (status, body) = bench.get(path).await;
        assert_eq!(status, 200);
        let portrait = &body["portraits"][0];
        assert_eq!(portrait["name"], "Ada");
        assert_eq!(portrait["imageUrl"], url.as_str());
        assert_eq!(portrait["assetId"], bench.sandbox.charges()[0].asset_id.as_str());
    }
    let stranger = bench
        .sandbox
        .api_base_url()
        .join("/v1/wallet/0xabc/portraits")
        .unwrap();
    let (_, body) = read(bench.http.get(stranger).send().await.unwrap()).await;
    assert_eq!(body["portraits"], json!([]));
}

#[tokio::test]
async fn every_request_is_logged_with_its_time_of_arrival() {
    let bench = Bench::new().await;
    let url = bench.picture("ada.jpg").await;
    bench.enroll("Ada", &url).await.unwrap();
    bench.enroll("", &url).await.unwrap();
    let (_, requests) = read(
        bench
            .http
            .get(format!("{}/requests", bench.sandbox.control_url()))
            .send()
            .await
            .unwrap(),
    )
    .await;
    let seen: Vec<_> = requests
        .as_array()
        .unwrap()
        .iter()
        .map(|r| {
            (
                r["server"].as_str().unwrap(),
                r["method"].as_str().unwrap(),
                r["status"].as_u64().unwrap(),
            )
        })
        .collect();
    // The upload, the call, the fetch by the stand-in itself, and the refused call.
    assert_eq!(
        seen,
        [
            ("s3", "PUT", 200),
            ("api", "POST", 200),
            ("s3", "GET", 200),
            ("api", "POST", 400)
        ]
    );
    let lines = std::fs::read_to_string(bench._dir.path().join("requests.ndjson")).unwrap();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(
            line["time"].as_str().unwrap().ends_with('Z') && line["ms"].is_number(),
            "{line}"
        );
    }
}

#[tokio::test]
async fn only_those_who_know_the_authority_can_talk_to_it() {
    let (one, other) = (Bench::new().await, Bench::new().await);
    let stranger = client(&other.sandbox);
    assert!(stranger.get(one.sandbox.control_url()).send().await.is_err());
    assert_eq!(
        one.http
            .get(one.sandbox.control_url())
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    let by_address = one
        .sandbox
        .control_url()
        .as_str()
        .replace("localhost", "127.0.0.1");
    assert_eq!(one.http.get(by_address).send().await.unwrap().status(), 200);
}
