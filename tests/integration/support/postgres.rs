//! A real PostgreSQL server on loopback, as a user that is not root, gone with the process that started it.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A server, and its files.
pub struct Postgres {
    folder: tempfile::TempDir,
    process: Child,
    port: u16,
}

/// The server that all tests of a process share, each with a schema of its own; `None` where PostgreSQL is not installed,
/// which CI must have.
pub fn shared() -> Option<&'static Postgres> {
    static SERVER: std::sync::OnceLock<Option<Postgres>> = std::sync::OnceLock::new();
    SERVER.get_or_init(|| Postgres::start(&[])).as_ref()
}

/// A schema that no other test has.
pub fn new_schema() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("ledger_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Postgres {
    /// Starts a server with these settings; `None` where PostgreSQL is not installed, which CI must have.
    pub fn start(settings: &[&str]) -> Option<Self> {
        if program("initdb").is_none() {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI needs Debian's package postgresql"
            );
            return None;
        }
        let folder = data_folder();
        let data = folder.path().join("data");
        let mut initdb = as_user("initdb", folder.path());
        initdb.arg("-D").arg(&data);
        initdb.args([
            "-U",
            "castline",
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
        ]);
        let made = initdb.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Some(Self::launch(folder, settings))
    }

    /// Runs the server of a folder, on a port that is free.
    fn launch(folder: tempfile::TempDir, settings: &[&str]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let process = run(&folder.path().join("data"), port, settings);
        let server = Self {
            folder,
            process,
            port,
        };
        server.wait();
        server
    }

    /// A second server that follows this one, synchronously from now on.
    pub fn standby(&self) -> Self {
        let standby = self.follower();
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("SELECT pg_reload_conf()");
        self.wait_until(
            "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'",
            "1",
        );
        standby
    }

    /// Waits until a query gives this value.
    pub fn wait_until(&self, query: &str, value: &str) {
        let start = Instant::now();
        while self.sql(query) != value {
            assert!(start.elapsed() < Duration::from_secs(30), "{query}: not {value}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A second server that follows this one, which does not wait for it.
    pub fn follower(&self) -> Self {
        let folder = data_folder();
        let data = folder.path().join("data");
        let mut backup = as_user("pg_basebackup", folder.path());
        backup.args([
            "-h",
            "127.0.0.1",
            "-U",
            "castline",
            "-X",
            "stream",
            "-c",
            "fast",
            "-R",
            "-p",
        ]);
        let made = backup
            .arg(self.port.to_string())
            .arg("-D")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let follower = Self::launch(folder, &[]);
        self.wait_until(
            "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'",
            "1",
        );
        follower
    }

    /// Makes a standby the server.
    pub fn promote(&self) {
        self.sql("SELECT pg_promote()");
    }

    /// The address of its database.
    pub fn url(&self) -> String {
        format!("postgres://castline@127.0.0.1:{}/postgres", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Ends it at once, as a crash does: without a checkpoint.
    pub fn kill(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }

    /// Starts it again, on the same port.
    pub fn restart(&mut self) {
        self.process = run(&self.data(), self.port, &[]);
        self.wait();
    }

    /// Runs SQL with `psql`; the values of its rows, unaligned.
    pub fn sql(&self, text: &str) -> String {
        let mut psql = as_user("psql", self.folder.path());
        psql.args(["-At", "-v", "ON_ERROR_STOP=1", "-c", text])
            .arg(self.url());
        let output = psql.output().unwrap();
        assert!(
            output.status.success(),
            "{text}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn wait(&self) {
        let start = Instant::now();
        loop {
            let ready = as_user("pg_isready", self.folder.path())
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status()
                .unwrap();
            if ready.success() && TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "the server does not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A folder that the server's user gets to, with one for its data in it.
fn data_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, PermissionsExt::from_mode(0o700)).unwrap();
    if let Some((uid, gid)) = other_user() {
        chown(&data, Some(uid), Some(gid)).unwrap();
    }
    folder
}

/// Runs the server until the standard input of its shell ends, with the process that holds it.
fn run(data: &Path, port: u16, settings: &[&str]) -> Child {
    let folder = data.parent().unwrap();
    let server = program("postgres").expect("as initdb");
    let mut command = Command::new("sh");
    let script = r#""$@" & server=$!; cat > /dev/null; kill -QUIT $server; wait $server"#;
    command.args(["-c", script, "sh"]).arg(server).arg("-D").arg(data);
    command.args([
        "-h",
        "127.0.0.1",
        "-p",
        &port.to_string(),
        "-c",
        "unix_socket_directories=",
    ]);
    for setting in settings {
        command.args(["-c", setting]);
    }
    user(&mut command);
    command
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    command.stderr(std::fs::File::create(folder.join("log")).unwrap());
    command.spawn().unwrap()
}

fn as_user(name: &str, folder: &Path) -> Command {
    as_server(&program(name).expect("as initdb"), folder)
}

/// A program that runs as the user of the server, in this folder.
pub fn as_server(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    user(&mut command);
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// The server refuses to run as root.
fn user(command: &mut Command) {
    if let Some((uid, gid)) = other_user() {
        command.uid(uid).gid(gid);
    }
}

/// The user for the server, where this process is root's: that of Debian's package.
fn other_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let line = line.expect("the user of Debian's package postgresql");
    let numbers: Vec<u32> = line
        .split(':')
        .skip(2)
        .take(2)
        .map(|n| n.parse().unwrap())
        .collect();
    Some((numbers[0], numbers[1]))
}

/// Makes a file the server's, where that runs as another user.
pub fn give_to_server(file: &Path) {
    if let Some((uid, gid)) = other_user() {
        chown(file, Some(uid), Some(gid)).unwrap();
    }
}

/// A program of the newest installed PostgreSQL, where Debian has it.
fn program(name: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let found = versions.filter_map(|version| {
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        let program = version.path().join("bin").join(name);
        program.exists().then_some((number, program))
    });
    found.max().map(|(_, program)| program)
}
