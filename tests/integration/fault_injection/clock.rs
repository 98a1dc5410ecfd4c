//! Wrong clocks: waiting goes by the monotonic clock, and dates of replies by the clock that wrote them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::Value;

use super::*;
use crate::support::server::{Server, small_cast};

/// Debian's `faketime`: the wall clock of one process as a file says.
fn libfaketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let found = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    found.into_iter().find(|path| path.is_file())
}

/// Sets the clock: an offset such as `-1d`.
fn set(clock: &Path, offset: &str) {
    let beside = clock.with_extension("new");
    std::fs::write(&beside, format!("{offset}\n")).unwrap();
    std::fs::rename(beside, clock).unwrap();
}

#[test]
fn a_clock_that_jumps_by_days_changes_neither_the_pace_nor_the_waits() {
    let Some(library) = libfaketime() else {
        assert!(std::env::var_os("CI").is_none(), "CI needs libfaketime");
        println!("skipped: libfaketime is not installed (apt-get install faketime)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let faults = folder.path().join("faults.toml");
    let text = "seed = 5\n[percent]\n\"429\" = 15\n[retry_after]\nform = \"header-date\"\nseconds = 2\n";
    std::fs::write(&faults, text).unwrap();
    let server = Server::start(&["--faults", faults.to_str().unwrap()]);
    let cast = small_cast(30, "clock");
    let clock = folder.path().join("clock");
    set(&clock, "+0");

    let mut castline = server.castline();
    castline
        .args(["run", "--yes", "--quiet", "--rate", "5/s"])
        .args(["--set", "api.concurrency=1", "--set", "api.retries=20"])
        // S3 refuses what a wrong clock has signed, and without a receipt nothing is paid.
        .args(["--set", "receipts.enabled=false"])
        .arg(&cast.csv)
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let mut run = castline.spawn().unwrap();
    let ended = AtomicBool::new(false);
    let code = std::thread::scope(|scope| {
        scope.spawn(|| {
            // S3 itself refuses what was signed by a wrong clock: the images go up before.
            let is_up =
                |r: &Value| ["published", "intent", "enrolled"].contains(&r["state"].as_str().unwrap());
            let uploads = || cast.records().iter().filter(|r| is_up(r)).count();
            while uploads() < 30 && !ended.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
            }
            for offset in ["-1d", "+1d", "+0", "-3h", "+400d"].iter().cycle() {
                std::thread::sleep(Duration::from_millis(300));
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                set(&clock, offset);
            }
        });
        // A wait that went by the wall clock would last a day, or until the longest that is believed.
        let patience = Instant::now() + Duration::from_secs(180);
        let code = loop {
            if let Some(status) = run.try_wait().unwrap() {
                break status.code();
            }
            if Instant::now() > patience {
                run.kill().unwrap();
                run.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        ended.store(true, Ordering::Relaxed);
        code
    });
    cast.assert_promises(&server, code);
    assert_eq!(server.charges().len(), 30);

    let calls: Vec<Value> = server
        .requests()
        .into_iter()
        .filter(|r| r["path"].as_str().unwrap().ends_with("portrait/enroll"))
        .collect();
    let at = |call: &Value| call["at_ms"].as_f64().unwrap();
    let told_to_wait = calls.windows(2).filter(|two| two[0]["status"] == 429);
    let waits: Vec<f64> = told_to_wait.map(|two| at(&two[1]) - at(&two[0])).collect();
    assert!(!waits.is_empty(), "the sandbox answered 429 at least once");
    for wait in &waits {
        // Dates have whole seconds: of two, at least one is left.
        assert!(
            *wait >= 1000.0,
            "{wait} ms after a 429 that asked for two seconds"
        );
    }
    let arrivals: Vec<f64> = calls.iter().map(at).collect();
    let most = super::rates::busiest(&arrivals, 1000.0);
    assert!(most <= 7, "{most} calls within a second at 5/s");
    println!(
        "{} calls, {} waits, at most {most} within a second",
        calls.len(),
        waits.len()
    );
}
