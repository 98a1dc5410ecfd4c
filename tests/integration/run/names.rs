//! New names for pictures that were paid for, renamed characters, and ids from a manifest.

use crate::support::{Cast, Castline, sample_cast};

#[test]
fn a_new_name_with_an_enrolled_picture_is_a_case_for_review() {
    let cast = sample_cast();
    Castline::on(&cast).run(&["run", "--sandbox"]).exits_with(0);
    let csv = std::fs::read_to_string(&cast.csv).expect("the cast");
    let (header, rows) = csv.split_once('\n').expect("rows");
    let mut fields = rows.lines().next().expect("a row").split(',');
    let (name, picture) = (fields.next().expect("a name"), fields.next().expect("an image"));
    // Before her twin, who is kept and not looked at again.
    let newcomer = format!(
        "A Newcomer,{picture}{}",
        ",".repeat(header.matches(',').count() - 1)
    );
    std::fs::write(&cast.csv, format!("{header}\n{newcomer}\n{rows}")).expect("a cast");
    for _ in 0..2 {
        let run = Castline::on(&cast).run(&["run", "--sandbox", "--json"]);
        run.exits_with(3);
        assert!(run.events("enrolled").is_empty());
        let checked = run.events("checked");
        assert_eq!(checked.len(), 1, "nobody else is looked at again");
        assert_eq!(checked[0]["reasons"][0], format!("duplicate_of:{name}"));
    }
    // Without the twin's image under another name there is no twin: nothing of it was kept.
    std::fs::remove_dir_all(cast.folder.path().join(".castline")).expect("a ledger");
    std::fs::write(&cast.csv, format!("{header}\n{newcomer}\n")).expect("a cast");
    let alone = Castline::on(&cast).run(&["check", "--json"]);
    alone.exits_with(0);
}

#[test]
fn an_approval_of_the_row_pays_for_nobody_twice_who_was_only_renamed() {
    let cast = sample_cast();
    let csv = std::fs::read_to_string(&cast.csv).expect("the cast");
    let picture = csv
        .lines()
        .nth(1)
        .and_then(|row| row.split(',').nth(1))
        .expect("an image");
    let row = |name: &str| std::fs::write(&cast.csv, format!("name,image,approve\n{name},{picture},yes\n"));
    row("Ada").expect("a cast");
    Castline::on(&cast).run(&["run", "--sandbox"]).exits_with(0);
    row("Ada of the Lake").expect("a cast");
    let renamed = Castline::on(&cast).run(&["run", "--sandbox", "--json"]);
    renamed.exits_with(3);
    assert!(renamed.events("enrolled").is_empty());
    // Somebody looked at just that.
    let approve = ["run", "--sandbox", "--json", "--approve", "Ada of the Lake"];
    let approved = Castline::on(&cast).run(&approve);
    approved.exits_with(0);
    assert_eq!(approved.events("enrolled").len(), 1);
}

/// A ledger of the sandbox that has one character in doubt, as a restored backup may.
async fn ledger_in_doubt(path: &std::path::Path, name: &str) {
    use castline::cast::{Character, Kind, Name, Source};
    use castline::inspect::Verdict;
    use castline::ledger::{Budget, Ledger, OpenOptions, Transition};
    use castline::util::money::Usd;

    let ledger = Ledger::open(path, OpenOptions::new("sandbox", true, "test")).expect("a ledger");
    let character = Character {
        name: Name::new(name).expect("a name"),
        source: Source::file("mira.png", "mira.png"),
        kind: Kind::Portrait,
        approved: false,
        overrides: false,
        consent: false,
        note: None,
        extra: Vec::new(),
        line: None,
    };
    let steps = [
        Transition::see(&character, "aa"),
        Transition::Judge {
            verdict: Verdict::Suitable,
            goes_on: true,
            code: None,
            message: None,
        },
        Transition::Publish {
            object_key: "k".to_owned(),
            url: "https://example.com/k".to_owned(),
        },
        Transition::Intend {
            request_digest: "d".to_owned(),
            price: Usd::from_micros(10_000),
            budget: Budget::default(),
            payment: None,
            receipt: None,
        },
        Transition::Doubt {
            code: "timeout".to_owned(),
            message: "no reply".to_owned(),
        },
    ];
    ledger.write(&character.name, steps).await.expect("a write");
}

