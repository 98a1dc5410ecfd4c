//! The process dies at a ledger write, before and after the commit; the disk is full; the ledger is damaged.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::server::{Server, small_cast};

/// Runs the cast once; `fault` is what the ledger plays.
pub(super) fn run(server: &Server, csv: &Path, fault: Option<&str>) -> Option<i32> {
    let mut command: Command = server.castline();
    command.args(["run", "--yes", "--rate", "1000/s"]).arg(csv);
    if let Some(fault) = fault {
        command.env("CASTLINE_TEST_LEDGER", fault);
    }
    let output = command.output().unwrap();
    // Shown when the test fails.
    println!("{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    output.status.code()
}

/// Every ledger write of a run of 12, one after the other: the process dies there. Whatever happens, each character is
/// charged once at most, and nothing acknowledged is lost.
fn crash_at_every_write(moment: &str) {
    let server = Server::start(&[]);
    let (next, rounds, ended) = (AtomicUsize::new(1), AtomicUsize::new(0), AtomicBool::new(false));
    // Each round waits for its processes more than it computes.
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let write = next.fetch_add(1, Ordering::Relaxed);
                    let cast = small_cast(12, &format!("{moment}{write}"));
                    let crashed = run(&server, &cast.csv, Some(&format!("{moment}:{write}")));
                    if crashed == Some(0) {
                        // The run has fewer writes than that.
                        ended.store(true, Ordering::Relaxed);
                        break;
                    }
                    assert_eq!(crashed, None, "it died by its own hand");
                    rounds.fetch_add(1, Ordering::Relaxed);
                    let resumed = run(&server, &cast.csv, None);
                    cast.assert_promises(&server, resumed);
                    assert!(write < 200, "a run of 12 has fewer commits");
                }
            });
        }
    });
    let rounds = rounds.into_inner();
    println!("{rounds} crashes");
    assert!(
        rounds > 20,
        "every intent and every outcome is a commit of its own, or shared: {rounds}"
    );
}

#[test]
fn a_crash_before_any_ledger_write_never_pays_twice() {
    crash_at_every_write("before");
}

#[test]
fn a_crash_after_any_ledger_write_never_pays_twice() {
    crash_at_every_write("after");
}

/// The thread that writes the ledger panics at a write: nothing is paid twice, and what is then shown has no secret.
#[test]
fn a_panic_loses_nothing_and_shows_no_secret() {
    let server = Server::start(&[]);
    let secrets: Vec<&str> = server
        .settings()
        .iter()
        .filter(|(name, _)| name.contains("SECRET") || name.ends_with("API_KEY"))
        .map(|(_, secret)| secret.as_str())
        .collect();
    assert_eq!(secrets.len(), 2, "the key of the API, and that of the bucket");
    for write in [1, 4, 7, 10] {
        let cast = small_cast(4, &format!("panic{write}"));
        let output = server
            .castline()
            .args(["run", "--yes", "--json", "-vv", "--rate", "1000/s"])
            .arg(&cast.csv)
            .env("CASTLINE_TEST_LEDGER", format!("panic:{write}"))
            .env("RUST_BACKTRACE", "full")
            .output()
            .unwrap();
        let shown = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(
            shown.contains("a fault that a test asked for"),
            "{write}: {shown}"
        );
        assert_ne!(output.status.code(), Some(0), "{write}: {shown}");
        for secret in &secrets {
            assert!(!shown.contains(secret), "{write}: {shown}");
        }
        let resumed = run(&server, &cast.csv, None);
        cast.assert_promises(&server, resumed);
    }
}

#[test]
fn a_full_disk_stops_the_spending_at_once() {
    let server = Server::start(&[]);
    for pages in [0, 1, 2, 4, 8, 12] {
        let cast = small_cast(60, &format!("full{pages}"));
        let before = server.charges().len();
        let code = run(&server, &cast.csv, Some(&format!("pages:{pages}")));
        let paid = server.charges().len() - before;
        assert_ne!(code, Some(0), "{pages} pages: it can't end well");
        let ledger = cast.records();
        let enrolled = ledger.iter().filter(|r| r["state"] == "enrolled").count();
        let open = ledger
            .iter()
            .filter(|r| matches!(r["state"].as_str(), Some("intent" | "in_doubt")))
            .count();
        assert!(
            paid <= enrolled + open,
            "{pages} pages: every charge is known: {paid} paid, {enrolled} + {open}"
        );
        assert!(
            paid <= enrolled + 2,
            "{pages} pages: no call after the failure but those under way"
        );
        let resumed = run(&server, &cast.csv, None);
        cast.assert_promises(&server, resumed);
    }
}

