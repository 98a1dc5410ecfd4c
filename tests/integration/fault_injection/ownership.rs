//! Whose a ledger is: its key or wallet, its API, and the one process that writes it.

use crate::support::server::{Server, castline, run, small_cast, stderr};

/// Without receipts the ledger itself says whose it is.
#[test]
fn a_ledger_belongs_to_its_key_also_without_receipts() {
    let server = Server::start(&["--wallet"]);
    let cast = small_cast(2, "whose");
    let off = ["--set", "receipts.enabled=false"];
    let run = [&["run", "--yes", "--rate", "1000/s"][..], &off].concat();
    assert_eq!(castline(&server, &run, &cast.csv, None).status.code(), Some(0));
    let other = "7".repeat(64);
    let other = Some(("CASTLINE_WALLET_KEY", other.as_str()));
    let output = castline(&server, &run, &cast.csv, other);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("castline ledger rebind"),
        "{}",
        stderr(&output)
    );
    let rebind = [&["ledger", "rebind"][..], &off].concat();
    let output = castline(&server, &rebind, &cast.csv, other);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(castline(&server, &run, &cast.csv, other).status.code(), Some(0));
    assert_eq!(server.charges().len(), 2);
}

/// What `castline sandbox` gave is marked, and is never rebound to a real API.
#[test]
fn ids_of_a_stand_in_are_never_taken_for_real_ones() {
    let server = Server::start(&[]);
    let cast = small_cast(1, "standin");
    assert_eq!(run(&server, &cast.csv).status.code(), Some(0));
    let manifest = std::fs::read_to_string(cast.csv.with_file_name("manifest.json")).unwrap();
    assert!(manifest.contains("\"stand_in\": true"), "{manifest}");
    let real = Some((
        "CASTLINE_API_BASE_URL",
        "https://api.jarvisclaw.ai/v1/marketplace",
    ));
    for command in [&["run", "--yes"][..], &["plan"], &["ledger", "rebind"]] {
        let output = castline(&server, command, &cast.csv, real);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {}", stderr(&output));
    }
    assert_eq!(server.charges().len(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_ledger_is_locked_itself_not_only_beside_its_name() {
    let server = Server::start(&[]);
    let cast = small_cast(1, "file");
    assert_eq!(run(&server, &cast.csv).status.code(), Some(0));
    let path = cast.csv.with_file_name(".castline/ledger.db");
    let mounted_elsewhere = std::fs::File::open(&path).unwrap();
    mounted_elsewhere.lock().unwrap();
    assert_eq!(run(&server, &cast.csv).status.code(), Some(11));
    mounted_elsewhere.unlock().unwrap();
    assert_eq!(run(&server, &cast.csv).status.code(), Some(0));
}

/// The file of a ledger mounted at a second place, as containers do, while a run has it at the first.
#[cfg(target_os = "linux")]
#[test]
fn a_ledger_that_is_mounted_at_a_second_place_has_one_lock() {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use crate::support::server::BINARY;

    if !Command::new("unshare")
        .args(["-m", "true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        eprintln!("skipped: mounting is not permitted here");
        return;
    }
    let server = Server::start(&[]);
    let (one, other) = (small_cast(3, "mounted"), small_cast(3, "mounted"));
    let mut slow = server.castline();
    slow.args(["run", "--yes", "--rate", "1/min"]).arg(&one.csv);
    let mut paying = slow.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    while server.charges().is_empty() {
        assert!(paying.try_wait().unwrap().is_none(), "it runs until it is killed");
        std::thread::sleep(Duration::from_millis(20));
    }
    let second = other.csv.with_file_name(".castline/ledger.db");
    std::fs::create_dir_all(second.parent().unwrap()).unwrap();
    std::fs::write(&second, "").unwrap();
    let mut mounted = Command::new("unshare");
    mounted
        .envs(server.settings().iter().map(|(name, value)| (name, value)))
        .args([
            "-m",
            "sh",
            "-c",
            "mount --bind \"$1\" \"$2\" && exec \"$3\" run --yes \"$4\"",
            "sh",
        ])
        .args([one.csv.with_file_name(".castline/ledger.db"), second])
        .arg(BINARY)
        .arg(&other.csv);
    let output = mounted.output().unwrap();
    paying.kill().unwrap();
    paying.wait().unwrap();
    assert_eq!(output.status.code(), Some(11), "{}", stderr(&output));
    assert_eq!(server.charges().len(), 1);
}
