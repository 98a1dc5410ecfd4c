//! The real binary against the sandbox in another process: killed at random moments, run twice at once,
//! interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use castline::sandbox::Charge;
use serde_json::Value;

use super::*;

pub(super) const BINARY: &str = env!("CARGO_BIN_EXE_castline");

/// `castline sandbox` in a process of its own.
pub(crate) struct Server {
    process: Child,
    dir: TempDir,
    env: Vec<(String, String)>,
}

impl Server {
    pub(crate) fn start(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(BINARY);
        command
            .args(["sandbox", "--dir"])
            .arg(dir.path())
            .args(args)
            .stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let stdout = process.stdout.take().unwrap();
        let ready = std::io::BufRead::lines(std::io::BufReader::new(stdout)).any(|l| l.unwrap() == "# ready");
        assert!(ready, "the sandbox starts");
        let settings = std::fs::read(dir.path().join("sandbox.json")).unwrap();
        let settings: BTreeMap<String, String> = serde_json::from_slice(&settings).unwrap();
        Self {
            process,
            dir,
            // A node of the chain settles doubts of wallets: it is asked where a test is about that.
            env: settings
                .into_iter()
                .filter(|(name, _)| name != "CASTLINE_PAYMENT_RPC_URL")
                .collect(),
        }
    }

    /// castline, pointed at this sandbox.
    pub(crate) fn castline(&self) -> Command {
        let mut command = Command::new(BINARY);
        command
            .envs(self.env.iter().map(|(n, v)| (n, v)))
            .stdin(Stdio::null());
        command
    }

    /// Where the sandbox keeps everything.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The environment that points castline to this sandbox.
    pub(crate) fn settings(&self) -> &[(String, String)] {
        &self.env
    }

    /// Every request so far, as the sandbox logged it.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.path().join("requests.ndjson")).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The length of the charges' file: it grows with each charge.
    fn charged_bytes(&self) -> u64 {
        std::fs::metadata(self.dir.path().join("charges.ndjson")).map_or(0, |file| file.len())
    }

    pub(crate) fn charges(&self) -> Vec<Charge> {
        let text = std::fs::read_to_string(self.dir.path().join("charges.ndjson")).unwrap_or_default();
        // Other lines tell that a reply was lost; the last line may still be under way.
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A cast of one image under many approved names.
pub(crate) struct SmallCast {
    _folder: TempDir,
    pub(crate) csv: PathBuf,
    pub(crate) names: BTreeSet<String>,
}

/// A face in few pixels: every row of a cast prepares it again, and these tests are not about pictures.
fn small_face() -> &'static [u8] {
    static FACE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    FACE.get_or_init(|| {
        let picture = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/cast/queen_isaura.jpg");
        let small = image::open(picture).unwrap().thumbnail(400, 400).to_rgb8();
        let mut jpeg = std::io::Cursor::new(Vec::new());
        small.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
        jpeg.into_inner()
    })
}

/// Names begin with `mark`, so that casts at one sandbox can be told apart.
pub(crate) fn small_cast(count: usize, mark: &str) -> SmallCast {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("face.jpg"), small_face()).unwrap();
    let names: BTreeSet<String> = (0..count).map(|n| format!("{mark} {n:03}")).collect();
    let rows: String = names
        .iter()
        .map(|name| format!("{name},face.jpg,yes\n"))
        .collect();
    let csv = folder.path().join("cast.csv");
    std::fs::write(&csv, format!("name,image,approve\n{rows}")).unwrap();
    SmallCast {
        _folder: folder,
        csv,
        names,
    }
}

impl SmallCast {
    /// What `status` tells.
    pub(crate) fn records(&self) -> Vec<Value> {
        let output = Command::new(BINARY)
            .args(["status", "--json"])
            .arg(&self.csv)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
        let mut records: Vec<Value> = lines.filter(|l| l["type"] == "status").collect();
        for record in records.iter_mut().filter(|record| record.get("state").is_none()) {
            record["state"] = "not_seen".into();
        }
        records
    }

    /// The names in that state.
    pub(crate) fn in_state(&self, state: &str) -> BTreeSet<String> {
        let records = self.records().into_iter().filter(|r| r["state"] == state);
        records.map(|r| r["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Whether the ledger, as a process has left it, has calls without outcome.
    fn has_open_intents(&self) -> bool {
        // Looked at in a copy: opening it would write its log back.
        let copy = tempfile::tempdir().unwrap();
        for file in ["ledger.db", "ledger.db-wal"] {
            let there = self.csv.with_file_name(".castline").join(file);
            let _ = std::fs::copy(there, copy.path().join(file));
        }
        let db = rusqlite::Connection::open(copy.path().join("ledger.db")).unwrap();
        let open = "SELECT EXISTS (SELECT 1 FROM characters WHERE state = 'intent')";
        // A ledger that was killed at its creation has no tables.
        db.query_row(open, [], |row| row.get(0)).unwrap_or(false)
    }

    pub(crate) fn manifest(&self) -> BTreeMap<String, String> {
        let Ok(text) = std::fs::read(self.csv.with_file_name("manifest.json")) else {
            return BTreeMap::new();
        };
        let manifest: Value = serde_json::from_slice(&text).unwrap();
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        manifest["characters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| (text(&c["name"]), text(&c["asset_id"])))
            .collect()
    }

    /// After a run that was left to end with `code`: once at most, and every id where it belongs.
    #[track_caller]
    pub(crate) fn assert_promises(&self, server: &Server, code: Option<i32>) {
        let mut charged: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for charge in server.charges() {
            if self.names.contains(&charge.name) {
                charged.entry(charge.name).or_default().push(charge.asset_id);
            }
        }
        let states: BTreeMap<String, Value> = self
            .records()
            .into_iter()
            .map(|r| (r["name"].as_str().unwrap().to_owned(), r))
            .collect();
        let manifest = self.manifest();
        let mut doubts = 0;
        for name in &self.names {
            let ids = charged.get(name).map_or(&[][..], Vec::as_slice);
            assert!(ids.len() <= 1, "{name} was paid for {} times", ids.len());
            let record = &states[name];
            match record["state"].as_str().unwrap() {
                "enrolled" => {
                    assert_eq!(
                        record["asset_id"].as_str(),
                        ids.first().map(String::as_str),
                        "{name}"
                    );
                    assert_eq!(manifest.get(name), ids.first(), "{name} is in the manifest");
                }
                "in_doubt" => doubts += 1,
                other => panic!("{name} is {other} after a run that was left to end"),
            }
        }
        assert_eq!(code, Some(if doubts > 0 { 6 } else { 0 }), "{doubts} in doubt");
    }
}

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
