//! One payer at a time, through everything that can happen to it and to the database.

use super::*;
use crate::support::postgres::{Postgres, shared};

#[test]
fn a_cast_is_enrolled_once_and_a_file_holds_the_same_after_a_copy() {
    let Some(postgres) = shared() else { return };
    let mut server = Server::start(&[]);
    let schema = server.keep_ledger_in(postgres);
    let cast = small_cast(20, "pg").kept_as(&server);
    cast.assert_promises(&server, run_when_free(&server, &cast).status.code());
    assert_eq!(server.charges().len(), 20);
    // Nothing is left to do, on any machine.
    cast.assert_promises(&server, run_when_free(&server, &cast).status.code());
    assert_eq!(server.charges().len(), 20);
    assert!(!cast.csv.with_file_name(".castline").join("ledger.db").exists());
    let count = postgres.sql(&format!(
        "SELECT count(*) FROM {schema}.characters WHERE asset_id LIKE 'ta_%'"
    ));
    assert_eq!(count, "20");

    let file = cast.csv.with_file_name("back.db");
    let mut copy = server.castline();
    copy.args(["ledger", "copy", "--from", &postgres.url(), "--to"])
        .arg(&file);
    let copied = copy.output().unwrap();
    assert!(copied.status.success(), "{}", stderr(&copied));
    let mut plan = server.castline();
    plan.args(["plan", "--json", "--ledger"])
        .arg(&file)
        .arg(&cast.csv);
    let planned = String::from_utf8(plan.output().unwrap().stdout).unwrap();
    assert!(
        planned.contains(r#""to_enroll":0"#) || planned.contains(r#""enrolled":20"#),
        "{planned}"
    );
}

#[test]
fn of_two_payers_at_once_the_second_ends_with_11_and_names_the_first() {
    let Some(postgres) = shared() else { return };
    let mut server = Server::start(&[]);
    server.keep_ledger_in(postgres);
    let cast = small_cast(30, "two").kept_as(&server);
    let mut first = start(&server, &cast, "10/s");
    wait_for_charges(&server, 1, &mut first);
    let mut second = server.castline();
    let second = second.args(["run", "--yes"]).arg(&cast.csv).output().unwrap();
    assert_eq!(second.status.code(), Some(11), "{}", stderr(&second));
    assert!(
        stderr(&second).contains("held by castline run on "),
        "{}",
        stderr(&second)
    );
    assert!(!cast.records().is_empty(), "status needs no turn");
    cast.assert_promises(&server, first.wait().unwrap().code());
}

#[test]
fn a_payer_killed_at_random_moments_never_pays_twice() {
    let Some(postgres) = shared() else { return };
    let mut server = Server::start(&["--fault", "latency_ms=5"]);
    server.keep_ledger_in(postgres);
    let kills = if std::env::var_os("CASTLINE_FIRE").is_some() {
        50
    } else {
        8
    };
    let cast = small_cast(kills * 12, "killed").kept_as(&server);
    let mut seed = 0x5eed_u64;
    for _ in 0..kills {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let before = server.charges().len();
        let start_of = Instant::now();
        let mut run = start(&server, &cast, "150/s");
        while server.charges().len() < before + 2 {
            assert!(start_of.elapsed() < Duration::from_secs(30));
            match run.try_wait().unwrap().map(|status| status.code()) {
                // The lease of the one before runs yet.
                Some(Some(11)) => run = start(&server, &cast, "150/s"),
                Some(_) => break,
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        std::thread::sleep(Duration::from_millis(seed % 60));
        let _ = run.kill();
        run.wait().unwrap();
    }
    cast.assert_promises(&server, run_when_free(&server, &cast).status.code());
}

/// The server of the database dies as its machine would, with calls under way, and comes back.
#[test]
fn a_database_that_dies_and_comes_back_loses_no_id_and_leaves_no_doubt() {
    let Some(mut postgres) = Postgres::start(&[]) else {
        return;
    };
    let mut server = Server::start(&["--fault", "latency_ms=100"]);
    server.keep_ledger_in(&postgres);
    let cast = small_cast(60, "died").kept_as(&server);
    let mut run = server.castline();
    run.args(["run", "--yes", "--rate", "20/s"]).arg(&cast.csv);
    let mut run = run.stderr(Stdio::piped()).spawn().unwrap();
    for count in [10, 30] {
        wait_for_charges(&server, count, &mut run);
        postgres.kill();
        std::thread::sleep(Duration::from_millis(700));
        postgres.restart();
    }
    let output = run.wait_with_output().unwrap();
    println!("{}", stderr(&output));
    assert!(
        stderr(&output).contains("connecting again"),
        "the connection was lost"
    );
    assert_eq!(output.status.code(), Some(0));
    cast.assert_promises(&server, Some(0));
    assert_eq!(server.charges().len(), 60);
}

/// A payer that is stopped, as a machine that sleeps, is taken over; when it wakes, the replies that it waited for settle the
/// doubts that were its own.
#[test]
fn a_payer_that_sleeps_is_taken_over_and_settles_its_own_doubts_when_it_wakes() {
    let Some(postgres) = shared() else { return };
    let mut server = Server::start(&["--fault", "latency_ms=400"]);
    server.keep_ledger_in(postgres);
    let cast = small_cast(40, "slept").kept_as(&server);
    let mut run = server.castline();
    run.args([
        "run",
        "--yes",
        "--quiet",
        "--rate",
        "50/s",
        "--set",
        "api.concurrency=8",
    ]);
    let mut first = run.arg(&cast.csv).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_charges(&server, 10, &mut first);
    signal(&first, "STOP");
    let second = run_when_free(&server, &cast);
    let doubts = cast.in_state("in_doubt").len();
    assert_eq!(second.status.code(), Some(6), "its calls were under way");
    assert!(doubts > 0);
    // Nobody settles by hand what may still be answered.
    let name = cast.in_state("in_doubt").pop_first().unwrap();
    let mut resolve = server.castline();
    resolve.arg("resolve").arg(&cast.csv).args(["--retry", &name]);
    let refused = resolve.output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("may still be answered"),
        "{}",
        stderr(&refused)
    );
    signal(&first, "CONT");
    let first = first.wait_with_output().unwrap();
    assert!(
        !first.status.success() && stderr(&first).contains("took the ledger over"),
        "{}",
        stderr(&first)
    );
    println!(
        "{doubts} in doubt before it woke, {} after",
        cast.in_state("in_doubt").len()
    );
    assert!(cast.in_state("in_doubt").is_empty(), "{}", stderr(&first));
    let last = run_when_free(&server, &cast);
    cast.assert_promises(&server, last.status.code());
    assert_eq!(server.charges().len(), 40);
}

fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &process.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn doctor_refuses_a_server_that_forgets_and_says_what_is_wrong() {
    let Some(postgres) = Postgres::start(&["fsync=off", "synchronous_commit=off"]) else {
        return;
    };
    let mut server = Server::start(&[]);
    server.keep_ledger_in(&postgres);
    let cast = small_cast(1, "doctor").kept_as(&server);
    cast.assert_promises(&server, run_when_free(&server, &cast).status.code());
    let mut doctor = server.castline();
    let found = doctor.arg("doctor").arg(&cast.csv).output().unwrap();
    let text = String::from_utf8(found.stdout).unwrap();
    assert_eq!(found.status.code(), Some(2), "{text}");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("fsync is off") && text.contains("synchronous_commit is off"),
        "{text}"
    );
}

#[test]
fn a_server_that_can_not_be_reached_is_named_without_its_password() {
    let server = Server::start(&[]);
    let cast = small_cast(1, "nowhere");
    let mut run = server.castline();
    run.env("CASTLINE_LEDGER_URL", "postgres://castline@127.0.0.1:1/game")
        .env("PGPASSWORD", "hush");
    let output = run.args(["run", "--yes"]).arg(&cast.csv).output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("postgres://127.0.0.1:1/game") && !text.contains("hush"),
        "{text}"
    );
    let mut run = server.castline();
    run.env("CASTLINE_LEDGER_URL", "postgres://castline:hush@127.0.0.1/game");
    let output = run.args(["run", "--yes"]).arg(&cast.csv).output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("PGPASSFILE") && !text.contains("hush"), "{text}");
}

