//! What goes well: both dialects, from the code to the manifest; and who is led through at all.

use castline::sandbox::Dialect;
use serde_json::Value;

use super::{ACTORS, Set, of};

async fn all_the_way(dialect: Dialect) {
    let set = Set::with(|options| options.dialect = dialect).await;
    let toml = "[realface]\nredirect_url = \"https://studio.example/thanks\"\n\
                webhook_url = \"https://studio.example/hook\"\n[report]\nlog_file = \"log.ndjson\"\n";
    std::fs::write(set.path("castline.toml"), toml).unwrap();
    let config = set.path("castline.toml");
    let (manifest, report) = (set.path("actors.json"), set.path("actors.html"));
    let mut walk = set.start(&[
        "--operator",
        "Ora Lund",
        "--config",
        config.to_str().unwrap(),
        "--manifest",
        manifest.to_str().unwrap(),
        "--report",
        report.to_str().unwrap(),
    ]);
    for (number, name) in (1..).zip(ACTORS) {
        let session = walk.next("liveness_link").await;
        assert_eq!(
            (&session["name"], &session["number"]),
            (&name.into(), &number.into())
        );
        assert_eq!(session["left_this_hour"], 10 - number);
        assert!(
            (100.0..=120.0).contains(&session["expires_in"].as_f64().unwrap()),
            "{session}"
        );
        let page = set.scan(&session, "completed").await;
        assert!(page.contains("https://studio.example/thanks"), "{page}");
        let passed = walk.next("liveness").await;
        let passed = match passed["state"].as_str() {
            // The 2025 dialect tells it, if it is asked in that moment.
            Some("in_progress") => walk.next("liveness").await,
            _ => passed,
        };
        assert_eq!(
            (&passed["state"], &passed["group_id"]),
            (&"passed".into(), &session["group_id"])
        );
        assert_eq!(walk.next("enrolled").await["name"], name);
    }
    let (code, events) = walk.end().await;
    assert_eq!(code, Some(0), "{events:#?}");

    let charges = set.sandbox.charges();
    assert_eq!(charges.len(), 3, "each once");
    assert!(
        charges
            .iter()
            .all(|c| c.endpoint == "realface/enroll" && c.group_id.is_some())
    );
    let report = std::fs::read_to_string(report).unwrap();
    assert!(ACTORS.iter().all(|name| report.contains(name)));
    let manifest: Value = serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
    for (entry, charge) in manifest["characters"].as_array().unwrap().iter().zip(&charges) {
        assert_eq!(entry["kind"], "realface");
        assert_eq!(entry["asset_id"], charge.asset_id.as_str());
    }

    // Of the consent: who and when. Of the session: ids and state, and no link.
    assert_eq!(set.states(), ["used"; 3]);
    let row =
        "SELECT count(*) FROM realface_sessions WHERE operator = 'Ora Lund' AND consent_at <= started_at";
    let recorded: i64 = set.ledger().query_row(row, [], |row| row.get(0)).unwrap();
    assert_eq!(recorded, 3);
    for file in [".castline/ledger.db", ".castline/ledger.db-wal", "log.ndjson"] {
        let bytes = std::fs::read(set.path(file)).unwrap_or_default();
        assert!(!bytes.windows(4).any(|w| w == b"/h5/"), "{file} holds a link");
    }
    assert!(
        std::fs::read_to_string(set.path("log.ndjson"))
            .unwrap()
            .contains("\"liveness_link\"")
    );

    let again = set.start(&["--config", config.to_str().unwrap()]);
    let (code, events) = again.end().await;
    assert_eq!((code, of(&events, "liveness_link").len()), (Some(0), 0));
    assert!(of(&events, "planned").iter().all(|e| e["standing"] == "enrolled"));
    assert_eq!(set.sandbox.charges().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn actors_go_all_the_way_in_the_2025_dialect() {
    all_the_way(Dialect::D2025).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn actors_go_all_the_way_in_the_2026_dialect() {
    all_the_way(Dialect::D2026).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_for_without_consent_and_the_others_go_on() {
    let set = Set::new().await;
    set.rows("Mia Castellane,nadia_volkova.jpg,realface,\nBo Ek,tomas_reed.jpg,realface,yes\n");
    let mut walk = set.start(&[]);
    let refused = walk.next("failed").await;
    assert_eq!(
        (&refused["name"], &refused["stage"]),
        (&"Mia Castellane".into(), &"consent".into())
    );
    let text = refused["message"].as_str().unwrap();
    assert!(text.contains("line 2") && text.contains("consent"), "{text}");
    let session = walk.next("liveness_link").await;
    assert_eq!(session["name"], "Bo Ek");
    set.scan(&session, "completed").await;
    let (code, _) = walk.end().await;
    assert_eq!((code, set.calls("realface/init")), (Some(3), 1));
    let known = set
        .ledger()
        .query_row("SELECT count(*) FROM characters", [], |r| r.get::<_, i64>(0));
    assert_eq!(known.unwrap(), 1, "nothing is written of who has not agreed");
    let uploads = set
        .sandbox
        .requests()
        .iter()
        .filter(|r| r.server == "s3" && r.method == "PUT")
        .count();
    // Of Bo Ek: the image, the first receipt's series, and the receipt, which is created and completed.
    assert_eq!(uploads, 4, "and nothing of theirs has left this machine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_enrolls_portraits_and_leaves_actors_waiting() {
    let set = Set::new().await;
    set.rows("Mia Castellane,nadia_volkova.jpg,realface,yes\nSmith,tomas_reed.jpg,portrait,\n");
    let (_, plan, stderr) = set.run(&["plan"]);
    let summary = plan.last().unwrap();
    assert_eq!(
        (&summary["to_enroll"], &summary["standing"]["awaiting_liveness"]),
        (&1.into(), &1.into())
    );
    assert!(stderr.contains("castline realface"), "{stderr}");
    let (code, run, stderr) = set.run(&["run", "--yes"]);
    assert_eq!((code, of(&run, "enrolled").len()), (Some(0), 1));
    assert!(
        stderr.contains("Mia Castellane") && stderr.contains("castline realface"),
        "{stderr}"
    );

    let mut walk = set.start(&[]);
    let session = walk.next("liveness_link").await;
    assert_eq!(
        (&session["name"], &session["of"]),
        (&"Mia Castellane".into(), &1.into())
    );
    set.scan(&session, "completed").await;
    assert_eq!(walk.end().await.0, Some(0));
    let charges = set.sandbox.charges();
    let endpoints: Vec<_> = charges.iter().map(|c| c.endpoint.as_str()).collect();
    assert_eq!(endpoints, ["portrait/enroll", "realface/enroll"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn actors_can_be_chosen_by_name() {
    let set = Set::new().await;
    let mut walk = set.start(&["--skip", "bo ek", "--only", "BO EK", "--only", "zoë ström"]);
    let session = walk.next("liveness_link").await;
    assert_eq!(
        (&session["name"], &session["of"]),
        (&"Zoë Ström".into(), &1.into())
    );
    set.scan(&session, "completed").await;
    assert_eq!(walk.end().await.0, Some(0));

    let (code, _, stderr) = set.run(&["realface", "--yes", "--only", "Nobody"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("Nobody"), "{stderr}");
    let (code, _, stderr) = set.run(&["realface"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("--yes"), "it pays: {stderr}");
    assert_eq!(set.calls("realface/init"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_codes_are_in_a_folder_and_on_a_page_as_long_as_they_can_be_used() {
    let set = Set::new().await;
    set.cast(1);
    let codes = set.path("codes");
    let mut walk = set.start(&["--qr-dir", codes.to_str().unwrap(), "--serve"]);
    let session = walk.next("liveness_link").await;
    let picture = image::open(codes.join("01-mia_castellane.png"))
        .unwrap()
        .into_luma8();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let at = |x: usize, y: usize| picture.get_pixel(x as u32, y as u32).0[0];
    let mut picture = rqrr::PreparedImage::prepare_from_greyscale(width, height, at);
    let (_, link) = picture.detect_grids()[0].decode().unwrap();
    assert_eq!(
        link,
        session["link"].as_str().unwrap(),
        "another implementation reads the link"
    );
    set.scan(&session, "completed").await;
    assert_eq!(walk.end().await.0, Some(0));
    assert_eq!(std::fs::read_dir(codes).unwrap().count(), 0);
}

/// What anybody can try: the phone of `--sandbox` passes by itself, after five seconds.
#[tokio::test(flavor = "multi_thread")]
async fn the_samples_actors_go_through_in_the_sandbox() {
    let set = Set::new().await;
    let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    // As the README says it: the cast first, in the same folder and ledger.
    for (csv, folder) in [("cast.csv", "cast"), ("actors.csv", "actors")] {
        std::fs::copy(samples.join(csv), set.path("cast.csv")).unwrap();
        std::fs::create_dir(set.path(folder)).unwrap();
        for picture in std::fs::read_dir(samples.join(folder)).unwrap() {
            let picture = picture.unwrap();
            std::fs::copy(picture.path(), set.path(folder).join(picture.file_name())).unwrap();
        }
        if folder == "cast" {
            assert_eq!(set.run(&["run", "--sandbox"]).0, Some(0));
        }
    }
    let (code, events, stderr) = set.run(&[
        "realface",
        "--sandbox",
        "--skip",
        "Imre Halloran",
        "--skip",
        "Salome Adeyemi",
    ]);
    assert_eq!((code, of(&events, "enrolled").len()), (Some(0), 1), "{stderr}");
    assert!(
        stderr.contains("open within 120 s"),
        "plain lines off a terminal: {stderr}"
    );
    assert!(!stderr.contains('\u{1b}') && !stderr.contains('█'), "{stderr}");
}
