//! The real binary against the sandbox in another process: killed at random moments, run twice at once,
//! interrupted.

use std::process::{Command, Stdio};

use super::*;
use crate::support::server::{Server, small_cast};

#[test]
fn killed_at_random_moments_it_never_pays_twice_and_loses_nothing() {
    let server = Server::start(&["--fault", "latency_ms=5"]);
    kill_at_random_moments(&server, if long() { 500 } else { 50 });
}

pub(crate) fn kill_at_random_moments(server: &Server, rounds: u32) {
    let (mut kills, mut casts, mut seed) = (0, 0, 0x5eed_u64);
    let mut met_a_call = 0;
    while kills < rounds {
        casts += 1;
        let cast = small_cast(100, &format!("kill{casts}"));
        let run = || {
            let mut command = server.castline();
            command
                .args(["run", "--yes", "--quiet", "--rate", "150/s"])
                .arg(&cast.csv);
            command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        loop {
            // xorshift: the moments differ from round to round, and are the same in every test run.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let before = server.charged_bytes();
            let mut child = run();
            // Every other moment is one at which calls are paid, however busy the machine is.
            if kills % 2 == 0 {
                while server.charged_bytes() == before && child.try_wait().unwrap().is_none() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                std::thread::sleep(Duration::from_millis(seed % 150));
            } else {
                std::thread::sleep(Duration::from_millis(60 + seed % 600));
            }
            if child.try_wait().unwrap().is_some() || kills >= rounds {
                let _ = child.wait();
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            met_a_call += u32::from(cast.has_open_intents());
        }
        let mut last = server.castline();
        last.args(["run", "--yes", "--rate", "150/s"]).arg(&cast.csv);
        let last = last.output().unwrap();
        // Shown when the test fails.
        println!("{}", String::from_utf8_lossy(&last.stderr));
        cast.assert_promises(server, last.status.code());
    }
    println!(
        "{kills} kills over {casts} casts of 100, {met_a_call} of them during a paid call, {} charges",
        server.charges().len()
    );
    assert!(met_a_call > 0, "a kill met a paid call");
}

#[test]
fn a_second_run_on_one_ledger_ends_with_11_and_names_the_holder() {
    let server = Server::start(&[]);
    let cast = small_cast(30, "two");
    let first = server
        .castline()
        .args(["run", "--yes", "--quiet", "--rate", "5/s"])
        .arg(&cast.csv)
        .spawn();
    let mut first = first.unwrap();
    // The first is at work once something is paid.
    while server.charges().is_empty() {
        assert!(first.try_wait().unwrap().is_none(), "the first run goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
    let second = server
        .castline()
        .args(["run", "--yes"])
        .arg(&cast.csv)
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(11));
    let message = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(message.contains(&format!("process {}", first.id())), "{message}");
    assert!(!cast.records().is_empty(), "status needs no lock");
    first.kill().unwrap();
    first.wait().unwrap();
    // The lock goes with its process.
    let third = server
        .castline()
        .args(["run", "--yes", "--quiet", "--rate", "1000/s"])
        .arg(&cast.csv)
        .status();
    cast.assert_promises(&server, third.unwrap().code());
}

/// A reader of `--json` who takes nothing until all is paid.
#[test]
fn a_reader_who_is_slow_holds_up_no_paid_call() {
    let server = Server::start(&[]);
    let cast = small_cast(300, "slow");
    let mut run = server.castline();
    run.args(["run", "--yes", "--json", "--rate", "1000/s"])
        .arg(&cast.csv);
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let began = std::time::Instant::now();
    while server.charges().len() < 300 {
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "{} were paid",
            server.charges().len()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut text = String::new();
    std::io::Read::read_to_string(run.stdout.as_mut().unwrap(), &mut text).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert!(text.len() > 128 << 10, "more than a pipe holds: {}", text.len());
    assert!(text.lines().last().unwrap().contains("\"summary\""));
}

#[cfg(unix)]
#[test]
fn ctrl_c_sigterm_and_a_closed_terminal_drain() {
    let server = Server::start(&["--fault", "latency_ms=300"]);
    for signal in ["INT", "TERM", "HUP"] {
        let cast = small_cast(30, signal);
        let mut run = server.castline();
        let mut run = run
            .args(["run", "--yes", "--quiet", "--rate", "20/s"])
            .arg(&cast.csv)
            .spawn()
            .unwrap();
        while !server.charges().iter().any(|c| cast.names.contains(&c.name)) {
            assert!(run.try_wait().unwrap().is_none(), "the run goes on");
            std::thread::sleep(Duration::from_millis(20));
        }
        Command::new("kill")
            .args([&format!("-{signal}"), &run.id().to_string()])
            .status()
            .unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(130));
        let states: Vec<String> = cast
            .records()
            .iter()
            .map(|r| r["state"].as_str().unwrap().to_owned())
            .collect();
        assert!(
            !states.iter().any(|s| s == "intent" || s == "in_doubt"),
            "what was under way was awaited"
        );
        let enrolled = states.iter().filter(|s| *s == "enrolled").count();
        let paid = server
            .charges()
            .iter()
            .filter(|c| cast.names.contains(&c.name))
            .count();
        assert_eq!(enrolled, paid);
        assert!(enrolled < 30, "it did not go on to the end");
        let rest = server
            .castline()
            .args(["run", "--yes", "--quiet", "--rate", "1000/s"])
            .arg(&cast.csv)
            .status();
        cast.assert_promises(&server, rest.unwrap().code());
    }
}

#[test]
fn a_doubt_waits_for_a_person_and_is_settled_as_said() {
    let folder = tempfile::tempdir().unwrap();
    let faults = folder.path().join("faults.toml");
    std::fs::write(&faults, "[names]\n\"doubt\" = \"reset-charged\"\n").unwrap();
    let server = Server::start(&["--faults", faults.to_str().unwrap()]);
    let cast = small_cast(3, "doubt");
    let run = |command: &str| {
        let mut castline = server.castline();
        castline
            .args([command, "--yes", "--quiet", "--rate", "1000/s"])
            .arg(&cast.csv)
            .status()
            .unwrap()
            .code()
    };
    assert_eq!(run("run"), Some(6));
    assert_eq!(server.charges().len(), 3);
    assert_eq!((run("run"), run("retry")), (Some(6), Some(6)));
    assert_eq!(server.charges().len(), 3, "no run touches a doubt unasked");

    let resolve = |args: &[&str]| {
        let output = server
            .castline()
            .arg("resolve")
            .arg(&cast.csv)
            .args(args)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let charges = server.charges();
    let id = charges[0].asset_id.clone();
    let [adopted, stolen, mistaken] = [0, 1, 2].map(|n| format!("{}={id}", charges[n].name));
    let [first, other] = [0, 1].map(|n| charges[n].name.as_str());
    for wrong in [
        &["--adopt", "doubt 001=nonsense"][..],
        &["--forget", "nobody"],
        &["--adopt", &adopted, "--forget", "nobody"],
        &["--adopt", &adopted, "--adopt", &stolen],
        &["--forget", first, "--retry", first],
        // JarvisClaw has no list of assets.
        &["--forget", first, "--reconcile"],
    ] {
        assert_eq!(resolve(wrong).0, Some(2), "{wrong:?}");
        let doubts = cast.records().iter().filter(|r| r["state"] == "in_doubt").count();
        assert_eq!(doubts, 3, "{wrong:?} settles nobody");
    }
    let (code, message) = resolve(&["--adopt", &adopted]);
    assert_eq!(code, Some(6), "two are left");
    assert!(
        message.contains(&format!("adopted\t{first}\t{id}\n")),
        "{message}"
    );
    // When each was asked for, and which image to look for in the provider's list.
    let doubts: Vec<&str> = message.lines().filter(|l| l.starts_with("in doubt\t")).collect();
    assert_eq!(doubts.len(), 2, "{message}");
    for doubt in doubts {
        let columns: Vec<&str> = doubt.split('\t').collect();
        assert!(
            columns[3].ends_with('Z') && columns[4].starts_with("https://"),
            "{doubt}"
        );
    }
    // One asset is one character.
    assert_eq!(resolve(&["--adopt", &stolen]).0, Some(2));
    assert_eq!(resolve(&["--forget", other, "--adopt", &mistaken]).0, Some(2));
    let left: Vec<String> = cast
        .records()
        .iter()
        .filter(|r| r["state"] == "in_doubt")
        .map(|r| r["name"].as_str().unwrap().to_owned())
        .collect();
    let (code, message) = resolve(&["--retry", &left[0], "--forget", &left[1]]);
    assert_eq!(code, Some(0));
    for settled in [
        format!("sent again\t{}\t", left[0]),
        format!("forgotten\t{}\t", left[1]),
    ] {
        assert!(message.contains(&settled), "{message}");
    }
    assert_eq!(
        run("run"),
        Some(6),
        "both are sent again, and their replies lost again"
    );
    assert_eq!(server.charges().len(), 5, "as was accepted");
    let manifest = cast.manifest();
    assert_eq!(manifest.values().collect::<Vec<_>>(), [&id]);
}
