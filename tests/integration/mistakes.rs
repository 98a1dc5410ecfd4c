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
            "csv",
        ],
        &["manifest", "cast.csv", "--sandbox", "--out", "m.json"],
        &["manifest", "cast.csv", "--sandbox", "--out", "m.json"],
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

/// A pipe among the pictures of a folder: reading it would never end.
#[cfg(unix)]
#[test]
fn a_pipe_or_a_device_in_a_folder_is_left_out_with_a_word() {
    let cast = sample_cast();
    let folder = cast.folder.path().join("cast");
    let made = std::process::Command::new("mkfifo")
        .arg(folder.join("pipe.png"))
        .status();
    assert!(made.expect("mkfifo").success());
    std::fs::write(
        cast.folder.path().join("listed.csv"),
        "name,image\nPipe,cast/pipe.png\n",
    )
    .expect("a cast");
    let castline = |args: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_castline"))
            .args(args)
            .current_dir(cast.folder.path())
            .output()
            .expect("castline starts");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, message) = castline(&["check", "cast", "--json"]);
    assert!(code == Some(0) || code == Some(3), "{message}");
    assert!(message.contains("pipe.png is not a regular file"), "{message}");
    // Everything valid is checked all the same; a run would stop.
    assert_eq!(castline(&["check", "listed.csv", "--json"]).0, Some(3));
    assert_eq!(castline(&["plan", "listed.csv", "--sandbox"]).0, Some(2));
}

#[test]
fn a_saved_plan_of_any_name_can_be_run() {
    let cast = sample_cast();
    Castline::on(&cast)
        .run(&["plan", "--sandbox", "--out", "approved.txt"])
        .exits_with(0);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_castline"))
        .args(["run", "approved.txt", "--sandbox"])
        .current_dir(cast.folder.path())
        .output()
        .expect("castline starts");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(cast.manifest()["characters"].as_array().map(Vec::len), Some(13));
}

#[test]
fn a_manifest_replaces_one_of_its_own_format_alone() {
    let cast = sample_cast();
    Castline::on(&cast).run(&["run", "--sandbox"]).exits_with(0);
    let write = |format: &str| {
        Castline::on(&cast).run(&["manifest", "--sandbox", "--format", format, "--out", "engine.out"])
    };
    let formats = [
        "json",
        "csv",
        "map",
        "unreal-csv",
        "unreal-json",
        "unity-json",
        "csv-excel",
        "snippet",
    ];
    for format in formats {
        let _ = std::fs::remove_file(cast.folder.path().join("engine.out"));
        write(format).exits_with(0);
        for other in formats {
            write(other).exits_with(if other == format { 0 } else { 2 });
        }
    }
}

/// Files that are named like images but are none, and files that a folder cast leaves out.
#[test]
fn what_is_no_image_is_called_by_its_name_and_nothing_is_left_out_in_silence() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    };
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    let files: [(&str, &[u8], &str); 8] = [
        ("lfs.png", lfs.as_bytes(), "git lfs pull"),
        ("page.jpg", b"<!DOCTYPE html><html>", "a web page"),
        ("zeros.png", &[0; 64], "all zeros"),
        ("empty.png", b"", "empty"),
        ("zip.png", b"PK\x03\x04rest", "an archive"),
        ("photo.jfif", b"8BPS\0\x01", "a Photoshop document"),
        ("texture.webp", b"DDS \x7c", "a DDS texture"),
        ("apple.jpg", b"\0\0\0\x18ftypheic", "a HEIC image"),
    ];
    for (name, bytes, _) in &files {
        write(name, bytes);
    }
    for thrown_away in [
        "@eaDir/x.jpg",
        "#recycle/old.png",
        "$RECYCLE.BIN/z.png",
        "lost+found/y.png",
    ] {
        write(thrown_away, b"PNG");
    }
    write("layers.psd", b"8BPS");
    write("notes.txt", b"text");
    let output = Command::new(env!("CARGO_BIN_EXE_castline"))
        .args(["check", "--json"])
        .arg(folder.path())
        .output()
        .expect("castline starts");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        message.contains("left out: 2 files") && message.contains("layers.psd, notes.txt"),
        "{message}"
    );
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    for (name, _, part) in files {
        let line = lines
            .lines()
            .find(|line| line.contains("\"checked\"") && line.contains(name));
        assert!(
            line.is_some_and(|line| line.contains(part)),
            "{name}: {part}\n{lines}"
        );
    }
    assert_eq!(lines.matches("\"checked\"").count(), 8, "{lines}");
}
