//! The right id on the right character: what the API, or a person, gets wrong is in doubt or can be corrected.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::support::server::{
    Server, SmallCast, castline as command, forgetful, lose_ledger, run, small_cast, stderr,
};

fn of_all(kind: &str) -> Faults {
    let mut faults = Faults::default();
    faults.set(&format!("{kind}=100")).unwrap();
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_another_character_has_is_in_doubt() {
    for in_flight in [1, 8] {
        let stage = Harness::new(of_all("same-id")).await;
        let run = Run {
            in_flight,
            ..Run::default()
        };
        let ended = stage.enroll(&names(4), run).await;
        assert_eq!(stage.sandbox.charges().len(), 4);
        assert_eq!(
            (ended.count(State::Enrolled), ended.count(State::InDoubt)),
            (1, 3)
        );
        assert_eq!(ended.exit(), ExitCode::InDoubt);
        for record in ended.records.values().filter(|r| r.state == State::InDoubt) {
            assert_eq!(record.code.as_deref(), Some("id_of_another"));
            assert!(record.asset_id.is_none());
        }
        // All four count as spent.
        let spent = stage.ledger().view().spend(None).unwrap().total();
        assert_eq!(spent, Usd::from_micros(40_000));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_for_another_name_is_in_doubt() {
    let stage = Harness::new(of_all("other-name")).await;
    let ended = stage.enroll(&names(3), Run::default()).await;
    assert_eq!(stage.sandbox.charges().len(), 3);
    assert_eq!(ended.count(State::InDoubt), 3);
    for record in ended.records.values() {
        assert_eq!(record.code.as_deref(), Some("other_name"));
    }
}

fn resolve(server: &Server, cast: &SmallCast, args: &[&str]) -> (Option<i32>, String) {
    let args: Vec<&str> = ["resolve"].into_iter().chain(args.iter().copied()).collect();
    let output = command(server, &args, &cast.csv, None);
    (output.status.code(), stderr(&output))
}

/// The ids that a character had before, from the ledger.
fn history(cast: &Path) -> BTreeSet<String> {
    let db = rusqlite::Connection::open(cast.with_file_name(".castline/ledger.db")).unwrap();
    let mut query = db.prepare("SELECT asset_id FROM history").unwrap();
    let ids = query.query_map([], |row| row.get(0)).unwrap();
    ids.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_wrong_id_of_a_person_can_be_corrected_everywhere() {
    let server = forgetful(&["wrong 000"]);
    let cast = small_cast(2, "wrong");
    assert_eq!(run(&server, &cast.csv).status.code(), Some(6));
    let ids: BTreeMap<String, String> = server
        .charges()
        .into_iter()
        .map(|charge| (charge.name, charge.asset_id))
        .collect();
    for example in [
        "wrong 000=ta_…",
        "wrong 000=ta_12345",
        "wrong 000=ta_12345 67",
        "wrong 000=asset_pt_123456",
    ] {
        let (code, message) = resolve(&server, &cast, &["--adopt", example]);
        assert_eq!(code, Some(2), "{example}: {message}");
    }
    let mistaken = "ta_mistaken_1".to_owned();
    assert_eq!(
        resolve(&server, &cast, &["--adopt", &format!("wrong 000={mistaken}")]).0,
        Some(0)
    );
    // The id of the other one came from the API.
    let (code, message) = resolve(&server, &cast, &["--adopt", "wrong 001=ta_mistaken_2"]);
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("from the API"), "{message}");
    let right = &ids["wrong 000"];
    assert_eq!(
        resolve(&server, &cast, &["--adopt", &format!("wrong 000={right}")]).0,
        Some(0)
    );
    assert_eq!(history(&cast.csv), BTreeSet::from([mistaken]));
    assert_eq!(run(&server, &cast.csv).status.code(), Some(0));
    assert_eq!(cast.manifest(), ids);
    // Also for a machine that knows the bucket alone.
    lose_ledger(&cast);
    std::fs::remove_file(cast.csv.with_file_name("manifest.json")).unwrap();
    assert_eq!(run(&server, &cast.csv).status.code(), Some(0));
    assert_eq!(cast.manifest(), ids);
    assert_eq!(server.charges().len(), 2);
}

#[test]
fn a_doubt_that_was_repeated_can_still_be_settled() {
    for adopt in [true, false] {
        let server = forgetful(&["again"]);
        let cast = small_cast(1, "again");
        let name = cast.names.first().unwrap();
        assert_eq!(run(&server, &cast.csv).status.code(), Some(6));
        assert_eq!(resolve(&server, &cast, &["--retry", name]).0, Some(0));
        assert_eq!(run(&server, &cast.csv).status.code(), Some(6));
        let [first, second] = server.charges().try_into().unwrap();
        // The second call is settled first, then the first one.
        assert_eq!(
            resolve(
                &server,
                &cast,
                &["--adopt", &format!("{name}={}", second.asset_id)]
            )
            .0,
            Some(0)
        );
        let (args, spent) = match adopt {
            true => (
                ["--adopt".to_owned(), format!("{name}={}", first.asset_id)],
                20_000,
            ),
            false => (["--forget".to_owned(), name.clone()], 10_000),
        };
        let (code, message) = resolve(&server, &cast, &[&args[0], &args[1]]);
        assert_eq!(code, Some(0), "{message}");
        let path = cast.csv.with_file_name(".castline/ledger.db");
        let ledger = castline::ledger::LedgerView::open(&path).unwrap().unwrap();
        assert_eq!(ledger.spend(None).unwrap().total(), Usd::from_micros(spent));
        let known = ledger.asset_ids().unwrap();
        assert_eq!(known.contains_key(&first.asset_id), adopt);
        assert_eq!(run(&server, &cast.csv).status.code(), Some(0));
        assert_eq!(cast.manifest()[name], second.asset_id);
        // There is nothing left to settle.
        assert_eq!(resolve(&server, &cast, &["--forget", name]).0, Some(2));
    }
}

#[test]
fn a_repeated_call_that_needs_no_second_one_gets_its_id() {
    let server = forgetful(&["late"]);
    let cast = small_cast(1, "late");
    let name = cast.names.first().unwrap();
    assert_eq!(run(&server, &cast.csv).status.code(), Some(6));
    assert_eq!(resolve(&server, &cast, &["--retry", name]).0, Some(0));
    let id = server.charges()[0].asset_id.clone();
    assert_eq!(
        resolve(&server, &cast, &["--adopt", &format!("{name}={id}")]).0,
        Some(0)
    );
    assert_eq!(run(&server, &cast.csv).status.code(), Some(0));
    assert_eq!(cast.manifest()[name], id);
    assert_eq!(server.charges().len(), 1, "nothing is paid again");
}

#[test]
fn the_listing_of_another_api_settles_nobody() {
    let server = forgetful(&["whose"]);
    let other = Server::start(&[]);
    let cast = small_cast(1, "whose");
    assert_eq!(run(&server, &cast.csv).status.code(), Some(6));
    let profile = "name = \"third\"\nbase_url = \"https://third.example/api/v1\"\npayments = [\"key\"]\n\
                   listing = \"wallet/{address}/portraits\"\n";
    std::fs::write(cast.csv.with_file_name("third.toml"), profile).unwrap();
    let address = "payment.address=0x00000000000000000000000000000000000000aa";
    let provider = format!("api.provider={}", cast.csv.with_file_name("third.toml").display());
    let args = ["--reconcile", "--set", address, "--set", &provider];
    let (code, message) = resolve(&other, &cast, &args);
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("belongs to"), "{message}");
    assert!(cast.in_state("in_doubt").len() == 1);
    let asked = other.requests();
    assert!(asked.is_empty(), "nobody was asked: {asked:?}");
    // Its own API settles it.
    let (code, message) = resolve(&server, &cast, &args);
    assert_eq!(code, Some(0), "{message}");
}

/// A name whose spelling changes in the cast: the new one is in manifest and lists, the one that was sent stays known.
#[test]
fn the_spelling_of_the_cast_is_shown_and_the_one_that_was_sent_is_kept() {
    let server = Server::start(&[]);
    let cast = small_cast(1, "mira");
    assert_eq!(run(&server, &cast.csv).status.code(), Some(0));
    let rows = std::fs::read_to_string(&cast.csv).unwrap();
    std::fs::write(&cast.csv, rows.replace("mira", "Mira")).unwrap();
    assert_eq!(run(&server, &cast.csv).status.code(), Some(0));
    assert_eq!(server.charges().len(), 1);
    assert_eq!(cast.manifest().keys().collect::<Vec<_>>(), ["Mira 000"]);
    assert_eq!(cast.in_state("enrolled"), BTreeSet::from(["Mira 000".to_owned()]));
    let db = rusqlite::Connection::open(cast.csv.with_file_name(".castline/ledger.db")).unwrap();
    let sent: String = db
        .query_row("SELECT name FROM attempts", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sent, "mira 000");
}
