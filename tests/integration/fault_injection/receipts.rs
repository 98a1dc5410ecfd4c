//! The ledger is lost, older, copied or cut: the receipts in the bucket keep every character from being paid for twice.
//! Charges are counted at the server.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::*;
use crate::support::server::{Server, SmallCast, castline, forgetful, lose_ledger, run, small_cast, stderr};

/// How often each name was charged.
fn charges(server: &Server) -> BTreeMap<String, Vec<String>> {
    let mut charges: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for charge in server.charges() {
        charges.entry(charge.name).or_default().push(charge.asset_id);
    }
    charges
}

#[track_caller]
fn assert_charged_once(server: &Server) {
    for (name, ids) in charges(server) {
        assert_eq!(ids.len(), 1, "{name} was paid for {} times", ids.len());
    }
}

/// Every file of the sandbox's store whose path contains `part`.
fn objects(server: &Server, part: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(server.folder(), &mut found);
    found.retain(|path| path.to_string_lossy().contains(part));
    found
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => walk(&path, found),
            false => found.push(path),
        }
    }
}

#[test]
fn a_lost_ledger_is_found_again_in_the_bucket() {
    let server = forgetful(&["lost 001", "lost 004"]);
    let cast = small_cast(8, "lost");
    assert_eq!(run(&server, &cast.csv).status.code(), Some(6));
    let before = cast.manifest();
    assert_eq!((before.len(), charges(&server).len()), (6, 8));

    // With the manifest, and without.
    for with_manifest in [true, false] {
        lose_ledger(&cast);
        if !with_manifest {
            std::fs::remove_file(cast.csv.with_file_name("manifest.json")).unwrap();
        }
        let output = run(&server, &cast.csv);
        assert_eq!(output.status.code(), Some(6), "the doubts are taken over");
        assert_eq!(cast.in_state("in_doubt").len(), 2);
        assert_eq!(cast.manifest(), before);
        assert_charged_once(&server);
    }
}

#[test]
fn a_lost_ledger_is_restored_by_a_command() {
    let server = forgetful(&["again 002"]);
    let cast = small_cast(6, "again");
    run(&server, &cast.csv);
    lose_ledger(&cast);
    let output = castline(&server, &["ledger", "restore"], &cast.csv, None);
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    assert!(stderr(&output).contains("restored 5 ids"), "{}", stderr(&output));
    assert_eq!(cast.in_state("enrolled").len(), 5);
    assert_eq!(cast.in_state("in_doubt").len(), 1);
    // Money that was spent stays spent.
    let cap = Some(("CASTLINE_API_MAX_TOTAL_COST_USD", "0.06"));
    let output = castline(&server, &["run", "--yes"], &cast.csv, cap);
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    assert_charged_once(&server);
}

#[test]
fn the_same_cast_on_another_machine_is_paid_for_once() {
    let server = Server::start(&["--fault", "latency_ms=20"]);
    let (one, other) = (small_cast(20, "twice"), small_cast(20, "twice"));
    let start = |cast: &SmallCast| {
        let mut castline = server.castline();
        castline
            .args(["run", "--yes", "--quiet", "--rate", "1000/s"])
            .arg(&cast.csv);
        castline.spawn().unwrap()
    };
    // At the same time: whoever creates the receipt pays.
    let mut both = [start(&one), start(&other)];
    for run in &mut both {
        run.wait().unwrap();
    }
    assert_charged_once(&server);
    // Whatever was under way at the other one then has its id now.
    for cast in [&one, &other] {
        assert_eq!(run(&server, &cast.csv).status.code(), Some(0));
    }
    assert_charged_once(&server);
    assert_eq!(one.manifest(), other.manifest());
    assert_eq!(one.manifest().len(), 20);
}

#[test]
fn an_older_ledger_pays_for_nothing_and_takes_no_id_out_of_the_manifest() {
    let server = Server::start(&[]);
    let cast = small_cast(8, "older");
    let rows = std::fs::read_to_string(&cast.csv).unwrap();
    let first: String = rows.lines().take(4).map(|line| format!("{line}\n")).collect();
    std::fs::write(&cast.csv, first).unwrap();
    assert_eq!(run(&server, &cast.csv).status.code(), Some(0));
    let ledger = cast.csv.with_file_name(".castline").join("ledger.db");
    let copy = cast.csv.with_file_name("older.db");
    std::fs::copy(&ledger, &copy).unwrap();
    std::fs::write(&cast.csv, &rows).unwrap();
    assert_eq!(run(&server, &cast.csv).status.code(), Some(0));
    let before = cast.manifest();
    assert_eq!((before.len(), charges(&server).len()), (8, 8));

    std::fs::copy(&copy, &ledger).unwrap();
    let out = cast.csv.with_file_name("manifest.json");
    let mut manifest = server.castline();
    manifest.args(["manifest"]).arg(&cast.csv).arg("--out").arg(&out);
    let output = manifest.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("castline ledger restore"),
        "{}",
        stderr(&output)
    );
    assert_eq!(cast.manifest(), before);

    // Without receipts, a run stops before it pays.
    let off = Some(("CASTLINE_RECEIPTS_ENABLED", "false"));
    let output = castline(&server, &["run", "--yes"], &cast.csv, off);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("5 asset ids"), "{}", stderr(&output));

    assert_eq!(run(&server, &cast.csv).status.code(), Some(0));
    assert_eq!(cast.manifest(), before);
    assert_eq!(charges(&server).len(), 8);
    assert_charged_once(&server);
}