/// The server dies with calls under way, and its synchronous standby takes its place.
#[test]
fn a_failover_to_a_synchronous_standby_loses_no_id() {
    let Some(mut first) = Postgres::start(&[]) else {
        return;
    };
    let second = first.standby();
    let mut server = Server::start(&["--fault", "latency_ms=100"]);
    server.keep_ledger_in(&first);
    let both = format!(
        "postgres://castline@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        first.port(),
        second.port()
    );
    server.set("CASTLINE_LEDGER_URL", &both);
    let cast = small_cast(60, "failover").kept_as(&server);
    let mut run = server.castline();
    run.args(["run", "--yes", "--rate", "20/s"]).arg(&cast.csv);
    let mut run = run.stderr(Stdio::piped()).spawn().unwrap();
    wait_for_charges(&server, 20, &mut run);
    first.kill();
    second.promote();
    let output = run.wait_with_output().unwrap();
    println!("{}", stderr(&output));
    assert!(
        stderr(&output).contains("connecting again"),
        "the server was lost"
    );
    assert_eq!(output.status.code(), Some(0));
    cast.assert_promises(&server, Some(0));
    assert_eq!(server.charges().len(), 60);
}

#[test]
fn a_server_must_show_a_certificate_that_is_trusted() {
    let certified = crate::support::certificate::certified();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(at("ca.pem"), &certified.ca_pem).unwrap();
    std::fs::write(at("server.pem"), certified.leaf.pem()).unwrap();
    std::fs::write(at("server.key"), certified.key.serialize_pem()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(at("server.key"), mode).unwrap();
    crate::support::postgres::give_to_server(&at("server.key"));
    let settings = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", at("server.pem").display()),
        format!("ssl_key_file={}", at("server.key").display()),
    ];
    let Some(postgres) = Postgres::start(&settings.each_ref().map(String::as_str)) else {
        return;
    };
    let mut server = Server::start(&[]);
    server.keep_ledger_in(&postgres);
    let cast = small_cast(2, "tls").kept_as(&server);
    let address = format!(
        "postgres://castline@localhost:{}/postgres?sslmode=verify-full",
        postgres.port()
    );
    server.set("CASTLINE_LEDGER_URL", &address);
    let run = |server: &Server| {
        server
            .castline()
            .args(["run", "--yes"])
            .arg(&cast.csv)
            .output()
            .unwrap()
    };
    let stranger = run(&server);
    assert_eq!(stranger.status.code(), Some(1), "{}", stderr(&stranger));
    assert!(
        stderr(&stranger).to_lowercase().contains("certificate"),
        "{}",
        stderr(&stranger)
    );
    server.set("PGSSLROOTCERT", &at("ca.pem").display().to_string());
    let known = run(&server);
    assert_eq!(known.status.code(), Some(0), "{}", stderr(&known));
    assert_eq!(server.charges().len(), 2);
}

