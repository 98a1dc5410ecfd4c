//! Several casts in one folder, with one ledger: a character belongs to its cast.

use std::path::{Path, PathBuf};

use super::*;
use crate::support::server::{BINARY, Server, castline, forgetful, run, small_cast, stderr};

/// Saves a copy of the picture beside a cast that looks different, so that it is no near-duplicate.
fn other_face(folder: &Path, name: &str) {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/cast/bram_ironhand.png");
    let small = image::open(sample).unwrap().thumbnail(400, 400).to_rgb8();
    small.save(folder.join(name)).unwrap();
}

fn cast_of(folder: &Path, name: &str, rows: &str) -> PathBuf {
    let csv = folder.join(name);
    std::fs::write(&csv, format!("name,image,approve\n{rows}")).unwrap();
    csv
}

fn ids(manifest: &Path) -> BTreeMap<String, String> {
    let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let characters = manifest["characters"].as_array().unwrap();
    characters
        .iter()
        .map(|c| (text(&c["name"]), text(&c["asset_id"])))
        .collect()
}

fn of_name(server: &Server, name: &str) -> usize {
    server
        .charges()
        .iter()
        .filter(|charge| charge.name == name)
        .count()
}

/// Two casts with a "Guard" each, run night after night, with and without receipts.
#[test]
fn two_casts_with_a_character_of_the_same_name_each_keep_their_own() {
    for receipts in ["true", "false"] {
        let server = Server::start(&[]);
        let set = small_cast(1, "unused");
        let folder = set.csv.parent().unwrap();
        other_face(folder, "other.png");
        let town = cast_of(folder, "town.csv", "Guard,face.jpg,yes\nSmith,face.jpg,yes\n");
        let castle = cast_of(folder, "castle.csv", "Guard,other.png,yes\n");
        let setting = format!("receipts.enabled={receipts}");
        let night = |cast: &Path| {
            let args = [
                "run",
                "--yes",
                "--rate",
                "1000/s",
                "--re-enroll-changed",
                "--set",
                &setting,
            ];
            let output = castline(&server, &args, cast, None);
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        };
        for _ in 0..3 {
            night(&town);
            night(&castle);
        }
        assert_eq!(
            (of_name(&server, "Guard"), of_name(&server, "Smith")),
            (2, 1),
            "receipts {receipts}"
        );
        let (of_town, of_castle) = (
            ids(&folder.join("manifest.json")),
            ids(&folder.join("castle.manifest.json")),
        );
        assert_eq!(of_town.keys().collect::<Vec<_>>(), ["Guard", "Smith"]);
        assert_eq!(of_castle.keys().collect::<Vec<_>>(), ["Guard"]);
        assert_ne!(of_town["Guard"], of_castle["Guard"]);
        // Each command shows its own.
        let status = castline(&server, &["status", "--json"], &castle, None);
        let shown = String::from_utf8_lossy(&status.stdout)
            .matches("\"Guard\"")
            .count();
        assert_eq!(shown, 1, "{}", String::from_utf8_lossy(&status.stdout));
        assert!(!String::from_utf8_lossy(&status.stdout).contains("Smith"));
    }
}

/// The same name and image in two casts are paid for once, also without receipts: an id is one character's in both.
#[test]
fn the_same_character_in_two_casts_is_paid_for_once() {
    for receipts in ["true", "false"] {
        let server = Server::start(&[]);
        let set = small_cast(2, "same");
        let copy = set.csv.with_file_name("copy.csv");
        std::fs::copy(&set.csv, &copy).unwrap();
        let setting = format!("receipts.enabled={receipts}");
        let args = ["run", "--yes", "--rate", "1000/s", "--set", &setting];
        for cast in [&set.csv, &copy, &set.csv] {
            let output = castline(&server, &args, cast, None);
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        }
        assert_eq!(server.charges().len(), 2, "receipts {receipts}");
        let folder = set.csv.parent().unwrap();
        assert_eq!(
            ids(&folder.join("manifest.json")),
            ids(&folder.join("copy.manifest.json"))
        );
        let plan = castline(&server, &["plan", "--set", &setting], &copy, None);
        assert!(
            String::from_utf8_lossy(&plan.stdout).contains("$0.00"),
            "{:?}",
            plan.stdout
        );
    }
}

