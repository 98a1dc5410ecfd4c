//! Real actors, with the real binary against the real sandbox: a scripted phone does the liveness check.

mod trouble;
mod flow;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use castline::sandbox::{self, Faults, Sandbox, SandboxOptions};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Images of the samples, each with the face of somebody else.
const PICTURES: [&str; 3] = ["nadia_volkova.jpg", "tomas_reed.jpg", "mira_thornfield.jpg"];
const ACTORS: [&str; 3] = ["Mia Castellane", "Bo Ek", "Zoë Ström"];

/// A sandbox, and a cast of real actors in a folder of its own.
struct Set {
    sandbox: Sandbox,
    folder: TempDir,
    phone: reqwest::Client,
}

impl Set {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut SandboxOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = SandboxOptions::new(folder.path().join("sandbox"));
        change(&mut options);
        let sandbox = sandbox::start(options).await.unwrap();
        let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/cast");
        for picture in PICTURES {
            std::fs::copy(samples.join(picture), folder.path().join(picture)).unwrap();
        }
        let phone = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(sandbox.ca_pem()).unwrap()])
            .no_proxy()
            .build()
            .unwrap();
        let set = Self {
            sandbox,
            folder,
            phone,
        };
        set.cast(3);
        set
    }

    /// Writes a cast of the first actors.
    fn cast(&self, actors: usize) {
        let rows = (0..actors).map(|n| format!("{},{},realface,yes\n", ACTORS[n], PICTURES[n]));
        self.rows(&rows.collect::<String>());
    }

    fn rows(&self, rows: &str) {
        std::fs::write(self.path("cast.csv"), format!("name,image,kind,consent\n{rows}")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_castline"));
        for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("CASTLINE_") || n.starts_with("AWS_"))
        {
            command.env_remove(name);
        }
        command
            .arg(args[0])
            .arg(self.path("cast.csv"))
            .args(&args[1..])
            .envs(self.sandbox.settings())
            .env("CASTLINE_REALFACE_POLL_INTERVAL", "50ms")
            .env("CASTLINE_REALFACE_MAX_POLLS_PER_HOUR", "100000")
            .env("CASTLINE_API_RATE", "50/s")
            .env("USER", "Ora Operator");
        command
    }

    /// Runs to its end without anybody at the phone.
    fn run(&self, args: &[&str]) -> (Option<i32>, Vec<Value>, String) {
        let output = self.command(args).arg("--json").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let events = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        println!("{stderr}");
        (output.status.code(), events, stderr)
    }

    /// Starts `castline realface --yes --json`, to be followed event by event.
    fn start(&self, args: &[&str]) -> Running {
        let mut command = self.command(&["realface", "--yes", "--json"]);
        let mut child = command.args(args).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (to, events) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if to.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        Running {
            child,
            events,
            seen: Vec::new(),
        }
    }

    /// The actor opens the link of a `session` event, and presses a button there.
    async fn scan(&self, session: &Value, button: &str) -> String {
        let link = session["link"].as_str().unwrap();
        let page = self.phone.get(link).send().await.unwrap();
        assert!(page.status().is_success());
        let pressed = self.phone.post(format!("{link}/{button}")).send().await.unwrap();
        pressed.text().await.unwrap()
    }

    fn faults(&self, script: &[&str]) {
        let faults: Faults = serde_json::from_value(serde_json::json!({ "script": script })).unwrap();
        self.sandbox.set_faults(faults).unwrap();
    }

    /// How often a path of the API was asked for.
    fn calls(&self, path: &str) -> usize {
        let requests = self.sandbox.requests();
        requests.iter().filter(|r| r.path.ends_with(path)).count()
    }

    fn ledger(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path(".castline/ledger.db")).unwrap()
    }

    /// Group ids and states, in the order in which they began.
    fn sessions(&self) -> Vec<(String, String)> {
        let ledger = self.ledger();
        let mut query = ledger
            .prepare("SELECT group_id, state FROM realface_sessions ORDER BY rowid")
            .unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    }

    fn states(&self) -> Vec<String> {
        self.sessions().into_iter().map(|(_, state)| state).collect()
    }
}

/// A castline that goes on.
struct Running {
    child: Child,
    events: mpsc::UnboundedReceiver<Value>,
    seen: Vec<Value>,
}

impl Running {
    /// The next event of that type.
    async fn next(&mut self, kind: &str) -> Value {
        while let Some(event) = self.events.recv().await {
            self.seen.push(event.clone());
            if event["type"] == kind {
                return event;
            }
        }
        panic!("castline ended without a further {kind:?}: {:#?}", self.seen);
    }

    /// Waits for its end; tells the exit code, and all that it has told.
    async fn end(mut self) -> (Option<i32>, Vec<Value>) {
        while let Some(event) = self.events.recv().await {
            self.seen.push(event);
        }
        let code = self.wait().code();
        (code, std::mem::take(&mut self.seen))
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.wait();
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

/// A test that fails leaves no castline behind.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|e| e["type"] == kind).collect()
}
