//! A castline.toml that somebody sent with a cast, and secrets in addresses and arguments.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::server::{Server, small_cast, stderr};

/// castline against `server`, with a home folder of its own.
fn castline(server: &Server, home: &Path, args: &[&str]) -> Output {
    let mut command = server.castline();
    // What the file beside the cast must not decide is decided by nobody else.
    for name in [
        "CASTLINE_API_BASE_URL",
        "CASTLINE_TLS_CA_FILE",
        "CASTLINE_PUBLISH_ALLOW_PRIVATE_HOSTS",
    ] {
        command.env_remove(name);
    }
    command.env("XDG_STATE_HOME", home).env("XDG_CONFIG_HOME", home);
    command.args(args).output().unwrap()
}

fn setting(server: &Server, name: &str) -> String {
    let found = server.settings().iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("{name}")).1.clone()
}

#[test]
fn a_file_beside_a_cast_does_not_decide_where_the_key_goes_until_it_is_trusted() {
    let server = Server::start(&[]);
    let home = tempfile::tempdir().unwrap();
    let cast = small_cast(1, "sent");
    let beside = cast.csv.with_file_name("castline.toml");
    let text = format!(
        "[api]\nbase_url = {:?}\n[tls]\nca_file = {:?}\n[publish]\nallow_private_hosts = true\n",
        setting(&server, "CASTLINE_API_BASE_URL"),
        setting(&server, "CASTLINE_TLS_CA_FILE")
    );
    std::fs::write(&beside, &text).unwrap();
    let csv = cast.csv.to_str().unwrap();
    let go = |args: &[&str]| castline(&server, home.path(), args);
    let run = || go(&["run", csv, "--yes", "--rate", "1000/s"]);

    let refused = run();
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    let message = stderr(&refused);
    for part in [
        "api.base_url",
        "tls.ca_file",
        "publish.allow_private_hosts",
        "castline trust",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    for free in ["plan", "doctor", "check", "status"] {
        assert_eq!(go(&[free, csv]).status.code(), Some(2), "{free}");
    }
    assert!(
        server.requests().is_empty(),
        "nobody was asked: {:?}",
        server.requests()
    );
    // It can be looked at, and the sandbox needs none of it.
    assert_eq!(go(&["config", "show", csv]).status.code(), Some(0));

    // Trusted as it is: by content, not by name.
    assert_eq!(go(&["trust", csv]).status.code(), Some(0));
    std::fs::write(&beside, format!("{text}[payment]\nmax_price_usd = 500\n")).unwrap();
    assert_eq!(run().status.code(), Some(2));
    assert!(server.requests().is_empty());
    std::fs::write(&beside, &text).unwrap();
    let trusted = run();
    assert_eq!(trusted.status.code(), Some(0), "{}", stderr(&trusted));
    assert_eq!(server.charges().len(), 1);

    // Named on the command line it needs no other trust, wherever the user's folder is.
    let other_home = tempfile::tempdir().unwrap();
    let named = castline(
        &server,
        other_home.path(),
        &["run", csv, "--yes", "--config", beside.to_str().unwrap()],
    );
    assert_eq!(named.status.code(), Some(0), "{}", stderr(&named));
}

#[test]
fn the_users_own_file_needs_no_trust_and_its_limits_are_not_raised_by_a_cast() {
    let server = Server::start(&[]);
    let home = tempfile::tempdir().unwrap();
    let cast = small_cast(1, "mine");
    let csv = cast.csv.to_str().unwrap();
    let go = |args: &[&str]| castline(&server, home.path(), args);
    let own = home.path().join("castline/castline.toml");
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    let text = format!(
        "[api]\nbase_url = {:?}\nmax_cost_usd = 0.5\n[tls]\nca_file = {:?}\n[publish]\nallow_private_hosts = true\n",
        setting(&server, "CASTLINE_API_BASE_URL"),
        setting(&server, "CASTLINE_TLS_CA_FILE")
    );
    std::fs::write(&own, text).unwrap();
    // Beside the cast: a higher limit than the user's needs trust, a lower one holds.
    let beside = cast.csv.with_file_name("castline.toml");
    std::fs::write(&beside, "[api]\nmax_cost_usd = 5\n").unwrap();
    let raised = go(&["run", csv, "--yes"]);
    assert_eq!(raised.status.code(), Some(2), "{}", stderr(&raised));
    assert!(
        stderr(&raised).contains("sets api.max_cost_usd,"),
        "{}",
        stderr(&raised)
    );
    std::fs::write(&beside, "[api]\nmax_cost_usd = 0.001\n").unwrap();
    let lowered = go(&["run", csv, "--yes"]);
    assert_eq!(lowered.status.code(), Some(5), "{}", stderr(&lowered));
    assert_eq!(server.charges().len(), 0);
    std::fs::remove_file(&beside).unwrap();
    let shown = go(&["config", "show", "--origin", csv]);
    let origin = own.to_str().unwrap();
    assert!(
        String::from_utf8_lossy(&shown.stdout).contains(origin),
        "{shown:?}"
    );
    let run = go(&["run", csv, "--yes", "--rate", "1000/s"]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert_eq!(server.charges().len(), 1);
}

#[test]
fn what_init_writes_is_trusted_and_what_is_harmless_needs_no_trust() {
    let server = Server::start(&[]);
    let cast = small_cast(1, "own");
    let beside = cast.csv.with_file_name("castline.toml");
    std::fs::write(&beside, "[api]\nmax_cost_usd = 0\n[inspect]\nquality = 90\n").unwrap();
    let mut run = server.castline();
    let output = run.args(["run", "--yes"]).arg(&cast.csv).output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(5),
        "the lowered limit holds: {}",
        stderr(&output)
    );
    assert_eq!(server.charges().len(), 0);

    // What `castline init` has written is trusted; what is added by hand needs trust.
    let home = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let init = castline(&server, home.path(), &["init", folder.path().to_str().unwrap()]);
    assert_eq!(init.status.code(), Some(0), "{}", stderr(&init));
    let trusted = std::fs::read_dir(home.path().join("castline/trusted")).unwrap();
    assert_eq!(trusted.count(), 1);
    std::fs::copy(&cast.csv, folder.path().join("cast.csv")).unwrap();
    let csv = folder.path().join("cast.csv");
    let status = || castline(&server, home.path(), &["status", csv.to_str().unwrap()]);
    assert_eq!(status().status.code(), Some(0), "{}", stderr(&status()));
    let written = folder.path().join("castline.toml");
    let changed = std::fs::read_to_string(&written).unwrap();
    let changed = changed.replace("[api]\n", "[api]\nbase_url = \"https://elsewhere.example\"\n");
    std::fs::write(&written, changed).unwrap();
    let refused = status();
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("castline trust"),
        "{}",
        stderr(&refused)
    );
}