#[cfg(unix)]
#[test]
fn after_a_kill_the_main_file_alone_pays_for_nothing_twice() {
    let server = Server::start(&["--fault", "latency_ms=40"]);
    let cast = small_cast(20, "cut");
    let mut castline = server.castline();
    castline
        .args(["run", "--yes", "--quiet", "--rate", "20/s"])
        .arg(&cast.csv);
    let mut child = castline.spawn().unwrap();
    while charges(&server).len() < 8 {
        assert!(child.try_wait().unwrap().is_none(), "the run goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let folder = cast.csv.with_file_name(".castline");
    assert!(folder.join("ledger.db-wal").exists(), "the kill left a log");
    for beside in ["ledger.db-wal", "ledger.db-shm"] {
        std::fs::remove_file(folder.join(beside)).unwrap();
    }
    std::fs::remove_file(cast.csv.with_file_name("manifest.json")).ok();
    run(&server, &cast.csv);
    assert_charged_once(&server);
    let (enrolled, charged) = (cast.manifest().len(), charges(&server).len());
    assert!(charged > 8 && enrolled <= charged, "{enrolled} of {charged}");
    // What was under way at the kill is told, and becomes a doubt once no call can take so long.
    age_open_receipts(server.folder(), None);
    run(&server, &cast.csv);
    assert_charged_once(&server);
    let doubts = cast.in_state("in_doubt").len();
    assert_eq!(
        cast.manifest().len() + doubts,
        20,
        "every character has its id or is in doubt"
    );
}

#[cfg(unix)]
#[test]
fn a_ledger_that_is_deleted_during_a_run_stops_it_and_loses_nothing() {
    let server = Server::start(&["--fault", "latency_ms=40"]);
    let cast = small_cast(40, "gone");
    let mut castline = server.castline();
    castline
        .args(["run", "--yes", "--rate", "20/s"])
        .arg(&cast.csv)
        .stderr(Stdio::piped());
    let child = castline.spawn().unwrap();
    while charges(&server).len() < 5 {
        std::thread::sleep(Duration::from_millis(5));
    }
    lose_ledger(&cast);
    let at_loss = charges(&server).len();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("was deleted or replaced"),
        "{}",
        stderr(&output)
    );
    let after = charges(&server).len();
    assert!(
        after <= at_loss + 16,
        "only what was under way is paid: {at_loss}, {after}"
    );
    assert_eq!(run(&server, &cast.csv).status.code(), Some(0));
    assert_charged_once(&server);
    assert_eq!(cast.manifest().len(), 40);
}

#[cfg(unix)]
#[test]
fn a_ledger_with_a_second_name_is_refused() {
    let server = Server::start(&[]);
    let cast = small_cast(2, "linked");
    run(&server, &cast.csv);
    let ledger = cast.csv.with_file_name(".castline").join("ledger.db");
    std::fs::hard_link(&ledger, cast.csv.with_file_name("other.db")).unwrap();
    let output = run(&server, &cast.csv);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("second name"), "{}", stderr(&output));
}

