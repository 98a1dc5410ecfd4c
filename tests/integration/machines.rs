//! What machines are told: every end in events, the log file, the webhook and the metrics; and that events are as their
//! schema says.

use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;

use serde_json::Value;

use crate::support::certificate::certified;
use crate::support::server::{Server, small_cast};
use crate::support::{Castline, sample_cast};

/// Validates lines of NDJSON by the schema in the repository, with a validator that knows nothing of castline.
fn assert_valid(lines: &str) {
    let python = std::env::var("CASTLINE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = "import json, sys\ntry:\n    from jsonschema import Draft202012Validator as V\nexcept ImportError:\n    \
                  sys.exit(77)\nv = V(json.load(open(sys.argv[1])))\nn = 0\nfor line in sys.stdin:\n    event = json.loads(line)\n    \
                  errors = list(v.iter_errors(event))\n    if errors:\n        sys.exit(line + str(errors[0]))\n    n += 1\nprint(n)\n";
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/events.schema.json");
    let mut validator = Command::new(python)
        .args(["-c", script, schema])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    validator
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let output = validator.wait_with_output().unwrap();
    if output.status.code() == Some(77) && std::env::var_os("CI").is_none() {
        eprintln!("jsonschema is not installed: not validated");
        return;
    }
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let count: usize = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
    assert_eq!(count, lines.lines().count());
}

#[test]
fn what_every_command_writes_is_as_the_schema_says() {
    let cast = sample_cast();
    let broken = cast.folder.path().join("broken.csv");
    std::fs::write(&broken, "name,image\nAda,nowhere.png\n").unwrap();
    let log = cast.folder.path().join("log.ndjson");
    let log_file = log.to_str().unwrap();
    let mut lines = String::new();
    for args in [
        &["check", "--json"][..],
        &["plan", "--sandbox", "--json", "--max-cost", "1"],
        &["run", "--sandbox", "--json", "--log-file", log_file],
        &["run", "--sandbox", "--json", "--set", "nonsense=1"],
    ] {
        lines += &Castline::on(&cast).run(args).stdout;
    }
    let output = castline(&["run", broken.to_str().unwrap(), "--sandbox", "--json"], &[]);
    lines += &String::from_utf8(output.stdout).unwrap();
    lines += &std::fs::read_to_string(&log).unwrap();
    for kind in [
        "castline",
        "bad_row",
        "checked",
        "planned",
        "published",
        "enrolled",
        "plan",
        "error",
        "summary",
    ] {
        assert!(lines.contains(&format!("\"type\":\"{kind}\"")), "{kind}");
    }
    assert_valid(&lines);
    // The validator finds something at all.
    let caught = std::panic::catch_unwind(|| assert_valid("{\"type\":\"enrolled\",\"name\":\"Ada\"}\n")); // no id
    assert!(caught.is_err() || std::env::var_os("CI").is_none());
}

fn castline(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_castline"));
    for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("CASTLINE_") || n.starts_with("AWS_")) {
        command.env_remove(name);
    }
    let output = command
        .args(args)
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output();
    output.expect("castline starts")
}

