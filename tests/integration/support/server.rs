//! `castline sandbox` in a process of its own, and casts of one picture for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use castline::sandbox::Charge;
use serde_json::Value;
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_castline");

/// `castline sandbox` in a process of its own.
pub struct Server {
    process: Child,
    dir: TempDir,
    env: Vec<(String, String)>,
}

impl Server {
    pub fn start(args: &[&str]) -> Self {
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
    pub fn castline(&self) -> Command {
        let mut command = Command::new(BINARY);
        command
            .envs(self.env.iter().map(|(n, v)| (n, v)))
            .stdin(Stdio::null());
        command
    }

    /// Has castline keep its ledger in a database, in a schema of its own.
    pub fn keep_ledger_in(&mut self, postgres: &super::postgres::Postgres) -> String {
        let schema = super::postgres::new_schema();
        for (name, text) in [
            ("URL", postgres.url()),
            ("SCHEMA", schema.clone()),
            // So that a run need not wait long for one that was killed.
            ("LEASE", "1s".to_owned()),
        ] {
            self.set(&format!("CASTLINE_LEDGER_{name}"), &text);
        }
        schema
    }

    /// Sets a variable for castline, over an earlier one.
    pub fn set(&mut self, name: &str, text: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), text.to_owned()));
    }

    /// Where the sandbox keeps everything.
    pub fn folder(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The environment that points castline to this sandbox.
    pub fn settings(&self) -> &[(String, String)] {
        &self.env
    }

    /// Every request so far, as the sandbox logged it.
    pub fn requests(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.path().join("requests.ndjson")).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The length of the charges' file: it grows with each charge.
    pub fn charged_bytes(&self) -> u64 {
        std::fs::metadata(self.dir.path().join("charges.ndjson")).map_or(0, |file| file.len())
    }

    pub fn charges(&self) -> Vec<Charge> {
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
pub struct SmallCast {
    _folder: TempDir,
    pub csv: PathBuf,
    pub names: BTreeSet<String>,
    /// Where its ledger is, if not beside it.
    ledger: Vec<(String, String)>,
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
pub fn small_cast(count: usize, mark: &str) -> SmallCast {
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
        ledger: Vec::new(),
    }
}

impl SmallCast {
    /// A cast whose ledger is where the server's is.
    pub fn kept_as(mut self, server: &Server) -> Self {
        let ledger = |(name, _): &&(String, String)| name.starts_with("CASTLINE_LEDGER_");
        self.ledger = server.settings().iter().filter(ledger).cloned().collect();
        self
    }

    /// What `status` tells.
    pub fn records(&self) -> Vec<Value> {
        let output = Command::new(BINARY)
            .envs(self.ledger.iter().map(|(name, text)| (name, text)))
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
    pub fn in_state(&self, state: &str) -> BTreeSet<String> {
        let records = self.records().into_iter().filter(|r| r["state"] == state);
        records.map(|r| r["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Whether the ledger, as a process has left it, has calls without outcome.
    pub fn has_open_intents(&self) -> bool {
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

    pub fn manifest(&self) -> BTreeMap<String, String> {
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
    pub fn assert_promises(&self, server: &Server, code: Option<i32>) {
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

/// A run of a cast, as fast as it goes.
pub fn run(server: &Server, cast: &Path) -> Output {
    castline(server, &["run", "--yes", "--rate", "1000/s"], cast, None)
}

/// A command on a cast, perhaps with one more variable in its environment.
pub fn castline(server: &Server, args: &[&str], cast: &Path, variable: Option<(&str, &str)>) -> Output {
    let mut castline = server.castline();
    let output = castline.args(args).arg(cast).envs(variable).output().unwrap();
    // Shown when the test fails.
    println!("{:?}: {}", output.status, stderr(&output));
    output
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn lose_ledger(cast: &SmallCast) {
    std::fs::remove_dir_all(cast.csv.with_file_name(".castline")).unwrap();
}

/// A server that charges for some names and loses its replies.
pub fn forgetful(names: &[&str]) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let faults = folder.path().join("faults.toml");
    let lines: String = names
        .iter()
        .map(|n| format!("\"{n}\" = \"reset-charged\"\n"))
        .collect();
    std::fs::write(&faults, format!("[names]\n{lines}")).unwrap();
    Server::start(&["--faults", faults.to_str().unwrap()])
}
