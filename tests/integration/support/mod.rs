//! Runs the real binary on a copy of the samples.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]

pub mod browser;
pub mod certificate;
#[allow(dead_code)]
pub mod postgres;
pub mod server;
pub mod wire;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// A cast in a folder of its own.
pub struct Cast {
    pub folder: TempDir,
    pub csv: PathBuf,
    pub names: Vec<String>,
}

/// The repository's sample cast, copied: runs leave ledgers and manifests beside it.
pub fn sample_cast() -> Cast {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    copy(&samples, folder.path());
    Cast::new(folder, "cast.csv")
}

/// Copies images and CSVs; never a ledger or manifest that a run left in the repository.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from)
        .expect("the samples")
        .map(|e| e.expect("an entry").path())
    {
        let name = entry.file_name().expect("a name").to_string_lossy().into_owned();
        let target = to.join(&name);
        if entry.is_dir() && !name.starts_with('.') {
            std::fs::create_dir(&target).expect("a folder");
            copy(&entry, &target);
        } else if entry.is_file() && !name.starts_with("manifest") {
            std::fs::copy(&entry, &target).expect("a copy");
        }
    }
}

impl Cast {
    pub fn new(folder: TempDir, csv: &str) -> Self {
        let csv = folder.path().join(csv);
        let mut reader = csv::Reader::from_path(&csv).expect("the cast");
        let names = reader
            .records()
            .map(|r| r.expect("a row")[0].to_owned())
            .collect();
        Self { folder, csv, names }
    }

    /// The images of the rows, from the cast's folder.
    pub fn images(&self) -> Vec<String> {
        let mut reader = csv::Reader::from_path(&self.csv).expect("the cast");
        reader
            .records()
            .map(|r| r.expect("a row")[1].to_owned())
            .collect()
    }

    /// The manifest that the last run wrote.
    pub fn manifest(&self) -> Value {
        let text = std::fs::read(self.folder.path().join("manifest.json")).expect("a manifest");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// Changes the image of one row, so that it still shows the same face.
    pub fn repaint(&self, row: usize) {
        let mut reader = csv::Reader::from_path(&self.csv).expect("the cast");
        let record = reader.records().nth(row).expect("a row").expect("a row");
        let path = self.folder.path().join(&record[1]);
        let mut picture = image::open(&path).expect("an image").to_rgb8();
        for pixel in picture.pixels_mut() {
            pixel.0[0] = pixel.0[0].saturating_add(6);
        }
        picture.save(&path).expect("an image");
    }
}

/// The binary, on one cast, in an environment without settings.
pub struct Castline<'a> {
    cast: &'a Cast,
    env: Vec<(String, String)>,
}

impl<'a> Castline<'a> {
    pub fn on(cast: &'a Cast) -> Self {
        Self {
            cast,
            env: Vec::new(),
        }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The command with the cast as its first argument.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_castline"));
        for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("CASTLINE_") || n.starts_with("AWS_"))
        {
            command.env_remove(name);
        }
        command.arg(args[0]).arg(&self.cast.csv).args(&args[1..]);
        command
            .envs(self.env.iter().map(|(n, v)| (n, v)))
            .current_dir(self.cast.folder.path());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        let output = self.command(args).output().expect("castline starts");
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A process that has ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    #[track_caller]
    pub fn exits_with(&self, code: i32) {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
    }

    pub fn lines(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}")))
            .collect()
    }

    pub fn events(&self, kind: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|l| l["type"] == kind).collect()
    }

    pub fn summary(&self) -> Value {
        let last = self.lines().pop().expect("a last line");
        assert_eq!(last["type"], "summary", "the last line is the summary");
        last
    }
}
