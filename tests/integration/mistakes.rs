//! What people mistype or forget: told with exit code 2 before anything is looked at, written over or paid.

use std::path::Path;
use std::process::Command;

use crate::support::{Cast, Castline, Ended, sample_cast};

/// Every file of the cast's folder with its content.
fn files(cast: &Cast) -> Vec<(String, Vec<u8>)> {
    fn below(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
        for entry in std::fs::read_dir(folder)
            .expect("a folder")
            .map(|e| e.expect("an entry").path())
        {
            if entry.is_dir() {
                below(&entry, found);
            } else {
                let bytes = std::fs::read(&entry).expect("a file");
                found.push((entry.display().to_string(), bytes));
            }
        }
    }
    let mut found = Vec::new();
    below(cast.folder.path(), &mut found);
    found.sort();
    found
}

/// The binary without the cast as its first argument.
fn castline(cast: &Cast, args: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_castline"))
        .args(args)
        .current_dir(cast.folder.path())
        .output()
        .expect("castline starts");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn nothing_precious_is_written_over() {
    let cast = sample_cast();
    std::fs::write(cast.folder.path().join("castline.toml"), "").expect("settings");
    Castline::on(&cast).run(&["run", "--sandbox"]).exits_with(0);
    let before = files(&cast);
    let picture = "cast/queen_isaura.jpg";
    for (args, part) in [
        (&["check", "--report", "cast.csv"][..], "is the cast"),
        (&["check", "--report", picture], "is named like an image"),
        (&["check", "--report", "castline.toml"], "is a settings file"),
        (&["check", "--log-file", "cast.csv"], "is the cast"),
        (
            &["check", "--report", "look.html", "--log-file", "look.html"],
            "is the output of --log-file",
        ),
        (&["plan", "--sandbox", "--out", "cast.csv"], "is the cast"),
        (
            &["plan", "--sandbox", "--out", "./cast/../cast.csv"],
            "is the cast",
        ),
        (
            &["run", "--sandbox", "--manifest", ".castline/sandbox.db"],
            "is the ledger",
        ),
        (
            &["run", "--sandbox", "--manifest", ".castline/ledger.db"],
            "is the ledger",
        ),
        (
            &["run", "--sandbox", "--report", picture],
            "is named like an image",
        ),
        (&["report", "--sandbox", "--out", "cast.csv"], "is the cast"),
        (
            &["manifest", "--sandbox", "--out", ".castline/sandbox.db"],
            "is the ledger",
        ),
        (
            &["manifest", "--sandbox", "--out", picture],
            "is named like an image",
        ),
    ] {
        let ended = Castline::on(&cast).run(args);
        ended.exits_with(2);
        assert!(ended.stderr.contains(part), "{args:?}: {}", ended.stderr);
        // The holder's name changes with each run, and SQLite's shared memory with each look.
        let after = files(&cast);
        let fleeting = |path: &str| path.ends_with(".holder") || path.ends_with("-shm");
        let mut kept = before.iter().filter(|(path, _)| !fleeting(path));
        assert!(
            kept.all(|file| after.contains(file)),
            "{args:?} wrote over something"
        );
    }
}

/// Where no cast is named, castline can't know that a file is one; and other people's files are theirs in any case.
#[test]
fn only_what_castline_made_is_written_over() {
    let cast = sample_cast();
    Castline::on(&cast).run(&["run", "--sandbox"]).exits_with(0);
    let at = |name: &str| cast.folder.path().join(name);
    std::fs::write(at("notes.txt"), "Ask Ada about the second act.\n").expect("notes");
    std::fs::write(at("other.csv"), "name,image\nBo,bo.png\n").expect("another cast");
    std::fs::write(at("empty"), "").expect("a file");
    let before = files(&cast);
    for args in [
        &["manifest", "--sandbox", "--out", "cast.csv"][..],
        &["manifest", "--sandbox", "--out", "notes.txt", "--format", "csv"],
        &[
            "manifest",
            "cast.csv",
            "--sandbox",
            "--out",
            "other.csv",
            "--format",
            "csv",
        ],
        &["report", "--sandbox", "--out", "cast.csv"],
        &["report", "--sandbox", "--out", "manifest.json"],
        &["ledger", "backup", "--sandbox", "--out", "cast.csv"],
        &["ledger", "backup", "cast.csv", "--sandbox", "--out", "notes.txt"],
        &[
            "ledger",
            "backup",
            "cast.csv",
            "--sandbox",
            "--out",
            "manifest.json",
        ],
        &["check", "cast.csv", "--report", "manifest.json"],
        &["check", "cast.csv", "--log-file", "notes.txt"],
        &["check", "cast.csv", "--log-file", "manifest.json"],
        &["plan", "cast.csv", "--sandbox", "--out", "manifest.json"],
        &["run", "cast.csv", "--sandbox", "--manifest", "other.csv"],
    ] {
        let ended = castline(&cast, args);
        ended.exits_with(2);
        assert!(
            ended.stderr.contains("refusing to overwrite"),
            "{args:?}: {}",
            ended.stderr
        );
        let after = files(&cast);
        let kept = before.iter().filter(|(path, _)| !path.contains(".castline"));
        for file in kept {
            assert!(after.contains(file), "{args:?} wrote over {}", file.0);
        }
    }
    // Its own it writes anew, and into files that hold nothing.
    for args in [
        &[
            "manifest",
            "cast.csv",
            "--sandbox",
            "--out",
            "m",
            "--format",
            "csv",
        ][..],
        &[
            "manifest",
            "cast.csv",
            "--sandbox",
            "--out",
            "m",
            "--format",
            "map",
        ],
        &["manifest", "cast.csv", "--sandbox", "--out", "m"],
        &["report", "cast.csv", "--sandbox", "--out", "look.html"],
        &["report", "cast.csv", "--sandbox", "--out", "look.html"],
        &["plan", "cast.csv", "--sandbox", "--out", "p.json"],
        &[
            "plan",
            "cast.csv",
            "--sandbox",
            "--out",
            "p.json",
            "--log-file",
            "log",
        ],
        &[
            "plan",
            "cast.csv",
            "--sandbox",
            "--out",
            "p.json",
            "--log-file",
            "log",
        ],
        &["ledger", "backup", "cast.csv", "--sandbox", "--out", "empty"],
        &["ledger", "backup", "cast.csv", "--sandbox", "--out", "empty"],
    ] {
        castline(&cast, args).exits_with(0);
    }
}

#[test]
fn a_copy_of_the_ledger_takes_the_place_of_an_earlier_copy_and_of_nothing_else() {
    let cast = sample_cast();
    Castline::on(&cast).run(&["run", "--sandbox"]).exits_with(0);
    let backup = |out: &str| {
        castline(
            &cast,
            &["ledger", "backup", "cast.csv", "--sandbox", "--out", out],
        )
    };
    for _ in 0..2 {
        backup("copy.db").exits_with(0);
    }
    for out in ["cast.csv", ".castline/sandbox.db", "nowhere/copy.db"] {
        backup(out).exits_with(2);
    }
    // The ledger is lost, and a new one begun: the copy is the better one.
    std::fs::remove_dir_all(cast.folder.path().join(".castline")).expect("a ledger");
    std::fs::remove_file(cast.folder.path().join("manifest.json")).expect("a manifest");
    let copy = std::fs::read(cast.folder.path().join("copy.db")).expect("a copy");
    Castline::on(&cast).run(&["run", "--sandbox"]).exits_with(0);
    let ended = backup("copy.db");
    ended.exits_with(2);
    assert!(ended.stderr.contains("not an earlier copy"), "{}", ended.stderr);
    assert_eq!(
        std::fs::read(cast.folder.path().join("copy.db")).expect("a copy"),
        copy
    );
}

/// `castline completions bash | head -3`: the pipe is closed while there is more to write.
#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_ends_a_command_in_peace() {
    let cast = sample_cast();
    Castline::on(&cast).run(&["run", "--sandbox"]).exits_with(0);
    for args in [
        &["completions", "bash"][..],
        &["man"],
        &["manifest", "cast.csv", "--sandbox"],
        &["config", "show"],
        &["status", "cast.csv", "--sandbox"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ended = Command::new(env!("CARGO_BIN_EXE_castline"))
            .args(args)
            .current_dir(cast.folder.path())
            .stdout(writer)
            .output()
            .expect("castline starts");
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), &*stderr), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn what_can_not_be_written_is_told_before_the_work() {
    let cast = sample_cast();
    for args in [
        &["check", "--report", "nowhere/look.html"][..],
        &["check", "--log-file", "nowhere/log.ndjson"],
        &["plan", "--out", "nowhere/plan.json"],
        &["plan", "--report", "cast"],
        &["run", "--sandbox", "--report", "nowhere/look.html"],
        &["run", "--sandbox", "--manifest", "nowhere/manifest.json"],
    ] {
        let ended = Castline::on(&cast).run(args);
        ended.exits_with(2);
        assert!(
            ended.stderr.contains("can't be written"),
            "{args:?}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("suitable"), "{args:?}: {}", ended.stderr);
        assert!(
            !cast.folder.path().join(".castline").exists(),
            "{args:?} made a ledger"
        );
    }
}

#[test]
fn what_a_run_lacks_is_told_and_leaves_no_ledger() {
    let cast = sample_cast();
    let key = ("CASTLINE_API_KEY", "sk-test-0123456789");
    let bucket = ("CASTLINE_S3_BUCKET", "bucket");
    for (env, part) in [
        (&[key][..], "no bucket"),
        (&[bucket], "no API key"),
        (&[key, bucket], "no region"),
        (
            &[key, bucket, ("CASTLINE_TLS_CA_FILE", "nowhere.pem")],
            "nowhere.pem",
        ),
        (
            &[key, bucket, ("CASTLINE_S3_BUKET", "bucket")],
            "did you mean CASTLINE_S3_BUCKET?",
        ),
    ] {
        // No profile of this machine's, and no look for one.
        let mut run = Castline::on(&cast)
            .env("AWS_CONFIG_FILE", "nowhere")
            .env("AWS_SHARED_CREDENTIALS_FILE", "nowhere")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        for (name, value) in env {
            run = run.env(name, value);
        }
        let ended = run.run(&["run", "--yes"]);
        ended.exits_with(2);
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
        assert!(!cast.folder.path().join(".castline").exists(), "{part}: a ledger");
        assert!(
            !cast.folder.path().join("manifest.json").exists(),
            "{part}: a manifest"
        );
    }
    let approvals = Castline::on(&cast).run(&["check", "--approvals", "nope.txt"]);
    approvals.exits_with(2);
    assert!(
        approvals.stderr.contains("--approvals nope.txt"),
        "{}",
        approvals.stderr
    );
}

#[test]
fn a_plan_is_no_cast_for_any_command() {
    let cast = sample_cast();
    std::fs::write(cast.folder.path().join("plan.json"), "{}").expect("a plan");
    for args in [
        &["status", "plan.json"][..],
        &["check", "plan.json"],
        &["plan", "plan.json"],
        &["retry", "plan.json", "--sandbox"],
        &["realface", "plan.json", "--sandbox"],
    ] {
        let ended = castline(&cast, args);
        ended.exits_with(2);
        assert!(
            ended
                .stderr
                .contains("a saved plan can only be run, with `castline run`"),
            "{}",
            ended.stderr
        );
    }
}