/// The disk is full at each write of a run, one after the other. An id that was given and that the ledger could not
/// take any more stands on stderr, however quiet, and in the events; the command that is told there brings it in.
#[test]
fn an_id_that_can_not_be_written_is_told_and_can_be_adopted() {
    let server = Server::start(&[]);
    let mut message = 0;
    for write in 1.. {
        let cast = small_cast(4, &format!("No'{write}"));
        let output = server
            .castline()
            .args(["run", "--yes", "--quiet", "--json", "--rate", "1000/s"])
            .arg(&cast.csv)
            .env("CASTLINE_TEST_LEDGER", format!("full:{write}"))
            .output()
            .unwrap();
        if output.status.success() {
            break;
        }
        let (stdout, stderr) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        let known: Vec<_> = cast
            .records()
            .into_iter()
            .map(|r| r["asset_id"].clone())
            .collect();
        let lost: Vec<_> = server
            .charges()
            .into_iter()
            .filter(|c| cast.names.contains(&c.name) && !known.contains(&c.asset_id.clone().into()))
            .collect();
        let code = if lost.is_empty() { 1 } else { 6 };
        assert_eq!(output.status.code(), Some(code), "{write}: {stderr}");
        let mut resolve = server.castline();
        resolve.arg("resolve").arg(&cast.csv);
        for charge in &lost {
            let adopted = format!("{}={}", charge.name, charge.asset_id);
            let adopted = shlex::try_quote(&adopted).unwrap();
            let hint = format!("castline resolve {} --adopt {adopted}", cast.csv.display());
            assert!(stderr.contains(&hint), "{write}: {stderr}");
            assert!(
                stdout.contains(&format!(r#""asset_id":"{}""#, charge.asset_id)),
                "{stdout}"
            );
            resolve.args(["--adopt", &format!("{}={}", charge.name, charge.asset_id)]);
        }
        message += lost.len();
        if !lost.is_empty() {
            assert_eq!(resolve.output().unwrap().status.code(), Some(0));
        }
        let resumed = run(&server, &cast.csv, None);
        cast.assert_promises(&server, resumed);
        assert_eq!(resumed, Some(0), "{write}: nobody is left in doubt");
        assert!(write < 200, "a run of 4 has fewer commits");
    }
    assert!(message > 0, "some write was that of an id");
}

#[cfg(unix)]
#[test]
fn a_ledger_that_can_not_be_written_stops_before_anything_is_paid() {
    let server = Server::start(&[]);
    let cast = small_cast(3, "readonly");
    let folder = cast.csv.parent().unwrap().join(".castline");
    std::fs::create_dir(&folder).unwrap();
    std::fs::create_dir(folder.join("ledger.db")).unwrap();
    assert_eq!(run(&server, &cast.csv, None), Some(1));
    assert!(server.charges().iter().all(|c| !cast.names.contains(&c.name)));
}

#[test]
fn a_damaged_ledger_is_refused_and_never_made_anew() {
    let server = Server::start(&[]);
    let cast = small_cast(3, "damaged");
    assert_eq!(run(&server, &cast.csv, None), Some(0));
    let path = cast.csv.parent().unwrap().join(".castline/ledger.db");
    let whole = std::fs::read(&path).unwrap();
    let paid = server.charges().len();

    // A row that was tampered with.
    {
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute(
            "UPDATE characters SET record = replace(record, 'enrolled', 'prepared')",
            [],
        )
        .unwrap();
    }
    assert_eq!(run(&server, &cast.csv, None), Some(1));
    // A file that is cut off, one that is something else, one that is empty.
    for damage in [
        whole[..whole.len() / 2].to_vec(),
        b"this is no ledger at all, but some text".to_vec(),
    ] {
        std::fs::write(&path, &damage).unwrap();
        for beside in ["ledger.db-wal", "ledger.db-shm"] {
            let _ = std::fs::remove_file(path.with_file_name(beside));
        }
        assert_eq!(run(&server, &cast.csv, None), Some(1));
        assert_eq!(
            std::fs::read(&path).unwrap(),
            damage,
            "it is left as it was found"
        );
    }
    assert_eq!(server.charges().len(), paid);
}

#[test]
fn without_receipts_a_lost_ledger_beside_a_manifest_stops_and_is_built_again_from_it() {
    let server = Server::start(&[]);
    let cast = small_cast(5, "lost");
    let run = |server: &Server, csv: &Path| {
        let mut command = server.castline();
        command.args(["run", "--yes"]).arg(csv);
        command.env("CASTLINE_RECEIPTS_ENABLED", "false");
        command.output().unwrap().status.code()
    };
    assert_eq!(run(&server, &cast.csv), Some(0));
    let paid = server.charges().len();
    std::fs::remove_dir_all(cast.csv.parent().unwrap().join(".castline")).unwrap();
    assert_eq!(
        run(&server, &cast.csv),
        Some(2),
        "an empty ledger beside ids that were paid for"
    );
    assert_eq!(server.charges().len(), paid);
    let plan = server.castline().arg("plan").arg(&cast.csv).output().unwrap();
    assert_eq!(plan.status.code(), Some(2), "a plan says what a run would");

    let manifest = cast.csv.with_file_name("manifest.json");
    let adopted = server
        .castline()
        .args(["ledger", "import"])
        .arg(&manifest)
        .output()
        .unwrap();
    assert_eq!(
        adopted.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&adopted.stderr)
    );
    assert_eq!(run(&server, &cast.csv), Some(0));
    assert_eq!(server.charges().len(), paid, "nothing is paid again");
}
