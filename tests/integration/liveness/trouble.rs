//! What goes wrong: links that expire, checks that fail, replies that break, ten an hour, a restart in the middle.

use std::time::Duration;

use castline::cast::Name;
use castline::ledger::{Ledger, OpenOptions};

use super::{ACTORS, Set, of};

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_expires_is_renewed() {
    let set = Set::with(|options| options.liveness.expiry = Duration::from_secs(2)).await;
    set.cast(1);
    let mut walk = set.start(&[]);
    let first = walk.next("liveness_link").await;
    let expired = walk.next("liveness").await;
    assert_eq!(
        (&expired["state"], &expired["group_id"]),
        (&"expired".into(), &first["group_id"])
    );
    let second = walk.next("liveness_link").await;
    assert_ne!(second["group_id"], first["group_id"]);
    set.scan(&second, "completed").await;
    assert_eq!(walk.end().await.0, Some(0));
    assert_eq!(set.states(), ["expired", "used"]);
    assert_eq!(set.sandbox.charges().len(), 1);
}

/// A provider as the sandbox, which renews links and lists what a wallet has enrolled.
const RENEWING: &str = "name = \"third\"\nbase_url = \"https://third.example/api/v1\"\npayments = [\"key\"]\n\
                        listing = \"wallet/{address}/portraits\"\nrealface_listing = \"wallet/{address}/realfaces\"\n\
                        renews_links = true\nrequest_id_header = \"x-blockrun-request-id\"\n";

