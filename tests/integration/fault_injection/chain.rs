//! The chain knows whether a payment was charged: doubts of wallets end without a person. Charges are counted at the
//! server, and the chain's stand-in is asked through the released binary.

use std::path::Path;

use super::*;
use crate::support::server::{Server, SmallCast, castline, small_cast, stderr};

/// A server that is paid from wallets, with these faults.
fn server(faults: &str) -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("faults.toml");
    std::fs::write(&file, faults).unwrap();
    let server = Server::start(&["--wallet", "--faults", file.to_str().unwrap()]);
    (server, folder)
}

/// The node of the chain that a server stands in for.
fn node(server: &Server) -> String {
    let base = server
        .settings()
        .iter()
        .find(|(name, _)| name == "CASTLINE_API_BASE_URL");
    let base: url::Url = base.unwrap().1.parse().unwrap();
    base.join("/_sandbox/rpc").unwrap().into()
}

/// A command that asks the node.
fn asking(server: &Server, args: &[&str], cast: &Path) -> std::process::Output {
    castline(
        server,
        args,
        cast,
        Some(("CASTLINE_PAYMENT_RPC_URL", &node(server))),
    )
}

/// Changes the faults of a server.
fn change(server: &Server, faults: &str) {
    let find = |name: &str| {
        let found = server.settings().iter().find(|(known, _)| known == name);
        found.unwrap().1.clone()
    };
    let control = node(server).replace("/rpc", "/faults");
    let ca = std::fs::read(find("CASTLINE_TLS_CA_FILE")).unwrap();
    let client = castline::net::tls::http(Some(&ca)).unwrap().build().unwrap();
    let send = client.post(control).body(faults.to_owned()).send();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert_eq!(runtime.block_on(send).unwrap().status(), 200);
}

fn ledger(cast: &SmallCast) -> rusqlite::Connection {
    rusqlite::Connection::open(cast.csv.with_file_name(".castline/ledger.db")).unwrap()
}

/// Lets every payment expire: what was signed stays, but as if an hour ago.
fn expire(cast: &SmallCast) {
    super::signatures::expire(&cast.csv.with_file_name(".castline/ledger.db"));
}

fn run(server: &Server, cast: &Path) -> (Option<i32>, String) {
    let args = [
        "run",
        "--yes",
        "--rate",
        "1000/s",
        "--set",
        "api.retries=0",
        "--set",
    ];
    let brake = "api.max_consecutive_in_doubt=100";
    let output = asking(server, &[&args[..], &[brake]].concat(), cast);
    (output.status.code(), stderr(&output))
}

const MIXED: &str =
    "[names]\n\"chain 000\" = \"500\"\n\"chain 001\" = \"500-charged\"\n\"chain 002\" = \"reset\"\n";

#[test]
fn what_was_never_charged_is_enrolled_and_what_was_names_its_transaction() {
    let (server, _faults) = server(MIXED);
    let cast = small_cast(4, "chain");
    assert_eq!(run(&server, &cast.csv).0, Some(6));
    assert_eq!((server.charges().len(), cast.in_state("in_doubt").len()), (2, 3));
    // While a payment is valid the chain proves nothing.
    change(&server, "{}");
    assert_eq!(run(&server, &cast.csv).0, Some(6));
    assert_eq!(cast.in_state("in_doubt").len(), 3);
    expire(&cast);
    let (code, message) = run(&server, &cast.csv);
    assert_eq!(code, Some(6), "{message}");
    assert_eq!(server.charges().len(), 4, "each once");
    assert_eq!(cast.in_state("enrolled").len(), 3);
    let charge = server
        .charges()
        .into_iter()
        .find(|c| c.name == "chain 001")
        .unwrap();
    let transaction = charge.tx_hash.unwrap();
    assert!(message.contains(&transaction), "{message}");
    let resolve = asking(&server, &["resolve"], &cast.csv);
    let listed = String::from_utf8_lossy(&resolve.stdout).into_owned();
    assert!(
        listed.contains("charged") && listed.contains(&transaction),
        "{listed}"
    );
    cast.assert_promises(&server, Some(6));
    // The budget counts the three, and the one that was charged.
    let spent: i64 = ledger(&cast)
        .query_row(
            "SELECT sum(price) FROM attempts WHERE outcome IN ('enrolled', 'in_doubt', 'set_aside')",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(spent, 40_000);
}

/// A listing that leaves out names and images still tells the transaction.
#[test]
fn a_charged_payment_is_matched_with_the_listing_by_its_transaction() {
    let (server, _faults) = server("[names]\n\"chain\" = \"500-charged\"\n");
    let cast = small_cast(2, "chain");
    let profile = "name = \"third\"\nbase_url = \"https://third.example/api/v1\"\npayments = [\"wallet\"]\n\
                   listing = \"wallet/{address}/portraits\"\n";
    let file = cast.csv.with_file_name("third.toml");
    std::fs::write(&file, profile).unwrap();
    assert_eq!(run(&server, &cast.csv).0, Some(6));
    change(&server, "{\"bare_listing\": true}");
    let provider = format!("api.provider={}", file.display());
    let reconcile = || {
        asking(
            &server,
            &["resolve", "--reconcile", "--set", &provider],
            &cast.csv,
        )
    };
    let output = reconcile();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(
        said.contains("2 of the listed assets have no name or no image"),
        "{said}"
    );
    expire(&cast);
    let output = reconcile();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(cast.in_state("enrolled").len(), 2);
    assert_eq!(run(&server, &cast.csv).0, Some(0));
    cast.assert_promises(&server, Some(0));
    assert_eq!(server.charges().len(), 2);
}

/// A node that fails, lags, or is of another chain changes nothing.
#[test]
fn a_node_that_fails_lags_or_lies_about_its_chain_settles_nobody() {
    for answers in ["fails", "lags", "other-chain"] {
        let (server, _faults) = server("[names]\n\"chain\" = \"500\"\n");
        let cast = small_cast(2, "chain");
        assert_eq!(run(&server, &cast.csv).0, Some(6));
        expire(&cast);
        change(&server, &format!("{{\"chain\": \"{answers}\"}}"));
        let (code, message) = run(&server, &cast.csv);
        assert_eq!(code, Some(6), "{answers}: {message}");
        assert_eq!(cast.in_state("in_doubt").len(), 2, "{answers}: {message}");
        let asked = server.requests().iter().any(|r| r["path"] == "/_sandbox/rpc");
        assert!(asked, "{answers}: the node was asked");
        assert_eq!(server.charges().len(), 0);
        change(&server, "{}");
        assert_eq!(run(&server, &cast.csv).0, Some(0), "{answers}");
        cast.assert_promises(&server, Some(0));
    }
}