#[tokio::test]
async fn adopting_a_manifest_settles_doubts_and_brings_all_ids_or_none() {
    use castline::ledger::{LedgerView, State};

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(".castline/sandbox.db");
    ledger_in_doubt(&path, "Mira").await;
    let adopt = |ids: &[(&str, &str)]| {
        let characters: Vec<_> = ids
            .iter()
            .map(|(name, id)| serde_json::json!({ "name": name, "asset_id": id }))
            .collect();
        let manifest = serde_json::json!({
            "schema": 1, "castline": "0", "generated_at": "", "run": 1, "provider": "sandbox", "sandbox": true,
            "characters": characters,
        });
        let file = folder.path().join("manifest.json");
        std::fs::write(&file, manifest.to_string()).expect("a manifest");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_castline"))
            .args(["ledger", "import", "--sandbox"])
            .arg(file)
            .output()
            .expect("castline starts");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let known = || LedgerView::open(&path).unwrap().expect("a ledger").all().unwrap();

    let (code, message) = adopt(&[("Ada", "ta_1"), ("Mira", "ta_2"), ("Bo", "ta_1")]);
    assert_eq!(code, Some(2), "{message}");
    assert!(
        message.contains("ta_1 is the id of Ada, so Bo can't have it"),
        "{message}"
    );
    assert_eq!(known().len(), 1, "nothing of it was brought");

    let (code, message) = adopt(&[("Ada", "ta_1"), ("Mira", "ta_2")]);
    assert_eq!(code, Some(0), "{message}");
    for (record, (name, id)) in known().iter().zip([("Mira", "ta_2"), ("Ada", "ta_1")]) {
        assert_eq!((record.name.as_str(), record.state), (name, State::Enrolled));
        assert_eq!(record.asset_id.as_deref(), Some(id));
    }
    let mira = &known()[0];
    assert_eq!(
        mira.enrolled_sha256.as_deref(),
        Some("aa"),
        "the image that was sent"
    );
}

/// A manifest of today knows how its images look, one of an earlier version doesn't.
#[test]
fn after_adopting_a_manifest_a_new_name_with_a_kept_picture_is_a_case_for_review() {
    new_names_after_an_import(true);
    new_names_after_an_import(false);
}

/// The ledger is lost, and built again from the manifest without these fields.
fn built_again_without(cast: &Cast, fields: &[&str]) {
    std::fs::remove_dir_all(cast.folder.path().join(".castline")).expect("a ledger");
    let path = cast.folder.path().join("manifest.json");
    let text = std::fs::read_to_string(&path).expect("a manifest");
    for field in fields {
        assert!(text.contains(field), "{field}");
    }
    let is_kept = |line: &&str| !fields.iter().any(|field| line.contains(field));
    let kept: Vec<_> = text.lines().filter(is_kept).collect();
    std::fs::write(&path, kept.join("\n")).expect("a manifest");
    let adopted = std::process::Command::new(env!("CARGO_BIN_EXE_castline"))
        .args(["ledger", "import", "manifest.json", "--sandbox"])
        .current_dir(cast.folder.path())
        .output()
        .expect("castline starts");
    assert!(adopted.status.success(), "{adopted:?}");
}

/// An id that was entered by hand, or by an early version, is not known to be of an image: the one that is seen for it counts.
#[test]
fn a_picture_seen_for_an_id_of_an_unknown_one_is_known_to_new_names() {
    let cast = sample_cast();
    Castline::on(&cast).run(&["run", "--sandbox"]).exits_with(0);
    built_again_without(&cast, &["\"signature\"", "\"source_sha256\""]);
    let seen = Castline::on(&cast).run(&["run", "--sandbox", "--json"]);
    seen.exits_with(0);
    assert!(seen.events("enrolled").is_empty());

    let csv = std::fs::read_to_string(&cast.csv).expect("the cast");
    let columns = csv.lines().next().expect("a header").matches(',').count();
    let mut fields = csv.lines().nth(1).expect("a row").split(',');
    let (name, picture) = (fields.next().expect("a name"), fields.next().expect("an image"));
    let newcomer = format!("A Newcomer,{picture}{}", ",".repeat(columns - 1));
    // Behind all who are enrolled, and are not inspected again.
    std::fs::write(&cast.csv, format!("{}\n{newcomer}\n", csv.trim_end())).expect("a cast");
    let run = Castline::on(&cast).run(&["run", "--sandbox", "--json"]);
    run.exits_with(3);
    assert!(run.events("enrolled").is_empty());
    let checked = run.events("checked");
    let newcomer = checked
        .iter()
        .find(|c| c["name"] == "A Newcomer")
        .expect("it is checked");
    assert_eq!(newcomer["reasons"][0], format!("duplicate_of:{name}"));
}

fn new_names_after_an_import(signatures: bool) {
    let cast = sample_cast();
    Castline::on(&cast).run(&["run", "--sandbox"]).exits_with(0);
    let without: &[&str] = if signatures { &[] } else { &["\"signature\""] };
    built_again_without(&cast, without);

    let csv = std::fs::read_to_string(&cast.csv).expect("the cast");
    let (header, rows) = csv.split_once('\n').expect("rows");
    let mut fields = rows.lines().next().expect("a row").split(',');
    let (name, picture) = (fields.next().expect("a name"), fields.next().expect("an image"));
    let pixels = image::open(cast.folder.path().join(picture)).expect("an image");
    pixels
        .save(cast.folder.path().join("again.bmp"))
        .expect("an image");
    let rest = ",".repeat(header.matches(',').count() - 1);
    // When their twin is in the cast no more, her very image is known all the same, and how it looks by its signature; then
    // when she is again, and is looked at for that.
    let newcomers = format!("The same,{picture}{rest}\nSaved again,again.bmp{rest}\n");
    let without_her = rows.split_once('\n').expect("rows").1;
    for (rows, twins) in [(without_her, if signatures { 2 } else { 1 }), (rows, 2)] {
        std::fs::write(&cast.csv, format!("{header}\n{newcomers}{rows}")).expect("a cast");
        for command in ["plan", "run"] {
            let ended = Castline::on(&cast).run(&[command, "--sandbox", "--json", "--max-cost", "0"]);
            let checked = ended.events("checked");
            let duplicates = checked
                .iter()
                .filter(|c| c["reasons"][0] == format!("duplicate_of:{name}"))
                .count();
            assert_eq!(duplicates, twins, "{command}: {checked:?}");
            assert!(ended.events("enrolled").is_empty());
        }
    }
}