/// Two ledgers of an account share its budget and its pace, whichever machines they are used on.
#[test]
fn ledgers_of_one_account_share_a_budget_and_a_pace() {
    let Some(postgres) = Postgres::start(&[]) else {
        return;
    };
    let mut server = Server::start(&[]);
    server.keep_ledger_in(&postgres);
    let run = |server: &Server, cast: &SmallCast, cap: &str| {
        let mut run = server.castline();
        run.args(["run", "--yes", "--quiet", "--rate", "20/s", "--set"]);
        run.arg(format!("api.max_account_cost_usd={cap}")).arg(&cast.csv);
        // Each on a machine of its own.
        run.env("XDG_STATE_HOME", cast.csv.with_file_name("state"));
        run.stderr(Stdio::piped()).spawn().unwrap()
    };
    let first = small_cast(3, "first").kept_as(&server);
    assert!(run(&server, &first, "0.05").wait().unwrap().success());
    server.keep_ledger_in(&postgres);
    let second = small_cast(4, "second").kept_as(&server);
    let stopped = run(&server, &second, "0.05").wait_with_output().unwrap();
    assert_eq!(stopped.status.code(), Some(5), "{}", stderr(&stopped));
    assert_eq!(server.charges().len(), 5);

    // Both at once, at one pace.
    let before = server.requests().len();
    let casts = [40, 41].map(|count| {
        server.keep_ledger_in(&postgres);
        let cast = small_cast(count, &format!("pace{count}")).kept_as(&server);
        let child = run(&server, &cast, "5");
        (cast, child)
    });
    for (_, mut child) in casts {
        assert!(child.wait().unwrap().success());
    }
    let requests = server.requests();
    let paid = requests[before..].iter().filter(|request| {
        request["path"]
            .as_str()
            .is_some_and(|path| path.ends_with("portrait/enroll"))
    });
    let arrivals: Vec<f64> = paid.map(|request| request["at_ms"].as_f64().unwrap()).collect();
    assert_eq!(arrivals.len(), 81);
    let most = arrivals
        .iter()
        .map(|from| {
            arrivals
                .iter()
                .filter(|at| (*from..*from + 1000.0).contains(*at))
                .count()
        })
        .max()
        .unwrap();
    // Two paces would make it 40; arrivals jitter by what a busy scheduler adds.
    assert!(most <= 28, "{most} calls within a second at 20/s");
}

/// A commit that a standby does not confirm is none: what waits for it is not sent, even where the server gives up waiting and
/// says so in a warning.
#[test]
fn what_a_standby_has_not_confirmed_is_not_sent() {
    let Some(first) = Postgres::start(&[]) else { return };
    let mut second = first.standby();
    let mut server = Server::start(&[]);
    server.keep_ledger_in(&first);
    let cast = small_cast(40, "standby").kept_as(&server);
    let mut run = start(&server, &cast, "20/s");
    wait_for_charges(&server, 5, &mut run);
    second.kill();
    let waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'castline'";
    let begin = Instant::now();
    while first.sql(&format!("SELECT count(*) {waiting}")) == "0" {
        assert!(begin.elapsed() < Duration::from_secs(30), "it does not wait");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(500));
    let charged = server.charges().len();
    first.sql(&format!("SELECT pg_cancel_backend(pid) {waiting}"));
    let output = run.wait_with_output().unwrap();
    println!("{}", stderr(&output));
    assert!(
        !output.status.success() && stderr(&output).contains("at a commit"),
        "{}",
        stderr(&output)
    );
    assert_eq!(server.charges().len(), charged, "nothing was sent after that");
    first.sql("ALTER SYSTEM RESET synchronous_standby_names");
    first.sql("SELECT pg_reload_conf()");
    cast.assert_promises(&server, run_when_free(&server, &cast).status.code());
}