#[test]
fn a_new_key_begins_no_series_unasked_and_takes_the_receipts_over_when_asked() {
    let server = Server::start(&[]);
    let cast = small_cast(5, "rotated");
    run(&server, &cast.csv);
    let before = cast.manifest();
    lose_ledger(&cast);
    let new_key = Some(("CASTLINE_API_KEY", "sk-another-key-0123456789"));
    let with_new_key = |args: &[&str]| castline(&server, args, &cast.csv, new_key);
    let output = with_new_key(&["run", "--yes"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("castline ledger rebind"),
        "{}",
        stderr(&output)
    );
    let output = with_new_key(&["ledger", "rebind"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("5 receipts carried over"),
        "{}",
        stderr(&output)
    );
    let again = with_new_key(&["ledger", "rebind"]);
    assert!(
        stderr(&again).contains("0 receipts carried over"),
        "{}",
        stderr(&again)
    );
    // The sandbox knows only its own key: a paid call would be refused.
    let output = with_new_key(&["run", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(cast.manifest(), before);
    assert_charged_once(&server);
}

#[test]
fn a_decision_about_a_doubt_holds_on_every_machine() {
    let server = forgetful(&["decided 000", "decided 001", "decided 002"]);
    let (one, other) = (small_cast(3, "decided"), small_cast(3, "decided"));
    assert_eq!(run(&server, &one.csv).status.code(), Some(6));
    assert_eq!(run(&server, &other.csv).status.code(), Some(6));
    assert_eq!(other.in_state("in_doubt").len(), 3);
    let id = charges(&server)["decided 000"][0].clone();
    let mut resolve = server.castline();
    resolve.args(["resolve"]).arg(&one.csv).args([
        "--adopt",
        &format!("decided 000={id}"),
        "--retry",
        "decided 001",
    ]);
    let output = resolve.output().unwrap();
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    // The other machine finds the id, and pays for nothing that it was not asked to pay for.
    assert_eq!(run(&server, &other.csv).status.code(), Some(6));
    assert_eq!(other.manifest()["decided 000"], id);
    assert_eq!(charges(&server).values().map(Vec::len).sum::<usize>(), 3);
    // Paid again as asked: a second charge, once.
    run(&server, &one.csv);
    run(&server, &one.csv);
    assert_eq!(charges(&server)["decided 001"].len(), 2);
    assert_eq!(charges(&server)["decided 002"].len(), 1);
}

#[test]
fn receipts_name_nobody_in_their_keys_and_hold_no_secret() {
    let server = Server::start(&[]);
    let cast = small_cast(3, "private");
    run(&server, &cast.csv);
    let receipts = objects(&server, "receipts");
    let keys: Vec<String> = receipts.iter().map(|p| p.display().to_string()).collect();
    let secret = &server
        .settings()
        .iter()
        .find(|(name, _)| name == "CASTLINE_API_KEY")
        .unwrap()
        .1;
    let text: String = receipts
        .iter()
        .map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned())
        .collect();
    assert_eq!(text.matches(r#""state": "enrolled""#).count(), 3, "{keys:?}");
    for key in &keys {
        assert!(!key.contains("private"), "{key}");
    }
    assert!(!text.contains(secret.as_str()));
    // Anybody may read an object whose key they know, and nobody finds the key of a receipt from a name and a picture.
    use sha2::{Digest, Sha256};
    let sha256 = hex::encode(Sha256::digest(
        std::fs::read(cast.csv.with_file_name("face.jpg")).unwrap(),
    ));
    assert!(!keys.iter().any(|key| key.contains(&sha256)));
}

#[test]
fn a_bucket_that_takes_no_receipt_pays_for_nothing() {
    let server = Server::start(&[]);
    let cast = small_cast(3, "denied");
    let wrong = Some(("AWS_SECRET_ACCESS_KEY", "wrong"));
    let output = castline(&server, &["run", "--yes"], &cast.csv, wrong);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(charges(&server).is_empty());
}

#[test]
fn art_that_goes_back_and_forth_is_paid_for_once_each() {
    let server = Server::start(&[]);
    let cast = small_cast(1, "seesaw");
    let picture = cast.csv.with_file_name("face.jpg");
    let first = std::fs::read(&picture).unwrap();
    let mut other = image::load_from_memory(&first).unwrap().to_rgb8();
    for pixel in other.pixels_mut() {
        pixel.0[0] = pixel.0[0].saturating_add(6);
    }
    let mut second = std::io::Cursor::new(Vec::new());
    other.write_to(&mut second, image::ImageFormat::Jpeg).unwrap();
    let mut ids = Vec::new();
    for art in [&first, second.get_ref(), &first, second.get_ref(), &first] {
        std::fs::write(&picture, art).unwrap();
        let output = castline(&server, &["run", "--yes", "--re-enroll-changed"], &cast.csv, None);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        ids.push(cast.manifest()["seesaw 000"].clone());
    }
    assert_eq!(charges(&server)["seesaw 000"].len(), 2);
    // The plan knows it, and the ledger alone does.
    for art in [second.get_ref(), &first] {
        std::fs::write(&picture, art).unwrap();
        let off = ["--set", "receipts.enabled=false"];
        let plan = castline(&server, &[&["plan"][..], &off].concat(), &cast.csv, None);
        let shown = String::from_utf8_lossy(&plan.stdout).into_owned();
        assert!(
            shown.contains("nothing to do") || shown.contains("$0.00"),
            "{shown}"
        );
        let output = castline(&server, &[&["run", "--yes"][..], &off].concat(), &cast.csv, None);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    assert_eq!(charges(&server)["seesaw 000"].len(), 2);
    assert_ne!(ids[0], ids[1]);
    assert_eq!(
        ids,
        [&ids[0], &ids[1], &ids[0], &ids[1], &ids[0]].map(String::clone)
    );
}

/// The same art, saved again as another format.
fn save_again(cast: &SmallCast, name: &str) {
    let picture = image::open(cast.csv.with_file_name("face.jpg")).unwrap();
    picture.save(cast.csv.with_file_name(name)).unwrap();
}

/// A cast of one, paid for; then a re-saved copy under another name takes its place, and the ledger is lost.
fn renamed_and_saved_again(server: &Server) -> SmallCast {
    let cast = small_cast(1, "saved");
    run(server, &cast.csv);
    save_again(&cast, "again.png");
    std::fs::write(&cast.csv, "name,image,approve\nSomebody new,again.png,yes\n").unwrap();
    lose_ledger(&cast);
    cast
}

/// A run with that setting holds the copy, and pays for nothing.
#[track_caller]
fn assert_held(server: &Server, cast: &SmallCast, setting: &str) {
    let run = ["run", "--yes", "--json", "--set", setting];
    let output = castline(server, &run, &cast.csv, None);
    let events = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{events}");
    assert!(events.contains("duplicate_of:saved 000"), "{events}");
    assert_eq!(charges(server).len(), 1);
}

#[test]
fn renamed_and_saved_again_it_is_held_whatever_became_of_ledger_and_settings() {
    let server = Server::start(&[]);
    let cast = renamed_and_saved_again(&server);
    let output = castline(&server, &["ledger", "restore"], &cast.csv, None);
    assert!(stderr(&output).contains("restored 1 id"), "{}", stderr(&output));
    // Another inspection than the one that saw the paid image.
    assert_held(&server, &cast, "inspect.long_side=700");
}

#[test]
fn renamed_and_saved_again_it_is_held_after_an_import_of_the_manifest_alone() {
    let server = Server::start(&[]);
    let cast = renamed_and_saved_again(&server);
    let manifest = cast.csv.with_file_name("manifest.json");
    let output = castline(&server, &["ledger", "import"], &manifest, None);
    assert!(
        stderr(&output).contains("imported 1 of 1 id"),
        "{}",
        stderr(&output)
    );
    assert_held(&server, &cast, "receipts.enabled=false");
}

/// Of two machines with one wallet the slower one has signed a payment too. It is not sent while the receipt is that of
/// the faster one, and is sent where the receipt is its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_was_set_aside_is_sent_under_its_own_receipt_only() {
    let mut faults = Faults::default();
    faults.set("429=100").unwrap();
    let harness = super::wallet::stage(faults, |_| {}).await;
    let names = ["Ada".to_owned()];
    let posts = || {
        harness
            .sandbox
            .requests()
            .iter()
            .filter(|r| r.method == "POST")
            .count()
    };
    let enroll = || {
        let run = Run {
            retries: 0,
            ..Run::default()
        };
        harness.enroll(&names, run)
    };
    enroll().await;
    let signed = posts();
    assert_eq!(signed, 2, "a quote and a payment, which was turned away");

    let fingerprint = ReceiptSecret::new([7; 32]).fingerprint();
    let mut found = Vec::new();
    walk(harness.folder.path(), &mut found);
    found.retain(|path| {
        let path = path.to_string_lossy();
        path.contains(&fingerprint) && path.ends_with(".json") && !path.ends_with("clock.json")
    });
    let receipts: Vec<_> = found
        .into_iter()
        .filter_map(|path| Some((std::fs::read_to_string(&path).ok()?, path)))
        .filter(|(text, _)| text.contains(r#""state": "set_aside""#))
        .collect();
    let [(own, path)] = &receipts[..] else {
        panic!("one receipt: {receipts:?}")
    };
    let mut other: serde_json::Value = serde_json::from_str(own).unwrap();
    other["call"] = "that of the faster machine".into();
    other["state"] = "open".into();
    std::fs::write(path, other.to_string()).unwrap();
    enroll().await;
    assert_eq!(posts(), signed, "nothing is sent under another call's receipt");
    assert_eq!(std::fs::read_to_string(path).unwrap(), other.to_string());

    std::fs::write(path, own).unwrap();
    enroll().await;
    assert_eq!(posts(), signed + 1, "the same payment, sent again");
}
