use std::time::Duration;

use castline::sandbox::{Dialect, Liveness};
use serde_json::{Value, json};

use super::{Bench, read};

async fn init(bench: &Bench, name: &str) -> (u16, Value) {
    read(
        bench
            .post("realface/init", &json!({ "name": name }))
            .await
            .unwrap(),
    )
    .await
}

async fn status(bench: &Bench, group_id: &Value) -> Value {
    let path = format!(
        "/v1/marketplace/realface/status?groupId={}",
        group_id.as_str().unwrap()
    );
    bench.get(&path).await.1
}

async fn enroll(bench: &Bench, name: &str, group_id: &Value) -> (u16, Value) {
    let image_url = bench.picture("actor.jpg").await;
    let body = json!({ "name": name, "image_url": image_url, "group_id": group_id });
    read(bench.post("realface/enroll", &body).await.unwrap()).await
}

#[tokio::test]
async fn an_actor_with_a_phone_is_enrolled_in_the_2025_dialect() {
    let bench = Bench::with(|options| options.dialect = Dialect::D2025).await;
    let (code, body) = init(&bench, "Mia Actor").await;
    assert_eq!(
        (code, &body["status"], &body["name"]),
        (200, &json!("pending"), &json!("Mia Actor"))
    );
    let group = &body["group_id"];
    assert_eq!(status(&bench, group).await["status"], "pending");
    let link = body["verification_url"].as_str().unwrap();
    let page = bench.http.get(link).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("I am alive"), "{page}");
    assert_eq!(status(&bench, group).await["status"], "in_progress");
    assert_eq!(enroll(&bench, "Mia Actor", group).await.0, 425);
    let pressed = bench.http.post(format!("{link}/completed")).send().await.unwrap();
    assert!(pressed.text().await.unwrap().contains("Verified"));
    let done = status(&bench, group).await;
    assert_eq!(done["status"], "completed");
    assert!(done["liveness_score"].as_f64().unwrap() > 0.5);
    assert_eq!(enroll(&bench, "Someone Else", group).await.0, 400);
    let (code, asset) = enroll(&bench, "Mia Actor", group).await;
    assert_eq!(
        (code, &asset["liveness_verified"], &asset["group_id"]),
        (200, &json!(true), group)
    );
    assert!(asset["asset_id"].as_str().unwrap().starts_with("ta_rf_sandbox_"));
    assert_eq!(bench.sandbox.charges().len(), 1);
    let qr = bench
        .http
        .get(body["qr_code_url"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert!(
        image::load_from_memory(&qr.bytes().await.unwrap())
            .unwrap()
            .width()
            > 200
    );
}

#[tokio::test]
async fn the_2026_dialect_has_other_fields_and_words() {
    let bench = Bench::new().await;
    let (_, body) = init(&bench, "Mia").await;
    assert_eq!(body["status"], "pending_validation");
    assert_eq!(body["expires_in_seconds"], 120);
    assert!(body["h5_link"].is_string() && body.get("verification_url").is_none());
    let group = &body["group_id"];
    assert_eq!(status(&bench, group).await["ready_to_finalize"], false);
    let path = format!("liveness/{}", group.as_str().unwrap());
    assert_eq!(bench.control(&path, &json!({ "status": "completed" })).await, 200);
    let done = status(&bench, group).await;
    assert_eq!(
        (&done["status"], &done["ready_to_finalize"]),
        (&json!("active"), &json!(true))
    );
}

#[tokio::test]
async fn a_session_can_fail_or_expire_on_demand() {
    let bench = Bench::new().await;
    for (to, code) in [("failed", 422), ("expired", 400)] {
        let group = init(&bench, "Mia").await.1["group_id"].clone();
        let path = format!("liveness/{}", group.as_str().unwrap());
        assert_eq!(bench.control(&path, &json!({ "status": to })).await, 200);
        assert_eq!(status(&bench, &group).await["status"], to);
        assert_eq!(enroll(&bench, "Mia", &group).await.0, code);
    }
    let unknown = json!("grp_unknown");
    assert_eq!(enroll(&bench, "Mia", &unknown).await.0, 404);
    assert_eq!(
        bench
            .control("liveness/grp_unknown", &json!({ "status": "failed" }))
            .await,
        404
    );
    assert_eq!(bench.sandbox.charges(), []);
}

#[tokio::test]
async fn a_session_expires_or_completes_with_time() {
    let ending = async |complete_after| {
        let liveness = Liveness {
            expiry: Duration::from_millis(30),
            complete_after,
            ..Liveness::default()
        };
        let bench = Bench::with(|options| options.liveness = liveness).await;
        let group = init(&bench, "Mia").await.1["group_id"].clone();
        loop {
            let now = status(&bench, &group).await["status"].clone();
            if now != "pending_validation" {
                return now;
            }
        }
    };
    assert_eq!(ending(None).await, "expired");
    assert_eq!(ending(Some(Duration::from_millis(1))).await, "active");
}

#[tokio::test]
async fn the_eleventh_init_of_an_hour_is_told_to_wait() {
    let bench = Bench::new().await;
    for n in 0..10 {
        assert_eq!(init(&bench, &format!("Actor {n}")).await.0, 200);
    }
    let reply = bench
        .post("realface/init", &json!({ "name": "Actor 11" }))
        .await
        .unwrap();
    assert_eq!(reply.status(), 429);
    let wait: u64 = reply.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&wait), "{wait}");
}

#[tokio::test]
async fn names_on_the_phone_page_stay_text() {
    let bench = Bench::new().await;
    let body = json!({ "name": "Mia", "redirect_url": "https://studio.example/\"><script>x" });
    let (_, body) = read(bench.post("realface/init", &body).await.unwrap()).await;
    let link = body["h5_link"].as_str().unwrap();
    let page = bench
        .http
        .post(format!("{link}/completed"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        page.contains("studio.example") && !page.contains("<script"),
        "{page}"
    );
}

#[tokio::test]
async fn the_free_calls_can_fail_too() {
    let bench = Bench::with(|options| options.faults.free_percent = 100.0).await;
    assert_eq!(init(&bench, "Mia").await.0, 503);
    assert_eq!(
        bench.get("/v1/marketplace/realface/status?groupId=x").await.0,
        503
    );
}