fn events(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The error and the summary that end a stream of events, after a first line.
fn ends_with_an_error(text: &str, code: &str, exit: i32) {
    let events = events(text);
    let kinds: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(kinds.first(), Some(&"castline"), "{text}");
    assert_eq!(&kinds[kinds.len() - 2..], ["error", "summary"], "{text}");
    let error = &events[events.len() - 2];
    assert_eq!(
        (error["code"].as_str(), &error["exit_code"]),
        (Some(code), &exit.into()),
        "{error}"
    );
    assert!(!error["message"].as_str().unwrap().is_empty());
    assert_eq!(events[events.len() - 1]["exit_code"], exit);
}

#[test]
fn an_error_before_the_first_character_is_told_on_stdout_and_in_the_log() {
    let cast = sample_cast();
    let folder = cast.folder.path();
    let csv = cast.csv.to_str().unwrap();
    let broken = folder.join("broken.csv");
    std::fs::write(&broken, "name,image\nAda,nowhere.png\n").unwrap();
    let broken = broken.to_str().unwrap();
    let nowhere = folder.join("nowhere.csv");
    let key = [("CASTLINE_API_KEY", "sk-canary-0123456789")];
    let bucket = [("CASTLINE_S3_BUCKET", "cast")];
    for (what, args, env, code, exit) in [
        ("no bucket", vec!["run", csv, "--yes"], &key[..], "no_bucket", 2),
        ("no key", vec!["run", csv, "--yes"], &bucket[..], "no_key", 2),
        (
            "no such file",
            vec!["run", nowhere.to_str().unwrap(), "--sandbox"],
            &[],
            "bad_cast",
            2,
        ),
        ("a bad row", vec!["run", broken, "--sandbox"], &[], "usage", 2),
        (
            "a bad setting",
            vec!["check", csv, "--set", "api.rate=fast"],
            &[],
            "bad_settings",
            2,
        ),
        ("no terminal", vec!["run", csv], &key[..], "usage", 2),
    ] {
        let log = folder.join(format!("{what}.ndjson"));
        let args = [args, vec!["--json", "--log-file", log.to_str().unwrap()]].concat();
        let output = castline(&args, env);
        assert_eq!(output.status.code(), Some(exit), "{what}: {output:?}");
        ends_with_an_error(&String::from_utf8(output.stdout).unwrap(), code, exit);
        ends_with_an_error(&std::fs::read_to_string(&log).unwrap(), code, exit);
    }
}

#[test]
fn a_ledger_that_is_held_is_told() {
    let server = Server::start(&[]);
    let cast = small_cast(1, "held");
    let mut first = server.castline();
    first.args(["run", "--yes", "--json"]).arg(&cast.csv);
    assert!(first.output().unwrap().status.success());
    let ledger = cast.csv.with_file_name(".castline/ledger.db");
    let provider = server
        .settings()
        .iter()
        .find(|(name, _)| name == "CASTLINE_API_BASE_URL")
        .unwrap();
    let options = castline::ledger::OpenOptions::new(&provider.1, false, "test");
    let _held = castline::ledger::Ledger::open(&ledger, options).unwrap();
    let mut second = server.castline();
    second.args(["run", "--yes", "--json"]).arg(&cast.csv);
    let output = second.output().unwrap();
    ends_with_an_error(&String::from_utf8(output.stdout).unwrap(), "ledger_held", 11);
}

/// A web server on loopback that takes one POST; gives its body and its signature.
fn receiver() -> (
    String,
    std::path::PathBuf,
    tempfile::TempDir,
    mpsc::Receiver<(String, String)>,
) {
    let certificate = certified();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &certificate.ca_pem).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/hook", listener.local_addr().unwrap().port());
    let (to, got) = mpsc::channel();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(certificate.key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.leaf.der().clone()], key.into())
        .unwrap();
    let config = std::sync::Arc::new(config);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut tls = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut tls = rustls::Stream::new(&mut tls, &mut stream);
            let mut request = Vec::new();
            let mut part = [0; 4096];
            let body = loop {
                let Ok(read @ 1..) = tls.read(&mut part) else {
                    break None;
                };
                request.extend_from_slice(&part[..read]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let field = |name: &str| {
                    let line = head
                        .lines()
                        .find(|line| line.to_ascii_lowercase().starts_with(name));
                    line.and_then(|line| line.split_once(": "))
                        .map(|(_, value)| value.to_owned())
                };
                let length: usize = field("content-length").unwrap().parse().unwrap();
                if body.len() >= length {
                    break Some((body.to_owned(), field("x-castline-signature").unwrap()));
                }
            };
            let _ =
                tls.write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            tls.conn.send_close_notify();
            let _ = tls.flush();
            if let Some(body) = body {
                let _ = to.send(body);
            }
        }
    });
    (url, ca, folder, got)
}