/// A cast that is renamed is the same cast: its characters, and what a person has to decide of them, go with it.
#[test]
fn a_renamed_cast_keeps_its_characters() {
    let server = Server::start(&[]);
    let set = small_cast(2, "old");
    let off = ["--set", "receipts.enabled=false"];
    let args = ["run", "--yes", "--rate", "1000/s", off[0], off[1]];
    assert_eq!(castline(&server, &args, &set.csv, None).status.code(), Some(0));
    let renamed = set.csv.with_file_name("cast-final.csv");
    std::fs::rename(&set.csv, &renamed).unwrap();
    other_face(renamed.parent().unwrap(), "face.jpg");
    // Its images have changed: that is for a person, as it was under the old name.
    let output = castline(&server, &args, &renamed, None);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert_eq!(server.charges().len(), 2);
    assert_eq!(ids(&renamed.with_file_name("manifest.json")).len(), 2);
    assert!(!renamed.with_file_name("cast-final.manifest.json").exists());
}

/// A doubt of one cast is no doubt of another's character of that name; without a cast, a name of two is ambiguous.
#[test]
fn a_doubt_is_settled_in_its_own_cast() {
    let server = forgetful(&["Guard"]);
    let set = small_cast(1, "unused");
    let folder = set.csv.parent().unwrap();
    other_face(folder, "other.png");
    let town = cast_of(folder, "town.csv", "Guard,face.jpg,yes\n");
    let castle = cast_of(folder, "castle.csv", "Guard,other.png,yes\n");
    assert_eq!(run(&server, &town).status.code(), Some(6));
    assert_eq!(run(&server, &castle).status.code(), Some(6));
    let [first, _] = server.charges().try_into().unwrap();
    let everywhere = std::process::Command::new(BINARY)
        .args(["resolve", "--forget", "Guard"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert_eq!(everywhere.status.code(), Some(2));
    assert!(
        stderr(&everywhere).contains("name the cast"),
        "{}",
        stderr(&everywhere)
    );
    let adopt = format!("Guard={}", first.asset_id);
    let settled = castline(&server, &["resolve", "--adopt", &adopt], &town, None);
    assert_eq!(settled.status.code(), Some(0), "{}", stderr(&settled));
    let left = castline(&server, &["resolve"], &castle, None);
    assert_eq!(left.status.code(), Some(6), "the other one is in doubt still");
    assert_eq!(run(&server, &town).status.code(), Some(0));
    assert_eq!(server.charges().len(), 2);
}

/// A ledger of a castline that knew no casts: its characters become those of the cast that has them.
#[test]
fn a_ledger_without_casts_is_taken_over() {
    let server = Server::start(&[]);
    let set = small_cast(2, "earlier");
    let off = [
        "run",
        "--yes",
        "--rate",
        "1000/s",
        "--set",
        "receipts.enabled=false",
    ];
    assert_eq!(castline(&server, &off, &set.csv, None).status.code(), Some(0));
    let path = set.csv.with_file_name(".castline/ledger.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    for table in ["characters", "attempts"] {
        let changed = db.execute(
            &format!("UPDATE {table} SET key = substr(key, instr(key, char(31)) + 1)"),
            [],
        );
        assert_eq!(changed.unwrap(), 2);
    }
    drop(db);
    assert_eq!(castline(&server, &off, &set.csv, None).status.code(), Some(0));
    assert_eq!(server.charges().len(), 2);
    assert_eq!(set.manifest().len(), 2);
}