/// A webhook's address is a secret, and arguments can be read by everybody on the machine.
#[test]
fn a_secret_is_not_taken_from_the_command_line() {
    let cast = small_cast(1, "argv");
    let output = Command::new(env!("CARGO_BIN_EXE_castline"))
        .args(["status", "--set", "notify.url=https://hooks.example/T0/c0ffee"])
        .arg(&cast.csv)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(
        message.contains("CASTLINE_NOTIFY_URL") && !message.contains("c0ffee"),
        "{message}"
    );
}

#[cfg(unix)]
#[test]
fn a_ledger_and_its_copies_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start(&[]);
    let cast = small_cast(1, "mode");
    let copy = cast.csv.with_file_name("copy.db");
    let mut run = server.castline();
    run.args(["run", "--yes", "--set"])
        .arg(format!("ledger.backup={}", copy.display()));
    assert_eq!(run.arg(&cast.csv).status().unwrap().code(), Some(0));
    for file in [cast.csv.with_file_name(".castline/ledger.db"), copy] {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

/// The query of a picture's address may be anybody's token, whatever it is called.
#[test]
fn the_query_of_a_pictures_address_is_neither_shown_nor_stored() {
    const CANARY: &str = "c0ffee11c0ffee22";
    let server = Server::start(&[]);
    let cast = small_cast(1, "query");
    let mut run = server.castline();
    assert_eq!(
        run.args(["run", "--yes"]).arg(&cast.csv).status().unwrap().code(),
        Some(0)
    );
    // Its published picture, shared with a token.
    let folder = tempfile::tempdir().unwrap();
    let address = format!("{}?access={CANARY}", server.charges()[0].image_url);
    let csv = folder.path().join("cast.csv");
    std::fs::write(
        &csv,
        format!("name,image,approve\nLinked,{address},yes\nGone,{address}.gone,yes\n"),
    )
    .unwrap();
    let log = folder.path().join("log.ndjson");
    let report = folder.path().join("report.html");
    for args in [
        &["run", "--yes", "--json", "-v"][..],
        &["status", "--json"],
        &["resolve"],
        &["plan", "--json"],
    ] {
        let mut castline = server.castline();
        castline.args(args).arg("--log-file").arg(&log);
        if args[0] == "run" {
            castline.arg("--report").arg(&report);
        }
        let output = castline.arg(&csv).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
        assert!(!said.contains(CANARY), "{args:?}: {said}");
    }
    assert!(
        server.charges().iter().any(|charge| charge.name == "Linked"),
        "it was fetched"
    );
    assert!(report.exists() && log.exists());
    for file in walkdir::WalkDir::new(folder.path())
        .into_iter()
        .map(Result::unwrap)
    {
        if file.file_type().is_file() && file.path() != csv {
            let bytes = std::fs::read(file.path()).unwrap();
            let found = bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
            assert!(!found, "{}", file.path().display());
        }
    }
}

#[test]
fn the_key_of_a_wallet_appears_nowhere() {
    const CANARY: &str = "c0ffee11c0ffee22c0ffee33c0ffee44c0ffee55c0ffee66c0ffee77c0ffee88";
    let server = Server::start(&["--wallet"]);
    let cast = small_cast(3, "canary");
    let folder = cast.csv.parent().unwrap();
    let log = folder.join("events.ndjson");
    let elsewhere = tempfile::tempdir().unwrap();
    let key_file = elsewhere.path().join("wallet.key");
    let everything = |output: &std::process::Output| {
        let mut all = vec![output.stdout.clone(), output.stderr.clone()];
        for file in walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap) {
            if file.file_type().is_file() {
                all.push(std::fs::read(file.path()).unwrap());
            }
        }
        all
    };
    let castline = |args: &[&str], key: &str| {
        let mut castline = server.castline();
        castline.args(args).arg(&cast.csv).args(["-vv", "--json"]);
        castline.args(["--set", &format!("report.log_file={}", log.display())]);
        castline
            .env("CASTLINE_WALLET_KEY", key)
            .env("RUST_BACKTRACE", "full");
        castline.output().unwrap()
    };
    let secrets = [CANARY.as_bytes().to_vec(), hex::decode(CANARY).unwrap()];
    let look = |output: &std::process::Output| {
        for text in everything(output) {
            for secret in &secrets {
                let found = text
                    .windows(secret.len())
                    .any(|part| part.eq_ignore_ascii_case(secret));
                assert!(!found, "{}", String::from_utf8_lossy(&text));
            }
        }
    };
    // A key that is almost one: too long, with a letter that is no digit, beside another word.
    for almost in [
        format!("{CANARY}00"),
        format!("{CANARY}g"),
        format!("my {CANARY}"),
    ] {
        let output = castline(&["run", "--yes"], &almost);
        assert_eq!(output.status.code(), Some(2));
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(
            message.contains("CASTLINE_WALLET_KEY is not a private key"),
            "{message}"
        );
        look(&output);
    }
    for args in [
        &["plan", "--quote"][..],
        &["run", "--yes"],
        &["status"],
        &["config", "show"],
    ] {
        let output = castline(args, CANARY);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
        look(&output);
    }
    assert_eq!(server.charges().len(), 3);
    let manifest = std::fs::read_to_string(cast.csv.with_file_name("manifest.json")).unwrap();
    for charge in server.charges() {
        let receipt = charge.tx_hash.unwrap();
        assert!(manifest.contains(&receipt), "the receipt is in the manifest");
    }
    // As a file, too.
    std::fs::write(&key_file, CANARY).unwrap();
    let mut again = server.castline();
    again.env_remove("CASTLINE_WALLET_KEY").arg("run").arg(&cast.csv);
    again.args([
        "--yes",
        "--set",
        &format!("payment.key_file={}", key_file.display()),
    ]);
    let output = again.output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    look(&output);
}