fn is_signed(body: &str, signature: &str, secret: &str) -> bool {
    use hmac::{Hmac, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    signature == format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[test]
fn the_webhook_says_what_a_person_needs_whatever_ends_a_run() {
    let (url, ca, _folder, got) = receiver();
    let cast = sample_cast();
    let secret = "hush-0123456789";
    let run = |args: &[&str]| {
        let env = [
            ("CASTLINE_NOTIFY_URL", url.as_str()),
            ("CASTLINE_NOTIFY_SECRET", secret),
            ("CASTLINE_TLS_CA_FILE", ca.to_str().unwrap()),
        ];
        castline(args, &env)
    };
    let csv = cast.csv.to_str().unwrap();
    // A row too many, for review: the picture of somebody else.
    let rows = std::fs::read_to_string(&cast.csv).unwrap();
    let twin = rows.lines().nth(1).unwrap().split(',').nth(1).unwrap().to_owned();
    let commas = ",".repeat(rows.lines().next().unwrap().matches(',').count() - 1);
    std::fs::write(&cast.csv, format!("{rows}Twin,{twin}{commas}\n")).unwrap();

    let metrics = cast.folder.path().join("castline.prom");
    let output = run(&[
        "run",
        csv,
        "--sandbox",
        "--metrics-file",
        metrics.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let (body, signature) = got
        .recv_timeout(std::time::Duration::from_secs(20))
        .expect("a notice");
    assert!(is_signed(&body, &signature, secret));
    let notice: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&notice["exit_code"], &notice["sandbox"], &notice["run"]),
        (&3.into(), &true.into(), &1.into())
    );
    assert_eq!(notice["needs_a_person"][0]["name"], "Twin");
    assert_eq!(notice["needs_a_person"][0]["standing"], "to_review");
    let text = notice["text"].as_str().unwrap();
    assert!(
        text.contains("13 enrolled") && text.contains("$0.13") && text.contains("Twin (to review)"),
        "{text}"
    );
    assert!(notice["host"].as_str().is_some_and(|host| !host.is_empty()) && notice["at"].is_string());

    let told = std::fs::read_to_string(&metrics).unwrap();
    assert!(
        told.contains("standing=\"enrolled\"} 13\n") && told.contains("standing=\"to_review\"} 1\n"),
        "{told}"
    );
    assert!(
        told.contains("castline_last_run_exit_code{command=\"run\""),
        "{told}"
    );

    // Nothing is enrolled here: the cast has a bad row.
    std::fs::write(&cast.csv, "name,image\nAda,nowhere.png\n").unwrap();
    let output = run(&[
        "run",
        csv,
        "--sandbox",
        "--metrics-file",
        metrics.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let (body, _) = got
        .recv_timeout(std::time::Duration::from_secs(20))
        .expect("a notice");
    let notice: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&notice["error"]["code"], &notice["exit_code"]),
        (&"usage".into(), &2.into()),
        "{notice}"
    );
    assert!(
        notice["text"].as_str().unwrap().contains("--skip-invalid"),
        "{notice}"
    );
    let told = std::fs::read_to_string(&metrics).unwrap();
    assert!(
        told.contains("castline_last_run_exit_code{") && told.contains("} 2\n"),
        "{told}"
    );

    // Doctor tries it.
    let doctor = run(&["doctor", csv, "--sandbox"]);
    let stdout = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(stdout.contains("webhook"), "{stdout}");
    got.recv_timeout(std::time::Duration::from_secs(20))
        .expect("a notice");
}

#[test]
fn a_file_of_metrics_takes_the_place_of_nothing_else() {
    let cast = sample_cast();
    let precious = cast.folder.path().join("notes.txt");
    std::fs::write(&precious, "mine").unwrap();
    let check = Castline::on(&cast).run(&["check", "--metrics-file", precious.to_str().unwrap()]);
    check.exits_with(2);
    assert!(check.stderr.contains("--metrics-file"), "{}", check.stderr);
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "mine");
}

#[test]
fn config_show_is_json_for_machines() {
    let cast = sample_cast();
    let shown = castline(
        &[
            "config",
            "show",
            cast.csv.to_str().unwrap(),
            "--json",
            "--set",
            "api.rate=3/min",
        ],
        &[("CASTLINE_NOTIFY_URL", "https://hooks.example/T0/HUSH")],
    );
    let text = String::from_utf8(shown.stdout).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["api.rate"]["value"], "3/min");
    assert_eq!(json["api.concurrency"]["value"], 2);
    assert!(json["api.rate"]["origin"].as_str().unwrap().contains("--set"));
    assert!(!text.contains("HUSH"), "{text}");
}
