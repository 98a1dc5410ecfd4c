//! What stands between castline and its database: a pooler, a standby that lags behind, a network that is cut.

use std::path::Path;

use super::*;
use crate::support::postgres::{Postgres, as_server, give_to_server, shared};
use crate::support::wire::Wire;

/// A real PgBouncer in front of a server, gone with this value.
struct Pooler {
    _folder: tempfile::TempDir,
    process: Child,
    port: u16,
}

impl Pooler {
    /// Starts it; `None` where it is not installed, which CI must have.
    fn start(postgres: &Postgres, mode: &str) -> Option<Self> {
        let program = Path::new("/usr/sbin/pgbouncer");
        if !program.exists() {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI needs Debian's package pgbouncer"
            );
            return None;
        }
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let folder = tempfile::tempdir().unwrap();
        let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), everyone).unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("users"), "\"castline\" \"\"\n").unwrap();
        std::fs::write(
            at("pgbouncer.ini"),
            format!(
                "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                 unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\n",
                postgres.port(),
                at("users").display(),
            ),
        )
        .unwrap();
        for name in ["users", "pgbouncer.ini"] {
            give_to_server(&at(name));
        }
        let mut command = as_server(program, folder.path());
        let process = command
            .arg("--quiet")
            .arg(at("pgbouncer.ini"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "it does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self {
            _folder: folder,
            process,
            port,
        })
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn address(port: u16) -> String {
    format!("postgres://castline@127.0.0.1:{port}/postgres")
}

/// What `doctor` says on one line, and its exit code.
fn doctor(server: &Server, cast: &SmallCast) -> (String, Option<i32>) {
    let output = server.castline().arg("doctor").arg(&cast.csv).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (
        text.split_whitespace().collect::<Vec<_>>().join(" "),
        output.status.code(),
    )
}

/// Sessions that clients share would mix up their ledgers: nothing is paid for, or written, through such a pooler.
#[test]
fn a_pooler_must_be_in_session_mode() {
    let Some(postgres) = Postgres::start(&[]) else {
        return;
    };
    let mut server = Server::start(&[]);
    let schema = server.keep_ledger_in(&postgres);
    let cast = small_cast(5, "pooled");
    for mode in ["transaction", "session"] {
        let Some(pooler) = Pooler::start(&postgres, mode) else {
            return;
        };
        server.set("CASTLINE_LEDGER_URL", &address(pooler.port));
        let (told, code) = doctor(&server, &cast);
        let run = run_when_free(&server, &cast);
        if mode == "transaction" {
            assert!(told.contains("a pooler in transaction mode"), "{told}");
            assert_eq!(code, Some(2), "{told}");
            assert_eq!(run.status.code(), Some(1), "{}", stderr(&run));
            assert!(
                stderr(&run).contains("connect to the server itself"),
                "{}",
                stderr(&run)
            );
            let schemas =
                format!("SELECT count(*) FROM information_schema.schemata WHERE schema_name = '{schema}'");
            assert_eq!(postgres.sql(&schemas), "0", "nothing was written");
        } else {
            assert!(!told.contains("pooler"), "{told}");
            assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
            assert_eq!(server.charges().len(), 5);
        }
    }
}

#[test]
fn doctor_warns_of_a_standby_that_is_not_waited_for() {
    let Some(first) = Postgres::start(&[]) else { return };
    let follower = first.follower();
    let mut server = Server::start(&[]);
    server.keep_ledger_in(&first);
    let cast = small_cast(1, "behind").kept_as(&server);
    cast.assert_promises(&server, run_when_free(&server, &cast).status.code());
    let (told, code) = doctor(&server, &cast);
    assert!(
        told.contains("its standby is asynchronous: a failover can lose the last ids"),
        "{told}"
    );
    assert_eq!(code, Some(0), "a warning: {told}");
    drop(follower);
}

/// A run of 60 characters that has made ten calls when the network to its database is cut.
fn cut_off(postgres: &Postgres) -> (Wire, Server, SmallCast, Child) {
    let wire = Wire::to(postgres.port());
    let mut server = Server::start(&["--fault", "latency_ms=100"]);
    server.keep_ledger_in(postgres);
    server.set("CASTLINE_LEDGER_URL", &address(wire.port()));
    let cast = small_cast(60, "cut").kept_as(&server);
    let mut run = start(&server, &cast, "20/s");
    wait_for_charges(&server, 10, &mut run);
    wire.cut();
    (wire, server, cast, run)
}

/// The network to the database is cut without a word, for longer than the lease, and mended.
#[test]
fn a_payer_that_is_cut_off_from_its_database_pays_for_nothing_and_goes_on_when_it_is_back() {
    let Some(postgres) = shared() else { return };
    let (wire, server, cast, run) = cut_off(postgres);
    // What was acknowledged before may still leave, as long as the lease runs: a second.
    std::thread::sleep(Duration::from_millis(1500));
    let charged = server.charges().len();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(
        server.charges().len(),
        charged,
        "nothing leaves that is not in the ledger"
    );
    assert!(charged < 60, "the cut came in time");
    wire.mend();
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    cast.assert_promises(&server, Some(0));
    assert_eq!(server.charges().len(), 60);
}

/// As above, but another payer on the other side of the cut takes over meanwhile.
#[test]
fn a_payer_that_is_cut_off_is_taken_over_and_pays_for_nothing_more() {
    let Some(postgres) = shared() else { return };
    let (wire, mut server, cast, run) = cut_off(postgres);
    server.set("CASTLINE_LEDGER_URL", &postgres.url());
    let cast = cast.kept_as(&server);
    let second = run_when_free(&server, &cast);
    let doubts = cast.in_state("in_doubt").len();
    wire.mend();
    let first = run.wait_with_output().unwrap();
    println!("{doubts} in doubt; {}", stderr(&first));
    assert!(
        !first.status.success() && stderr(&first).contains("took the ledger over"),
        "{}",
        stderr(&first)
    );
    assert!(matches!(second.status.code(), Some(0 | 6)));
    // Its late replies settle its own doubts.
    assert!(cast.in_state("in_doubt").is_empty(), "{}", stderr(&first));
    cast.assert_promises(&server, run_when_free(&server, &cast).status.code());
    assert_eq!(server.charges().len(), 60);
}
