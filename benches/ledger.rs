//! Cost of durability: transitions per second, each durable before its write returns, by one writer and by many at
//! once; compared with SQLite using one transaction per write. All on this machine's disk.

use std::path::Path;
use std::sync::Arc;

use castline::cast::{Character, Kind, Name, Source};
use castline::ledger::{Ledger, OpenOptions, Place, Server, Transition};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const WRITES: usize = 256;

fn character(n: usize) -> Character {
    Character {
        name: Name::new(&format!("Hero {n}")).expect("a name"),
        source: Source::file("a.png", "a.png"),
        kind: Kind::Portrait,
        approved: false,
        overrides: false,
        consent: false,
        note: None,
        extra: Vec::new(),
        line: None,
    }
}

/// Writes `WRITES` transitions, at most `at_once` of them concurrently.
async fn ours(ledger: &Ledger, at_once: usize, round: &mut u64) {
    *round += 1;
    let sha256 = format!("{round:x}");
    let turns = Arc::new(tokio::sync::Semaphore::new(at_once));
    let mut writes = tokio::task::JoinSet::new();
    for n in 0..WRITES {
        let turn = Arc::clone(&turns).acquire_owned().await.expect("never closed");
        let (ledger, sha256) = (ledger.clone(), sha256.clone());
        writes.spawn(async move {
            let character = character(n);
            let see = Transition::see(&character, &sha256);
            ledger.write(&character.name, [see]).await.expect("a write");
            drop(turn);
        });
    }
    writes.join_all().await;
}

/// Writes the same rows, one transaction each. Every round writes other data, because SQLite skips writes that change
/// nothing.
fn peer(connection: &rusqlite::Connection, round: &mut u64) {
    *round += 1;
    let record = format!("{{\"name\":\"Hero\",\"state\":\"seen\",\"source\":\"{round}.png\"}}");
    for n in 0..WRITES {
        connection
            .execute(
                "INSERT INTO characters VALUES (?1, 'seen', ?2) ON CONFLICT (key) DO UPDATE SET record = ?2",
                (format!("hero {n}"), &record),
            )
            .expect("a write");
    }
}

fn peer_at(path: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).expect("SQLite");
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .expect("WAL");
    connection
        .pragma_update(None, "synchronous", "FULL")
        .expect("FULL");
    connection
        .execute_batch("CREATE TABLE characters (key TEXT PRIMARY KEY, state TEXT, record TEXT)")
        .expect("a table");
    connection
}

fn ledger(c: &mut Criterion) {
    // Next to the build, so that it is on a disk and not in a memory file system.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let options = OpenOptions::new("bench", true, "bench");
    let ours_at = Ledger::open(&folder.path().join("ledger.db"), options).expect("a ledger");
    let peer_at = peer_at(&folder.path().join("peer.db"));
    let mut group = c.benchmark_group("durable writes");
    group
        .throughput(Throughput::Elements(WRITES as u64))
        .sample_size(20);
    let mut round = 0;
    for at_once in [1, 8, 64, 256] {
        group.bench_function(BenchmarkId::new("ledger, at once", at_once), |b| {
            b.iter(|| runtime.block_on(ours(&ours_at, at_once, &mut round)));
        });
    }
    // A server that is there already, such as `postgres://castline@localhost/bench`.
    if let Ok(url) = std::env::var("CASTLINE_BENCH_POSTGRES") {
        let variable = |name: &str| std::env::var(name).ok();
        let server = Server::new(&url, "castline_bench", None, None, &variable).expect("an address");
        let options = OpenOptions::new("bench", true, "bench");
        let shared = Ledger::open(Place::Postgres(server), options).expect("a ledger");
        for at_once in [1, 8, 64, 256] {
            group.bench_function(BenchmarkId::new("PostgreSQL, at once", at_once), |b| {
                b.iter(|| runtime.block_on(ours(&shared, at_once, &mut round)));
            });
        }
    }
    let mut round = 0;
    group.bench_function("SQLite, a transaction each", |b| {
        b.iter(|| peer(&peer_at, &mut round))
    });
    group.finish();
}

criterion_group!(benches, ledger);
criterion_main!(benches);