/// Makes a set's castline use [`RENEWING`].
fn renewing(set: &Set) -> String {
    let profile = set.path("third.toml");
    std::fs::write(&profile, RENEWING).unwrap();
    format!("api.provider={}", profile.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_the_provider_renews_is_the_same_check_and_does_not_count() {
    let set = Set::with(|options| {
        options.liveness.expiry = Duration::from_secs(2);
        // A second check of its own would have to wait.
        options.liveness.init_limit = 1;
    })
    .await;
    set.cast(1);
    let mut walk = set.start(&["--set", &renewing(&set)]);
    let first = walk.next("liveness_link").await;
    assert_eq!(first["left_this_hour"], 9);
    let second = walk.next("liveness_link").await;
    assert_eq!(
        (&second["group_id"], &second["left_this_hour"]),
        (&first["group_id"], &9.into())
    );
    set.scan(&second, "completed").await;
    let (code, events) = walk.end().await;
    assert_eq!((code, of(&events, "paused").len()), (Some(0), 0), "{events:#?}");
    assert_eq!(set.calls("realface/init"), 2);
    assert_eq!(set.states(), ["consented", "used"]);
    let charges = set.sandbox.charges();
    assert_eq!(charges[0].group_id.as_deref(), first["group_id"].as_str());

    // What the provider calls it is in the manifest, and comes back from there.
    let manifest = std::fs::read_to_string(set.path("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let entry = &manifest["characters"][0];
    assert_eq!(entry["group_id"], first["group_id"]);
    assert!(
        entry["request_id"].as_str().unwrap().starts_with("req_"),
        "{entry}"
    );
    std::fs::remove_dir_all(set.path(".castline")).unwrap();
    let manifest = set.path("manifest.json");
    let mut import = set.command(&["ledger"]);
    import = std::process::Command::new(import.get_program());
    import
        .args(["ledger", "import"])
        .arg(&manifest)
        .arg("--ledger")
        .arg(set.path("new.db"));
    assert!(
        import
            .envs(set.sandbox.settings())
            .output()
            .unwrap()
            .status
            .success()
    );
    let ledger = rusqlite::Connection::open(set.path("new.db")).unwrap();
    let ids: String = ledger
        .query_row(
            "SELECT json_extract(record, '$.ids') FROM characters",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(ids.contains(first["group_id"].as_str().unwrap()), "{ids}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_on_polls_that_outlasts_the_link_does_not_make_it_expired() {
    let set = Set::with(|options| options.liveness.expiry = Duration::from_secs(3)).await;
    set.cast(1);
    let faults = serde_json::json!({ "status_rate": { "count": 2, "window_s": 6.0 } });
    set.sandbox
        .set_faults(serde_json::from_value(faults).unwrap())
        .unwrap();
    let mut walk = set.start(&[]);
    let session = walk.next("liveness_link").await;
    let paused = walk.next("paused").await;
    assert_eq!(paused["reason"], "rate_limited");
    assert!(
        paused["seconds"].as_f64().unwrap() > 3.0,
        "it outlasts the link: {paused}"
    );
    // The actor passes while castline may not ask.
    set.scan(&session, "completed").await;
    let (code, events) = walk.end().await;
    assert_eq!((code, of(&events, "enrolled").len()), (Some(0), 1), "{events:#?}");
    assert_eq!(
        (set.states(), set.calls("realface/init")),
        (vec!["used".to_owned()], 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_are_spread_over_the_hour() {
    let set = Set::with(|options| options.liveness.expiry = Duration::from_secs(3)).await;
    set.cast(1);
    let mut walk = set.start(&[
        "--set",
        "realface.max_polls_per_hour=9",
        "--set",
        "realface.max_links_per_actor=1",
    ]);
    walk.next("failed").await;
    assert_eq!(walk.end().await.0, Some(3));
    // A third of nine for the link, the last one at its end.
    assert_eq!(set.calls("realface/status"), 3);
    assert_eq!(set.states(), ["expired"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_actor_in_doubt_is_found_in_the_providers_list() {
    let set = Set::new().await;
    set.cast(1);
    let provider = renewing(&set);
    set.faults(&["reset-charged"]);
    let mut walk = set.start(&["--set", &provider]);
    let session = walk.next("liveness_link").await;
    set.scan(&session, "completed").await;
    assert_eq!(walk.end().await.0, Some(6));
    let address = "payment.address=0x00000000000000000000000000000000000000aa";
    let mut resolve = set.command(&["resolve", "--reconcile", "--set", address, "--set", &provider]);
    let output = resolve.output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        stdout.contains("found\t") && stdout.contains(&set.sandbox.charges()[0].asset_id),
        "{stdout}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_who_does_not_come_costs_nothing_and_holds_nobody_up() {
    let set = Set::with(|options| options.liveness.expiry = Duration::from_secs(1)).await;
    set.cast(2);
    let mut walk = set.start(&["--set", "realface.max_links_per_actor=2"]);
    let failed = walk.next("failed").await;
    assert_eq!(
        (&failed["name"], &failed["code"]),
        (&ACTORS[0].into(), &"liveness_not_passed".into())
    );
    // The second actor is quick.
    let session = walk.next("liveness_link").await;
    assert_eq!(session["name"], ACTORS[1]);
    let path = format!(
        "{}/liveness/{}",
        set.sandbox.control_url(),
        session["group_id"].as_str().unwrap()
    );
    set.phone
        .post(path)
        .body("{\"status\":\"completed\"}")
        .send()
        .await
        .unwrap();
    let (code, events) = walk.end().await;
    assert_eq!((code, of(&events, "enrolled").len()), (Some(3), 1));
    assert_eq!(set.sandbox.charges().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_fails_is_begun_again() {
    let set = Set::new().await;
    set.cast(1);
    let mut walk = set.start(&[]);
    let first = walk.next("liveness_link").await;
    set.scan(&first, "failed").await;
    while walk.next("liveness").await["state"] != "failed" {}
    let second = walk.next("liveness_link").await;
    set.scan(&second, "completed").await;
    assert_eq!(walk.end().await.0, Some(0));
    assert_eq!(set.states(), ["failed", "used"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_of_someone_else_is_refused_with_a_mend_and_tried_again_only_when_asked() {
    let set = Set::new().await;
    set.cast(1);
    set.faults(&["face-match-failed"]);
    let mut walk = set.start(&[]);
    let session = walk.next("liveness_link").await;
    set.scan(&session, "completed").await;
    let failed = walk.next("failed").await;
    assert_eq!(failed["code"], "face_match_failed");
    assert!(failed["message"].as_str().unwrap().contains("photo"), "{failed}");
    assert_eq!(walk.end().await.0, Some(3));
    assert_eq!(set.states(), ["failed"]);

    let (code, events) = set.start(&[]).end().await;
    assert_eq!(
        (code, of(&events, "liveness_link").len()),
        (Some(3), 0),
        "the same photo is not tried again"
    );
    let mut walk = set.start(&["--only", ACTORS[0]]);
    let session = walk.next("liveness_link").await;
    set.scan(&session, "completed").await;
    assert_eq!(walk.end().await.0, Some(0));
    assert_eq!(set.sandbox.charges().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_is_not_done_yet_is_asked_for_until_it_is() {
    let set = Set::new().await;
    set.cast(1);
    set.faults(&["425", "425"]);
    let mut walk = set.start(&[]);
    let session = walk.next("liveness_link").await;
    set.scan(&session, "completed").await;
    let (code, events) = walk.end().await;
    assert_eq!((code, of(&events, "failed").len()), (Some(0), 0), "{events:#?}");
    assert_eq!((set.calls("realface/enroll"), set.calls("realface/init")), (3, 1));
    assert_eq!(set.sandbox.charges().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_provider_has_lost_starts_over() {
    for fault in ["404", "session-expired"] {
        let set = Set::new().await;
        set.cast(1);
        set.faults(&[fault]);
        let mut walk = set.start(&[]);
        for _ in 0..2 {
            let session = walk.next("liveness_link").await;
            set.scan(&session, "completed").await;
        }
        let (code, events) = walk.end().await;
        assert_eq!(
            (code, of(&events, "failed").len()),
            (Some(0), 0),
            "{fault}: {events:#?}"
        );
        assert_eq!(set.states(), ["expired", "used"], "{fault}");
        assert_eq!(set.sandbox.charges().len(), 1, "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_leaves_doubt_and_is_not_paid_again() {
    let set = Set::new().await;
    set.cast(1);
    set.faults(&["500-charged"]);
    let mut walk = set.start(&[]);
    let session = walk.next("liveness_link").await;
    set.scan(&session, "completed").await;
    assert_eq!(walk.next("in_doubt").await["name"], ACTORS[0]);
    assert_eq!(walk.end().await.0, Some(6));
    let (code, events) = set.start(&["--only", ACTORS[0]]).end().await;
    assert_eq!((code, of(&events, "liveness_link").len()), (Some(6), 0));
    assert_eq!(
        (set.sandbox.charges().len(), set.calls("realface/enroll")),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_holds_for_actors_too() {
    let set = Set::new().await;
    let mut walk = set.start(&["--max-cost", "0.01"]);
    for _ in 0..2 {
        let session = walk.next("liveness_link").await;
        set.scan(&session, "completed").await;
    }
    let (code, events) = walk.end().await;
    assert_eq!((code, of(&events, "enrolled").len()), (Some(5), 1), "{events:#?}");
    assert_eq!(set.sandbox.charges().len(), 1);
    assert_eq!(
        set.states(),
        ["used", "passed"],
        "the second actor's check is kept"
    );
    let (code, events) = set.start(&["--skip", ACTORS[2]]).end().await;
    assert_eq!(
        (
            code,
            of(&events, "enrolled").len(),
            of(&events, "liveness_link").len()
        ),
        (Some(0), 1, 0)
    );
}

/// Ten sessions that an earlier castline asked for, so long ago.
async fn ten_inits(set: &Set, seconds_ago: i64) {
    let path = set.path(".castline/ledger.db");
    let provider = set.sandbox.api_base_url();
    let ledger = Ledger::open(&path, OpenOptions::new(provider.as_str(), false, "test")).unwrap();
    let key = Name::new("Somebody else").unwrap().key();
    for _ in 0..10 {
        let consent = ledger.consent(&key, "Ora").await.unwrap();
        ledger.reserve_init(&consent, 10, true).await.unwrap().unwrap();
    }
    drop(ledger);
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds_ago);
    let at = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    set.ledger()
        .execute("UPDATE realface_sessions SET started_at = ?1", [at])
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_an_hour_are_counted_across_restarts() {
    let set = Set::new().await;
    set.cast(1);
    ten_inits(&set, 60).await;
    let mut walk = set.start(&[]);
    let paused = walk.next("paused").await;
    assert_eq!(paused["reason"], "checks_per_hour");
    let seconds = paused["seconds"].as_f64().unwrap();
    assert!((3500.0..=3541.0).contains(&seconds), "{seconds}");
    walk.kill();
    assert_eq!(set.calls("realface/init"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_eleventh_goes_as_soon_as_the_hour_allows() {
    let set = Set::new().await;
    set.cast(1);
    ten_inits(&set, 3598).await;
    let mut walk = set.start(&[]);
    let session = walk.next("liveness_link").await;
    assert_eq!(session["left_this_hour"], 9);
    set.scan(&session, "completed").await;
    assert_eq!(walk.end().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_providers_own_limit_is_waited_for() {
    let set = Set::with(|options| {
        options.liveness.init_limit = 1;
        options.liveness.init_window = Duration::from_secs(2);
    })
    .await;
    set.cast(2);
    let mut walk = set.start(&[]);
    for _ in 0..2 {
        let session = walk.next("liveness_link").await;
        set.scan(&session, "completed").await;
    }
    let (code, events) = walk.end().await;
    assert_eq!(code, Some(0), "{events:#?}");
    assert!(
        of(&events, "paused")
            .iter()
            .any(|e| e["reason"] == "rate_limited"),
        "{events:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_was_passed_while_castline_was_dead_is_finished_first() {
    let set = Set::new().await;
    let mut walk = set.start(&["--only", ACTORS[2]]);
    let session = walk.next("liveness_link").await;
    walk.kill();
    set.scan(&session, "completed").await;
    let mut walk = set.start(&["--only", ACTORS[2]]);
    assert_eq!(walk.next("enrolled").await["name"], ACTORS[2]);
    let (code, events) = walk.end().await;
    assert_eq!(
        (code, of(&events, "liveness_link").len()),
        (Some(0), 0),
        "no other check was needed"
    );
    let charges = set.sandbox.charges();
    assert_eq!(charges[0].group_id.as_deref(), session["group_id"].as_str());
    assert_eq!((charges.len(), set.calls("realface/init")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passed_check_whose_enrollment_was_stopped_comes_before_the_others() {
    let set = Set::new().await;
    set.faults(&["none", "401"]);
    let mut walk = set.start(&[]);
    for _ in 0..2 {
        let session = walk.next("liveness_link").await;
        set.scan(&session, "completed").await;
    }
    assert_eq!(walk.end().await.0, Some(7), "the key was refused at the second");
    assert_eq!(set.states(), ["used", "passed"]);
    // The row moves to the end of the cast; it comes first all the same.
    set.rows(
        "Zoë Ström,mira_thornfield.jpg,realface,yes\nMia Castellane,nadia_volkova.jpg,realface,yes\n\
         Bo Ek,tomas_reed.jpg,realface,yes\n",
    );
    let mut walk = set.start(&[]);
    assert_eq!(walk.next("enrolled").await["name"], "Bo Ek");
    let session = walk.next("liveness_link").await;
    assert_eq!(session["name"], "Zoë Ström");
    set.scan(&session, "completed").await;
    assert_eq!(walk.end().await.0, Some(0));
    assert_eq!((set.sandbox.charges().len(), set.calls("realface/init")), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_before_the_restart_may_still_be_used_beside_the_new_one() {
    let set = Set::new().await;
    set.cast(1);
    let mut walk = set.start(&[]);
    let first = walk.next("liveness_link").await;
    walk.kill();
    let mut walk = set.start(&[]);
    let second = walk.next("liveness_link").await;
    assert_ne!(first["group_id"], second["group_id"]);
    set.scan(&first, "completed").await;
    assert_eq!(walk.end().await.0, Some(0));
    let charges = set.sandbox.charges();
    assert_eq!(charges.len(), 1);
    assert_eq!(charges[0].group_id.as_deref(), first["group_id"].as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_castline_that_dies_in_the_paid_call_leaves_doubt() {
    let set = Set::new().await;
    set.cast(1);
    set.faults(&["stall-charged"]);
    let mut walk = set.start(&[]);
    let session = walk.next("liveness_link").await;
    set.scan(&session, "completed").await;
    while walk.next("liveness").await["state"] != "passed" {}
    while set.sandbox.charges().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    walk.kill();
    let (code, events) = set.start(&[]).end().await;
    assert_eq!((code, of(&events, "liveness_link").len()), (Some(6), 0));
    assert_eq!(set.sandbox.charges().len(), 1);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_it_in_good_order_at_any_point() {
    let set = Set::new().await;
    let codes = set.path("codes");
    let mut walk = set.start(&["--qr-dir", codes.to_str().unwrap()]);
    walk.next("liveness_link").await;
    let killed = std::process::Command::new("kill")
        .args(["-INT", &walk.child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let (code, events) = walk.end().await;
    assert_eq!(
        (code, &events.last().unwrap()["type"]),
        (Some(130), &"summary".into())
    );
    assert_eq!(
        std::fs::read_dir(codes).unwrap().count(),
        0,
        "no code is left behind"
    );
}
